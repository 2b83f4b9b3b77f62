//! WebSocket: what is said inside frames is answered as over TCP, however it is cut and compressed; and no request and
//! no frame gets anything out of the broker that is not well-formed.
//!
//! The first byte chooses what the rest is: the request itself, frames as they are, or text of the client protocol
//! that is put into frames by the second byte.

use std::cell::OnceCell;

use cordon_auth::configured::ConfiguredUsers;
use cordon_server::connection::Transport;
use cordon_server::{BrokerOptions, WebsocketOptions};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::input::Input;
use crate::peer::Rig;

const PAYLOAD: usize = 4096;
const MASK: [u8; 4] = [0x5a, 0, 0xff, 0x13];
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

/// Panics when frames change what is answered, or what is answered is not well-formed.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let size = [1, 7, 100, 4096][usize::from(choice >> 2 & 3)];
    RIG.with(|rig| {
        let rig = rig.get_or_init(rigged);
        match choice & 3 {
            0 => asked(rig, input.rest(), size),
            1 => {
                let got = rig.talk_over(Transport::Websocket, REQUEST, input.rest().chunks(size));
                said(after_head(&got));
            }
            _ => {
                let cuts = input.byte();
                same(rig, input.rest(), cuts, size);
            }
        }
    });
}

fn rigged() -> Rig {
    let websocket = WebsocketOptions {
        compression: true,
        handshake_timeout: std::time::Duration::from_mins(1),
        ..WebsocketOptions::default()
    };
    let options = BrokerOptions {
        websocket: Some(websocket),
        max_payload: PAYLOAD,
        ping_interval: std::time::Duration::from_hours(1000),
        ..BrokerOptions::default()
    };
    Rig::new(options, ConfiguredUsers::builder().build().unwrap())
}

/// A request of any bytes is refused in HTTP, or granted.
fn asked(rig: &Rig, bytes: &[u8], size: usize) {
    let got = rig.talk_over(Transport::Websocket, b"", bytes.chunks(size));
    if got.starts_with(b"HTTP/1.1 101 ") {
        said(after_head(&got));
    } else if !got.is_empty() {
        assert!(got.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&got));
        assert!(!got.windows(5).any(|window| window == b"INFO "), "nothing is told to who is refused");
    }
}

/// The same text inside frames and without, but for the INFO of each.
fn same(rig: &Rig, text: &[u8], cuts: u8, size: usize) {
    // Which member of a queue group gets a message is drawn anew each time.
    if text.split(|byte| *byte == b'\n').any(joins_a_group) {
        return;
    }
    let plain = rig.talk(text.chunks(size));
    let framed: Vec<u8> = frames(text, cuts);
    let got = rig.talk_over(Transport::Websocket, REQUEST, framed.chunks(size));
    let said = said(after_head(&got));
    assert_eq!(
        String::from_utf8_lossy(&without_info(&said)),
        String::from_utf8_lossy(&without_info(&plain)),
        "frames change nothing"
    );
}

/// Whether a line can be a SUB with a queue group.
fn joins_a_group(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"SUB")) && words.count() > 2
}

/// Messages of the text, cut and compressed as `cuts` says, with a ping here and there.
fn frames(text: &[u8], cuts: u8) -> Vec<u8> {
    let length = [1, 3, 50, 1000][usize::from(cuts & 3)];
    let mut out = Vec::new();
    for (place, piece) in text.chunks(length).enumerate() {
        let compressed = (place + usize::from(cuts >> 2)) % 3 == 0;
        let body = if compressed { deflate(piece) } else { piece.to_vec() };
        let (first, rest) = body.split_at(body.len() / 2);
        let rsv = if compressed { 0x40 } else { 0 };
        if cuts & 4 == 0 {
            frame(0x82 | rsv, &body, &mut out);
        } else {
            frame(0x02 | rsv, first, &mut out);
            frame(0x89, b"ping", &mut out);
            frame(0x80, rest, &mut out);
        }
    }
    out
}

fn frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend([first, 0x80 | 0x7e]);
    // Longer than it need be for short ones, which is allowed for those who read, and control frames must be short.
    if first & 8 == 0 {
        out.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    } else {
        out.pop();
        out.push(0x80 | u8::try_from(payload.len()).unwrap());
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    Compress::new(Compression::fast(), false).compress_vec(bytes, &mut out, FlushCompress::Sync).unwrap();
    out.truncate(out.len() - 4);
    out
}

fn after_head(got: &[u8]) -> &[u8] {
    assert!(got.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(got));
    let end = got.windows(4).position(|window| window == b"\r\n\r\n").expect("the head ends");
    &got[end + 4..]
}

/// What the messages of the broker carry; every frame must be good.
fn said(mut bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut closed = false;
    while let [first, second, rest @ ..] = bytes {
        assert!(!closed, "nothing follows a close frame");
        assert_eq!(second & 0x80, 0, "the broker masks nothing");
        let (len, header) = match second {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk().unwrap())), 2),
            127 => (u64::from_be_bytes(*rest.first_chunk().unwrap()) as usize, 8),
            short => (usize::from(*short), 0),
        };
        let Some(payload) = rest.get(header..header + len) else {
            panic!("a frame is cut");
        };
        match first {
            0x82 => data.extend_from_slice(payload),
            0xc2 => data.extend(inflate(payload)),
            0x8a => assert!(len <= 125, "a pong is a control frame"),
            0x88 => {
                closed = true;
                assert!(len <= 125 && len != 1, "a close frame has a status, or nothing");
            }
            other => panic!("{other:x} is no frame of the broker"),
        }
        bytes = &rest[header + len..];
    }
    assert!(bytes.is_empty(), "a frame is cut");
    data
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let bytes = [bytes, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&bytes, &mut out, FlushDecompress::Sync).unwrap();
    out
}

fn without_info(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"INFO {")).flatten().copied().collect()
}
