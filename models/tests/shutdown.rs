//! A broker that stops forgets nobody: each connection is refused, or is told to end.

use std::sync::Arc;

use cordon_models::gate::{Entry, Gate};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

#[test]
fn whoever_comes_while_the_broker_stops_is_refused_or_closed() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let arriving: Vec<_> = (0..2)
            .map(|id| {
                let gate = gate.clone();
                let closed = Arc::new(AtomicBool::new(false));
                (closed.clone(), thread::spawn(move || gate.enter(id, closed, 2)))
            })
            .collect();
        for closed in gate.shut() {
            closed.store(true, Ordering::Release);
        }
        for (closed, task) in arriving {
            match task.join().unwrap() {
                Entry::Admitted => assert!(closed.load(Ordering::Acquire), "inside, and not told to end"),
                Entry::Shut => assert!(!closed.load(Ordering::Acquire)),
                Entry::Full => panic!("there was room for both"),
            }
        }
    });
}

#[test]
fn there_are_never_more_inside_than_may_be() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let arriving: Vec<_> = (0..2)
            .map(|id| {
                let gate = gate.clone();
                thread::spawn(move || {
                    let entry = gate.enter(id, (), 1);
                    assert!(gate.len() <= 1);
                    if entry == Entry::Admitted {
                        gate.leave(id);
                    }
                })
            })
            .collect();
        for task in arriving {
            task.join().unwrap();
        }
        assert!(gate.is_empty());
    });
}
