//! A flood of refusals costs a bounded number of events.
//!
//! Every source may cause so many events a second: an address that has proved nothing, a user, an
//! account with all its users, and all that proved nothing together. What is beyond is counted, and
//! becomes one event with the count when the second is over. The table of sources is bounded as
//! well: when it is full, further sources share one place.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};

use crate::system::security::SecurityEvent;

const SECOND_NS: u64 = 1_000_000_000;
/// Events a second of one address.
const PER_ADDRESS: u64 = 10;
/// Events a second of one user, by however many connections.
const PER_USER: u64 = 20;
/// Events a second of one account.
const PER_ACCOUNT: u64 = 100;
/// Events a second of all addresses together: each may become a leaf of a ledger that only grows.
const OF_ALL: u64 = 100;
/// Sources remembered at once.
const SOURCES: usize = 4096;
/// Folded events that one second may cause; more are folded once again.
const REPORTS: usize = 64;

/// Who is behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An IPv4 address, or an IPv6 network of 64 bits, which is one customer's.
    Address(IpAddr),
    /// An account, by a hash of its name.
    Account(u64),
    /// Everybody who has proved nothing.
    Everybody,
    /// A user: hashes of the account's and the user's name.
    User(u64, u64),
}

impl Source {
    /// The source that an address stands for.
    pub(super) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }

    /// The source that a user is. Names that hash alike share a bound, which does no harm.
    pub(super) fn user(account: &str, user: &str) -> Self {
        let hash = |name: &str| {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            hasher.finish()
        };
        Self::User(hash(account), hash(user))
    }

    fn bound(self) -> u64 {
        match self {
            Self::Account(_) => PER_ACCOUNT,
            Self::Address(_) => PER_ADDRESS,
            Self::Everybody => OF_ALL,
            Self::User(..) => PER_USER,
        }
    }

    /// The larger source that it is part of.
    fn group(self) -> Option<Self> {
        match self {
            Self::Address(_) => Some(Self::Everybody),
            Self::User(account, _) => Some(Self::Account(account)),
            Self::Account(_) | Self::Everybody => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Flood {
    windows: HashMap<Source, Window>,
}

#[derive(Debug, Default)]
struct Window {
    second: u64,
    admitted: u64,
    folded: Option<Box<SecurityEvent>>,
}

impl Flood {
    /// The event, if it may have a number of its own now. `full` folds it in any case.
    pub(super) fn admit(&mut self, event: SecurityEvent, full: bool, now_ns: u64) -> Option<SecurityEvent> {
        let second = now_ns / SECOND_NS;
        let mut source = self.place_of(event.source);
        loop {
            let window = self.window(source, second);
            if full || !window.has_room(source) {
                window.fold(event);
                return None;
            }
            let Some(group) = source.group() else { return Some(event) };
            source = self.place_of(group);
        }
    }

    /// The folded events of seconds that are over.
    pub(super) fn sweep(&mut self, now_ns: u64) -> Vec<SecurityEvent> {
        let second = now_ns / SECOND_NS;
        let mut over = Vec::new();
        let mut rest = Window::default();
        self.windows.retain(|_, window| {
            let stays = window.second >= second;
            if !stays && let Some(folded) = window.folded.take() {
                if over.len() < REPORTS {
                    over.push(*folded);
                } else {
                    rest.fold(*folded);
                }
            }
            stays
        });
        over.extend(rest.folded.map(|folded| *folded));
        over
    }

    fn place_of(&self, source: Source) -> Source {
        let known = self.windows.len() < SOURCES || self.windows.contains_key(&source);
        if known { source } else { Source::Everybody }
    }

    fn window(&mut self, source: Source, second: u64) -> &mut Window {
        let window = self.windows.entry(source).or_insert_with(|| Window { second, ..Window::default() });
        // What was folded keeps its window until it is swept.
        if window.second != second && window.folded.is_none() {
            *window = Window { second, ..Window::default() };
        }
        window
    }
}

impl Window {
    fn has_room(&mut self, source: Source) -> bool {
        let room = self.admitted < source.bound();
        self.admitted += u64::from(room);
        room
    }

    /// Adds to the folded event; what is not the same in all of them is left out.
    fn fold(&mut self, event: SecurityEvent) {
        let count = event.count.max(1);
        let Some(folded) = &mut self.folded else {
            self.folded = Some(Box::new(SecurityEvent { count, ..event }));
            return;
        };
        folded.count += count;
        if folded.account != event.account {
            folded.account = None;
        }
        if folded.user != event.user {
            folded.user = None;
        }
        if folded.cid != event.cid {
            folded.cid = 0;
        }
        let texts = [
            (&mut folded.ip, event.ip),
            (&mut folded.subject, event.subject),
            (&mut folded.rule, event.rule),
            (&mut folded.detail, event.detail),
        ];
        for (folded, text) in texts {
            if *folded != text {
                folded.clear();
            }
        }
        if folded.reason != event.reason {
            folded.reason = "several";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: Source, cid: u64) -> SecurityEvent {
        SecurityEvent {
            reason: "wrong_password",
            account: None,
            user: Some("alice".to_owned()),
            cid,
            ip: "192.0.2.1".to_owned(),
            subject: String::new(),
            rule: String::new(),
            detail: String::new(),
            count: 0,
            source,
        }
    }

    fn address(last: u8) -> Source {
        Source::address(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn beyond_its_bound_an_address_causes_one_event_with_a_count() {
        let mut flood = Flood::default();
        let admitted = (0..1000).filter(|cid| flood.admit(event(address(1), *cid), false, 0).is_some()).count();
        assert_eq!(admitted as u64, PER_ADDRESS);
        assert!(flood.sweep(SECOND_NS - 1).is_empty(), "the second is not over");
        let folded = flood.sweep(SECOND_NS);
        assert_eq!(folded.len(), 1);
        assert_eq!((folded[0].count, folded[0].cid, folded[0].user.as_deref()), (990, 0, Some("alice")));
        assert!(flood.admit(event(address(1), 1), false, SECOND_NS).is_some(), "a new second");
    }

    #[test]
    fn one_address_does_not_use_up_what_others_have() {
        let mut flood = Flood::default();
        for cid in 0..100 {
            flood.admit(event(address(1), cid), false, 0);
        }
        assert!(flood.admit(event(address(2), 1), false, 0).is_some());
        assert!(flood.admit(event(Source::user("A", "u"), 7), false, 0).is_some());
    }

    #[test]
    fn all_addresses_together_are_bounded_and_nothing_is_lost() {
        let mut flood = Flood::default();
        let mut admitted = 0;
        for network in 0..10_000u32 {
            let source = Source::address(IpAddr::from(network.to_be_bytes()));
            admitted += u64::from(flood.admit(event(source, 1), false, 0).is_some());
        }
        assert!(flood.windows.len() <= SOURCES + 1);
        let folded = flood.sweep(SECOND_NS);
        assert!(admitted <= OF_ALL && folded.len() <= REPORTS + 1, "{admitted} {}", folded.len());
        assert_eq!(admitted + folded.iter().map(|event| event.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn many_users_of_one_account_are_bounded_together() {
        let mut flood = Flood::default();
        let by = |flood: &mut Flood, account: &str, user: u64| {
            flood.admit(event(Source::user(account, &user.to_string()), user), false, 0).is_some()
        };
        let admitted = (0..1000).filter(|user| by(&mut flood, "A", *user)).count();
        assert_eq!(admitted as u64, PER_ACCOUNT);
        assert!(by(&mut flood, "B", 1), "another account has its own bound");
        assert_eq!(flood.sweep(SECOND_NS).iter().map(|event| event.count).sum::<u64>(), 1000 - PER_ACCOUNT);
    }

    #[test]
    fn a_full_backlog_folds_everything() {
        let mut flood = Flood::default();
        assert!(flood.admit(event(Source::user("A", "u"), 1), true, 0).is_none());
        assert_eq!(flood.sweep(SECOND_NS)[0].count, 1);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let source = |text: &str| Source::address(text.parse().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
