//! `cordon client`: a small NATS client, to try an installation with nothing else at hand.
//!
//! It says what the broker refuses, and ends when the broker ends the connection.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{Client as Nats, ConnectOptions, Event, Message, RequestError, RequestErrorKind, ServerError};
use clap::{Args, Subcommand};
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::data_folder::{self, Paths};
use crate::files;
use crate::output::{self, printable, say};

/// How long a refusal is waited for after the last message. One that takes longer is not told.
const REFUSAL_WAIT: Duration = Duration::from_millis(500);
/// How often a request is repeated that nobody listens to.
const ASK_MAX: u32 = 20;
/// The time between two of them.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// Events that wait to be told.
const EVENTS: usize = 16;

#[derive(Args, Debug)]
pub(crate) struct Client {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    act: Act,
}

#[derive(Args, Debug)]
struct Reach {
    /// Address of the broker [default: that of the data folder]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// CA certificate to trust [default: that of the data folder]
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Creds of the user
    #[arg(long, global = true, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Client certificate
    #[arg(long, global = true, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key of the client certificate
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Data folder of a `cordon serve` on this machine
    #[arg(long, global = true, value_name = "DIR", env = "CORDON_DATA", default_value = data_folder::DEFAULT)]
    data: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Publish a message
    Pub {
        subject: String,
        #[arg(default_value = "")]
        text: String,
    },
    /// Print messages as they come
    Sub {
        subject: String,
        /// End after so many
        #[arg(long)]
        count: Option<u64>,
    },
    /// Send a request and print the answer
    Request {
        subject: String,
        #[arg(default_value = "")]
        text: String,
    },
    /// Answer requests with this text
    Reply {
        subject: String,
        text: String,
        /// End after so many
        #[arg(long)]
        count: Option<u64>,
    },
}

impl Client {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (events, mut told) = mpsc::channel(EVENTS);
        let client = self.reach.connect(events).await?;
        tokio::select! {
            done = self.act.run(&client) => done?,
            ended = listen(&mut told) => {
                ended?;
                bail!("the broker has ended the connection");
            }
        }
        client.flush().await?;
        // An accepted message has no answer, a refused one has: it is waited for a moment.
        tokio::time::timeout(REFUSAL_WAIT, listen(&mut told)).await.unwrap_or(Ok(()))
    }
}

impl Reach {
    async fn connect(&self, events: mpsc::Sender<Event>) -> anyhow::Result<Nats> {
        let paths = Paths::new(&self.data);
        let server = self.server.clone().map_or_else(|| local(&paths), Ok)?;
        let mut options = ConnectOptions::new();
        if let Some(file) = &self.creds {
            let creds = files::read(file)?;
            options = ConnectOptions::with_credentials(&creds)
                .with_context(|| format!("`{}` is no creds file", file.display()))?;
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        let own_ca = Some(paths.ca()).filter(|ca| self.server.is_none() && ca.exists());
        if let Some(ca) = self.ca.clone().or(own_ca) {
            options = options.add_root_certificates(ca);
        }
        let options =
            options.name("cordon client").require_tls(!server.starts_with("nats://")).event_callback(move |event| {
                let events = events.clone();
                async move {
                    // What does not fit would only repeat what is being told.
                    let _full = events.try_send(event);
                }
            });
        let connected = options.connect(&server).await;
        connected.with_context(|| format!("cannot connect to {server}; are the address, --ca and --creds right?"))
    }
}

/// The broker that a process on this machine has left the address of in its data folder.
fn local(paths: &Paths) -> anyhow::Result<String> {
    let address = paths.read_run().ok().and_then(|run| run.client_address);
    let address =
        address.context("nothing runs on the data folder: start `cordon serve`, or name the broker with --server")?;
    Ok(format!("tls://localhost:{}", address.port()))
}

/// Tells what the broker says, until the connection ends; an error once it refuses something.
async fn listen(events: &mut mpsc::Receiver<Event>) -> anyhow::Result<()> {
    while let Some(event) = events.recv().await {
        match event {
            Event::ServerError(ServerError::Other(text)) => bail!("the broker says: {}", printable(&text)),
            Event::ServerError(error) => bail!("the broker says: {}", printable(&error.to_string())),
            Event::Disconnected | Event::Closed => return Ok(()),
            Event::LameDuckMode => output::warn("the broker is about to stop"),
            _ => {}
        }
    }
    Ok(())
}

impl Act {
    async fn run(self, client: &Nats) -> anyhow::Result<()> {
        match self {
            Self::Pub { subject, text } => {
                client.publish(subject, text.into()).await?;
            }
            Self::Sub { subject, count } => {
                let mut messages = client.subscribe(subject).await?;
                let mut left = count.unwrap_or(u64::MAX);
                while left > 0
                    && let Some(message) = messages.next().await
                {
                    say(&format!(
                        "{}  {}",
                        printable(&message.subject),
                        printable(&String::from_utf8_lossy(&message.payload))
                    ));
                    left -= 1;
                }
            }
            Self::Request { subject, text } => {
                let answer = request(client, &subject, &text)
                    .await
                    .with_context(|| format!("no answer to `{}`", printable(&subject)))?;
                say(&printable(&String::from_utf8_lossy(&answer.payload)));
            }
            Self::Reply { subject, text, count } => {
                let mut requests = client.subscribe(subject).await?;
                let mut left = count.unwrap_or(u64::MAX);
                while left > 0
                    && let Some(request) = requests.next().await
                {
                    let Some(reply) = request.reply else { continue };
                    client.publish(reply, text.clone().into()).await?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}

/// Asks; while nobody listens yet, asks again for a moment, since whoever answers may just be starting.
async fn request(client: &Nats, subject: &str, text: &str) -> Result<Message, RequestError> {
    let mut again = tokio::time::interval(ASK_INTERVAL);
    for _ in 0..ASK_MAX {
        again.tick().await;
        match client.request(subject.to_owned(), text.to_owned().into()).await {
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {}
            done => return done,
        }
    }
    client.request(subject.to_owned(), text.to_owned().into()).await
}
