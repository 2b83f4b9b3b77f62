//! Twenty thousand TLS connections that say nothing: memory and CPU, and what a tenant beside them feels.
//!
//! Where the limit of open files is lower, as many as it allows.

use std::net::Ipv4Addr;
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::stage::{Meter, Stage, with_output};
use super::{Measure, Scale};
use crate::contender::Running;
use crate::link::{Dialer, Link};
use crate::process::file_limit;
use crate::security::{Own, Security};
use crate::tls::Certificate;
use crate::traffic::joined;
use crate::witness::{Phases, beside};

pub(super) const SCALE: Scale = Scale {
    name: "idle_tls_20k",
    title: "20,000 idle TLS connections (fewer where the system allows fewer files)",
    run,
};

const CONNECTIONS: usize = 20_000;
/// Files that server and generator need for other things.
const OTHER_FILES: usize = 300;
/// Threads that connect at the same time.
const THREADS: usize = 8;
/// Loopback addresses that the connections come from.
const SOURCES: usize = 8;
/// Without the connections, and with them.
const ALONE: usize = 0;
const BESIDE: usize = 1;

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let tls = Certificate::create(stage.folder())?;
    let security = Security::Own(Own { lines: String::new(), tls: Some(tls), users: Vec::new() });
    let mut server = stage.start(&security)?;
    let dialer = security.dialer(server.address(), 0);
    let measured = beside(&dialer, |phases| measure(stage, &server, &dialer, phases));
    let (mut rows, testimony) = with_output(&mut server, measured)?;
    rows.extend([
        Measure::less("request-reply at 1,000/s alone, p99, µs", testimony.percentile_us(ALONE, 0.99)),
        Measure::less("request-reply at 1,000/s beside them, p99, µs", testimony.percentile_us(BESIDE, 0.99)),
    ]);
    Ok(rows)
}

fn measure(stage: &Stage<'_>, server: &Running, dialer: &Dialer, phases: &Phases) -> Result<Vec<Measure>> {
    phases.enter(ALONE, stage.seconds(5))?;
    phases.leave();
    let count = stage.size(CONNECTIONS.min(file_limit().saturating_sub(OTHER_FILES)), 200);
    let alone = Meter::start(server)?;
    // What the tenant itself costs is the same before and after.
    phases.enter(crate::witness::PHASES, stage.seconds(2))?;
    let tenant_cpu = alone.cpu()? / alone.seconds();

    let meter = Meter::start(server)?;
    let mut links = connect(dialer, count)?;
    let (seconds, cpu) = (meter.seconds(), meter.cpu()? - tenant_cpu * meter.seconds());
    // What a server does shortly after a connect (a first PING, say) passes before idleness is measured.
    phases.enter(crate::witness::PHASES, stage.seconds(4))?;
    let memory = meter.memory()?;
    let idle = Meter::start(server)?;
    phases.enter(BESIDE, stage.seconds(5))?;
    phases.leave();
    let idle_cpu = idle.cpu()? / idle.seconds() - tenant_cpu;
    for link in &mut links {
        link.fence().context("an idle connection was lost")?;
    }
    if links.len() != count {
        bail!("{count} connections were asked for and {} are open", links.len());
    }
    Ok(vec![
        Measure::done("connections", count as f64),
        Measure::more("connects per second", count as f64 / seconds),
        Measure::less("server CPU per connect, µs", cpu / count as f64 * 1e6),
        Measure::less("memory per connection, KiB", memory / count as f64 / 1024.0),
        Measure::less("CPU of all while idle, % of a core", (idle_cpu * 100.0).max(0.0)),
    ])
}

/// Opens `count` connections from several threads and addresses.
fn connect(dialer: &Dialer, count: usize) -> Result<Vec<Link>> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let numbers = (thread..count).step_by(THREADS);
                scope.spawn(move || {
                    let one = |number: usize| {
                        let last = u8::try_from(2 + number % SOURCES)?;
                        dialer.connect_from(Ipv4Addr::new(127, 0, 0, last), &format!("SUB bench.idle.{number} 1\r\n"))
                    };
                    numbers.map(one).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let parts = threads.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
        Ok(parts.into_iter().flatten().collect())
    })
}
