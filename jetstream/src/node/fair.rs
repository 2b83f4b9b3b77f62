//! A queue with a lane for each account: whoever waits in many places is served no more often than others.
//!
//! Lanes take turns, one item each, or a short run of items. A lane that has as many in work as it may waits until one of
//! them is done. Of the threads that wait, the one that worked last is woken: what it needs is near.

use std::collections::{HashMap, VecDeque};
use std::thread::{self, Thread};

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

/// A queue of items in lanes; clones of its `Arc` are its users.
pub(super) struct Fair<T> {
    state: Mutex<State<T>>,
    /// Items, or runs of items, of one lane that are in work at one time.
    at_once: usize,
}

struct State<T> {
    lanes: HashMap<u64, Lane<T>, RandomState>,
    /// Lanes with something to do that may begin it, in the order of their turns.
    turns: VecDeque<u64>,
    /// Threads that wait; the last has waited for the shortest time.
    idle: Vec<Thread>,
    closed: bool,
}

struct Lane<T> {
    waiting: VecDeque<T>,
    working: usize,
    has_turn: bool,
}

impl<T> Fair<T> {
    /// An empty queue; of each lane `at_once` items are in work at one time, at most.
    pub(super) fn new(at_once: usize) -> Self {
        let state = State { lanes: HashMap::default(), turns: VecDeque::new(), idle: Vec::new(), closed: false };
        Self { state: Mutex::new(state), at_once: at_once.max(1) }
    }

    /// Adds an item to a lane, unless `most` wait there already or the queue is closed.
    ///
    /// # Errors
    ///
    /// The item, if there is no room for it.
    pub(super) fn push(&self, lane: u64, item: T, most: usize) -> Result<(), T> {
        self.put(lane, item, most)?;
        self.offer(lane);
        Ok(())
    }

    /// As [`Fair::push`], but nobody is woken for it before [`Fair::offer`]. Gives how many wait in the lane now.
    ///
    /// # Errors
    ///
    /// The item, if there is no room for it.
    pub(super) fn put(&self, lane: u64, item: T, most: usize) -> Result<usize, T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(item);
        }
        let of =
            state.lanes.entry(lane).or_insert_with(|| Lane { waiting: VecDeque::new(), working: 0, has_turn: false });
        if of.waiting.len() >= most {
            return Err(item);
        }
        of.waiting.push_back(item);
        Ok(of.waiting.len())
    }

    /// Has what waits in a lane begun.
    pub(super) fn offer(&self, lane: u64) {
        let mut state = self.state.lock();
        if state.offer_turn(lane, self.at_once) {
            Self::wake_one(state);
        }
    }

    /// Who works looks for the next turn when it is done; so one more thread is enough for one more turn.
    fn wake_one(mut state: MutexGuard<'_, State<T>>) {
        let woken = state.idle.pop();
        drop(state);
        if let Some(thread) = woken {
            thread.unpark();
        }
    }

    fn wake_all(mut state: MutexGuard<'_, State<T>>) {
        let woken = std::mem::take(&mut state.idle);
        drop(state);
        for thread in woken {
            thread.unpark();
        }
    }

    /// Waits for the next items of one lane, at most `most` and in their order, and gives their lane; `None` once the
    /// queue is closed and empty. Call [`Fair::done_with`] after it.
    pub(super) fn pop_run(&self, most: usize, run: &mut VecDeque<T>) -> Option<u64> {
        let mut state = self.state.lock();
        loop {
            if let Some(lane) = state.take_turn(self.at_once, most, run) {
                if !state.turns.is_empty() {
                    Self::wake_one(state);
                }
                return Some(lane);
            }
            if state.closed && state.lanes.is_empty() {
                return None;
            }
            let this = thread::current();
            state.idle.push(this.clone());
            MutexGuard::unlocked(&mut state, thread::park);
            // It may have woken by itself.
            state.idle.retain(|other| other.id() != this.id());
        }
    }

    /// A run of that lane is done, but for `rest`: that is the next again.
    pub(super) fn done_with(&self, lane: u64, rest: &mut VecDeque<T>) {
        let mut state = self.state.lock();
        let Some(of) = state.lanes.get_mut(&lane) else { return };
        while let Some(item) = rest.pop_back() {
            of.waiting.push_front(item);
        }
        of.working = of.working.saturating_sub(1);
        if of.working == 0 && of.waiting.is_empty() {
            state.lanes.remove(&lane);
        } else {
            state.offer_turn(lane, self.at_once);
        }
        if state.closed && state.lanes.is_empty() {
            Self::wake_all(state);
        }
    }

    /// Takes no more items. What waits is still given out.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        Self::wake_all(state);
    }
}

impl<T> State<T> {
    /// Whether there is a turn that there was not before.
    fn offer_turn(&mut self, lane: u64, at_once: usize) -> bool {
        if let Some(of) = self.lanes.get_mut(&lane)
            && !of.has_turn
            && !of.waiting.is_empty()
            && of.working < at_once
        {
            of.has_turn = true;
            self.turns.push_back(lane);
            return true;
        }
        false
    }

