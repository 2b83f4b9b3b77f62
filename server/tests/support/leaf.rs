//! A raw leaf node: it speaks the leaf protocol, and answers pings.

use std::collections::BTreeSet;
use std::net::TcpStream;

use serde_json::{Value, json};

use super::peer::Stream;
use super::{PATIENCE, Peer, TestBroker};

/// One raw leaf node.
pub struct RawLeaf {
    /// The socket.
    pub peer: Peer,
    /// The first INFO.
    pub info: Value,
    /// The second INFO, once joined.
    pub joined: Value,
}

impl RawLeaf {
    /// A socket to the leaf listener that has read INFO.
    pub fn dial(broker: &TestBroker) -> Self {
        let stream = TcpStream::connect(broker.running.leaf_address.unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// Over a stream that is ready for INFO.
    pub fn over(stream: impl Stream + 'static) -> Self {
        let mut peer = Peer::new(stream);
        peer.read_info();
        let info = peer.info();
        Self { peer, info, joined: Value::Null }
    }

    /// Joins as a server called `name`; `more` are further fields of CONNECT.
    pub fn join(broker: &TestBroker, name: &str, more: Value) -> Self {
        let mut leaf = Self::dial(broker);
        leaf.connect(name, more);
        leaf.read_joined();
        leaf
    }

    /// Sends CONNECT.
    pub fn connect(&mut self, name: &str, more: Value) {
        let mut fields = json!({
            "version": "2.15.0", "server_id": name, "name": name, "cluster": name, "headers": true,
            "remote_account": "REMOTE", "protocol": 3, "compress_mode": "off",
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(format!("CONNECT {fields}\r\n"));
    }

    /// Reads the second INFO.
    pub fn read_joined(&mut self) {
        let line = self.line();
        self.joined = serde_json::from_str(line.strip_prefix("INFO ").unwrap_or_else(|| panic!("{line}"))).unwrap();
        assert_eq!(self.joined["connect_info"], true);
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.peer.send(bytes);
    }

    /// The next line that is no PING.
    pub fn line(&mut self) -> String {
        loop {
            let line = self.peer.line();
            if line != "PING" {
                return line;
            }
            self.peer.try_send("PONG\r\n");
        }
    }

    /// Requires these lines next.
    pub fn expect(&mut self, lines: &[&str]) {
        for expected in lines {
            assert_eq!(self.line(), *expected);
        }
    }

    /// Every line before the answer to a PING.
    pub fn fenced(&mut self) -> Vec<String> {
        self.send("PING\r\n");
        let mut lines = Vec::new();
        loop {
            match self.line() {
                pong if pong == "PONG" => return lines,
                line => lines.push(line),
            }
        }
    }

    /// Requires that nothing is said before the answer to a PING.
    pub fn expect_nothing(&mut self) {
        assert_eq!(self.fenced(), Vec::<String>::new());
    }

    /// The interest that it is told of: subjects with queue and weight, without those every account has.
    pub fn interest(&mut self) -> BTreeSet<String> {
        let lines = self.fenced();
        let told = lines.iter().map(|line| line.strip_prefix("LS+ ").unwrap_or_else(|| panic!("{line}")).to_owned());
        told.filter(|subject| !subject.starts_with("$SYS.REQ.") && !subject.starts_with("$LDS.")).collect()
    }

    /// Requires the end, and that `text` is the last that is said.
    pub fn fenced_end(&mut self, text: &str) {
        let rest = String::from_utf8_lossy(&self.peer.rest()).into_owned();
        let lines = rest.split_inclusive("\r\n").filter(|line| !line.starts_with("PING") && !line.starts_with("LS"));
        assert_eq!(lines.collect::<String>(), text);
    }

    /// Requires this error and the end.
    pub fn expect_refused(&mut self, error: &str) {
        assert_eq!(self.line(), format!("-ERR '{error}'"));
        assert_eq!(String::from_utf8_lossy(&self.peer.rest()), "");
    }
}
