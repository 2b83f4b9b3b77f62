//! Flow control of a push consumer: bytes that its receiver has not confirmed (jetstream.md 3.7).

/// Widest window.
const WINDOW_MAX: u64 = 32 * 1024 * 1024;
/// The window at the beginning.
const WINDOW_START: u64 = WINDOW_MAX / 16;

/// Bytes sent and not confirmed, and how many there may be.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: u64,
    outstanding: u64,
    /// The request that was sent: its reply subject, and the bytes that its answer confirms.
    asked: Option<(Vec<u8>, u64)>,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW_START, outstanding: 0, asked: None }
    }
}

impl Window {
    /// A message of `bytes` was sent; whether the receiver is to be asked now.
    pub(crate) fn sent(&mut self, bytes: u64) -> bool {
        self.outstanding = self.outstanding.saturating_add(bytes);
        self.asked.is_none() && self.outstanding > self.size / 2
    }

    /// The receiver is asked to answer on `reply`.
    pub(crate) fn ask(&mut self, reply: Vec<u8>) {
        self.asked = Some((reply, self.outstanding));
    }

    /// An answer came on `reply`; `false` if it is not the one that is waited for.
    pub(crate) fn answered(&mut self, reply: &[u8]) -> bool {
        match self.asked.take() {
            Some((asked, bytes)) if asked == reply => {
                self.outstanding = self.outstanding.saturating_sub(bytes);
                self.size = (self.size * 2).min(WINDOW_MAX);
                true
            }
            other => {
                self.asked = other;
                false
            }
        }
    }

    /// Nothing may be sent until an answer comes.
    pub(crate) fn is_stalled(&self) -> bool {
        self.outstanding > self.size
    }

    /// The reply subject of the request that is not answered yet.
    pub(crate) fn asked(&self) -> Option<&[u8]> {
        self.asked.as_ref().map(|(reply, _)| reply.as_slice())
    }
}

/// How many bytes may be sent in time: tokens that come back at a steady rate.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Nanoseconds that a byte costs, in 1/1024.
    byte_cost: u128,
    /// What may be spent at once, nanoseconds.
    burst: i64,
    /// When everything spent so far is paid.
    paid_at: i64,
}

impl Rate {
    /// A rate of `bits` in a second that lets a message of `largest` bytes pass at once.
    pub(crate) fn new(bits: u64, largest: u64) -> Self {
        let byte_cost = 8 * 1_000_000_000 * 1024 / u128::from(bits.max(1));
        let mut rate = Self { byte_cost, burst: 0, paid_at: 0 };
        rate.burst = rate.cost(largest);
        rate
    }

    /// When a message of `bytes` may be sent, `now` or later.
    pub(crate) fn free_at(&self, bytes: u64, now: i64) -> i64 {
        let end = self.paid_at.max(now).saturating_add(self.cost(bytes));
        end.saturating_sub(self.burst.max(self.cost(bytes))).max(now)
    }

    /// A message of `bytes` was sent.
    pub(crate) fn spend(&mut self, bytes: u64, now: i64) {
        self.paid_at = self.paid_at.max(now).saturating_add(self.cost(bytes));
    }

    fn cost(&self, bytes: u64) -> i64 {
        i64::try_from(u128::from(bytes) * self.byte_cost / 1024).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_asks_at_half_stalls_when_full_and_doubles_with_each_answer() {
        let mut window = Window::default();
        assert!(!window.sent(WINDOW_START / 2));
        assert!(window.sent(1));
        window.ask(b"one".to_vec());
        assert!(!window.sent(WINDOW_START / 2 - 1), "asked already");
        assert!(!window.is_stalled());
        window.sent(1);
        assert!(window.is_stalled());
        assert!(!window.answered(b"other"));
        assert_eq!(window.asked(), Some(&b"one"[..]));
        assert!(window.answered(b"one"));
        assert!(!window.is_stalled());
        assert_eq!((window.size, window.outstanding), (WINDOW_START * 2, WINDOW_START / 2));
        for _ in 0..10 {
            window.ask(b"more".to_vec());
            window.answered(b"more");
        }
        assert_eq!((window.size, window.outstanding), (WINDOW_MAX, 0));
    }

    #[test]
    fn a_rate_lets_through_what_it_says() {
        // 8000 bits are 1000 bytes in a second; 100 may pass at once.
        let mut rate = Rate::new(8_000, 100);
        let mut now = 1_000;
        let begin = now;
        for _ in 0..101 {
            now = rate.free_at(100, now);
            rate.spend(100, now);
        }
        let took = now - begin;
        assert!((9_990_000_000..=10_010_000_000).contains(&took), "{took}");
        assert_eq!(rate.free_at(1_000_000, now + 1_000_000_000_000), now + 1_000_000_000_000, "larger than the burst");
    }
}
