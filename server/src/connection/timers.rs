//! What a connection's one timer is set for: liveness, authentication, expiry.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::RTT_AGE;

/// The deadlines of one connection; the earliest is what its timer waits for.
#[derive(Debug)]
pub(crate) struct Timers {
    /// CONNECT must have been accepted by then.
    pub(crate) authentication: Option<Instant>,
    /// The credentials end then.
    pub(crate) expiry: Option<Instant>,
    /// The next look at liveness.
    pub(crate) ping: Instant,
    interval: Duration,
    outstanding: u32,
    sent: Option<Instant>,
    measured: Option<Instant>,
    heard: Instant,
}

/// What the tick of a ping timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Send PING.
    Ping,
    /// Nothing: the peer was heard recently.
    Quiet,
    /// The peer is gone.
    Stale,
}

impl Timers {
    pub(crate) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            authentication: None,
            expiry: None,
            ping: now + interval,
            interval,
            outstanding: 0,
            sent: None,
            measured: None,
            heard: now,
        }
    }

    pub(crate) fn next(&self) -> Instant {
        [self.authentication, self.expiry].into_iter().flatten().fold(self.ping, Instant::min)
    }

    /// The first ping after CONNECT comes early, to learn the round-trip time.
    pub(crate) fn connected(&mut self, now: Instant, first: Duration) {
        self.ping = now + first;
    }

    /// Looks at liveness at this interval from now on.
    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// The peer did something that counts as life (a PONG does not).
    pub(crate) fn active(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(crate) fn tick(&mut self, now: Instant, ping_max: u32, rtt_known: bool) -> Tick {
        self.ping = now + self.interval;
        let rtt_fresh = self.measured.is_none_or(|at| now.duration_since(at) < RTT_AGE);
        if rtt_known && rtt_fresh && now.duration_since(self.heard) < self.interval {
            return Tick::Quiet;
        }
        if self.outstanding + 1 > ping_max {
            return Tick::Stale;
        }
        self.outstanding += 1;
        self.sent = Some(now);
        Tick::Ping
    }

    /// A PONG arrived; gives the round-trip time if a PING was out.
    pub(crate) fn pong(&mut self, now: Instant) -> Option<Duration> {
        self.outstanding = 0;
        self.sent.take().map(|sent| {
            self.measured = Some(now);
            now.duration_since(sent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silent_peers_are_pinged_and_then_stale() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(start, second);
        assert_eq!(timers.tick(start + second, 2, false), Tick::Ping);
        assert_eq!(timers.tick(start + 2 * second, 2, false), Tick::Ping);
        assert_eq!(timers.tick(start + 3 * second, 2, false), Tick::Stale);
    }

    #[tokio::test]
    async fn busy_peers_are_pinged_again_when_the_round_trip_time_is_old() {
        let start = Instant::now();
        let mut timers = Timers::new(start, Duration::from_secs(1));
        assert_eq!(timers.tick(start, 2, false), Tick::Ping);
        timers.pong(start);
        for (later, tick) in [(RTT_AGE / 2, Tick::Quiet), (RTT_AGE, Tick::Ping)] {
            timers.active(start + later);
            assert_eq!(timers.tick(start + later, 2, true), tick);
        }
    }

    #[tokio::test]
    async fn a_pong_clears_what_is_outstanding_but_is_no_activity() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut timers = Timers::new(start, second);
        assert_eq!(timers.tick(start + second, 1, false), Tick::Ping);
        assert_eq!(timers.pong(start + second * 3 / 2), Some(second / 2));
        assert_eq!(timers.tick(start + 2 * second, 1, true), Tick::Ping);
        timers.active(start + 5 * second / 2);
        timers.pong(start + 5 * second / 2);
        assert_eq!(timers.tick(start + 3 * second, 1, true), Tick::Quiet);
    }
}
