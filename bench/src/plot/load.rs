//! What only the sweeps measure: a server with so many idle connections, or accounts.

use std::thread;
use std::time::Instant;

use anyhow::Result;

use crate::figure::{Figure, Metric};
use crate::process::rss_kib;
use crate::run::Run;
use crate::scenario::connect_many;
use crate::traffic::joined;

/// Threads that let users in, one after another each.
const THREADS: usize = 4;
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

/// `count` connections: how fast they are let in, and the memory with them.
///
/// # Errors
///
/// When one is refused.
pub(super) fn connections(run: &Run<'_>, count: usize) -> Result<Vec<Figure>> {
    let mark = run.mark(0)?;
    let links = connect_many(run, count)?;
    let figures = run.since(&mark, links.len() as u64)?;
    thread::sleep(run.pace.warm_up * SETTLE);
    with_memory(run, figures)
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
    thread::scope(|scope| {
        let visits: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mut tenants = (thread..count).step_by(THREADS);
                scope.spawn(move || tenants.try_for_each(|tenant| run.dialer(tenant).connect_idle("").map(drop)))
            })
            .collect();
        visits.into_iter().try_for_each(joined)
    })?;
    let seconds = (run.server.started_in() + begun.elapsed()).as_secs_f64();
    let mut figures = run.since(&mark, count as u64)?;
    figures.push(Figure::new(Metric::LoadSeconds, seconds));
    thread::sleep(run.pace.warm_up * SETTLE);
    with_memory(run, figures)
}
