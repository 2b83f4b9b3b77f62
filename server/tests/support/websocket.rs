//! A raw WebSocket client: its request and its frames are what a test makes of them.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::peer::Stream;
use super::{PATIENCE, TestBroker};

/// The key of every request, and what the broker makes of it (RFC 6455 section 1.3).
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// See [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Opcodes.
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// Bits of the first byte.
pub const FIN: u8 = 0x80;
pub const RSV1: u8 = 0x40;

/// One raw WebSocket client.
pub struct Socket {
    stream: Box<dyn Stream>,
    seen: Vec<u8>,
    /// Bytes of messages, not yet looked at.
    data: Vec<u8>,
    /// First bytes and lengths of the data frames it got.
    pub frames: Vec<(u8, usize)>,
    /// The status line and headers it got.
    pub head: String,
}

/// A frame that arrived: its first byte and its payload.
pub type Frame = (u8, Vec<u8>);

/// Headers that every good request has.
pub fn good() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Host", "localhost"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ]
}

/// A request with these headers.
pub fn request(line: &str, headers: &[(&str, &str)]) -> String {
    let mut request = format!("{line}\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request + "\r\n"
}

/// A plain socket to the broker's listener.
pub fn dial(broker: &TestBroker) -> TcpStream {
    let stream = TcpStream::connect(broker.running.websocket_address.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Socket {
    /// A client that has said nothing yet.
    pub fn new(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), seen: Vec::new(), data: Vec::new(), frames: Vec::new(), head: String::new() }
    }

    /// A client after this request and its answer.
    pub fn asking(stream: impl Stream + 'static, request: &str) -> Self {
        let mut socket = Self::new(stream);
        socket.send(request);
        socket.read_head();
        socket
    }

    /// A client that was let in, with more headers than it needs.
    pub fn open(stream: impl Stream + 'static, more: &[(&str, &str)]) -> Self {
        let socket = Self::asking(stream, &request("GET / HTTP/1.1", &[&good(), more].concat()));
        assert!(socket.head.starts_with("HTTP/1.1 101 "), "{}", socket.head);
        socket
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends bytes, whether or not they are still read.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The status and headers of the answer; empty when there is none.
    pub fn read_head(&mut self) {
        loop {
            if let Some(at) = self.seen.windows(4).position(|window| window == b"\r\n\r\n") {
                self.head = String::from_utf8(self.seen.drain(..at + 4).collect()).unwrap();
                return;
            }
            if !self.more() {
                return;
            }
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Whether the answer has this line.
    pub fn answered(&self, line: &str) -> bool {
        self.head.split("\r\n").any(|own| own.eq_ignore_ascii_case(line))
    }

    /// Sends one masked frame.
    pub fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        self.send(masked(first, payload.as_ref()));
    }

    /// Sends text of the client protocol as one message.
    pub fn say(&mut self, text: impl AsRef<[u8]>) {
        self.frame(FIN | BINARY, text);
    }

    /// Sends text of the client protocol as one compressed message.
    pub fn say_compressed(&mut self, text: impl AsRef<[u8]>) {
        self.frame(FIN | RSV1 | BINARY, deflate(text.as_ref()));
    }

    /// The next frame; `None` at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, len)) = split(&self.seen) {
                self.seen.drain(..len);
                return Some(frame);
            }
            if !self.more() {
                assert!(self.seen.is_empty(), "a frame is cut: {:?}", self.seen);
                return None;
            }
        }
    }

    /// The next frame, which must be this one.
    pub fn expect_frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let got = self.next();
        assert_eq!(got, Some((first, payload.as_ref().to_vec())), "{:?}", String::from_utf8_lossy(payload.as_ref()));
    }

    /// Requires that exactly these bytes come next in messages.
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        loop {
            // On a slow machine the broker asks for a sign of life between two exchanges.
            if self.data.starts_with(b"PING\r\n") && !expected.starts_with(b"PING\r\n") {
                self.data.drain(..6);
            }
            if self.data.len() >= expected.len() {
                break;
            }
            let (first, payload) = self.next().unwrap();
            assert!(first & 0x0f <= BINARY, "a control frame came: {first:x} {payload:?}");
            self.frames.push((first, payload.len()));
            self.take(first, payload);
        }
        let got: Vec<u8> = self.data.drain(..expected.len()).collect();
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(expected));
    }

    fn take(&mut self, first: u8, mut payload: Vec<u8>) {
        let mut ended = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        while compressed && !ended {
            let (first, more) = self.next().unwrap();
            assert_eq!(first & 0x7f, CONTINUATION);
            self.frames.push((first, more.len()));
            payload.extend(more);
            ended = first & FIN != 0;
        }
        self.data.extend(if compressed { inflate(&payload) } else { payload });
    }

    /// Sends as one message, then requires these bytes.
    pub fn exchange(&mut self, text: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        self.say(text);
        self.expect(expected);
    }

    /// The INFO that comes first.
    pub fn info(&mut self) -> serde_json::Value {
        let (first, payload) = self.next().unwrap();
        self.take(first, payload);
        let end = self.data.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let line: Vec<u8> = self.data.drain(..end + 2).collect();
        super::peer::parse_info(String::from_utf8(line).unwrap().trim_end())
    }

    /// Requires a close frame, and the end behind it.
    pub fn expect_close(&mut self, status: u16, reason: &str) {
        let (first, payload) = self.next().unwrap();
        let said = payload.split_first_chunk::<2>().map(|(s, r)| (u16::from_be_bytes(*s), String::from_utf8_lossy(r)));
        assert_eq!((first, said), (FIN | CLOSE, Some((status, reason.into()))));
        assert_eq!(self.next(), None);
    }

    /// Requires a close frame of this status, and the end behind it.
    pub fn expect_closed_as(&mut self, status: u16) {
        let (first, payload) = self.next().unwrap();
        assert_eq!((first, u16::from_be_bytes([payload[0], payload[1]])), (FIN | CLOSE, status), "{payload:?}");
        assert_eq!(self.next(), None);
    }

    /// Everything that is left, as it is.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.seen)
    }

    fn more(&mut self) -> bool {
        let mut buffer = vec![0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.seen.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => false,
            Err(error) => panic!("{error}, so far {:?}", String::from_utf8_lossy(&self.seen)),
        }
    }
}

/// Text that says little and is not short.
pub fn numbers(count: u32) -> String {
    let mut text = String::new();
    for n in 0..count {
        text.extend([&n.wrapping_mul(2_654_435_761).to_string(), " "]);
    }
    text
}

/// A frame with a mask.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = header(first, payload.len(), 0x80);
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame without a mask.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&header(first, payload.len(), 0), payload].concat()
}

fn header(first: u8, len: usize, mask: u8) -> Vec<u8> {
    match len {
        0..126 => vec![first, len as u8 | mask],
        126..65536 => [&[first, 0x7e | mask][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 0x7f | mask][..], &(len as u64).to_be_bytes()].concat(),
    }
}

/// The first frame of `bytes`, and its length.
fn split(bytes: &[u8]) -> Option<(Frame, usize)> {
    let [first, second, rest @ ..] = bytes else { return None };
    assert_eq!(second & 0x80, 0, "the broker masks nothing");
    let (len, header) = match second {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (u64::from(*short), 2),
    };
    let end = header + len as usize;
    Some(((*first, bytes.get(header..end)?.to_vec()), end))
}

/// What `permessage-deflate` makes of `bytes`.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    Compress::new(Compression::fast(), false).compress_vec(bytes, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// The way back.
pub fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 << 20);
    let bytes = [bytes, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&bytes, &mut out, FlushDecompress::Sync).unwrap();
    out
}
