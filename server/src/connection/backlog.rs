//! What waits for one receiver, and who is in charge of writing it: the state of an outbound queue, without lock,
//! socket or clock.
//!
//! ```text
//!            deliver, line               begin                    settle
//! (nothing) ---------------> owed ------------------> writing ---------------> (nothing)
//!                                                      |   ^
//!                                             hand_over|   |take_more, settle
//!                                                      v   |
//!                                                   a drain task
//! ```
//!
//! INVARIANT (in charge): while bytes wait and are to be written, somebody owes a flush or is writing. So bytes never
//! wait with nobody to write them.

use crate::connection::chunks::Chunks;
use crate::limits::SOFT_PENDING;

/// Bytes waiting for a receiver, and in whose charge they are.
#[derive(Debug, Default)]
pub struct Backlog {
    queue: Chunks,
    /// Bytes taken off the queue by whoever is writing.
    in_flight: usize,
    messages: u64,
    bytes: u64,
    /// Bytes the kernel has taken.
    written: u64,
    /// Somebody is writing or draining.
    writing: bool,
    /// Somebody promised to flush.
    owed: bool,
    closed: bool,
    /// What is pending is not written any more.
    discarded: bool,
    /// It took nothing while a producer waited for it; producers go on until it moves again.
    stuck: bool,
    /// It took too little while a producer waited for it; producers with other receivers go on until it is no longer
    /// behind.
    slow: bool,
    /// The socket has something of its own to write.
    own: bool,
}

/// What happened to appended bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The connection is closed or the receiver declined; nothing was queued.
    Refused,
    /// Queued; the caller must flush at the end of its batch.
    Owe,
    /// Queued; somebody else flushes.
    Queued,
    /// Queued, and more than `max_pending` waits now: a slow consumer.
    Overflow,
}

impl Backlog {
    /// Queues a delivery of `message_bytes`, which `append` writes.
    #[inline]
    pub fn deliver(&mut self, max_pending: usize, message_bytes: usize, append: impl FnOnce(&mut Chunks)) -> Appended {
        append(&mut self.queue);
        self.messages += 1;
        self.bytes += message_bytes as u64;
        self.appended(max_pending)
    }

    /// Queues a protocol line.
    pub fn line(&mut self, max_pending: usize, line: &[u8]) -> Appended {
        self.queue.append(line.len(), |out| out.extend_from_slice(line));
        self.appended(max_pending)
    }

    /// The socket has something of its own to write, which whoever writes next takes along.
    pub fn poke(&mut self) -> Appended {
        if self.closed {
            return Appended::Refused;
        }
        self.own = true;
        if self.owed || self.writing {
            return Appended::Queued;
        }
        self.owed = true;
        Appended::Owe
    }

    /// Takes everything that waits; the caller has kept its promise to flush, and alone writes until it settles.
    /// `None` when nothing waits or somebody else writes.
    pub fn begin(&mut self) -> Option<Chunks> {
        self.owed = false;
        if self.writing || self.is_empty() {
            return None;
        }
        self.writing = true;
        Some(self.take())
    }

    /// There is no socket to write to: nobody owes a flush, and whoever appends next does.
    pub fn release(&mut self) {
        self.owed = false;
    }

    /// Takes everything that waits, for a writer that stays in charge; it may be nothing. `None` when what waits is
    /// not to be written any more.
    pub fn take_more(&mut self) -> Option<Chunks> {
        (!self.discarded).then(|| self.take())
    }

    /// Puts back what a write of `before` bytes left over. Whether producers that wait should look again.
    pub fn settle(&mut self, mut rest: Chunks, before: usize) -> bool {
        let written = before - rest.len();
        self.in_flight = 0;
        self.written += written as u64;
        if rest.is_empty() && self.queue.is_empty() {
            self.queue = rest;
        } else if !rest.is_empty() {
            rest.extend(&mut self.queue);
            self.queue = rest;
        }
        if written > 0 {
            self.stuck = false;
        }
        let roomy = written > 0 && self.queue.len() < SOFT_PENDING / 2;
        if roomy {
            self.slow = false;
        }
        if self.discarded {
            self.queue.clear();
        }
        roomy
    }

