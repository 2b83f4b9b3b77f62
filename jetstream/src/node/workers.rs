//! Threads that work off streams and requests.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::fair::Fair;

/// A thread begins no further item of one lane when it has worked on it for as long: others wait, too.
const TURN: Duration = Duration::from_millis(1);

/// How many threads, and how they work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crew {
    /// What they are called.
    pub(super) name: &'static str,
    /// How many there are.
    pub(super) count: usize,
    /// Items of one lane that one of them takes at a time.
    pub(super) run: usize,
}

/// Threads that take items from one queue until it is closed and empty.
#[derive(Default)]
pub(super) struct Workers {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    /// Starts a crew that `work`s on what `queue` gives; all are inside `runtime`. `work` is told whether the item is the
    /// last before the thread looks elsewhere. An item whose work panics is handed to `broken`, and the thread goes on.
    ///
    /// # Errors
    ///
    /// When the operating system gives no more threads.
    pub(super) fn start<T, W, B>(
        &self,
        crew: Crew,
        queue: &Arc<Fair<T>>,
        runtime: &Handle,
        work: W,
        broken: B,
    ) -> std::io::Result<()>
    where
        T: Send + 'static,
        W: Fn(&T, bool) + Clone + Send + 'static,
        B: Fn(&T) + Clone + Send + 'static,
    {
        for number in 0..crew.count {
            let (queue, runtime, work, broken) = (queue.clone(), runtime.clone(), work.clone(), broken.clone());
            let run = move || {
                let _inside = runtime.enter();
                let mut items = VecDeque::new();
                while let Some(lane) = queue.pop_run(crew.run, &mut items) {
                    let until = if items.len() > 1 { Some(Instant::now() + TURN) } else { None };
                    while let Some(item) = items.pop_front() {
                        let is_last = items.is_empty() || until.is_some_and(|until| Instant::now() >= until);
                        if catch_unwind(AssertUnwindSafe(|| work(&item, is_last))).is_err() {
                            broken(&item);
                        }
                        if is_last {
                            break;
                        }
                    }
                    queue.done_with(lane, &mut items);
                }
            };
            self.threads.lock().push(std::thread::Builder::new().name(format!("{}-{number}", crew.name)).spawn(run)?);
        }
        Ok(())
    }

    /// One more thread.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub(super) fn start_one(&self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads.lock().push(std::thread::Builder::new().name(name.to_owned()).spawn(run)?);
        Ok(())
    }

    /// Waits until all have ended. Their queues must be closed.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // What panicked was told when it did.
            let _ended = thread.join();
        }
    }
}
