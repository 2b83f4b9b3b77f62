//! Leave to respond: a connection may answer the requests it was given, though it may not publish there otherwise.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::claims::ResponseClaim;

/// Responses to one reply subject, if nothing else is said.
pub const RESPONSES_DEFAULT: u32 = 1;
/// Nanoseconds a reply subject stays open, if nothing else is said: two minutes.
pub const TTL_DEFAULT_NS: u64 = 120_000_000_000;
/// Most reply subjects a connection has open; the oldest closes for the next.
pub const GRANTS_MAX: usize = 16_384;
/// Most bytes of reply subjects a connection has open.
pub const GRANT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far the leave to respond goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ResponseRule {
    /// Responses to one reply subject; unlimited when `None`.
    pub max: Option<u32>,
    /// Nanoseconds from the request; unlimited when `None`.
    pub ttl_ns: Option<u64>,
}

impl ResponseRule {
    /// Reads the claim's numbers: 0 means the default, negative no limit.
    pub fn from_claim(claim: &ResponseClaim) -> Self {
        let max = match claim.max {
            0 => Some(RESPONSES_DEFAULT),
            max => u64::try_from(max).ok().map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
        };
        let ttl_ns = match claim.ttl {
            0 => Some(TTL_DEFAULT_NS),
            ttl => u64::try_from(ttl).ok(),
        };
        Self { max, ttl_ns }
    }
}

/// The reply subjects that one connection may answer now.
///
/// Bounded: by [`GRANTS_MAX`] and [`GRANT_BYTES_MAX`], whatever the rule says and however many requests come. All
/// operations cost constant time on average. Belongs to one connection and one rule: make a new one when either changes.
#[derive(Debug)]
pub struct ReplyGrants {
    rule: ResponseRule,
    open: HashMap<Arc<[u8]>, Grant, foldhash::fast::RandomState>,
    /// Grants in the order they were made, which is also the order they expire in; some are closed already.
    order: VecDeque<(u64, Arc<[u8]>)>,
    bytes: usize,
    made: u64,
}

#[derive(Copy, Clone, Debug)]
struct Grant {
    number: u64,
    since_ns: u64,
    used: u32,
}

impl ReplyGrants {
    /// No grants, under a rule.
    pub fn new(rule: ResponseRule) -> Self {
        Self { rule, open: HashMap::default(), order: VecDeque::new(), bytes: 0, made: 0 }
    }

    /// Remembers that a message with this reply subject was delivered; one that is known starts again.
    pub fn granted(&mut self, reply: &[u8], now_ns: u64) {
        self.prune(now_ns);
        if reply.is_empty() || reply.len() > GRANT_BYTES_MAX {
            return;
        }
        self.close(reply);
        while self.open.len() >= GRANTS_MAX || self.bytes + reply.len() > GRANT_BYTES_MAX {
            let Some((number, oldest)) = self.order.pop_front() else {
                break;
            };
            self.close_if(&oldest, number);
        }
        let reply: Arc<[u8]> = reply.into();
        self.made += 1;
        self.bytes += reply.len();
        self.order.push_back((self.made, Arc::clone(&reply)));
        self.open.insert(reply, Grant { number: self.made, since_ns: now_ns, used: 0 });
        // Grants that were used up leave their places in the order behind; do not let those pile up.
        if self.order.len() > 2 * GRANTS_MAX.min(self.open.len() + 64) {
            let open = &self.open;
            self.order.retain(|(number, reply)| open.get(reply).is_some_and(|grant| grant.number == *number));
        }
    }

    /// Uses one response up; false if `subject` was not granted, is used up, or has closed.
    #[must_use]
    pub fn take(&mut self, subject: &[u8], now_ns: u64) -> bool {
        let rule = self.rule;
        let Some(grant) = self.open.get_mut(subject) else {
            return false;
        };
        let expired = rule.ttl_ns.is_some_and(|ttl| now_ns.saturating_sub(grant.since_ns) > ttl);
        grant.used = grant.used.saturating_add(1);
        let used_up = rule.max.is_some_and(|max| grant.used >= max);
        let allowed = !expired && rule.max.is_none_or(|max| grant.used <= max);
        if expired || used_up {
            self.close(subject);
        }
        allowed
    }

