//! A connection that asks the JetStream API, and is then used for its traffic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::inbox::Inbox;
use crate::link::{Dialer, Link, PATIENCE, Received};
use crate::wire::{Frame, Message};

/// A connection with an inbox of its own.
pub(super) struct Client {
    /// Where its answers, acknowledgements and deliveries go: this and a token.
    pub(super) answers: String,
    link: Link,
    inbox: Inbox,
    /// What is to be sent with the next [`Client::send`].
    pub(super) outgoing: Vec<u8>,
}

impl Client {
    /// Connects and subscribes.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub(super) fn connect(dialer: &Dialer) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let answers = format!("_INBOX.bench{}.", NUMBER.fetch_add(1, Relaxed));
        let mut link = dialer.connect(&format!("SUB {answers}> 1\r\n"))?;
        let mut inbox = Inbox::new();
        inbox.load(&link.take_pending());
        Ok(Self { answers, link, inbox, outgoing: Vec::new() })
    }

    /// Asks the API at `$JS.API.<what>`, and waits for the answer.
    ///
    /// # Errors
    ///
    /// When the answer is an error, or does not come.
    pub(super) fn ask(&mut self, what: &str, request: &Value) -> Result<Value> {
        let request = if request.is_null() { String::new() } else { request.to_string() };
        let line = format!("PUB $JS.API.{what} {}api {}\r\n{request}\r\n", self.answers, request.len());
        self.outgoing.extend_from_slice(line.as_bytes());
        self.send()?;
        let mut answer = None;
        while answer.is_none() {
            self.read(|message| {
                answer = Some(serde_json::from_slice::<Value>(message.payload).context("an answer that is not JSON")?);
                Ok(())
            })?;
        }
        let answer = answer.unwrap_or_default();
        if let Some(error) = answer.get("error") {
            bail!("`{what}` was refused: {error}");
        }
        Ok(answer)
    }

    /// Messages in stream `name`.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub(super) fn stored(&mut self, name: &str) -> Result<u64> {
        let info = self.ask(&format!("STREAM.INFO.{name}"), &json!(null))?;
        info.pointer("/state/messages").and_then(Value::as_u64).context("no count of messages in the stream's state")
    }

    /// Sends what was put into [`Client::outgoing`].
    ///
    /// # Errors
    ///
    /// When the server does not take it.
    pub(super) fn send(&mut self) -> Result<()> {
        if !self.outgoing.is_empty() {
            self.link.send(&self.outgoing)?;
            self.outgoing.clear();
        }
        Ok(())
    }

    /// One read; gives every message that it brought to `each`.
    ///
    /// # Errors
    ///
    /// When nothing comes, when the server says `-ERR`, and those of `each`.
    pub(super) fn read(&mut self, each: impl FnMut(&Message<'_>) -> Result<()>) -> Result<()> {
        self.read_and_answer(each, |_, _| ())
    }

    /// As [`Client::read`]; `answer` may put something into [`Client::outgoing`] for each message.
    ///
    /// # Errors
    ///
    /// As [`Client::read`].
    pub(super) fn read_and_answer(
        &mut self,
        mut each: impl FnMut(&Message<'_>) -> Result<()>,
        mut answer: impl FnMut(&Message<'_>, &mut Vec<u8>),
    ) -> Result<()> {
        match self.inbox.fill(&mut self.link)? {
            Received::Bytes(_) => {}
            Received::Closed => bail!("the server closed the connection"),
            Received::Nothing => bail!("nothing from the server within {} s", PATIENCE.as_secs()),
        }
        let outgoing = &mut self.outgoing;
        self.inbox.frames(|frame| {
            match frame {
                Frame::Message(message) => {
                    each(&message)?;
                    answer(&message, outgoing);
                }
                Frame::Ping => outgoing.extend_from_slice(b"PONG\r\n"),
                Frame::Error(text) => bail!("the server said: {}", String::from_utf8_lossy(text)),
                Frame::Pong | Frame::Info(_) | Frame::Ok => {}
            }
            Ok(())
        })
    }
}
