//! A cached match never outlives a change that was finished before it is looked at.

#![expect(clippy::indexing_slicing, reason = "a model: what fails here is its failure")]

use std::sync::Arc;

use cordon_models::routing::generation::Generations;
use cordon_models::sync::Mutex;
use loom::thread;

/// A tree of two parts, as far as it matters: which subscriptions each has.
#[derive(Default)]
struct Tree {
    subscriptions: Mutex<[u32; 2]>,
    generations: Generations,
}

impl Tree {
    fn subscribe(&self, part: usize) {
        self.subscriptions.lock()[part] += 1;
        self.generations.raise(part as u64);
    }

    fn subscribe_everywhere(&self) {
        for count in self.subscriptions.lock().iter_mut() {
            *count += 1;
        }
        self.generations.raise_all();
    }

    /// What a publisher does: a stamp, then a match.
    fn find(&self, part: usize) -> Cached<'_> {
        let stamp = self.generations.stamp(part as u64);
        Cached { tree: self, part, found: self.subscriptions.lock()[part], stamp }
    }
}

struct Cached<'a> {
    tree: &'a Tree,
    part: usize,
    found: u32,
    stamp: cordon_models::routing::generation::Stamp,
}

impl Cached<'_> {
    fn is_right_or_known_to_be_wrong(&self) -> bool {
        let right = self.tree.subscriptions.lock()[self.part] == self.found;
        right || !self.tree.generations.holds(&self.stamp)
    }
}

#[test]
fn a_subscription_made_meanwhile_is_found_at_the_next_publish() {
    loom::model(|| {
        let tree = Arc::new(Tree::default());
        let subscriber = {
            let tree = tree.clone();
            thread::spawn(move || tree.subscribe(0))
        };
        let cached = tree.find(0);
        subscriber.join().unwrap();
        assert!(cached.is_right_or_known_to_be_wrong());
    });
}

#[test]
fn a_wildcard_concerns_every_part() {
    loom::model(|| {
        let tree = Arc::new(Tree::default());
        let changes: Vec<_> = [true, false]
            .map(|everywhere| {
                let tree = tree.clone();
                thread::spawn(move || if everywhere { tree.subscribe_everywhere() } else { tree.subscribe(1) })
            })
            .into();
        let (first, second) = (tree.find(0), tree.find(1));
        for change in changes {
            change.join().unwrap();
        }
        assert!(first.is_right_or_known_to_be_wrong());
        assert!(second.is_right_or_known_to_be_wrong());
    });
}

#[test]
fn what_does_not_change_stays_cached() {
    loom::model(|| {
        let tree = Arc::new(Tree::default());
        let cached = tree.find(0);
        let other = {
            let tree = tree.clone();
            thread::spawn(move || tree.subscribe(1))
        };
        other.join().unwrap();
        assert!(tree.generations.holds(&cached.stamp), "another part's change is no reason to match again");
    });
}
