//! One publisher, nobody subscribed: the cost of taking a message in. Counted by PONGs, each of which says
//! that the server has handled everything before its PING.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::Result;

use super::Scenario;
use crate::figure::Figure;
use crate::link::Link;
use crate::run::Run;
use crate::security::Entry;
use crate::shape::{Batch, Shape};
use crate::traffic::joined;
use crate::via::Via;

/// Batches that may be unanswered: enough to keep the server busy, few enough to stop soon.
const UNANSWERED_MAX: u64 = 16;

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "publish_only_128",
    title: "publish without interest, 128 B",
    entry: Entry::Plain,
    limit: true,
    measure,
}];

fn measure(run: &Run<'_>) -> Result<Vec<Figure>> {
    let link = run.dialer(0).connect(&run.via().publish("nobody"))?;
    let batch = Shape::plain("bench.nobody", 128).batch(usize::MAX);
    let over = AtomicBool::new(false);
    let handled = AtomicU64::new(0);
    thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let end = match run.via() {
                Via::Forwarder => send_only(link, batch, &handled, &over),
                Via::Server => publish(link, batch, &handled, &over),
            };
            over.store(true, Relaxed);
            end
        });
        let figures = run.window(|| handled.load(Relaxed), || over.load(Relaxed));
        over.store(true, Relaxed);
        joined(publishing)?;
        figures
    })
}

fn publish(mut link: Link, mut batch: Batch, handled: &AtomicU64, over: &AtomicBool) -> Result<()> {
    let count = batch.count();
    let (mut next, mut unanswered) = (1, 0);
    while unanswered > 0 || !over.load(Relaxed) {
        if !over.load(Relaxed) {
            let (bytes, _) = batch.stamped(0, next);
            link.send(bytes)?;
            link.send(b"PING\r\n")?;
            next += count;
            unanswered += 1;
        }
        if unanswered == UNANSWERED_MAX || over.load(Relaxed) {
            link.await_pong()?;
            handled.fetch_add(count, Relaxed);
            unanswered -= 1;
        }
    }
    Ok(())
}

/// What a forwarder reads and drops is counted when it is sent: all but what the socket holds has been read.
fn send_only(mut link: Link, mut batch: Batch, handled: &AtomicU64, over: &AtomicBool) -> Result<()> {
    let mut next = 1;
    while !over.load(Relaxed) {
        link.send(batch.stamped(0, next).0)?;
        next += batch.count();
        handled.fetch_add(batch.count(), Relaxed);
    }
    Ok(())
}
