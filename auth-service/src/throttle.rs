//! Slows down addresses whose attempts to authenticate keep failing.
//!
//! Failures are counted for each IPv4 address and each IPv6 /64 by the generic cell rate algorithm: an
//! address may fail `burst` times at once and then once per `interval`. A throttled address is refused
//! before any signature or password is looked at, and never for longer than one `interval` at a time:
//! attempts that are turned away do not count as failures.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

/// Addresses looked at to find one to forget when the table is full and no entry is spent.
const EVICTION_SAMPLE: usize = 16;

/// How often the whole table is searched for spent entries, in nanoseconds.
const SWEEP_INTERVAL_NS: u64 = 1_000_000_000;

/// Bounds of the throttle.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleOptions {
    /// Failures that an address may have at once. Default 100.
    pub burst: u32,
    /// Time in which one failure is forgiven, and so the longest wait of a throttled address. Default 1 s.
    pub interval: Duration,
    /// `burst` for loopback addresses. Default 1,000: proxies, tests and tools share the address.
    pub loopback_burst: u32,
    /// `interval` for loopback addresses. Default 20 ms: nothing local ever waits longer than that.
    pub loopback_interval: Duration,
    /// Addresses remembered at most. Default 65,536 (about 4 MiB).
    pub addresses_max: usize,
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        Self {
            burst: 100,
            interval: Duration::from_secs(1),
            loopback_burst: 1_000,
            loopback_interval: Duration::from_millis(20),
            addresses_max: 65_536,
        }
    }
}

/// An address that has failed too often of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts from this address; try again in {} ms", retry_after.as_millis())]
pub struct Throttled {
    /// After this long the address may try once more.
    pub retry_after: Duration,
}

/// Failure counts by address. All times are [`Clock::nanos`](crate::clock::Clock::nanos).
#[derive(Debug)]
pub struct Throttle {
    options: ThrottleOptions,
    // Addresses come from outsiders: std's seeded SipHash.
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    /// Theoretical arrival time, in ns: when all failures of the address are forgiven.
    forgiven_at: HashMap<IpAddr, u64, RandomState>,
    swept_at: u64,
}

impl Throttle {
    /// A throttle that remembers nothing yet.
    pub fn new(options: ThrottleOptions) -> Self {
        let table = Table { forgiven_at: HashMap::default(), swept_at: 0 };
        Self { options, table: Mutex::new(table) }
    }

    /// Whether `ip` may try now.
    ///
    /// # Errors
    ///
    /// [`Throttled`], with the time after which it may.
    pub fn check(&self, ip: IpAddr, now_ns: u64) -> Result<(), Throttled> {
        let table = self.table.lock();
        let Some(forgiven_at) = table.forgiven_at.get(&prefix(ip)) else {
            return Ok(());
        };
        let (interval, tolerance) = self.rate(ip);
        let allowed_at = forgiven_at.saturating_add(interval).saturating_sub(tolerance);
        if allowed_at <= now_ns {
            return Ok(());
        }
        Err(Throttled { retry_after: Duration::from_nanos(allowed_at - now_ns) })
    }

    /// Counts a failed attempt of `ip`.
    pub fn failed(&self, ip: IpAddr, now_ns: u64) {
        let (interval, tolerance) = self.rate(ip);
        let key = prefix(ip);
        let mut table = self.table.lock();
        if !table.forgiven_at.contains_key(&key) {
            table.make_room(self.options.addresses_max, now_ns);
        }
        let forgiven_at = table.forgiven_at.entry(key).or_insert(now_ns);
        // Attempts that were under way together must not pile up a wait beyond one interval.
        let ceiling = now_ns.saturating_add(tolerance);
        *forgiven_at = (*forgiven_at).max(now_ns).saturating_add(interval).min(ceiling);
    }

    /// Tells that `ip` authenticated. Its failures stay counted, or one valid credential would buy
    /// unlimited guesses at others; only a spent entry is dropped.
    pub fn succeeded(&self, ip: IpAddr, now_ns: u64) {
        let key = prefix(ip);
        let mut table = self.table.lock();
        if table.forgiven_at.get(&key).is_some_and(|forgiven_at| *forgiven_at <= now_ns) {
            table.forgiven_at.remove(&key);
        }
    }

    /// Addresses remembered at the moment.
    pub fn addresses(&self) -> usize {
        self.table.lock().forgiven_at.len()
    }

