//! What waits to be sent, within bounds.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Bytes that wait at most, all told.
const BYTES_MAX: usize = 1024 * 1024;
/// What a packet costs besides its bytes.
const OVERHEAD: usize = 64;

/// What is to be sent next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Packet(Vec<u8>),
    /// So many packets are missing in this place.
    Lost(u64),
}

/// Between those who log and the thread that sends.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// Nothing more is taken.
    closed: bool,
    /// Nothing more is sent.
    ended: bool,
}

impl Queue {
    /// Takes a packet, or counts it as lost; never waits.
    pub(super) fn push(&self, packet: Vec<u8>) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let cost = packet.len() + OVERHEAD;
        if state.bytes + cost > BYTES_MAX {
            return state.lose();
        }
        state.bytes += cost;
        state.items.push_back(Item::Packet(packet));
        self.changed.notify_all();
    }

    /// A packet that was taken cannot be sent.
    pub(super) fn lose_one(&self) {
        self.state.lock().lose();
    }

    /// Waits for what comes next; `None` when it is closed and empty.
    pub(super) fn next(&self) -> Option<Item> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                if let Item::Packet(packet) = &item {
                    state.bytes = state.bytes.saturating_sub(packet.len() + OVERHEAD);
                }
                return Some(item);
            }
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    /// Waits so long, or until it is closed.
    pub(super) fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !state.closed && !self.changed.wait_until(&mut state, until).timed_out() {}
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Nothing more will be sent.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        (state.closed, state.ended) = (true, true);
        self.changed.notify_all();
    }

    /// Waits until nothing more will be sent, or so long.
    pub(super) fn wait_for_end(&self, most: Duration) {
        let until = Instant::now() + most;
        let mut state = self.state.lock();
        while !state.ended && !self.changed.wait_until(&mut state, until).timed_out() {}
    }
}

impl State {
    fn lose(&mut self) {
        match self.items.back_mut() {
            Some(Item::Lost(count)) => *count += 1,
            _ => self.items.push_back(Item::Lost(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_in_its_place() {
        let queue = Queue::default();
        let large = BYTES_MAX / 2 - OVERHEAD;
        for byte in *b"abcd" {
            queue.push(vec![byte; large]);
        }
        assert_eq!(queue.next(), Some(Item::Packet(vec![b'a'; large])));
        queue.push(b"e".to_vec());
        queue.close();
        queue.push(b"too late".to_vec());
        let rest: Vec<_> = std::iter::from_fn(|| queue.next()).collect();
        let expected = [Item::Packet(vec![b'b'; large]), Item::Lost(2), Item::Packet(b"e".to_vec())];
        assert!(rest == expected, "two are lost, after those that were there and before those that came later");
    }

    #[test]
    fn empty_packets_fill_it_too() {
        let queue = Queue::default();
        for _ in 0..2 * BYTES_MAX / OVERHEAD {
            queue.push(Vec::new());
        }
        queue.close();
        let count = std::iter::from_fn(|| queue.next()).count();
        assert_eq!(count, BYTES_MAX / OVERHEAD + 1, "so many, and how many are missing");
    }

    #[test]
    fn who_rests_is_woken_by_the_end() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            let resting = scope.spawn(|| queue.rest(Duration::from_hours(1)));
            queue.close();
            resting.join().unwrap();
            let waiting = scope.spawn(|| queue.wait_for_end(Duration::from_hours(1)));
            queue.end();
            waiting.join().unwrap();
        });
    }
}
