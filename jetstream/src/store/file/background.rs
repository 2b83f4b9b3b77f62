//! One thread for the process that does what nobody waits for: syncs by interval, checkpoints, compaction.
//!
//! A store has at most two pieces of work here at a time, so what waits is bounded by the number of streams.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

type Work = Box<dyn FnOnce() + Send>;

type Timed = BTreeMap<(Instant, u64), Work>;

#[derive(Default)]
struct Waiting {
    /// How many there were, and those that wait by their time.
    work: Mutex<(u64, Timed)>,
    changed: Condvar,
}

static WAITING: OnceLock<Waiting> = OnceLock::new();

/// Does `work` once `after` has passed. At once, here, if there can be no thread.
pub(crate) fn later(after: Duration, work: Work) {
    static STARTED: OnceLock<bool> = OnceLock::new();
    let waiting = WAITING.get_or_init(Default::default);
    let started = STARTED.get_or_init(|| {
        let named = std::thread::Builder::new().name("stream-files".to_owned());
        named.spawn(move || WAITING.get().map(run)).is_ok()
    });
    if !started {
        return work();
    }
    let mut queue = waiting.work.lock();
    queue.0 += 1;
    let key = (Instant::now() + after, queue.0);
    queue.1.insert(key, work);
    waiting.changed.notify_one();
}

fn run(waiting: &Waiting) {
    loop {
        let mut queue = waiting.work.lock();
        let due = queue.1.first_key_value().map(|(key, _)| key.0);
        match due {
            None => waiting.changed.wait(&mut queue),
            Some(due) if due > Instant::now() => {
                waiting.changed.wait_until(&mut queue, due);
            }
            Some(_) => {
                let next = queue.1.pop_first();
                drop(queue);
                if let Some((_, work)) = next {
                    // One stream's trouble is no other's.
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    if done.is_err() {
                        tracing::error!("work on the files of a stream ended early");
                    }
                }
            }
        }
    }
}