    /// (interval, interval x burst) of an address, in ns.
    fn rate(&self, ip: IpAddr) -> (u64, u64) {
        let (burst, interval) = if ip.to_canonical().is_loopback() {
            (self.options.loopback_burst, self.options.loopback_interval)
        } else {
            (self.options.burst, self.options.interval)
        };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        (interval, interval.saturating_mul(u64::from(burst.max(1))))
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(ThrottleOptions::default())
    }
}

impl Table {
    /// Keeps the table below `max` entries: spent ones go first, then the one soonest forgiven of a sample.
    fn make_room(&mut self, max: usize, now_ns: u64) {
        if self.forgiven_at.len() < max.max(1) {
            return;
        }
        if now_ns.saturating_sub(self.swept_at) >= SWEEP_INTERVAL_NS {
            self.forgiven_at.retain(|_, forgiven_at| *forgiven_at > now_ns);
            self.swept_at = now_ns;
        }
        while self.forgiven_at.len() >= max.max(1) {
            let sample = self.forgiven_at.iter().take(EVICTION_SAMPLE);
            let Some(victim) = sample.min_by_key(|(_, at)| **at).map(|(ip, _)| *ip) else {
                return;
            };
            self.forgiven_at.remove(&victim);
        }
    }
}

/// The unit that failures are counted for: an IPv4 address, or the /64 that one IPv6 site commands.
pub fn prefix(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) if v6.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn throttle(burst: u32, addresses_max: usize) -> Throttle {
        Throttle::new(ThrottleOptions { burst, addresses_max, ..ThrottleOptions::default() })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_refused_after_its_burst_and_waits_one_interval_at_most() {
        let throttle = throttle(3, 10);
        let peer = ip("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(throttle.check(peer, 0), Ok(()));
            throttle.failed(peer, 0);
        }
        assert_eq!(throttle.check(peer, 0), Err(Throttled { retry_after: Duration::from_secs(1) }));
        for _ in 0..1000 {
            throttle.failed(peer, 0);
        }
        assert!(throttle.check(peer, SECOND - 1).is_err());
        assert_eq!(throttle.check(peer, SECOND), Ok(()));
        throttle.failed(peer, SECOND);
        assert!(throttle.check(peer, SECOND).is_err());
        assert_eq!(throttle.check(peer, 2 * SECOND), Ok(()));
    }

    #[test]
    fn others_are_not_slowed_and_time_forgives() {
        let throttle = throttle(2, 10);
        let (bad, good) = (ip("192.0.2.1"), ip("192.0.2.2"));
        throttle.failed(bad, 0);
        throttle.failed(bad, 0);
        assert!(throttle.check(bad, 0).is_err());
        assert_eq!(throttle.check(good, 0), Ok(()));
        throttle.succeeded(bad, 10 * SECOND);
        assert_eq!(throttle.addresses(), 0);
    }

    #[test]
    fn a_success_does_not_buy_further_guesses() {
        let throttle = throttle(2, 10);
        let peer = ip("192.0.2.1");
        throttle.failed(peer, 0);
        throttle.succeeded(peer, 0);
        throttle.failed(peer, 0);
        assert!(throttle.check(peer, 0).is_err());
    }

    #[test]
    fn ipv6_counts_by_network_and_mapped_ipv4_by_address() {
        let throttle = throttle(1, 10);
        throttle.failed(ip("2001:db8:1:2::1"), 0);
        assert!(throttle.check(ip("2001:db8:1:2:ffff::9"), 0).is_err());
        assert_eq!(throttle.check(ip("2001:db8:1:3::1"), 0), Ok(()));
        throttle.failed(ip("::ffff:192.0.2.7"), 0);
        assert!(throttle.check(ip("192.0.2.7"), 0).is_err());
    }

    #[test]
    fn loopback_waits_no_longer_than_its_documented_bound() {
        let throttle = Throttle::default();
        for local in [ip("127.0.0.1"), ip("::1"), ip("127.9.9.9")] {
            for _ in 0..50_000 {
                throttle.failed(local, 0);
            }
            let wait = throttle.check(local, 0).unwrap_err().retry_after;
            assert!(wait <= Duration::from_millis(20), "{local} {wait:?}");
        }
    }

    #[test]
    fn a_thousand_failures_of_a_test_suite_on_loopback_pass() {
        let throttle = Throttle::default();
        for _ in 0..999 {
            throttle.failed(ip("127.0.0.1"), 0);
        }
        assert_eq!(throttle.check(ip("127.0.0.1"), 0), Ok(()));
    }

    #[test]
    fn the_table_never_outgrows_its_bound() {
        let throttle = throttle(2, 64);
        for n in 0..10_000u32 {
            throttle.failed(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)), u64::from(n));
            assert!(throttle.addresses() <= 64);
        }
    }
}
