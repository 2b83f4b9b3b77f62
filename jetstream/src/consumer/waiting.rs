//! Pull requests that wait for messages, in the order in which they are served.

use std::collections::VecDeque;

use bytes::Bytes;

use super::request::PullRequest;

/// A pull request that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Where its messages go.
    pub(crate) reply: Bytes,
    /// Messages that it may still get.
    pub(crate) left: i64,
    /// Bytes that it may still get, if it has a limit.
    pub(crate) bytes_left: Option<i64>,
    /// When it ends; 0 for never.
    pub(crate) expires: i64,
    /// It ends when nothing more is there.
    pub(crate) no_wait: bool,
    /// It had a message.
    pub(crate) served: bool,
    /// How long it hears nothing at most; 0 for no end.
    pub(crate) heartbeat: i64,
    /// When it is told next that the consumer is there.
    pub(crate) next_heartbeat: i64,
    /// Policy overflow.
    pub(crate) min_pending: u64,
    /// Policy overflow.
    pub(crate) min_ack_pending: u64,
    /// Policy pinned client: the id that it has.
    pub(crate) id: String,
    /// Policy prioritized.
    pub(crate) priority: u8,
}

impl Waiting {
    /// The request as it begins to wait at `now`.
    pub(crate) fn new(request: PullRequest, reply: Bytes, now: i64) -> Self {
        let after = |wait: i64| if wait > 0 { now.saturating_add(wait) } else { 0 };
        Self {
            reply,
            left: request.batch,
            bytes_left: (request.max_bytes > 0).then_some(request.max_bytes),
            expires: after(request.expires),
            no_wait: request.no_wait,
            served: false,
            heartbeat: request.idle_heartbeat,
            next_heartbeat: after(request.idle_heartbeat),
            min_pending: u64::try_from(request.min_pending).unwrap_or(0),
            min_ack_pending: u64::try_from(request.min_ack_pending).unwrap_or(0),
            id: request.id,
            priority: u8::try_from(request.priority).unwrap_or(9),
        }
    }

    /// When something is to be done about it.
    fn wakes(&self) -> i64 {
        match (self.expires, self.next_heartbeat) {
            (0, 0) => i64::MAX,
            (0, at) | (at, 0) => at,
            (one, other) => one.min(other),
        }
    }
}

/// The requests, the next one to be served first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    requests: VecDeque<Waiting>,
    /// Not later than the first time when something is to be done about one of them.
    wakes: Option<i64>,
}

impl Queue {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Messages that they all ask for.
    pub(crate) fn asked(&self) -> u64 {
        self.requests.iter().fold(0, |sum: u64, request| sum.saturating_add(request.left.cast_unsigned()))
    }

    /// Adds a request behind those of its priority.
    pub(crate) fn add(&mut self, request: Waiting) {
        let at = request.wakes();
        if at < i64::MAX {
            self.wakes = Some(self.wakes.map_or(at, |first| first.min(at)));
        }
        self.put_behind(request);
    }

    fn put_behind(&mut self, request: Waiting) {
        if self.requests.back().is_none_or(|last| last.priority <= request.priority) {
            self.requests.push_back(request);
        } else {
            let at = self.requests.partition_point(|other| other.priority <= request.priority);
            self.requests.insert(at, request);
        }
    }

    /// The request at `index`.
    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Waiting> {
        self.requests.get_mut(index)
    }

    /// The index of the first request that `fits`.
    pub(crate) fn position(&self, fits: impl FnMut(&Waiting) -> bool) -> Option<usize> {
        self.requests.iter().position(fits)
    }

    /// Takes the request at `index` out.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Waiting> {
        self.requests.remove(index)
    }

    /// The request at `index` had its turn: it goes behind the others of its priority.
    pub(crate) fn turn(&mut self, index: usize) {
        if self.requests.len() > 1
            && let Some(request) = self.requests.remove(index)
        {
            self.put_behind(request);
        }
    }

    /// Takes all out for which `ends` says so, in order.
    pub(crate) fn drain_where(&mut self, mut ends: impl FnMut(&Waiting) -> bool) -> Vec<Waiting> {
        if !self.requests.iter().any(&mut ends) {
            return Vec::new();
        }
        let (ended, stay) = self.requests.drain(..).partition(ends);
        self.requests = stay;
        let ended: VecDeque<Waiting> = ended;
        ended.into()
    }

    /// When [`Queue::expired`] has something to do.
    pub(crate) fn deadline(&self) -> Option<i64> {
        self.wakes
    }

    /// Takes out those that end at `now`, and tells `beat` of those that are to hear that the consumer is there.
    pub(crate) fn expired(&mut self, now: i64, mut beat: impl FnMut(&Waiting)) -> Vec<Waiting> {
        if self.wakes.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let ended = self.drain_where(|request| request.expires != 0 && request.expires <= now);
        self.wakes = None;
        for request in &mut self.requests {
            if request.next_heartbeat != 0 && request.next_heartbeat <= now {
                beat(request);
                request.next_heartbeat = now.saturating_add(request.heartbeat);
            }
            let at = request.wakes();
            if at < i64::MAX {
                self.wakes = Some(self.wakes.map_or(at, |first| first.min(at)));
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: &'static str, priority: i64, expires: i64, idle_heartbeat: i64) -> Waiting {
        let request = PullRequest { batch: 2, priority, expires, idle_heartbeat, ..PullRequest::default() };
        Waiting::new(request, Bytes::from_static(name.as_bytes()), 100)
    }

    fn order(queue: &Queue) -> Vec<&str> {
        queue.requests.iter().map(|request| std::str::from_utf8(&request.reply).unwrap()).collect()
    }

    #[test]
    fn requests_are_served_in_turn_within_their_priority() {
        let mut queue = Queue::default();
        for (name, priority) in [("a", 1), ("b", 1), ("c", 0), ("d", 2), ("e", 1)] {
            queue.add(request(name, priority, 0, 0));
        }
        assert_eq!(order(&queue), ["c", "a", "b", "e", "d"]);
        queue.turn(0);
        assert_eq!(order(&queue), ["c", "a", "b", "e", "d"]);
        queue.turn(1);
        assert_eq!(order(&queue), ["c", "b", "e", "a", "d"]);
        assert_eq!(queue.asked(), 10);
        assert_eq!(queue.deadline(), None);
    }

    #[test]
    fn requests_end_and_are_told_at_their_times() {
        let mut queue = Queue::default();
        queue.add(request("long", 0, 1000, 300));
        queue.add(request("short", 0, 200, 0));
        queue.add(request("for ever", 0, 0, 0));
        assert_eq!(queue.deadline(), Some(300));
        let mut beats = Vec::new();
        assert!(queue.expired(299, |_| panic!()).is_empty());
        let ended = queue.expired(300, |request| beats.push(request.reply.clone()));
        assert_eq!((ended.len(), beats.len()), (1, 0));
        assert_eq!(queue.deadline(), Some(400));
        queue.expired(400, |request| beats.push(request.reply.clone()));
        assert_eq!(beats, ["long"]);
        assert_eq!(queue.deadline(), Some(700));
        queue.expired(1100, |request| beats.push(request.reply.clone()));
        assert_eq!(order(&queue), ["for ever"]);
        assert_eq!((beats.len(), queue.deadline()), (1, None));
    }
}
