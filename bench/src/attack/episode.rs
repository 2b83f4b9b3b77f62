//! One attack on one fresh server: quiet, under attack, quiet again.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::apart::Apart;
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
const CONNECT_EVERY: Duration = Duration::from_millis(250);

/// How attacks are made.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// As briefly as possible.
    pub(crate) smoke: bool,
    /// On a second server, which nobody else uses: what the tenant feels then is the machine's and not the server's.
    pub(crate) aside: bool,
}

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
#[derive(Default)]
struct Connects {
    latencies: Histogram,
    failed: u64,
}

/// Makes `attack` on `contender`.
///
/// # Errors
///
/// When the tenant loses a message or its connection, the server ends, or the attack could not be made.
pub(super) fn run(contender: &Contender, attack: &Attack, round: usize, how: How) -> Result<Row> {
    let lengths = if how.smoke {
        Lengths {
            quiet: Duration::from_millis(300),
            attack: Duration::from_millis(700),
            rest: Duration::from_millis(100),
        }
    } else {
        Lengths { quiet: Duration::from_secs(6), attack: Duration::from_secs(15), rest: Duration::from_secs(3) }
    };
    let folder = tempfile::Builder::new().prefix("cordon-bench-").tempdir()?;
    let site = Site::create(attack.ground, folder.path())?;
    let mut server = contender.start(&site.security)?;
    let aside = how.aside.then(|| contender.start(&site.security)).transpose()?;
    let apart = Apart::from_the_attacker();
    let dialer = site.security.dialer(server.address(), 0);
    let scene = Scene {
        server: &server,
        target: aside.as_ref().unwrap_or(&server).address(),
        attack,
        site: &site,
        dialer: &dialer,
        lengths: &lengths,
        folder: folder.path(),
        processor: apart.attackers(),
    };
    let seen = beside(&dialer, |phases| phased(&scene, phases));
    drop((apart, aside));
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

/// What an episode is about.
struct Scene<'a> {
    server: &'a Running,
    /// Whom the attacker turns on.
    target: SocketAddr,
    attack: &'a Attack,
    site: &'a Site,
    dialer: &'a Dialer,
    lengths: &'a Lengths,
    folder: &'a Path,
    /// The attacker's own.
    processor: Option<usize>,
}

/// All phases, with the tenant opening connections beside its requests in each of them.
fn phased(scene: &Scene<'_>, phases: &Phases) -> Result<Seen> {
    let stage = AtomicUsize::new(BEFORE);
    thread::scope(|scope| {
        let connecting = scope.spawn(|| Ok(keep_connecting(scene.dialer, &stage)));
        let seen = through(scene, phases, &stage);
        stage.store(PHASES, Relaxed);
        let connects = joined(connecting)?;
        Ok(Seen { connects, ..seen? })
    })
}

fn through(scene: &Scene<'_>, phases: &Phases, stage: &AtomicUsize) -> Result<Seen> {
    let Scene { server, attack, site, lengths, .. } = scene;
    phases.enter(PHASES, lengths.rest / 2)?;
    phases.enter(BEFORE, lengths.quiet)?;
    phases.leave();

    let order = Order {
        kind: attack.kind,
        target: scene.target,
        per_second: attack.per_second,
        at_once: attack.at_once,
        addresses: attack.addresses,
        processor: scene.processor,
        seconds: lengths.attack.as_secs_f64(),
        known: site.known.as_deref().map(super::assault::Known::of).transpose()?,
        certificate: site.certificate.clone(),
    };
    let memory = rss_kib(server.pid())?;
    stage.store(DURING, Relaxed);
    let (tally, seconds, cpu) = thread::scope(|scope| {
        let assault = scope.spawn(|| assault(&order, scene.folder));
        let (start, cpu) = (Instant::now(), cpu_seconds(server.pid()));
        let entered = phases.enter(DURING, lengths.attack);
        phases.leave();
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu.and_then(|cpu| Ok(cpu_seconds(server.pid())? - cpu)));
        let tally = joined(assault);
        entered?;
        anyhow::Ok((tally?, seconds, cpu?))
    })?;
    stage.store(AFTER, Relaxed);
    let growth = (peak_rss_kib(server.pid())? - memory).max(0.0) / 1024.0;

    phases.enter(PHASES, lengths.rest)?;
    phases.enter(AFTER, lengths.quiet)?;
    phases.leave();
    Ok(Seen { tally, seconds, cpu, growth, connects: Connects::default() })
}

/// Runs the attacker's process until it has ended by itself. It has what processor time others leave and gives way to them
/// at once (`SCHED_IDLE`): with a low priority alone it would keep its turn of milliseconds while the server waits.
fn assault(order: &Order, folder: &Path) -> Result<Tally> {
    let file = folder.join("order.json");
    fs::write(&file, serde_json::to_vec(order)?)?;
    let output = Command::new("chrt")
        .args(["--idle", "0"])
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

/// Connects as the tenant again and again until the last stage is over; what is counted are those during the attack. That
/// one fails is part of the picture, and no error.
fn keep_connecting(dialer: &Dialer, stage: &AtomicUsize) -> Connects {
    let mut connects = Connects::default();
    loop {
        let now = stage.load(Relaxed);
        if now == PHASES {
            return connects;
        }
        let start = Instant::now();
        let link = dialer.connect_idle("");
        if now == DURING {
            match link {
                Ok(_) => connects.latencies.record(start.elapsed()),
                Err(_) => connects.failed += 1,
            }
        }
        thread::sleep(CONNECT_EVERY);
    }
}
