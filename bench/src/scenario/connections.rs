//! Thousands of connections with one subscription each: how fast they are let in, what each costs to let
//! in, what each costs in memory once idle, and what all of them cost in CPU while idle.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Scenario;
use crate::figure::{Figure, Metric};
use crate::link::Link;
use crate::process::{cpu_seconds, rss_kib};
use crate::run::Run;
use crate::security::Entry;
use crate::traffic::joined;

/// Threads that connect at the same time, each one connection after another.
const THREADS: usize = 4;
/// Accounts that the JWT connections spread over.
const TENANTS: usize = 20;
/// Connections before the measured ones, so that what a server sets up once is not charged to them.
const FIRST: usize = 16;

pub(super) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "connections_5000",
        title: "5,000 connections, connects",
        entry: Entry::Plain,
        limit: true,
        measure: |run| measure(run, 5_000),
    },
    Scenario {
        name: "connections_tls_2000",
        title: "2,000 TLS connections, connects",
        entry: Entry::Tls,
        limit: true,
        measure: |run| measure(run, 2_000),
    },
    Scenario {
        name: "connections_jwt_2000",
        title: "2,000 JWT connections, connects",
        entry: Entry::Tenants(TENANTS),
        limit: false,
        measure: |run| measure(run, 2_000),
    },
];

fn measure(run: &Run<'_>, full: usize) -> Result<Vec<Figure>> {
    let count = full / run.pace.connections_divisor;
    let first = connect(run, FIRST)?;
    thread::sleep(run.pace.warm_up);
    let memory_before = rss_kib(run.server.pid())?;
    let mark = run.mark(0)?;
    let mut links = connect(run, count)?;
    let mut figures = run.since(&mark, links.len() as u64)?;

    // Let what a server does shortly after a connect (a first PING, say) pass before idleness is measured.
    thread::sleep((run.pace.warm_up * 6).max(Duration::from_millis(500)));
    let memory = rss_kib(run.server.pid())? - memory_before;
    let idle_from = cpu_seconds(run.server.pid())?;
    thread::sleep(run.pace.window);
    let idle_cpu = (cpu_seconds(run.server.pid())? - idle_from) / run.pace.window.as_secs_f64();
    figures.push(Figure::new(Metric::ConnectionKib, memory / links.len() as f64));
    figures.push(Figure::new(Metric::IdleCpuPercent, idle_cpu * 100.0));

    // Every connection must still be there; a forwarder cannot say.
    if !run.via().is_forwarder() {
        for link in &mut links {
            link.fence().context("an idle connection was lost")?;
        }
    }
    drop(first);
    Ok(figures)
}

/// Opens `count` connections from several threads.
///
/// # Errors
///
/// When one is refused.
pub(crate) fn connect(run: &Run<'_>, count: usize) -> Result<Vec<Link>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let numbers = (thread..count).step_by(THREADS);
                scope.spawn(move || {
                    numbers
                        .map(|number| {
                            run.dialer(number % TENANTS).connect_idle(&format!("SUB bench.idle.{number} 1\r\n"))
                        })
                        .collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let parts = threads.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
        Ok(parts.into_iter().flatten().collect())
    })
}