    fn take_turn(&mut self, at_once: usize, most: usize, run: &mut VecDeque<T>) -> Option<u64> {
        let lane = self.turns.pop_front()?;
        let of = self.lanes.get_mut(&lane)?;
        of.has_turn = false;
        run.extend(of.waiting.drain(..most.min(of.waiting.len())));
        of.working += 1;
        self.offer_turn(lane, at_once);
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: usize = 1000;

    impl<T> Fair<T> {
        fn pop(&self) -> Option<(u64, T)> {
            let mut run = VecDeque::new();
            let lane = self.pop_run(1, &mut run)?;
            Some((lane, run.pop_front().unwrap()))
        }

        fn done(&self, lane: u64) {
            self.done_with(lane, &mut VecDeque::new());
        }
    }

    fn order(fair: &Fair<u32>) -> Vec<u64> {
        fair.close();
        std::iter::from_fn(|| {
            let (lane, _) = fair.pop()?;
            fair.done(lane);
            Some(lane)
        })
        .collect()
    }

    #[test]
    fn a_long_lane_does_not_hold_up_a_short_one() {
        let fair = Fair::new(1);
        for item in 0..5 {
            fair.push(1, item, MANY).unwrap();
        }
        fair.push(2, 0, MANY).unwrap();
        fair.push(3, 0, MANY).unwrap();
        assert_eq!(order(&fair), [1, 2, 3, 1, 1, 1, 1]);
    }

    #[test]
    fn a_lane_with_enough_in_work_waits_for_it() {
        let fair = Fair::new(2);
        for item in 0..3 {
            fair.push(1, item, MANY).unwrap();
        }
        fair.push(2, 9, MANY).unwrap();
        let taken: Vec<_> = (0..3).map(|_| fair.pop().unwrap()).collect();
        assert_eq!(taken, [(1, 0), (2, 9), (1, 1)]);
        assert_eq!(fair.state.lock().turns.len(), 0, "the third of lane 1 waits");
        fair.done(2);
        assert_eq!(fair.state.lock().turns.len(), 0);
        fair.done(1);
        assert_eq!(fair.pop(), Some((1, 2)));
    }

    #[test]
    fn a_full_lane_takes_nothing_and_others_do() {
        let fair = Fair::new(1);
        fair.push(1, 1, 2).unwrap();
        fair.push(1, 2, 2).unwrap();
        assert_eq!(fair.push(1, 3, 2), Err(3));
        fair.push(2, 4, 2).unwrap();
        fair.close();
        assert_eq!(fair.push(2, 5, 2), Err(5));
    }

    #[test]
    fn a_run_is_of_one_lane_and_what_is_left_of_it_comes_first() {
        let fair = Fair::new(1);
        for item in 0..5 {
            fair.put(1, item, MANY).unwrap();
        }
        fair.offer(1);
        fair.push(2, 9, MANY).unwrap();
        let mut run = VecDeque::new();
        assert_eq!(fair.pop_run(3, &mut run), Some(1));
        assert_eq!(run, [0, 1, 2]);
        run.pop_front();
        fair.push(1, 5, MANY).unwrap();
        fair.done_with(1, &mut run);
        assert!(run.is_empty());
        assert_eq!(fair.pop_run(3, &mut run), Some(2), "others have their turn");
        run.clear();
        assert_eq!(fair.pop_run(9, &mut run), Some(1));
        assert_eq!(run, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_was_put_waits_until_it_is_offered() {
        let fair = Fair::new(1);
        assert_eq!(fair.put(1, 1, 2), Ok(1));
        assert_eq!(fair.put(1, 2, 2), Ok(2));
        assert_eq!(fair.put(1, 3, 2), Err(3));
        assert_eq!(fair.state.lock().turns.len(), 0);
        fair.offer(1);
        fair.offer(1);
        assert_eq!(fair.state.lock().turns.len(), 1);
        fair.close();
        assert_eq!(fair.pop(), Some((1, 1)));
    }

    #[test]
    fn a_second_thread_takes_the_next_item_of_a_lane_whose_first_is_in_work() {
        let fair = Fair::new(2);
        fair.put(1, 1, MANY).unwrap();
        fair.put(1, 2, MANY).unwrap();
        let meet = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let (lane, _) = fair.pop().unwrap();
                    // Both are in work at one time, or neither goes on.
                    meet.wait();
                    fair.done(lane);
                });
            }
            while fair.state.lock().idle.len() < 2 {
                std::thread::yield_now();
            }
            fair.offer(1);
        });
        assert!(fair.state.lock().lanes.is_empty());
    }

    #[test]
    fn who_waits_hears_of_the_end() {
        let fair = Fair::<u32>::new(1);
        fair.push(1, 1, MANY).unwrap();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut found = 0;
                        while let Some((lane, _)) = fair.pop() {
                            found += 1;
                            fair.done(lane);
                        }
                        found
                    })
                })
                .collect();
            fair.close();
            let found: u32 = waiting.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(found, 1);
        });
        assert!(fair.state.lock().lanes.is_empty());
    }
}
