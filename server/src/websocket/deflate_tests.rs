//! Compression: round trips, bounds, and what others make.

use proptest::prelude::*;

use super::*;

/// Inflates a message that comes in pieces, with so much room at a time.
fn inflate(message: &[u8], size: usize, room: usize, inflater: &mut Inflater) -> Result<Vec<u8>, FrameError> {
    let mut out = Vec::new();
    let mut buffer = Vec::with_capacity(room);
    for piece in message.chunks(size) {
        let mut at = 0;
        while at < piece.len() {
            match inflater.inflate(&piece[at..], &mut buffer)? {
                Inflated::All => at = piece.len(),
                Inflated::Full(used) => at += used,
            }
            out.append(&mut buffer);
        }
    }
    while !inflater.finish(&mut buffer)? {
        out.append(&mut buffer);
    }
    out.append(&mut buffer);
    Ok(out)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    deflate(bytes.chunks(7), &mut message).unwrap();
    message
}

fn unbounded() -> Inflater {
    Inflater::new(u64::MAX, u64::MAX)
}

proptest! {
    #[test]
    fn messages_come_back_whole_however_they_are_cut(
        seed in prop::collection::vec(any::<u8>(), 1..400),
        times in 1usize..100,
        size in 1usize..500,
        room in 1usize..500,
    ) {
        let bytes = seed.repeat(times);
        let message = compressed(&bytes);
        let mut inflater = unbounded();
        for _ in 0..2 {
            prop_assert_eq!(inflate(&message, size, room, &mut inflater), Ok(bytes.clone()));
        }
    }

    #[test]
    fn no_bytes_are_a_defect(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..50, room in 1usize..100) {
        let outcome = inflate(&bytes, size, room, &mut Inflater::new(1000, 1000));
        if let Ok(out) = outcome {
            prop_assert!(out.len() <= 1000);
        }
    }
}

#[test]
fn a_message_is_no_longer_than_it_may_be() {
    let message = compressed(&vec![0; 100_000]);
    let with = |compressed, inflated| inflate(&message, 100, 4096, &mut Inflater::new(compressed, inflated));
    assert_eq!(with(u64::MAX, 99_999), Err(FrameError::TooLarge));
    assert_eq!(with(10, u64::MAX), Err(FrameError::TooLarge));
    assert_eq!(with(message.len() as u64 + 4, 100_000).map(|out| out.len()), Ok(100_000));
}

#[test]
fn a_message_may_end_with_a_last_block() {
    // RFC 7692 section 7.2.3.4: "Hello" in a block with its BFINAL set.
    let message = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(inflate(&message[..7], 1, 16, &mut unbounded()), Ok(b"Hello".to_vec()));
    assert_eq!(inflate(&message, 100, 16, &mut unbounded()), Ok(b"Hello".to_vec()));
    let more = [&message[..], &message[..]].concat();
    assert_eq!(inflate(&more, 100, 16, &mut unbounded()), Err(FrameError::Deflate), "nothing follows a last block");
}

#[test]
fn messages_of_others_are_read() {
    // RFC 7692 section 7.2.3: one block, two blocks, and one without compression.
    for (message, text) in [
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], "Hello"),
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], "Hello"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], "Hello"),
        (&[], ""),
        (&[0x00], ""),
    ] {
        assert_eq!(inflate(message, 100, 16, &mut unbounded()), Ok(text.as_bytes().to_vec()), "{message:?}");
    }
}

#[test]
fn what_is_lent_for_one_message_knows_nothing_of_the_last() {
    let mut first = unbounded();
    // A message that breaks off leaves nothing to those after it.
    let _half = first.inflate(&compressed(b"a secret that must not be seen")[..10], &mut Vec::with_capacity(64));
    drop(first);
    let reference = [0x32, 0x41, 0x00, 0x00];
    let outcome = inflate(&reference, 100, 64, &mut unbounded());
    assert!(outcome.is_err() || !String::from_utf8_lossy(&outcome.unwrap()).contains("secret"));
}
