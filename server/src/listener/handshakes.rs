//! Room for TLS handshakes: bounded in all, and for each address.
//!
//! A handshake has a place only while its peer takes part: one that has sent nothing yet costs its connection, but
//! no place. No address, or IPv6 site, has more than a part of all places; its others wait within their own time.
//!
//! The costly step of a handshake, key exchange and signature, has to wait for its turn besides: at least one processor
//! is left to those who are connected, whose messages would otherwise wait behind a row of such steps.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use cordon_auth::throttle::prefix;
use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// One address has this part of all places.
const PART: usize = 4;

/// The places.
#[derive(Debug)]
pub struct Handshakes {
    all: Semaphore,
    turns: Semaphore,
    each: usize,
    by_address: Mutex<HashMap<IpAddr, Share>>,
    /// A second, and the handshakes begun in it.
    begun: Mutex<(i64, u32)>,
}

/// The places of one address, and how many of its handshakes have or want one.
#[derive(Debug)]
struct Share {
    places: Arc<Semaphore>,
    users: usize,
}

/// A place; free again when dropped.
#[derive(Debug)]
pub struct Place<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_address: OwnedSemaphorePermit,
    _user: User<'a>,
}

#[derive(Debug)]
struct User<'a> {
    handshakes: &'a Handshakes,
    address: IpAddr,
}

impl Handshakes {
    /// Room for `most` handshakes at the same time.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Semaphore::new(most),
            turns: Semaphore::new(std::thread::available_parallelism().map_or(1, |count| (count.get() - 1).max(1))),
            each: (most / PART).max(1),
            by_address: Mutex::default(),
            begun: Mutex::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    ///
    /// Never: places are not taken away.
    pub async fn place(&self, address: IpAddr) -> Result<Place<'_>, AcquireError> {
        let (user, places) = self.enter(prefix(address));
        let of_address = places.acquire_owned().await?;
        let of_all = self.all.acquire().await?;
        Ok(Place { _of_all: of_all, _of_address: of_address, _user: user })
    }

    /// Waits for the turn to take a costly step, which must not wait for anything itself.
    ///
    /// # Errors
    ///
    /// Never: turns are not taken away.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.turns.acquire().await
    }

    /// Counts a handshake that is about to begin, unless there were `most` in this second already.
    pub fn count(&self, most: u32, second: i64) -> bool {
        let mut begun = self.begun.lock();
        if begun.0 != second {
            *begun = (second, 0);
        }
        begun.1 = begun.1.saturating_add(1);
        begun.1 <= most
    }

    /// Places that are free.
    pub fn free(&self) -> usize {
        self.all.available_permits()
    }

    fn enter(&self, address: IpAddr) -> (User<'_>, Arc<Semaphore>) {
        let mut by_address = self.by_address.lock();
        let share = by_address
            .entry(address)
            .or_insert_with(|| Share { places: Arc::new(Semaphore::new(self.each)), users: 0 });
        share.users += 1;
        (User { handshakes: self, address }, share.places.clone())
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let mut by_address = self.handshakes.by_address.lock();
        if let Some(share) = by_address.get_mut(&self.address) {
            share.users = share.users.saturating_sub(1);
            if share.users == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn one_address_leaves_places_to_others() {
        let handshakes = Handshakes::new(8);
        let taken = [handshakes.place(address(1)).await, handshakes.place(address(1)).await];
        let mut third = Box::pin(handshakes.place(address(1)));
        assert!((&mut third).now_or_never().is_none(), "it has its part");
        let other = handshakes.place(address(2)).now_or_never();
        assert!(other.is_some_and(|place| place.is_ok()));
        drop(taken);
        assert!(third.now_or_never().is_some_and(|place| place.is_ok()));
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_addresses_that_are_gone() {
        let handshakes = Handshakes::new(4);
        let place = handshakes.place(address(1)).await.unwrap();
        let mut waiting = Box::pin(handshakes.place(address(1)));
        assert!((&mut waiting).now_or_never().is_none());
        drop(waiting);
        drop(place);
        assert!(handshakes.by_address.lock().is_empty());
        assert_eq!(handshakes.free(), 4);
    }
}
