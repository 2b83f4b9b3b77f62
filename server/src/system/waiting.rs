//! Requests that wait for their answer: bounded in number and bytes, and for each account apart.
//!
//! A tenant that asks more than the broker answers is turned away before it takes the room of other tenants.
//! Those who run the broker have a queue of their own, which no tenant can fill.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::system::desk::Request;

/// Requests that may wait in the queue of the system account's own people.
pub(super) const OWN: usize = 1024;
/// Requests about claims that are worked on at the same time, in memory once more.
pub(super) const TOGETHER: usize = 64;
/// Requests of tenants that may wait.
pub(super) const TENANTS: usize = 4096;
/// Requests of one tenant that may wait.
const ONE_TENANT: usize = 128;
/// Bytes of one request of a tenant: it holds options, not claims.
const TENANT_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes of waiting requests, of tenants and of the system account's own people each.
const BYTES: usize = 32 * 1024 * 1024;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    own_bytes: AtomicUsize,
    tenant_bytes: AtomicUsize,
    by_tenant: Mutex<HashMap<Box<str>, usize>>,
}

impl Waiting {
    /// Counts a request in; `false`, and nothing is counted, if there is no room for it.
    pub(super) fn enter(&self, request: &Request) -> bool {
        let size = request.size();
        let Some(tenant) = &request.tenant else { return take(&self.own_bytes, size) };
        if size > TENANT_REQUEST_BYTES {
            return false;
        }
        let mut by_tenant = self.by_tenant.lock();
        let count = by_tenant.get(tenant).copied().unwrap_or(0);
        if count >= ONE_TENANT || !take(&self.tenant_bytes, size) {
            return false;
        }
        by_tenant.insert(tenant.clone(), count + 1);
        true
    }

    /// Counts a request out.
    pub(super) fn leave(&self, request: &Request) {
        let Some(tenant) = &request.tenant else {
            self.own_bytes.fetch_sub(request.size(), Ordering::Relaxed);
            return;
        };
        self.tenant_bytes.fetch_sub(request.size(), Ordering::Relaxed);
        let mut by_tenant = self.by_tenant.lock();
        if let Some(count) = by_tenant.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_tenant.remove(tenant);
            }
        }
    }
}

fn take(bytes: &AtomicUsize, size: usize) -> bool {
    let fits = bytes.fetch_add(size, Ordering::Relaxed) + size <= BYTES;
    if !fits {
        bytes.fetch_sub(size, Ordering::Relaxed);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::ask::{Ask, ServerAsk};

    fn request(tenant: Option<&str>, bytes: usize) -> Request {
        let ask = Ask::Server(ServerAsk::Idz);
        Request {
            ask,
            reply: Vec::new(),
            info: Vec::new(),
            body: vec![0; bytes],
            asker: None,
            tenant: tenant.map(Into::into),
        }
    }

    #[test]
    fn one_tenant_does_not_take_the_room_of_others() {
        let waiting = Waiting::default();
        let greedy = request(Some("A"), 100);
        let taken = (0..10_000).filter(|_| waiting.enter(&greedy)).count();
        assert_eq!(taken, ONE_TENANT);
        assert!(waiting.enter(&request(Some("B"), 100)));
        assert!(waiting.enter(&request(None, 100)));
        waiting.leave(&greedy);
        assert!(waiting.enter(&greedy) && !waiting.enter(&greedy));
    }

    #[test]
    fn tenants_never_use_up_the_bytes_of_the_operators() {
        let waiting = Waiting::default();
        let mut taken = 0;
        for tenant in 0..1000 {
            let request = request(Some(&tenant.to_string()), TENANT_REQUEST_BYTES);
            taken += (0..ONE_TENANT).filter(|_| waiting.enter(&request)).count() * TENANT_REQUEST_BYTES;
        }
        assert_eq!(taken, BYTES);
        assert!(waiting.enter(&request(None, BYTES)));
        assert!(!waiting.enter(&request(None, 1)), "their own are bounded, too");
        assert!(!waiting.enter(&request(Some("C"), TENANT_REQUEST_BYTES + 1)));
    }

    #[test]
    fn what_has_left_leaves_nothing_behind() {
        let waiting = Waiting::default();
        for request in [request(Some("A"), 10), request(None, 10)] {
            assert!(waiting.enter(&request));
            waiting.leave(&request);
        }
        assert_eq!(waiting.own_bytes.load(Ordering::Relaxed) + waiting.tenant_bytes.load(Ordering::Relaxed), 0);
        assert!(waiting.by_tenant.lock().is_empty());
    }
}