    /// Number of reply subjects that may be answered, expired ones that were not looked at included.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// True if nothing may be answered.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes everything, when permissions or account change.
    pub fn clear(&mut self) {
        self.open.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// Closes what has expired.
    fn prune(&mut self, now_ns: u64) {
        let Some(ttl) = self.rule.ttl_ns else { return };
        while let Some((number, reply)) = self.order.front() {
            match self.open.get(reply) {
                Some(grant) if grant.number == *number && now_ns.saturating_sub(grant.since_ns) <= ttl => {
                    return;
                }
                Some(grant) if grant.number == *number => {
                    self.bytes -= reply.len();
                    self.open.remove(&**reply);
                }
                _ => {}
            }
            self.order.pop_front();
        }
    }

    fn close(&mut self, reply: &[u8]) {
        if self.open.remove(reply).is_some() {
            self.bytes -= reply.len();
        }
    }

    fn close_if(&mut self, reply: &[u8], number: u64) {
        if self.open.get(reply).is_some_and(|grant| grant.number == number) {
            self.close(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(max: i64, ttl: i64) -> ResponseRule {
        ResponseRule::from_claim(&ResponseClaim { max, ttl })
    }

    #[test]
    fn zero_means_the_defaults_and_negative_no_limit() {
        for (max, ttl, wanted) in [
            (0, 0, (Some(1), Some(TTL_DEFAULT_NS))),
            (5, 7, (Some(5), Some(7))),
            (-1, -1, (None, None)),
            (i64::MIN, i64::MIN, (None, None)),
            (i64::MAX, i64::MAX, (Some(u32::MAX), Some(9_223_372_036_854_775_807))),
        ] {
            let rule = rule(max, ttl);
            assert_eq!((rule.max, rule.ttl_ns), wanted, "{max} {ttl}");
        }
    }

    #[test]
    fn one_response_to_a_delivered_reply_and_no_more() {
        let mut grants = ReplyGrants::new(rule(0, 0));
        assert!(!grants.take(b"inbox.1", 0));
        grants.granted(b"inbox.1", 0);
        assert!(!grants.take(b"inbox.2", 1));
        assert!(grants.take(b"inbox.1", 1));
        assert!(!grants.take(b"inbox.1", 1));
        assert!(grants.is_empty());
        grants.granted(b"", 0);
        assert!(!grants.take(b"", 0));
    }

    #[test]
    fn a_reply_closes_after_its_time_and_a_repeated_one_starts_again() {
        let mut grants = ReplyGrants::new(rule(2, 100));
        grants.granted(b"r", 0);
        assert!(grants.take(b"r", 100));
        assert!(!grants.take(b"r", 101));
        assert!(!grants.take(b"r", 50), "a closed reply opened again");
        grants.granted(b"r", 200);
        assert!(grants.take(b"r", 210));
        grants.granted(b"r", 250);
        assert!(grants.take(b"r", 340) && grants.take(b"r", 350));
        assert!(!grants.take(b"r", 350));
    }

    #[test]
    fn only_what_has_expired_is_pruned() {
        let mut grants = ReplyGrants::new(rule(5, 100));
        grants.granted(b"old", 0);
        grants.granted(b"again", 10);
        grants.granted(b"again", 90);
        grants.granted(b"other", 100);
        assert!(grants.take(b"old", 100), "not expired yet, though others came");
        grants.granted(b"last", 120);
        assert_eq!((grants.len(), grants.bytes), (3, "again".len() + "other".len() + "last".len()));
        assert!(!grants.take(b"old", 120));
        assert!(grants.take(b"again", 130), "it was given anew; the first time no longer counts");
        assert!(grants.take(b"other", 200) && grants.take(b"last", 220));
        grants.granted(b"new", 500);
        assert_eq!((grants.len(), grants.bytes), (1, "new".len()));
    }

    #[test]
    fn the_bytes_are_used_to_the_last_and_no_further() {
        let mut grants = ReplyGrants::new(rule(1, -1));
        let whole = vec![b'x'; GRANT_BYTES_MAX];
        grants.granted(&[&whole[..], b"x"].concat(), 0);
        assert!(grants.is_empty());
        grants.granted(&whole, 0);
        assert!(!grants.is_empty());
        assert!(grants.take(&whole, 0));
        grants.granted(&whole[1..], 0);
        grants.granted(b"y", 0);
        assert_eq!((grants.len(), grants.bytes), (2, GRANT_BYTES_MAX));
        grants.granted(b"z", 0);
        assert_eq!((grants.len(), grants.bytes), (2, 2), "the oldest made room");
    }

    #[test]
    fn what_was_given_anew_is_not_the_oldest() {
        let mut grants = ReplyGrants::new(rule(1, -1));
        grants.granted(b"again", 0);
        for number in 1..GRANTS_MAX {
            grants.granted(format!("inbox.{number}").as_bytes(), 0);
        }
        grants.granted(b"again", 0);
        grants.granted(b"one more", 0);
        assert_eq!(grants.len(), GRANTS_MAX);
        assert!(grants.take(b"again", 0) && !grants.take(b"inbox.1", 0));
    }

    #[test]
    fn a_grant_that_waits_while_others_come_and_go_still_expires() {
        let mut grants = ReplyGrants::new(rule(1, 1000));
        grants.granted(b"waits", 0);
        for number in 0..1000 {
            let reply = format!("inbox.{number}");
            grants.granted(reply.as_bytes(), number);
            assert!(grants.take(reply.as_bytes(), number));
        }
        grants.granted(b"new", 2000);
        assert_eq!((grants.len(), grants.bytes), (1, "new".len()));
    }

    #[test]
    fn without_limits_a_reply_stays_open() {
        let mut grants = ReplyGrants::new(rule(-1, -1));
        grants.granted(b"r", 0);
        assert!((0..1000).all(|_| grants.take(b"r", u64::MAX)));
        grants.clear();
        assert!(!grants.take(b"r", 0));
    }

    #[test]
    fn requests_without_end_do_not_grow_it() {
        let mut grants = ReplyGrants::new(rule(-1, -1));
        for number in 0..3 * GRANTS_MAX {
            grants.granted(format!("inbox.{number}").as_bytes(), 0);
        }
        assert_eq!(grants.len(), GRANTS_MAX);
        assert!(!grants.take(b"inbox.0", 0), "the oldest is closed first");
        assert!(grants.take(format!("inbox.{}", 3 * GRANTS_MAX - 1).as_bytes(), 0));
        let long = vec![b'x'; 4000];
        for number in 0..3000_u32 {
            grants.granted(&[&long[..], &number.to_be_bytes()].concat(), 0);
            assert!(grants.bytes <= GRANT_BYTES_MAX);
        }
        assert_eq!(grants.bytes, grants.open.keys().map(|reply| reply.len()).sum::<usize>());
    }

    #[test]
    fn used_up_grants_leave_nothing_behind() {
        let mut grants = ReplyGrants::new(rule(1, -1));
        grants.granted(b"kept", 0);
        for number in 0..100_000 {
            let reply = format!("inbox.{number}");
            grants.granted(reply.as_bytes(), number);
            assert!(grants.take(reply.as_bytes(), number));
            assert!(grants.order.len() <= 200, "{}", grants.order.len());
        }
        assert!(grants.take(b"kept", 0));
    }

    #[test]
    fn expired_grants_are_pruned_as_others_come() {
        let mut grants = ReplyGrants::new(rule(1, 10));
        for now in 0..10_000 {
            grants.granted(format!("inbox.{now}").as_bytes(), now);
            assert!(grants.len() <= 11 && grants.order.len() <= 11);
        }
    }
}
