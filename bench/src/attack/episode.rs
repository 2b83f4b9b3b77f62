//! One attack on one fresh server: quiet, under attack, quiet again.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::assault::{Order, Tally};
use super::ground::Site;
use super::report::Row;
use super::{Attack, MIB};
use crate::contender::{Contender, Running};
use crate::histogram::Histogram;
use crate::link::Dialer;
use crate::process::{cpu_seconds, peak_rss_kib, rss_kib};
use crate::traffic::joined;
use crate::witness::{PHASES, Phases, beside};

/// The phases of the tenant's requests.
const BEFORE: usize = 0;
const DURING: usize = 1;
const AFTER: usize = 2;
/// How often the tenant opens a connection besides.
const CONNECT_EVERY: Duration = Duration::from_millis(100);

/// How long each part takes.
struct Lengths {
    quiet: Duration,
    attack: Duration,
    /// For what an attack leaves behind to go.
    rest: Duration,
}

/// What was seen of the server and of the attacker.
struct Seen {
    tally: Tally,
    seconds: f64,
    cpu: f64,
    growth: f64,
    connects: Connects,
}

/// New connections of the tenant during the attack.
struct Connects {
    latencies: Histogram,
    failed: u64,
}

/// Makes `attack` on `contender`.
///
/// # Errors
///
/// When the tenant loses a message or its connection, the server ends, or the attack could not be made.
pub(super) fn run(contender: &Contender, attack: &Attack, round: usize, smoke: bool) -> Result<Row> {
    let lengths = if smoke {
        Lengths {
            quiet: Duration::from_millis(300),
            attack: Duration::from_millis(700),
            rest: Duration::from_millis(100),
        }
    } else {
        Lengths { quiet: Duration::from_secs(4), attack: Duration::from_secs(5), rest: Duration::from_secs(3) }
    };
    let folder = tempfile::Builder::new().prefix("cordon-bench-").tempdir()?;
    let site = Site::create(attack.ground, folder.path())?;
    let mut server = contender.start(&site.security)?;
    let dialer = site.security.dialer(server.address(), 0);
    let seen = beside(&dialer, |phases| phased(&server, attack, &site, &dialer, phases, &lengths, folder.path()));
    server.check()?;
    let (seen, testimony) = seen.with_context(|| format!("the server printed:\n{}\nand then", server.output()))?;
    if seen.tally.attempts == 0 {
        bail!("the attacker made no attempt");
    }
    let percentile = |phase, share| testimony.percentile_us(phase, share);
    let quiet = |share| percentile(BEFORE, share).max(percentile(AFTER, share));
    Ok(Row {
        attack: attack.name,
        server: contender.name.clone(),
        round,
        attempts: seen.tally.attempts,
        attempts_per_second: seen.tally.attempts as f64 / seen.seconds,
        closed: seen.tally.closed,
        quiet_before_p99_us: percentile(BEFORE, 0.99),
        quiet_after_p99_us: percentile(AFTER, 0.99),
        quiet_p50_us: quiet(0.5),
        quiet_p99_us: quiet(0.99),
        attack_p50_us: percentile(DURING, 0.5),
        attack_p99_us: percentile(DURING, 0.99),
        ratio: percentile(DURING, 0.99) / quiet(0.99).max(1.0),
        growth_mib: seen.growth,
        bound_mib: (attack.bound / MIB) as f64,
        server_cores: seen.cpu / seen.seconds,
        attacker_cores: seen.tally.cpu_seconds / seen.seconds,
        connect_p50_ms: seen.connects.latencies.percentile_us(0.5) / 1e3,
        connect_worst_ms: seen.connects.latencies.percentile_us(1.0) / 1e3,
        connects_failed: seen.connects.failed,
        answered: testimony.answered,
    })
}

fn phased(
    server: &Running,
    attack: &Attack,
    site: &Site,
    dialer: &Dialer,
    phases: &Phases,
    lengths: &Lengths,
    folder: &Path,
) -> Result<Seen> {
    phases.enter(PHASES, lengths.rest / 2)?;
    phases.enter(BEFORE, lengths.quiet)?;
    phases.leave();

    let order = Order {
        kind: attack.kind,
        target: server.address(),
        per_second: attack.per_second,
        at_once: attack.at_once,
        addresses: attack.addresses,
        seconds: lengths.attack.as_secs_f64(),
        known: site.known.as_deref().map(super::assault::Known::of).transpose()?,
        certificate: site.certificate.clone(),
    };
    let memory = rss_kib(server.pid())?;
    let over = AtomicBool::new(false);
    let (tally, seconds, cpu, connects) = thread::scope(|scope| {
        let assault = scope.spawn(|| assault(&order, folder));
        let connecting = scope.spawn(|| Ok(keep_connecting(dialer, &over)));
        let (start, cpu) = (Instant::now(), cpu_seconds(server.pid()));
        let entered = phases.enter(DURING, lengths.attack);
        phases.leave();
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu.and_then(|cpu| Ok(cpu_seconds(server.pid())? - cpu)));
        over.store(true, Relaxed);
        let (tally, connects) = (joined(assault), joined(connecting));
        entered?;
        anyhow::Ok((tally?, seconds, cpu?, connects?))
    })?;
    let growth = (peak_rss_kib(server.pid())? - memory).max(0.0) / 1024.0;

    phases.enter(PHASES, lengths.rest)?;
    phases.enter(AFTER, lengths.quiet)?;
    phases.leave();
    Ok(Seen { tally, seconds, cpu, growth, connects })
}

/// Runs the attacker's process, with the lowest priority, until it has ended by itself.
fn assault(order: &Order, folder: &Path) -> Result<Tally> {
    let file = folder.join("order.json");
    fs::write(&file, serde_json::to_vec(order)?)?;
    let output = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .arg("assault")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .context("the attacker cannot be started")?;
    if !output.status.success() {
        bail!("the attacker failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("the attacker's report cannot be read")
}

/// Connects as the tenant again and again. That one fails is part of the picture, and no error.
fn keep_connecting(dialer: &Dialer, over: &AtomicBool) -> Connects {
    let mut connects = Connects { latencies: Histogram::default(), failed: 0 };
    while !over.load(Relaxed) {
        let start = Instant::now();
        match dialer.connect_idle("") {
            Ok(link) => {
                connects.latencies.record(start.elapsed());
                drop(link);
            }
            Err(_) => connects.failed += 1,
        }
        thread::sleep(CONNECT_EVERY);
    }
    connects
}
