//! Input out of frames, for consumers that pause.

use proptest::prelude::*;

use super::*;
use crate::limits::INFLATE_STEP;
use crate::websocket::deflate::deflate;
use crate::websocket::frame::Opcode;

/// Keeps what it is shown, and takes no more now and then.
#[derive(Default)]
struct Keeper {
    gathered: Vec<u8>,
    shown: Vec<u8>,
    largest: usize,
    /// Takes no more at every so many-th time it is shown something.
    pause: usize,
    times: usize,
}

impl Sink for Keeper {
    fn gather(&mut self, bytes: &[u8], mask: [u8; 4]) {
        let from = self.gathered.len();
        self.gathered.extend_from_slice(bytes);
        frame::unmask(&mut self.gathered[from..], mask);
    }

    fn show(&mut self) -> bool {
        self.largest = self.largest.max(self.gathered.len());
        self.shown.append(&mut self.gathered);
        self.times += 1;
        self.pause == 0 || !self.times.is_multiple_of(self.pause)
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::with_capacity(INFLATE_STEP)
    }

    fn give_back(&mut self, _buffer: Vec<u8>) {}
}

/// One message with a mask.
fn message(payload: &[u8], compressed: bool, into: &mut Vec<u8>) {
    let mut body = Vec::new();
    if compressed {
        deflate(payload.chunks(100), &mut body).unwrap();
    } else {
        body.extend_from_slice(payload);
    }
    let from = into.len();
    frame::put_header(Opcode::Binary, true, compressed, body.len(), into);
    into[from + 1] |= 0x80;
    let mask = [9, 8, 7, 6];
    into.extend_from_slice(&mask);
    frame::unmask(&mut body, mask);
    into.append(&mut body);
}

proptest! {
    #[test]
    fn a_consumer_that_pauses_gets_everything_in_order(
        messages in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 1usize..300, any::<bool>()), 1..6),
        size in 1usize..3000,
        pause in 0usize..4,
    ) {
        let (mut wire, mut model) = (Vec::new(), Vec::new());
        for (seed, times, compressed) in messages {
            let payload = seed.repeat(times);
            message(&payload, compressed, &mut wire);
            model.extend(payload);
        }
        let mut input = Input::new(true, true, 1 << 20);
        let mut keeper = Keeper { pause, ..Keeper::default() };
        for piece in wire.chunks_mut(size) {
            input.feed(piece, &mut keeper);
            keeper.show();
            while input.has_left() {
                input.resume(&mut keeper);
                keeper.show();
            }
        }
        prop_assert_eq!(input.end(), None);
        prop_assert_eq!(keeper.shown, model);
    }
}

#[test]
fn what_is_inflated_is_shown_in_bounded_pieces() {
    let mut wire = Vec::new();
    message(&vec![0; 1_000_000], true, &mut wire);
    let (mut input, mut keeper) = (Input::new(true, true, 1 << 20), Keeper::default());
    input.feed(&mut wire, &mut keeper);
    assert_eq!((keeper.shown.len(), input.end()), (1_000_000, None));
    assert!(keeper.largest <= INFLATE_STEP, "{}", keeper.largest);
    let mut bomb = Vec::new();
    message(&vec![0; 9001], true, &mut bomb);
    let mut input = Input::new(true, true, 1000);
    input.feed(&mut bomb, &mut Keeper::default());
    assert_eq!(input.end(), Some(&End::Breach(FrameError::TooLarge)));
}

#[test]
fn a_consumer_that_pauses_stops_a_bomb() {
    let mut wire = Vec::new();
    message(&vec![0; 1_000_000], true, &mut wire);
    let (mut input, mut keeper) = (Input::new(true, true, 1 << 20), Keeper { pause: 1, ..Keeper::default() });
    input.feed(&mut wire, &mut keeper);
    assert_eq!(keeper.shown.len(), INFLATE_STEP, "one piece, and no more before it is asked for");
    assert!(input.has_left());
}

#[test]
fn nothing_counts_behind_the_end() {
    let mut wire = vec![0x88, 0x80, 0, 0, 0, 0];
    message(b"late", false, &mut wire);
    let (mut input, mut keeper) = (Input::new(true, false, 1000), Keeper::default());
    input.feed(&mut wire, &mut keeper);
    assert_eq!((input.end(), keeper.gathered.len()), (Some(&End::Closed(None)), 0));
    input.feed(&mut [0x89, 0x80, 0, 0, 0, 0], &mut keeper);
    assert_eq!(input.take_ping(), None);
}