    /// Whoever was writing no longer does.
    pub fn stop_writing(&mut self) {
        self.writing = false;
    }

    /// Whether the caller, who has just stopped writing, must start somebody who goes on: it is in charge again then.
    pub fn hand_over(&mut self) -> bool {
        if self.writing || self.is_empty() {
            return false;
        }
        self.writing = true;
        true
    }

    /// Stops queueing; unless `keep`, what is pending is dropped.
    pub fn close(&mut self, keep: bool) {
        self.closed = true;
        if !keep {
            self.discard();
        }
    }

    /// Drops what is pending, and whatever a writer puts back.
    pub fn discard(&mut self) {
        self.discarded = true;
        self.own = false;
        self.queue.clear();
    }

    /// Nothing may be queued any more.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Nothing waits in the queue, nor at the socket. A writer may hold bytes, and TLS may hold records that are still to go.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && !self.own
    }

    /// Bytes not yet with the kernel.
    pub fn pending(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    /// Messages and bytes delivered.
    pub fn counters(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// Bytes the kernel has taken.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Nothing waits and nobody writes: all is with the kernel, or never will be.
    pub fn is_settled(&self) -> bool {
        self.is_empty() && !self.writing
    }

    /// A producer should wait for this receiver: it is behind but moving, or past `hard` bytes. `others` of the
    /// producer's receivers keep up, and are not to suffer from one that does not.
    pub fn is_behind(&self, hard: usize, others: bool) -> bool {
        let pending = self.pending();
        let hopeless = self.stuck || (self.slow && others);
        !self.closed && pending >= SOFT_PENDING && (!hopeless || pending >= hard)
    }

    /// A producer waited since `written` bytes were with the kernel, and there is still no room.
    pub fn waited_in_vain(&mut self, written: u64) {
        self.stuck = self.written == written;
        self.slow = self.pending() >= SOFT_PENDING / 2;
    }

    fn take(&mut self) -> Chunks {
        self.own = false;
        self.in_flight = self.queue.len();
        std::mem::take(&mut self.queue)
    }

    #[inline]
    fn appended(&mut self, max_pending: usize) -> Appended {
        if self.pending() > max_pending {
            return Appended::Overflow;
        }
        // A publisher hears that its receiver is far behind when it flushes; so it does, though somebody else writes.
        if self.owed || (self.writing && self.pending() < SOFT_PENDING) {
            return Appended::Queued;
        }
        self.owed = true;
        Appended::Owe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_BOUND: usize = usize::MAX;

    fn writes(backlog: &mut Backlog, mut taken: Chunks, bytes: usize) -> bool {
        let before = taken.len();
        taken.advance(bytes);
        backlog.settle(taken, before)
    }

    #[test]
    fn exactly_one_promises_to_flush_until_somebody_does() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.line(NO_BOUND, b"a"), Appended::Owe);
        assert_eq!(backlog.line(NO_BOUND, b"b"), Appended::Queued);
        let taken = backlog.begin().unwrap();
        assert_eq!(backlog.line(NO_BOUND, b"c"), Appended::Queued, "whoever writes looks again");
        assert!(backlog.begin().is_none(), "one writes at a time");
        writes(&mut backlog, taken, 2);
        backlog.stop_writing();
        assert!(backlog.hand_over(), "something came meanwhile, and nobody else was told to flush it");
        assert!(!backlog.hand_over());
    }

    #[test]
    fn whoever_appends_to_a_receiver_far_behind_looks_at_it_once_a_batch() {
        let mut backlog = Backlog::default();
        backlog.line(NO_BOUND, b"a");
        let taken = backlog.begin().unwrap();
        assert_eq!(backlog.line(NO_BOUND, &vec![0; SOFT_PENDING]), Appended::Owe);
        assert_eq!(backlog.line(NO_BOUND, b"b"), Appended::Queued);
        assert!(backlog.begin().is_none(), "somebody else writes");
        assert_eq!(backlog.line(NO_BOUND, b"c"), Appended::Owe, "the next batch looks again");
        writes(&mut backlog, taken, 1);
        assert_eq!(backlog.take_more().map(|all| all.len()), Some(SOFT_PENDING + 2));
    }

    #[test]
    fn what_the_socket_has_of_its_own_is_written_though_nothing_waits() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.poke(), Appended::Owe);
        assert_eq!(backlog.poke(), Appended::Queued);
        let taken = backlog.begin().unwrap();
        assert!(taken.is_empty() && backlog.is_empty());
        assert_eq!(backlog.poke(), Appended::Queued, "whoever writes looks again");
        assert!(!backlog.is_empty());
        writes(&mut backlog, taken, 0);
        backlog.stop_writing();
        assert!(backlog.hand_over(), "nobody else was told to write it");
        assert!(backlog.take_more().unwrap().is_empty());
        backlog.stop_writing();
        assert!(backlog.is_settled());
        backlog.close(false);
        assert_eq!(backlog.poke(), Appended::Refused);
    }

    #[test]
    fn what_a_write_leaves_stays_in_front_of_what_came_meanwhile() {
        let mut backlog = Backlog::default();
        backlog.line(NO_BOUND, b"first ");
        let taken = backlog.begin().unwrap();
        backlog.line(NO_BOUND, b"second");
        assert_eq!(backlog.pending(), 12);
        writes(&mut backlog, taken, 2);
        let mut slices = [std::io::IoSlice::new(&[]); crate::limits::WRITE_VECTORS];
        let rest = backlog.take_more().unwrap();
        let count = rest.vectors(&mut slices);
        assert_eq!(slices[..count].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>(), b"rst second");
    }

    #[test]
    fn what_is_put_back_after_a_discard_is_dropped() {
        let mut backlog = Backlog::default();
        backlog.line(NO_BOUND, b"abc");
        let taken = backlog.begin().unwrap();
        backlog.close(false);
        writes(&mut backlog, taken, 1);
        assert_eq!(backlog.pending(), 0);
        assert!(backlog.take_more().is_none());
        assert!(backlog.is_closed());
    }

    #[test]
    fn bytes_in_flight_count_as_pending() {
        let mut backlog = Backlog::default();
        backlog.line(4, b"abc");
        let _taken = backlog.begin();
        assert_eq!(backlog.line(4, b"de"), Appended::Overflow);
    }

    #[test]
    fn a_receiver_that_does_not_move_is_waited_for_once() {
        let mut backlog = Backlog::default();
        backlog.line(NO_BOUND, &vec![0; SOFT_PENDING + 1]);
        assert!(backlog.is_behind(NO_BOUND, false));
        backlog.waited_in_vain(backlog.written());
        assert!(!backlog.is_behind(NO_BOUND, false));
        assert!(backlog.is_behind(SOFT_PENDING, false), "past the hard bound it is waited for all the same");
        let taken = backlog.begin().unwrap();
        assert!(!writes(&mut backlog, taken, 1), "too little room to go on");
        assert!(backlog.is_behind(NO_BOUND, false), "it has moved");
    }

    #[test]
    fn a_receiver_that_moves_too_slowly_is_not_waited_for_while_others_keep_up() {
        let mut backlog = Backlog::default();
        backlog.line(NO_BOUND, &vec![0; SOFT_PENDING + 2]);
        let taken = backlog.begin().unwrap();
        writes(&mut backlog, taken, 1);
        backlog.waited_in_vain(0);
        assert!(!backlog.is_behind(NO_BOUND, true));
        assert!(backlog.is_behind(NO_BOUND, false), "its publisher has nobody else to serve");
        assert!(backlog.is_behind(SOFT_PENDING, true), "past the hard bound it is waited for all the same");
        let taken = backlog.take_more().unwrap();
        assert!(writes(&mut backlog, taken, SOFT_PENDING), "there is room again");
        backlog.line(NO_BOUND, &vec![0; SOFT_PENDING]);
        assert!(backlog.is_behind(NO_BOUND, true));
    }
}
