//! One raw client: it sends bytes, and says what it expects to read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// A stream that can be read and written.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// One raw client.
pub struct Peer {
    stream: Box<dyn Stream>,
    seen: Vec<u8>,
    /// The INFO line it got, without its end.
    pub info: String,
}

impl Peer {
    /// A client that has read nothing yet.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), seen: Vec::new(), info: String::new() }
    }

    /// A client over a plain socket, that can also be read and closed from elsewhere.
    pub fn of(stream: &TcpStream) -> Self {
        Self::new(stream.try_clone().unwrap())
    }

    /// Reads the INFO line.
    pub fn read_info(&mut self) {
        self.info = self.line();
        assert!(self.info.starts_with("INFO {"), "{}", self.info);
    }

    /// The INFO it got, parsed.
    pub fn info(&self) -> serde_json::Value {
        parse_info(&self.info)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends bytes, whether or not the broker still reads them.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Requires that exactly these bytes come next.
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        while self.seen.len() < expected.len() && self.more() {
            let len = self.seen.len().min(expected.len());
            if self.seen[..len] != expected[..len] {
                break;
            }
        }
        let got = &self.seen[..self.seen.len().min(expected.len())];
        if got != expected {
            assert_eq!(String::from_utf8_lossy(&self.seen), String::from_utf8_lossy(expected));
        }
        self.seen.drain(..expected.len());
    }

    /// Requires that nothing was sent before the answer to a PING.
    pub fn expect_nothing(&mut self) {
        self.exchange("PING\r\n", "PONG\r\n");
    }

    /// Sends, then requires these bytes.
    pub fn exchange(&mut self, bytes: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        self.send(bytes);
        self.expect(expected);
    }

    /// Sends, then requires these bytes and nothing more.
    pub fn exchange_only(&mut self, bytes: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        self.exchange(bytes, expected);
        self.expect_nothing();
    }

    /// Requires the end of the connection, after exactly `last`.
    pub fn expect_end(&mut self, last: &str) {
        while self.more() {}
        assert_eq!(String::from_utf8_lossy(&self.seen), last);
    }

    /// Everything that comes until the connection ends.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.seen)
    }

    /// Everything up to and with `marker`, which must come.
    pub fn until(&mut self, marker: &str) -> Vec<u8> {
        let mut searched = 0;
        loop {
            let found = self.seen[searched..].windows(marker.len()).position(|window| window == marker.as_bytes());
            if let Some(at) = found {
                return self.seen.drain(..searched + at + marker.len()).collect();
            }
            searched = (self.seen.len() + 1).saturating_sub(marker.len());
            assert!(self.more(), "connection ended without {marker:?}, got {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    /// Everything the broker sends before it answers a PING.
    pub fn fenced(&mut self) -> Vec<u8> {
        self.send("PING\r\n");
        let mut bytes = self.until("PONG\r\n");
        bytes.truncate(bytes.len() - b"PONG\r\n".len());
        bytes
    }

    /// So many bytes, which must come.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.seen.len() < count {
            assert!(self.more(), "connection ended, got {:?}", String::from_utf8_lossy(&self.seen));
        }
        self.seen.drain(..count).collect()
    }

    /// Whether the next bytes, or those that are here already, are anything but the end or an error.
    pub fn is_open(&mut self) -> bool {
        if self.seen.is_empty() && !self.more() {
            return false;
        }
        !self.seen.starts_with(b"-ERR 'Authorization Violation'")
    }

    /// One line, without its end.
    pub fn line(&mut self) -> String {
        String::from_utf8_lossy(&self.until("\n")).trim_end().to_owned()
    }

    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        let begun = Instant::now();
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.seen.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => false,
            Err(error) => {
                panic!("{error} after {:?}, so far {:?}", begun.elapsed(), String::from_utf8_lossy(&self.seen))
            }
        }
    }
}

/// The JSON of an INFO line.
pub fn parse_info(line: &str) -> serde_json::Value {
    serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap()
}
