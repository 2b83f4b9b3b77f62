//! A raw connection over plain TCP that waits for what it reads: one thread drives many.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::wait::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    buffer: Vec<u8>,
    at: usize,
    /// The nonce to sign.
    pub nonce: String,
}

/// One thing that the broker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message.
    Message {
        /// Its subject.
        subject: String,
        /// The subscription.
        sid: u32,
        /// Its reply subject, empty for none.
        reply: String,
        /// Its header block, empty for none.
        header: String,
        /// What it says.
        payload: String,
    },
    /// `-ERR`, its text without quotes.
    Error(String),
    /// `PONG`.
    Pong,
    /// The end of the connection.
    End,
}

impl Wire {
    /// Connects and reads INFO.
    pub fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut wire = Self { socket, buffer: Vec::new(), at: 0, nonce: String::new() };
        let line = wire.line().expect("the broker speaks first");
        let info: Value = serde_json::from_str(line.strip_prefix("INFO ").expect("INFO comes first")).unwrap();
        info["nonce"].as_str().unwrap().clone_into(&mut wire.nonce);
        wire
    }

    /// Sends bytes; a connection that has ended shows when it is read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ended = self.socket.write_all(bytes.as_ref());
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        let _ended = self.socket.shutdown(std::net::Shutdown::Write);
    }

    /// The next thing that the broker says of messages, errors and fences.
    pub fn item(&mut self) -> Item {
        loop {
            let Some(line) = self.line() else { return Item::End };
            let mut words = line.split(' ');
            match words.next().unwrap_or_default() {
                "MSG" | "HMSG" => return self.message(&line),
                "PONG" => return Item::Pong,
                "PING" => self.send("PONG\r\n"),
                "INFO" | "+OK" => {}
                "-ERR" => {
                    let text = line.strip_prefix("-ERR '").and_then(|text| text.strip_suffix('\''));
                    return Item::Error(text.expect("errors are quoted").to_owned());
                }
                _ => panic!("the broker says `{line}`"),
            }
        }
    }

    /// Everything up to the answer to a PING that is sent now, or to the end.
    pub fn fence(&mut self) -> Vec<Item> {
        self.send("PING\r\n");
        self.until_pong()
    }

    /// Everything up to the next PONG, or to the end.
    pub fn until_pong(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            match self.item() {
                Item::Pong => return items,
                Item::End => {
                    items.push(Item::End);
                    return items;
                }
                item => items.push(item),
            }
        }
    }

    /// Everything up to the end.
    pub fn until_end(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            match self.item() {
                Item::End => return items,
                Item::Pong => {}
                item => items.push(item),
            }
        }
    }

    fn message(&mut self, line: &str) -> Item {
        let words: Vec<&str> = line.split(' ').collect();
        let sizes = if words[0] == "HMSG" { 2 } else { 1 };
        let reply = if words.len() > 3 + sizes { words[3] } else { "" };
        let total: usize = words[words.len() - 1].parse().unwrap();
        let header_len: usize = if sizes == 2 { words[words.len() - 2].parse().unwrap() } else { 0 };
        while self.buffer.len() < self.at + total + 2 {
            assert!(self.more(), "the connection ended within a message");
        }
        let body = &self.buffer[self.at..self.at + total];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (header, payload) = (text(&body[..header_len]), text(&body[header_len..]));
        self.at += total + 2;
        let (subject, sid, reply) = (words[1].to_owned(), words[2].parse().unwrap(), reply.to_owned());
        Item::Message { subject, sid, reply, header, payload }
    }

    /// The next line without its end; `None` at the end of the connection.
    fn line(&mut self) -> Option<String> {
        let mut searched = self.at;
        loop {
            if let Some(found) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let end = searched + found;
                let line = String::from_utf8_lossy(&self.buffer[self.at..end]).trim_end().to_owned();
                self.at = end + 1;
                return Some(line);
            }
            searched = self.buffer.len();
            let kept = self.at;
            if !self.more() {
                return None;
            }
            searched -= kept - self.at;
        }
    }

    /// Reads once; false at the end.
    fn more(&mut self) -> bool {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut chunk = [0; 8 * 1024];
        match self.socket.read(&mut chunk) {
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                count > 0
            }
            // A broker of before has ended, and the system says so in the midst of a wait.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.more(),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => {
                panic!("waited in vain for the broker: {error}; unread is {:?}", String::from_utf8_lossy(&self.buffer))
            }
        }
    }
}
