//! Request and reply, 128 B each way, in a closed loop: 1 and 16 in flight. A request is two messages in
//! and two out.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use anyhow::Result;

use super::Scenario;
use crate::exchange::{Progress, Requester, connect_responder, respond};
use crate::figure::Figure;
use crate::run::{Run, percentiles};
use crate::security::Entry;
use crate::traffic::joined;

pub(super) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "request_reply_1",
        title: "request-reply, 1 in flight, requests",
        entry: Entry::Plain,
        limit: true,
        measure: |run| exchange(run, 1, Between::default()),
    },
    Scenario {
        name: "request_reply_16",
        title: "request-reply, 16 in flight, requests",
        entry: Entry::Plain,
        limit: true,
        measure: |run| exchange(run, 16, Between::default()),
    },
];

/// Whose client asks and whose answers; the same tenant's unless it is said.
#[derive(Clone, Copy, Default)]
pub(super) struct Between {
    /// The asking tenant.
    pub(super) requester: usize,
    /// The answering tenant.
    pub(super) responder: usize,
}

/// Keeps `in_flight` requests on the way and measures replies.
///
/// # Errors
///
/// When a reply is missing, late in order, or not the request's.
pub(super) fn exchange(run: &Run<'_>, in_flight: usize, between: Between) -> Result<Vec<Figure>> {
    let via = run.via();
    let responder = connect_responder(&run.dialer(between.responder), via)?;
    let requester = Requester::connect(&run.dialer(between.requester), via)?;
    let progress = Progress::default();
    let answered = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let end = requester.run_closed(in_flight, &progress);
            progress.over.store(true, Relaxed);
            end
        });
        let answering = scope.spawn(|| {
            let end = respond(responder, via, &answered);
            progress.over.store(true, Relaxed);
            end
        });
        let figures = run.window(
            || {
                progress.measuring.store(true, Relaxed);
                progress.answered.load(Relaxed)
            },
            || progress.over.load(Relaxed),
        );
        progress.measuring.store(false, Relaxed);
        progress.over.store(true, Relaxed);
        let latencies = joined(asking);
        answered.store(true, Relaxed);
        joined(answering)?;
        let latencies = latencies?;
        let mut figures = figures?;
        figures.extend(percentiles(&latencies));
        Ok(figures)
    })
}
