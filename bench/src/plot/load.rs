//! What only the sweeps measure: a server with so many idle connections, or accounts.

use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::figure::{Figure, Metric};
use crate::process::rss_kib;
use crate::run::Run;
use crate::scenario::connect_many;
use crate::traffic::joined;

/// Threads that connect, one connection after another each.
const THREADS: usize = 4;
/// Connects beside idle connections: enough to time, and few enough for the ports that a machine has.
pub(super) const VISITS: usize = 2_000;
/// What a server does shortly after something came is part of it; so many warm-ups are waited for that.
const SETTLE: u32 = 5;

/// `figures`, and the memory that the server has now.
///
/// # Errors
///
/// When the server has ended.
pub(super) fn with_memory(run: &Run<'_>, mut figures: Vec<Figure>) -> Result<Vec<Figure>> {
    figures.push(Figure::new(Metric::RssMib, rss_kib(run.server.pid())? / 1024.0));
    Ok(figures)
}

/// `count` idle connections: the memory with them, and how fast further ones are let in (and go again).
///
/// # Errors
///
/// When one is refused.
pub(super) fn connections(run: &Run<'_>, count: usize) -> Result<Vec<Figure>> {
    let links = connect_many(run, count)?;
    thread::sleep(run.pace.warm_up * SETTLE);
    let memory = with_memory(run, Vec::new())?;
    let mark = run.mark(0)?;
    visit(run, VISITS)?;
    let mut figures = run.since(&mark, VISITS as u64)?;
    figures.extend(memory);
    drop(links);
    Ok(figures)
}

/// `count` accounts in the resolver's preload: the time from the start of the process until one user of each was
/// let in (and went), and the memory then.
///
/// # Errors
///
/// When one is refused.
pub(super) fn accounts(run: &Run<'_>, count: usize) -> Result<Vec<Figure>> {
    let mark = run.mark(0)?;
    let begun = Instant::now();
    visit(run, count)?;
    let seconds = (run.server.started_in() + begun.elapsed()).as_secs_f64();
    let mut figures = run.since(&mark, count as u64)?;
    figures.push(Figure::new(Metric::LoadSeconds, seconds));
    thread::sleep(run.pace.warm_up * SETTLE);
    with_memory(run, figures)
}

/// Connects `count` times, as so many tenants in turn, and leaves at once.
fn visit(run: &Run<'_>, count: usize) -> Result<()> {
    thread::scope(|scope| {
        let visits: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mut tenants = (thread..count).step_by(THREADS);
                scope.spawn(move || tenants.try_for_each(|tenant| run.dialer(tenant).connect_idle("").map(drop)))
            })
            .collect();
        visits.into_iter().try_for_each(joined)
    })
}
