//! Frames, against those of others and against any bytes.

use proptest::prelude::*;
use tungstenite::protocol::frame::coding::{Control, Data as Kind, OpCode};
use tungstenite::protocol::frame::{CloseFrame as TheirClose, Frame as TheirFrame};

use super::*;

/// Data, and control frames with their payloads.
type Decoded = (Vec<u8>, Vec<(Event, Vec<u8>)>);

/// What a peer gets out of `bytes`, handed in by `size`: the data, and the control frames.
fn decode(decoder: &mut Decoder, bytes: &[u8], size: usize) -> Result<Decoded, FrameError> {
    let (mut data, mut control) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        let mut at = 0;
        while at < piece.len() {
            let (event, used) = decoder.next(&piece[at..])?;
            match event {
                Event::More => {}
                Event::Data(found) => {
                    let mut payload = piece[at..][found.place].to_vec();
                    unmask(&mut payload, found.mask);
                    data.extend(payload);
                }
                other => control.push((other, decoder.control().to_vec())),
            }
            at += used;
        }
    }
    Ok((data, control))
}

/// A frame as tungstenite writes it.
fn theirs(frame: TheirFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

fn their_message(payload: Vec<u8>, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = TheirFrame::message(payload, OpCode::Data(Kind::Binary), true);
    frame.header_mut().mask = mask;
    theirs(frame)
}

fn refused(bytes: &[u8]) -> Option<FrameError> {
    decode(&mut Decoder::new(true, true), bytes, bytes.len()).err()
}

proptest! {
    #[test]
    fn what_a_client_sends_is_read_in_pieces_of_any_size(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 4]>(), any::<bool>()), 1..8),
        size in 1usize..400,
    ) {
        let mut bytes = Vec::new();
        let (mut data, mut pings) = (Vec::new(), Vec::new());
        for (payload, mask, ping) in &payloads {
            if *ping {
                let payload = payload[..payload.len().min(CONTROL_MAX)].to_vec();
                let mut frame = TheirFrame::ping(payload.clone());
                frame.header_mut().mask = Some(*mask);
                bytes.extend(theirs(frame));
                pings.push((Event::Ping, payload));
            } else {
                bytes.extend(their_message(payload.clone(), Some(*mask)));
                data.extend_from_slice(payload);
            }
        }
        let got = decode(&mut Decoder::new(true, false), &bytes, size);
        prop_assert_eq!(got, Ok((data, pings)));
    }

    #[test]
    fn what_goes_out_is_read_by_others(len in prop_oneof![0usize..300, 65_000usize..66_000], last in any::<bool>()) {
        let payload = vec![7; len];
        let mut ours = Vec::new();
        put_header(Opcode::Binary, last, false, len, &mut ours);
        ours.extend_from_slice(&payload);
        prop_assert_eq!(ours, theirs(TheirFrame::message(payload, OpCode::Data(Kind::Binary), last)));
    }

    #[test]
    fn no_bytes_are_a_defect(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..50, masked in any::<bool>()) {
        let whole = decode(&mut Decoder::new(masked, true), &bytes, bytes.len().max(1));
        let pieces = decode(&mut Decoder::new(masked, true), &bytes, size);
        prop_assert_eq!(whole, pieces, "how bytes arrive does not matter");
    }
}

#[test]
fn control_frames_are_written_as_others_write_them() {
    let close = CloseFrame { status: 1008, reason: "Authentication Failure".to_owned() };
    let same = TheirClose { code: 1008.into(), reason: "Authentication Failure".into() };
    assert_eq!(close_frame(Some(&close)), theirs(TheirFrame::close(Some(same))));
    assert_eq!(close_frame(None), theirs(TheirFrame::close(None)));
    assert_eq!(control_frame(Opcode::Pong, b"abc"), theirs(TheirFrame::pong(b"abc".to_vec())));
    assert_eq!(control_frame(Opcode::Pong, &[0; 200]).len(), 2 + CONTROL_MAX, "no control frame is longer");
    assert!(matches!(TheirFrame::pong(Vec::new()).header().opcode, OpCode::Control(Control::Pong)));
}

#[test]
fn every_breach_is_found() {
    let mask = [0; 4];
    let masked = |first: u8, payload: &[u8]| [&[first, 0x80 | payload.len() as u8][..], &mask, payload].concat();
    for (bytes, error) in [
        (vec![0x82, 0x01, 0], FrameError::Mask),
        (vec![0x83], FrameError::Opcode),
        (vec![0x8b], FrameError::Opcode),
        (vec![0xa2], FrameError::Reserved),
        (vec![0x92], FrameError::Reserved),
        (vec![0xc9], FrameError::Compressed),
        (vec![0x40], FrameError::Compressed),
        (vec![0x09], FrameError::Fragmented),
        (vec![0x89, 0xfe], FrameError::ControlLength),
        (vec![0x80], FrameError::Order),
        ([masked(0x02, b"a"), vec![0x82]].concat(), FrameError::Order),
        (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], FrameError::Length),
        (masked(0x88, &[3]), FrameError::CloseLength),
        (masked(0x88, &[3, 0xec]), FrameError::CloseStatus(1004)),
        (masked(0x88, &[3, 0xe8, 0xff]), FrameError::CloseReason),
    ] {
        assert_eq!(refused(&bytes), Some(error), "{bytes:?}");
    }
    assert_eq!(
        decode(&mut Decoder::new(true, false), &[0xc2], 1),
        Err(FrameError::Compressed),
        "it was not negotiated"
    );
}

#[test]
fn a_peer_that_need_not_mask_is_not_unmasked() {
    let mut decoder = Decoder::new(false, false);
    let bytes = [their_message(b"plain".to_vec(), None), vec![0x82, 0x81, 1, 2, 3, 4, b'x']].concat();
    assert_eq!(decode(&mut decoder, &bytes, 3), Ok((b"plainx".to_vec(), Vec::new())));
}

#[test]
fn statuses_of_a_close_are_those_that_may_be_sent() {
    let valid: Vec<u16> = (0..=u16::MAX).filter(|status| close(&status.to_be_bytes()).is_ok()).collect();
    let expected = (1000..1016).filter(|status| ![1004, 1005, 1006, 1015].contains(status)).chain(3000..5000);
    assert_eq!(valid, expected.collect::<Vec<_>>());
}
