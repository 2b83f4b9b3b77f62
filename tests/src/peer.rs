//! A raw client: it sends bytes over TLS, and says what it expects to read.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use cordon_accounts::creds::Creds;
use data_encoding::BASE64URL_NOPAD;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::wait::within;

/// What a raw client speaks over: TLS, or a socket as it is.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}

/// One raw client.
#[derive(Debug)]
pub struct Peer {
    stream: Box<dyn Stream>,
    seen: Vec<u8>,
    /// The INFO that the broker opened with.
    pub info: Value,
}

impl Peer {
    /// Connects, reads INFO, and goes on to TLS.
    pub async fn open(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        Self::try_open(address, config).await.unwrap()
    }

    /// As [`Peer::open`].
    ///
    /// # Errors
    ///
    /// What TLS says when the handshake fails.
    pub async fn try_open(address: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let (socket, info) = plain(address).await;
        let name = ServerName::from(address.ip());
        let stream = within("a TLS handshake", TlsConnector::from(config).connect(name, socket)).await?;
        Ok(Self { stream: Box::new(stream), seen: Vec::new(), info })
    }

    /// Connects to a broker without TLS and reads INFO.
    pub async fn open_plain(address: SocketAddr) -> Self {
        let (socket, info) = plain(address).await;
        Self { stream: Box::new(socket), seen: Vec::new(), info }
    }

    /// Connects to a broker by WebSocket without TLS and reads INFO.
    pub async fn open_websocket(address: SocketAddr) -> Self {
        let mut stream = crate::websocket::open(address).await;
        let info = info(&mut stream).await;
        Self { stream: Box::new(stream), seen: Vec::new(), info }
    }

    /// CONNECT with creds, up to the answer to a first PING.
    pub async fn authenticate(&mut self, creds: &str) {
        self.send(connect_line(&self.info, creds)).await;
        assert_eq!(self.fence().await, "");
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_send(bytes).await, "the connection is closed; it said {:?}", self.seen());
    }

    /// Sends bytes, whether or not the broker still reads them.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        within("the broker reads", async {
            self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
        })
        .await
    }

    /// Requires that exactly these bytes come next.
    pub async fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        while self.seen.len() < expected.len() {
            if !self.more().await {
                break;
            }
        }
        let got = &self.seen[..self.seen.len().min(expected.len())];
        assert_eq!(String::from_utf8_lossy(got), String::from_utf8_lossy(expected));
        self.seen.drain(..expected.len());
    }

    /// Everything up to the next PONG, which a PING of ours asks for: all that the broker has to say
    /// about what was sent until now, and all that was sent to us by those who have fenced before.
    /// Its INFO and its own PINGs are left out.
    pub async fn fence(&mut self) -> String {
        self.send("PING\r\n").await;
        let text = self.through("PONG\r\n").await;
        told(text.strip_suffix("PONG\r\n").unwrap())
    }

    /// As [`Peer::fence`], of a connection that the broker may have ended: what it said, and whether it has.
    pub async fn fence_or_end(&mut self) -> (String, bool) {
        self.try_send("PING\r\n").await;
        loop {
            let text = self.seen();
            if let Some(at) = text.find("PONG\r\n") {
                self.seen.drain(..at + "PONG\r\n".len());
                return (told(text.get(..at).unwrap_or_default()), false);
            }
            if !self.more().await {
                self.seen.clear();
                return (told(&text), true);
            }
        }
    }

    /// Everything through the next `marker`.
    pub async fn through(&mut self, marker: &str) -> String {
        loop {
            if let Some(at) = self.seen.windows(marker.len()).position(|window| window == marker.as_bytes()) {
                let bytes: Vec<u8> = self.seen.drain(..at + marker.len()).collect();
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            assert!(self.more().await, "the connection ended without {marker:?}; it said {:?}", self.seen());
        }
    }

    /// Everything until the broker ends the connection. Its own PINGs and INFO are left out.
    pub async fn end(&mut self) -> String {
        while self.more().await {}
        let text = self.seen();
        self.seen.clear();
        told(&text)
    }

    /// Sends what the broker refuses, and requires `-ERR` with this text and nothing else.
    pub async fn refused(&mut self, bytes: impl AsRef<[u8]>, text: &str) {
        self.send(bytes).await;
        assert_eq!(self.fence().await, format!("-ERR '{text}'\r\n"));
    }

    /// How reading fails, as TLS tells it; what the broker says before that is passed over.
    pub async fn failure(&mut self) -> String {
        let mut buffer = vec![0; 4096];
        loop {
            match within("TLS fails", self.stream.read(&mut buffer)).await {
                Ok(0) => return "the connection ended without a failure".to_owned(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads once; false at the end of the connection.
    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        let read = within(format!("the broker says something after {:?}", self.seen()), self.stream.read(&mut buffer));
        match read.await {
            Ok(count) => {
                self.seen.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
                ) =>
            {
                false
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The text without what the broker says of itself: INFO, and its own PINGs.
fn told(text: &str) -> String {
    text.split_inclusive("\r\n").filter(|line| *line != "PING\r\n" && !line.starts_with("INFO ")).collect()
}

/// A connected socket before TLS, and the INFO that came over it.
pub async fn plain(address: SocketAddr) -> (TcpStream, Value) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let info = info(&mut socket).await;
    (socket, info)
}

/// The INFO that comes first.
async fn info(socket: &mut (impl AsyncRead + Unpin)) -> Value {
    let mut line = Vec::new();
    within("INFO", async {
        while !line.ends_with(b"\r\n") {
            line.push(socket.read_u8().await.unwrap());
        }
    })
    .await;
    serde_json::from_slice(line.strip_prefix(b"INFO ").expect("the broker speaks first")).unwrap()
}

/// The CONNECT line for these creds, signing the nonce of this INFO.
pub fn connect_line(info: &Value, creds: &str) -> String {
    let creds = Creds::parse(creds).unwrap();
    let signature = creds.seed.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
    connect_with(json!({"jwt": creds.jwt, "sig": BASE64URL_NOPAD.encode(&signature)}))
}

/// A CONNECT line with these credentials, from a client that understands headers.
pub fn connect_with(mut fields: Value) -> String {
    let ours = json!({"verbose": false, "pedantic": false, "headers": true, "no_responders": true, "lang": "story", "version": "1", "protocol": 1});
    fields.as_object_mut().unwrap().extend(ours.as_object().unwrap().clone());
    format!("CONNECT {fields}\r\n")
}
