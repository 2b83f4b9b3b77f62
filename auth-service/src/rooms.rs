//! Room for so many at once of each kind; the others wait in the order of their coming.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A room for each key, as long as somebody is in it or waits for it.
#[derive(Debug)]
pub(crate) struct Rooms<K> {
    each: usize,
    // Keys are addresses of outsiders, too: std's seeded SipHash. There are no more than connections.
    rooms: Mutex<HashMap<K, Arc<Semaphore>>>,
}

/// A place in a room, given back when dropped.
pub(crate) struct Place<'a, K: Eq + Hash> {
    // Before the visit, so that the last to leave finds the room empty.
    _permit: OwnedSemaphorePermit,
    _visit: Visit<'a, K>,
}

/// Somebody who is in a room or waits for it.
struct Visit<'a, K: Eq + Hash> {
    rooms: &'a Rooms<K>,
    key: K,
    room: Option<Arc<Semaphore>>,
}

impl<K: Eq + Hash + Clone> Rooms<K> {
    /// Rooms of `each` places.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, rooms: Mutex::default() }
    }

    /// Waits for a place in the room of `key`.
    pub(crate) async fn enter(&self, key: K) -> Result<Place<'_, K>, AcquireError> {
        let room = {
            let mut rooms = self.rooms.lock();
            Arc::clone(rooms.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
        };
        let visit = Visit { rooms: self, key, room: Some(Arc::clone(&room)) };
        Ok(Place { _permit: room.acquire_owned().await?, _visit: visit })
    }
}

impl<K: Eq + Hash> Drop for Visit<'_, K> {
    fn drop(&mut self) {
        let mut rooms = self.rooms.rooms.lock();
        self.room = None;
        // Nobody can come in between: to enter takes the same lock.
        if rooms.get(&self.key).is_some_and(|room| Arc::strong_count(room) == 1) {
            rooms.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::poll_once;

    use super::*;

    mod futures {
        use std::future::Future;
        use std::pin::Pin;
        use std::task::Poll;

        pub(crate) async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
            std::future::poll_fn(|context| match Pin::new(&mut *future).poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => Poll::Ready(None),
            })
            .await
        }
    }

    #[tokio::test]
    async fn a_full_room_keeps_others_waiting_and_other_rooms_open() {
        let rooms = Rooms::new(2);
        let one = rooms.enter("a").await.unwrap();
        let two = rooms.enter("a").await.unwrap();
        let mut third = Box::pin(rooms.enter("a"));
        assert!(poll_once(&mut third).await.is_none());
        drop(rooms.enter("b").await.unwrap());
        drop(one);
        let third = poll_once(&mut third).await.expect("a place is free").unwrap();
        drop((two, third));
        assert!(rooms.rooms.lock().is_empty(), "nobody is left");
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing_behind() {
        let rooms = Rooms::new(1);
        let inside = rooms.enter("a").await.unwrap();
        let mut waiting = Box::pin(rooms.enter("a"));
        assert!(poll_once(&mut waiting).await.is_none());
        drop(waiting);
        drop(inside);
        assert!(rooms.rooms.lock().is_empty());
        drop(rooms.enter("a").await.unwrap());
    }
}
