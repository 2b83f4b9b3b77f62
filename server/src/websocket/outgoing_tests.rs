//! Frames around output, as others read them.

use std::io::Cursor;

use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

use super::*;

/// Everything that `chunks` hold as it is written, so many bytes at a time.
fn written(output: &mut Output, chunks: &mut Chunks, size: usize, wire: &mut Vec<u8>) {
    loop {
        let step = output.step(chunks, usize::MAX, |vectors| {
            let all: Vec<u8> = vectors.iter().flat_map(|vector| vector.to_vec()).take(size).collect();
            wire.extend_from_slice(&all);
            Ok(all.len())
        });
        if step.unwrap() == 0 {
            return;
        }
    }
}

fn queue(chunks: &mut Chunks, bytes: &[u8], shared: bool) {
    if shared {
        chunks.append_shared(bytes::Bytes::copy_from_slice(bytes));
    } else {
        chunks.append(bytes.len(), |into| into.extend_from_slice(bytes));
    }
}

/// What somebody else's client reads; of `masked` frames, what a server does.
fn read(wire: Vec<u8>, masked: bool) -> (Vec<u8>, Vec<Message>) {
    let role = if masked { Role::Server } else { Role::Client };
    let mut socket = WebSocket::from_raw_socket(Cursor::new(wire), role, Some(WebSocketConfig::default()));
    let (mut data, mut control) = (Vec::new(), Vec::new());
    while let Ok(message) = socket.read() {
        match message {
            Message::Binary(bytes) => data.extend_from_slice(&bytes),
            other => control.push(other),
        }
    }
    (data, control)
}

proptest! {
    #[test]
    fn others_read_what_was_queued_however_it_is_written(
        steps in prop::collection::vec((any::<bool>(), 1usize..9000, any::<bool>()), 1..10),
        size in 1usize..5000,
        most in prop_oneof![Just(usize::MAX), Just(4096usize)],
        masked in any::<bool>(),
    ) {
        let mut output = Output::new(Fragments { most, compressed: false }, false);
        output.masked = masked;
        let (mut chunks, mut wire, mut model, mut pings) = (Chunks::default(), Vec::new(), Vec::new(), 0);
        for (shared, len, ping) in steps {
            let bytes: Vec<u8> = (0..len).map(|n| (n + model.len()) as u8).collect();
            queue(&mut chunks, &bytes, shared);
            model.extend_from_slice(&bytes);
            if ping {
                output.pong(b"hello");
                pings += 1;
            }
            written(&mut output, &mut chunks, size, &mut wire);
        }
        let close = output.close("Client Closed");
        wire.extend(close.unwrap());
        let (data, mut control) = read(wire, masked);
        prop_assert_eq!(data, model);
        prop_assert!(matches!(control.pop(), Some(Message::Close(Some(close))) if close.reason == "Client Closed"));
        prop_assert_eq!(control, vec![Message::Pong(b"hello".to_vec().into()); pings]);
    }
}

/// A kernel that takes nothing after so many bytes.
fn until_blocked(output: &mut Output, chunks: &mut Chunks, room: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    loop {
        let left = room - wire.len();
        let step = output.step(chunks, usize::MAX, |vectors| {
            if left == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = vectors.iter().flat_map(|vector| vector.to_vec()).take(left).collect();
            wire.extend_from_slice(&all);
            Ok(all.len())
        });
        if step.is_err() {
            return wire;
        }
    }
}

#[test]
fn what_comes_while_a_frame_is_under_way_waits_for_its_end() {
    let mut output = Output::new(Fragments::NONE, false);
    let mut chunks = Chunks::default();
    queue(&mut chunks, b"first", false);
    let mut wire = until_blocked(&mut output, &mut chunks, 4);
    queue(&mut chunks, b"second", false);
    output.pong(b"p");
    assert_eq!(output.close("Client Closed"), None, "not inside a frame");
    written(&mut output, &mut chunks, 100, &mut wire);
    assert_eq!(wire, b"\x82\x05first\x8a\x01p\x82\x06second");
    assert_eq!(output.close("Client Closed"), Some(b"\x88\x0f\x03\xe8Client Closed".to_vec()));
    assert_eq!(output.close("Client Closed"), None, "one is enough");
    queue(&mut chunks, b"late", false);
    written(&mut output, &mut chunks, 100, &mut wire);
    assert!(chunks.is_empty() && !wire.ends_with(b"late"), "nothing follows it");
}

#[test]
fn the_peers_own_close_is_what_it_gets_back() {
    for (answer, frame) in [
        (None, b"\x88\x00".to_vec()),
        (Some(CloseFrame { status: 4000, reason: "x".to_owned() }), b"\x88\x03\x0f\xa0x".to_vec()),
    ] {
        let mut output = Output::new(Fragments::NONE, false);
        output.answer_close(answer.as_ref());
        assert_eq!(output.close("Client Closed"), Some(frame));
    }
}

#[test]
fn what_is_compressed_is_bounded_and_waits_outside_the_queue() {
    let mut output = Output::new(Fragments::NONE, true);
    let mut chunks = Chunks::default();
    queue(&mut chunks, &vec![b'x'; DEFLATE_STEP + 10], true);
    let mut wire = until_blocked(&mut output, &mut chunks, 1);
    assert_eq!(chunks.len(), 10, "the first message is made, and not all");
    written(&mut output, &mut chunks, 7, &mut wire);
    assert_eq!(wire[0], 0xc2);
    assert!(wire.ends_with(b"\x82\x0axxxxxxxxxx"), "what is short is not compressed");
    assert!(wire.len() < 500, "{}", wire.len());
}

#[test]
fn an_idle_connection_keeps_no_buffer() {
    let mut output = Output::new(Fragments::NONE, true);
    let mut chunks = Chunks::default();
    let noise: Vec<u8> = (0..50_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    queue(&mut chunks, &noise, true);
    written(&mut output, &mut chunks, 1000, &mut Vec::new());
    assert!(output.head.capacity() <= HEAD_KEPT, "{}", output.head.capacity());
}
