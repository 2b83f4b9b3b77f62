//! A broker with streams that runs by a configuration, and clients that speak the protocol by hand.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cordon_auth::clock::Clock;
use cordon_jetstream::node::Node;
use cordon_server::RunningBroker;
use cordon_server::config::{self, ConfigError, LoadedConfig, load_text};
use cordon_server::extension::Extension;
use cordon_server::reload::{self, Asker, Host};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A broker, and its configuration.
pub(crate) struct Site {
    /// The broker.
    pub(crate) broker: RunningBroker,
    head: String,
    file: Arc<File>,
}

struct File(Mutex<String>);

impl Host for File {
    fn read(&self) -> Result<LoadedConfig, ConfigError> {
        load_text(&self.0.lock().unwrap(), "test.conf")
    }

    fn apply(&self, _: &LoadedConfig) -> Result<(), String> {
        Ok(())
    }
}

impl Site {
    /// Starts a broker that keeps streams in `folder`; `more` are accounts and other options.
    pub(crate) async fn start(folder: &Path, more: &str) -> Self {
        let head = format!(
            "listen: \"127.0.0.1:-1\"\nserver_name: site\njetstream {{ store_dir: \"{}\" }}\n",
            folder.display()
        );
        let text = format!("{head}{more}");
        let loaded = load_text(&text, "test.conf").unwrap();
        let streams = loaded.jetstream.clone().map(|options| -> Arc<dyn Extension> { Node::new(options) });
        let broker = config::start_with(loaded, Clock::system(), streams).await.unwrap();
        let file = Arc::new(File(Mutex::new(text)));
        broker.broker.reloads.read_from(file.clone());
        Self { broker, head, file }
    }

    /// Takes other accounts and options while it runs.
    pub(crate) async fn reload(&self, more: &str) {
        *self.file.0.lock().unwrap() = format!("{}{more}", self.head);
        reload::reload(&self.broker.broker, &Asker::Signal).await.unwrap();
    }
}

/// A client that speaks the protocol by hand.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    /// Nobody else's; it has a subscription of id 1 for all below.
    pub(crate) inbox: String,
    next: usize,
}

impl Client {
    /// One that is connected as that user, whose password is `p`.
    pub(crate) async fn of(broker: &RunningBroker, user: &str) -> Self {
        let stream = TcpStream::connect(broker.client_address).await.unwrap();
        let inbox = format!("in.{}", stream.local_addr().unwrap().port());
        let mut client = Self { stream, read: Vec::new(), inbox: inbox.clone(), next: 0 };
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"p\",\"headers\":true,\"no_responders\":true}}\r\n\
             SUB {inbox}.> 1\r\n"
        );
        client.send(&connect).await;
        client.fence().await;
        client
    }

    /// Sends lines as they are.
    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// All that has come before the broker has seen everything that was sent.
    pub(crate) async fn fence(&mut self) -> String {
        self.send("PING\r\n").await;
        self.until("PONG\r\n").await
    }

    /// Everything up to and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut buffer = vec![0; 65536];
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = text.find(end) {
                self.read.drain(..at + end.len());
                return text.get(..at + end.len()).unwrap().to_owned();
            }
            let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut buffer)).await;
            assert!(read.is_ok(), "no `{end}` in `{text}`");
            let len = read.unwrap().unwrap();
            assert!(len > 0, "the connection ended: `{text}`");
            self.read.extend_from_slice(buffer.get(..len).unwrap());
        }
    }

    /// Asks, and gives the message that answers.
    pub(crate) async fn ask(&mut self, subject: &str, body: &str) -> String {
        self.next += 1;
        let reply = format!("{}.{}", self.inbox, self.next);
        self.send(&format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())).await;
        let head = self.until(&format!("{reply} 1 ")).await;
        let sizes = self.until("\r\n").await;
        let size: usize = sizes.trim().rsplit(' ').next().unwrap().parse().unwrap();
        while self.read.len() < size + 2 {
            let mut buffer = vec![0; 65536];
            let len = self.stream.read(&mut buffer).await.unwrap();
            self.read.extend_from_slice(buffer.get(..len).unwrap());
        }
        let body: Vec<u8> = self.read.drain(..size + 2).collect();
        format!("{head}{}", String::from_utf8_lossy(&body))
    }

    /// Asks until what is told contains `wanted`.
    pub(crate) async fn told(&mut self, subject: &str, wanted: &str) -> String {
        let begin = Instant::now();
        loop {
            let told = self.ask(subject, "").await;
            if told.contains(wanted) {
                return told;
            }
            assert!(begin.elapsed() < Duration::from_mins(1), "no `{wanted}` in `{told}`");
        }
    }
}
