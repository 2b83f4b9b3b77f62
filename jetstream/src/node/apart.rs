//! Work that takes its time, on threads of its own: snapshots, restores, what operators ask to be removed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use crate::account::Work;

/// Threads at one time.
const AT_ONCE: usize = 64;

/// Threads that each do one thing.
pub(super) struct Apart {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    running: usize,
    stopped: bool,
}

impl Apart {
    /// None runs.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), ended: Condvar::new() })
    }

    /// Does `work` on a thread inside `runtime`; false if too many run, or the node stops.
    pub(super) fn begin(self: &Arc<Self>, runtime: &Handle, work: Work) -> bool {
        let mut state = self.state.lock();
        if state.stopped || state.running >= AT_ONCE {
            return false;
        }
        let (this, runtime) = (self.clone(), runtime.clone());
        let run = move || {
            let _inside = runtime.enter();
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("work on a stream failed by a defect of the broker");
            }
            this.state.lock().running -= 1;
            this.ended.notify_all();
        };
        let began = std::thread::Builder::new().name("cordon-js-apart".to_owned()).spawn(run).is_ok();
        state.running += usize::from(began);
        began
    }

    /// Begins nothing more, and waits until what runs has ended. It looks by itself whether its account is still there.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        while state.running > 0 {
            self.ended.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_run_and_none_after_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let apart = Apart::new();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..AT_ONCE {
            let gate = gate.clone();
            let work = move || {
                let _told = gate.lock().recv();
            };
            assert!(apart.begin(runtime.handle(), Box::new(work)));
        }
        assert!(!apart.begin(runtime.handle(), Box::new(|| {})));
        drop(go);
        apart.stop();
        assert!(!apart.begin(runtime.handle(), Box::new(|| {})));
    }
}
