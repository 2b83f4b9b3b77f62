//! Who is inside, and whether anybody may still come in.
//!
//! Whoever enters after the gate was shut is refused, and whoever entered before is in the list that shutting it
//! gives: nobody slips in between, so that a broker which stops forgets no connection.

use std::collections::BTreeMap;

use crate::sync::Mutex;

/// Those inside, by id.
#[derive(Debug)]
pub struct Gate<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    inside: BTreeMap<u64, T>,
    shut: bool,
}

/// What became of somebody who wanted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Inside.
    Admitted,
    /// There are as many inside as may be.
    Full,
    /// Nobody may come in any more.
    Shut,
}

impl<T: Clone> Gate<T> {
    /// Nobody is inside, and the gate is open.
    pub fn new() -> Self {
        Self { inner: Mutex::new(Inner { inside: BTreeMap::new(), shut: false }) }
    }

    /// Lets `who` in, while fewer than `most` are inside.
    pub fn enter(&self, id: u64, who: T, most: usize) -> Entry {
        let mut inner = self.inner.lock();
        if inner.shut {
            return Entry::Shut;
        }
        if inner.inside.len() >= most {
            return Entry::Full;
        }
        inner.inside.insert(id, who);
        Entry::Admitted
    }

    /// Somebody has gone.
    pub fn leave(&self, id: u64) {
        self.inner.lock().inside.remove(&id);
    }

    /// Lets nobody in any more; all who are inside, in order of their ids.
    pub fn shut(&self) -> Vec<T> {
        let mut inner = self.inner.lock();
        inner.shut = true;
        inner.inside.values().cloned().collect()
    }

    /// One who is inside.
    pub fn find(&self, id: u64) -> Option<T> {
        self.inner.lock().inside.get(&id).cloned()
    }

    /// All who are inside, in order of their ids.
    pub fn list(&self) -> Vec<T> {
        self.inner.lock().inside.values().cloned().collect()
    }

    /// How many are inside.
    pub fn len(&self) -> usize {
        self.inner.lock().inside.len()
    }

    /// Nobody is inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone> Default for Gate<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_opens_when_somebody_leaves_and_a_shut_one_never() {
        let gate = Gate::new();
        assert_eq!(gate.enter(1, "a", 2), Entry::Admitted);
        assert_eq!(gate.enter(2, "b", 2), Entry::Admitted);
        assert_eq!(gate.enter(3, "c", 2), Entry::Full);
        gate.leave(1);
        assert_eq!(gate.enter(3, "c", 2), Entry::Admitted);
        assert_eq!(gate.shut(), ["b", "c"]);
        gate.leave(2);
        assert_eq!(gate.enter(4, "d", 2), Entry::Shut);
        assert_eq!((gate.list(), gate.find(3), gate.len(), gate.is_empty()), (vec!["c"], Some("c"), 1, false));
    }
}
