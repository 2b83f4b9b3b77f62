//! Five thousand JWT users over TLS, all cut off at once because the server is killed and started again: how long until
//! every one of them is served.
//!
//! Each client has a thread of its own, as if it were a process. One that fails waits a quarter to one and a quarter of a
//! second, at random, before it tries again, as client libraries do.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::stage::{Stage, with_output};
use super::{Measure, Scale};
use crate::contender::Running;
use crate::histogram::Histogram;
use crate::link::{Dialer, Link, Received};
use crate::process::{cpu_seconds, peak_rss_kib};
use crate::realm::Realm;
use crate::security::{Own, Security};
use crate::tls::Certificate;

pub(super) const SCALE: Scale =
    Scale { name: "reconnect_storm", title: "5,000 JWT users over TLS reconnect at once after a restart", run };

const CLIENTS: usize = 5_000;
const ACCOUNTS: usize = 100;
/// Virtual; what is not used is not there.
const STACK_BYTES: usize = 256 * 1024;
/// Threads that make the first connections.
const FIRST_THREADS: usize = 8;
/// Loopback addresses that clients come from.
const SOURCES: usize = 8;
/// Nobody takes longer to serve all again.
const STORM_MAX: Duration = Duration::from_mins(2);

/// One client that was served again.
struct Served {
    /// Stays open until all are served.
    _link: Link,
    /// Since the server was killed.
    after: Duration,
    /// From the socket to the PONG of the attempt that succeeded.
    attempt: Duration,
}

/// What all clients share.
#[derive(Default)]
struct Storm {
    killed: OnceLock<Instant>,
    failures: AtomicU64,
    over: AtomicBool,
}

impl Storm {
    /// Time since the server was killed.
    fn elapsed(&self) -> Duration {
        self.killed.get().map_or(Duration::ZERO, Instant::elapsed)
    }
}

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let count = stage.size(CLIENTS, 100);
    let realm = Realm::create(ACCOUNTS, stage.folder())?;
    let users = (0..count).map(|number| realm.user(number)).collect::<Result<Vec<_>>>()?;
    let tls = Certificate::create(stage.folder())?;
    let security = Security::Own(Own { lines: realm.preloaded(), tls: Some(tls), users });
    let mut server = stage.start(&security)?;
    let measured = measure(&mut server, &security, count);
    with_output(&mut server, measured)
}

fn measure(server: &mut Running, security: &Security, count: usize) -> Result<Vec<Measure>> {
    let address = server.address();
    let dialers: Vec<Dialer> = (0..count).map(|number| security.dialer(address, number)).collect();
    let links = connect_all(&dialers)?;
    let storm = Arc::new(Storm::default());
    let mut threads = Vec::with_capacity(count);
    for (number, (dialer, link)) in dialers.into_iter().zip(links).enumerate() {
        let storm = Arc::clone(&storm);
        let client = move || live(&dialer, link, number, &storm);
        threads.push(thread::Builder::new().stack_size(STACK_BYTES).spawn(client)?);
    }
    // Nothing else sets it.
    let _first = storm.killed.set(Instant::now());
    server.restart(security)?;
    let mut served = Vec::with_capacity(count);
    let mut first_error = None;
    for thread in threads {
        match thread.join().map_err(|_| anyhow!("a client panicked"))? {
            Ok(client) => served.push(client),
            Err(error) => {
                storm.over.store(true, Relaxed);
                first_error.get_or_insert(error);
            }
        }
    }
    let whole = storm.elapsed();
    if let Some(error) = first_error {
        return Err(error.context(format!("{} of {count} clients were served again", served.len())));
    }
    rows(server, &mut served, whole, storm.failures.load(Relaxed))
}

fn rows(server: &Running, served: &mut [Served], whole: Duration, failures: u64) -> Result<Vec<Measure>> {
    served.sort_by_key(|client| client.after);
    let mut attempts = Histogram::default();
    for client in served.iter() {
        attempts.record(client.attempt);
    }
    let after = |share: usize| {
        let index = (served.len() * share / 100).min(served.len().saturating_sub(1));
        served.get(index).map_or(0.0, |client| client.after.as_secs_f64())
    };
    let cpu = cpu_seconds(server.pid())?;
    Ok(vec![
        Measure::less("the first is served again after, s", after(0)),
        Measure::less("half of them, s", after(50)),
        Measure::less("99 %, s", after(99)),
        Measure::less("all, s", whole.as_secs_f64()),
        Measure::less("a client's successful connect, p50, ms", attempts.percentile_us(0.5) / 1e3),
        Measure::less("the same, p99, ms", attempts.percentile_us(0.99) / 1e3),
        Measure::less("attempts that failed, with those while no server ran", failures as f64),
        // Of the new process: its start is in it.
        Measure::less("server CPU per client, µs", cpu / served.len().max(1) as f64 * 1e6),
        Measure::less("peak memory, MiB", peak_rss_kib(server.pid())? / 1024.0),
    ])
}

/// The first connections, by a few threads.
fn connect_all(dialers: &[Dialer]) -> Result<Vec<Link>> {
    thread::scope(|scope| {
        let part = dialers.len().div_ceil(FIRST_THREADS).max(1);
        let threads: Vec<_> = dialers
            .chunks(part)
            .enumerate()
            .map(|(index, part_of)| {
                scope.spawn(move || {
                    let connect = |(number, dialer)| connect(dialer, index * part + number);
                    part_of.iter().enumerate().map(connect).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        let parts = threads.into_iter().map(crate::traffic::joined).collect::<Result<Vec<_>>>()?;
        Ok(parts.into_iter().flatten().collect())
    })
}

fn connect(dialer: &Dialer, number: usize) -> Result<Link> {
    let last = u8::try_from(2 + number % SOURCES)?;
    dialer.connect_from(Ipv4Addr::new(127, 0, 0, last), &format!("SUB bench.storm.{number} 1\r\n"))
}

/// Waits until the connection is cut, then connects until it is served.
fn live(dialer: &Dialer, mut link: Link, number: usize, storm: &Storm) -> Result<Served> {
    let mut space = [0; 512];
    loop {
        match link.receive(&mut space) {
            Ok(Received::Bytes(_)) => {}
            Ok(Received::Nothing) if storm.elapsed() < STORM_MAX => {}
            Ok(Received::Nothing) => bail!("client {number} was never cut off"),
            Ok(Received::Closed) | Err(_) => break,
        }
    }
    drop(link);
    let mut random = StdRng::seed_from_u64(number as u64);
    loop {
        let start = Instant::now();
        match connect(dialer, number) {
            Ok(link) => {
                return Ok(Served { _link: link, after: storm.elapsed(), attempt: start.elapsed() });
            }
            Err(error) if storm.elapsed() > STORM_MAX || storm.over.load(Relaxed) => {
                return Err(error).context(format!("client {number} was never served again"));
            }
            Err(_) => {
                storm.failures.fetch_add(1, Relaxed);
                thread::sleep(Duration::from_millis(random.gen_range(250..1_250)));
            }
        }
    }
}
