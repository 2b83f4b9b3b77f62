//! The first eight bytes of every payload: who published it, and as its how-manieth message.
//!
//! A receiver checks that the numbers of each publisher only rise, and adds them up. Equal counts and
//! equal sums at the end mean that nothing was lost, doubled or changed.

/// Publishers that one flow can tell apart.
pub(crate) const PUBLISHERS: usize = 64;
/// Length of a stamp.
pub(crate) const LENGTH: usize = 8;
/// The number takes the low bits, the publisher the high ones.
const NUMBER_BITS: u32 = 56;

/// The stamp of message `number` (from 1) of `publisher`.
pub(crate) fn new(publisher: usize, number: u64) -> u64 {
    ((publisher as u64) << NUMBER_BITS) | number
}

/// Writes a stamp to the beginning of `payload`.
pub(crate) fn write(stamp: u64, payload: &mut [u8]) {
    if let Some(space) = payload.first_chunk_mut::<LENGTH>() {
        *space = stamp.to_le_bytes();
    }
}

/// The stamp at the beginning of `payload`.
pub(crate) fn read(payload: &[u8]) -> Option<u64> {
    payload.first_chunk::<LENGTH>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What one receiver has seen of each publisher.
pub(crate) struct Order {
    last: [u64; PUBLISHERS],
}

impl Order {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { last: [0; PUBLISHERS] }
    }

    /// Whether `stamp` is newer than all before it from the same publisher.
    pub(crate) fn advances(&mut self, stamp: u64) -> bool {
        match self.last.get_mut((stamp >> NUMBER_BITS) as usize) {
            Some(last) if *last < stamp => {
                *last = stamp;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_not_come_twice_or_late() {
        let mut order = Order::new();
        assert!(order.advances(new(0, 1)));
        assert!(order.advances(new(1, 1)));
        assert!(order.advances(new(0, 3)), "a queue member sees gaps");
        assert!(!order.advances(new(0, 3)), "twice");
        assert!(!order.advances(new(0, 2)), "late");
        assert!(!order.advances(new(PUBLISHERS, 1)), "a publisher that does not exist");
    }

    #[test]
    fn stamps_survive_the_payload() {
        let mut payload = [0; 16];
        write(new(3, 77), &mut payload);
        assert_eq!(read(&payload), Some(new(3, 77)));
        assert_eq!(read(&payload[..7]), None);
    }
}
