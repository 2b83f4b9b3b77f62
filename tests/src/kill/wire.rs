//! A raw client of streams: it writes, reads messages, and is told when the process is gone.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::peer::connect_with;
use crate::wait::{LONG_PATIENCE, within_time};

/// What a subscription got.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) reply: String,
    /// The header block as text, its status line too.
    pub(super) header: String,
    pub(super) payload: Vec<u8>,
}

impl Message {
    /// The status of an answer that is no message.
    pub(super) fn status(&self) -> Option<&str> {
        self.header.strip_prefix("NATS/1.0 ")?.get(..3)
    }

    /// The value of a header.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let line = self.header.lines().find(|line| line.starts_with(name))?;
        line.strip_prefix(name)?.strip_prefix(": ")
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<TlsStream<TcpStream>>,
    out: Vec<u8>,
    asked: u64,
}

impl Wire {
    /// Connects, logs in and subscribes to `inbox.>`.
    pub(super) async fn open(address: SocketAddr, tls: Arc<ClientConfig>, inbox: &str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address).await?;
        // INFO comes first, and ends before TLS begins.
        while socket.read_u8().await? != b'\n' {}
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(tls).connect(name, socket).await?;
        let mut wire = Self { stream: BufReader::with_capacity(1 << 16, stream), out: Vec::new(), asked: 0 };
        let connect = connect_with(json!({"user": "u", "pass": "p"}));
        wire.out.extend_from_slice(format!("{connect}SUB {inbox}.> 1\r\nPING\r\n").as_bytes());
        wire.flush().await?;
        loop {
            let line = wire.line().await?;
            match line.as_str() {
                "PONG" => return Ok(wire),
                line if line.starts_with("-ERR") => return Err(io::Error::other(line.to_owned())),
                _ => {}
            }
        }
    }

    /// Publishes; it leaves with [`Wire::flush`].
    pub(super) fn publish(&mut self, subject: &str, reply: &str, headers: &[(&str, String)], payload: &[u8]) {
        if headers.is_empty() {
            self.out.extend_from_slice(format!("PUB {subject} {reply} {}\r\n", payload.len()).as_bytes());
        } else {
            let mut block = "NATS/1.0\r\n".to_owned();
            for (name, value) in headers {
                block.extend([name, ": ", value, "\r\n"]);
            }
            block.push_str("\r\n");
            let (header, total) = (block.len(), block.len() + payload.len());
            self.out.extend_from_slice(format!("HPUB {subject} {reply} {header} {total}\r\n{block}").as_bytes());
        }
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        let stream = self.stream.get_mut();
        within(async {
            stream.write_all(&out).await?;
            stream.flush().await
        })
        .await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if within(self.stream.read_line(&mut line)).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> io::Result<Message> {
        loop {
            let line = self.line().await?;
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[words.len() - at].parse::<usize>().unwrap();
            let (header, total) = match words[0] {
                "MSG" => (0, number(1)),
                "HMSG" => (number(2), number(1)),
                "PING" => {
                    self.out.extend_from_slice(b"PONG\r\n");
                    self.flush().await?;
                    continue;
                }
                "-ERR" => return Err(io::Error::other(line)),
                _ => continue,
            };
            let sizes = if words[0] == "MSG" { 1 } else { 2 };
            let reply = if words.len() > 3 + sizes { words[3].to_owned() } else { String::new() };
            let mut body = vec![0; total + 2];
            within(self.stream.read_exact(&mut body)).await?;
            body.truncate(total);
            let payload = body.split_off(header);
            let header = String::from_utf8_lossy(&body).into_owned();
            return Ok(Message { subject: words[1].to_owned(), reply, header, payload });
        }
    }

    /// Asks the API; the answer.
    pub(super) async fn ask(&mut self, subject: &str, body: &Value) -> io::Result<Value> {
        self.asked += 1;
        let reply = format!("I.ask.{}", self.asked);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.publish(subject, &reply, &[], &body);
        self.flush().await?;
        loop {
            let answer = self.next().await?;
            if answer.subject == reply {
                return Ok(answer.json());
            }
        }
    }
}

/// A broker that is silent for so long is at fault.
async fn within<T>(coming: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    within_time(LONG_PATIENCE, "the broker says something", coming).await
}
