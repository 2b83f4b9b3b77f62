//! A publisher at full speed, ten subscribers that read, and one that reads nothing: what the ten feel of it.
//!
//! The one connects again as soon as it was cut off, so that there is always one. The publisher keeps at most 4 MiB of
//! deliveries to the ten on the way. Each message carries its number and when it was sent; the ten must get all.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::stage::{Meter, Stage, with_output};
use super::{Measure, Scale};
use crate::contender::Running;
use crate::flow::{Flow, settle};
use crate::histogram::Histogram;
use crate::inbox::Inbox;
use crate::link::{Dialer, Link, Received};
use crate::monitor::Monitor;
use crate::process::peak_rss_kib;
use crate::security::{Own, Security};
use crate::stamp::{self, Order};
use crate::traffic::joined;
use crate::wire::Frame;

pub(super) const SCALE: Scale =
    Scale { name: "slow_subscriber", title: "1:10 at full speed, 128 B, and one subscriber that reads nothing", run };

const SUBJECT: &str = "bench.slow";
const HEALTHY: usize = 10;
/// Threads that read the healthy ones.
const READERS: usize = 2;
const PAYLOAD: usize = 128;
/// Messages of one write.
const BATCH: u64 = 256;
/// A flow's window is of 16 MiB: with frames said to be four times as long it is of 4 MiB.
const WINDOW_DIVISOR: usize = 4;
/// What a reader waits when nothing came.
const PAUSE: Duration = Duration::from_micros(100);
/// How often the slow one looks whether it was cut off.
const LOOK: Duration = Duration::from_millis(20);
/// Nobody is kept as a slow consumer for longer than this: the deadline for writes is 10 s.
const CUT_MAX: Duration = Duration::from_secs(15);
/// Without the slow one, with it, and neither.
const WITHOUT: usize = 0;
const WITH: usize = 1;
const NEITHER: usize = 2;

/// What the threads share.
struct Shared {
    flow: Flow,
    phase: AtomicUsize,
    start: Instant,
    written: AtomicBool,
    read: AtomicBool,
    cut: AtomicU64,
}

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let monitor = Monitor::reserve()?;
    let security = Security::Own(Own { lines: monitor.line(), tls: None, users: Vec::new() });
    let mut server = stage.start(&security)?;
    let measured = measure(stage, &server, &security.dialer(server.address(), 0), monitor);
    with_output(&mut server, measured)
}

fn measure(stage: &Stage<'_>, server: &Running, dialer: &Dialer, monitor: Monitor) -> Result<Vec<Measure>> {
    let subscribe = format!("SUB {SUBJECT} 1\r\n");
    let healthy = (0..HEALTHY).map(|_| dialer.connect(&subscribe)).collect::<Result<Vec<_>>>()?;
    let publisher = dialer.connect("")?;
    let shared = Shared {
        flow: Flow::new(frame().len() * WINDOW_DIVISOR, HEALTHY as u64),
        phase: AtomicUsize::new(NEITHER),
        start: Instant::now(),
        written: AtomicBool::new(false),
        read: AtomicBool::new(false),
        cut: AtomicU64::new(0),
    };
    let mut groups: Vec<Vec<Link>> = (0..READERS).map(|_| Vec::new()).collect();
    for (index, link) in healthy.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(index % READERS) {
            group.push(link);
        }
    }
    let (mut rows, latencies) = thread::scope(|scope| {
        let shared = &shared;
        let reading: Vec<_> = groups.into_iter().map(|group| scope.spawn(move || read(group, shared))).collect();
        let writing = scope.spawn(|| write(publisher, shared));
        let rows = windows(stage, server, dialer, &subscribe, shared);
        shared.written.store(true, Relaxed);
        let written = joined(writing);
        let settled = if written.is_ok() { settle(&[&shared.flow]) } else { Ok(()) };
        shared.read.store(true, Relaxed);
        let latencies = reading.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
        written?;
        settled?;
        anyhow::Ok((rows?, latencies))
    })?;
    shared.flow.verify()?;
    let consumers = monitor.varz("slow_consumers")?;
    if consumers == 0 {
        bail!("the server counts no slow consumer");
    }
    // The worst of the readers' threads.
    let worst = |phase: usize, share: f64| {
        let each = latencies.iter().filter_map(|phases| Some(phases.get(phase)?.percentile_us(share)));
        each.fold(0.0, f64::max) / 1e3
    };
    rows.extend([
        Measure::less("latency to the ten without it, p50, ms", worst(WITHOUT, 0.5)),
        Measure::less("latency to the ten with it, p50, ms", worst(WITH, 0.5)),
        Measure::less("latency to the ten without it, p99, ms", worst(WITHOUT, 0.99)),
        Measure::less("latency to the ten with it, p99, ms", worst(WITH, 0.99)),
        Measure::done("slow consumers that the server counts", consumers as f64),
    ]);
    Ok(rows)
}

/// Without the slow one, then with it.
fn windows(
    stage: &Stage<'_>,
    server: &Running,
    dialer: &Dialer,
    subscribe: &str,
    shared: &Shared,
) -> Result<Vec<Measure>> {
    thread::sleep(stage.seconds(1));
    let window = |phase: usize, length: Duration| -> Result<(f64, f64)> {
        let (meter, before) = (Meter::start(server)?, shared.flow.delivered());
        shared.phase.store(phase, Relaxed);
        thread::sleep(length);
        shared.phase.store(NEITHER, Relaxed);
        let delivered = (shared.flow.delivered() - before) as f64;
        if delivered < 1.0 {
            bail!("nothing was delivered");
        }
        Ok((delivered / meter.seconds(), meter.cpu()? / delivered * 1e6))
    };
    let (rate, cpu) = window(WITHOUT, stage.seconds(5))?;
    let memory = peak_rss_kib(server.pid())? / 1024.0;
    let over = AtomicBool::new(false);
    let (with, first) = thread::scope(|scope| {
        let slow = scope.spawn(|| be_slow(dialer, subscribe, shared, &over));
        let with = window(WITH, stage.seconds(5));
        // In a smoke run the first one may not be cut off yet.
        while shared.cut.load(Relaxed) == 0 && !slow.is_finished() {
            thread::sleep(LOOK);
        }
        over.store(true, Relaxed);
        (with, joined(slow))
    });
    let ((rate_with, cpu_with), first) = (with?, first?);
    Ok(vec![
        Measure::more("deliveries per second to the ten without it", rate),
        Measure::more("deliveries per second to the ten with it", rate_with),
        Measure::less("server CPU per delivery to the ten without it, µs", cpu),
        Measure::less("server CPU per delivery to the ten with it, µs", cpu_with),
        Measure::less("peak memory without it, MiB", memory),
        Measure::less("peak memory with it, MiB", peak_rss_kib(server.pid())? / 1024.0),
        Measure::done("cut off after, first time, ms", first.as_secs_f64() * 1e3),
        Measure::done("times cut off in 5 s", shared.cut.load(Relaxed) as f64),
    ])
}

/// Subscribes and reads nothing, again and again; how long the server kept it the first time.
fn be_slow(dialer: &Dialer, subscribe: &str, shared: &Shared, over: &AtomicBool) -> Result<Duration> {
    let mut first = None;
    while !over.load(Relaxed) {
        // The PONG of its greeting may stand behind messages already: it does not wait for it.
        let mut link = dialer.connect(subscribe)?;
        let start = Instant::now();
        // Writing is how it learns that the connection is gone: reading would make it a healthy one.
        while link.send(b"PING\r\n").is_ok() {
            if start.elapsed() > CUT_MAX {
                bail!("a subscriber that reads nothing was kept for {} s", CUT_MAX.as_secs());
            }
            if over.load(Relaxed) {
                return Ok(first.unwrap_or_else(|| start.elapsed()));
            }
            thread::sleep(LOOK);
        }
        first.get_or_insert_with(|| start.elapsed());
        shared.cut.fetch_add(1, Relaxed);
    }
    Ok(first.unwrap_or_default())
}

/// One message as it is published: its payload is the last bytes before the line end.
fn frame() -> Vec<u8> {
    let mut frame = format!("PUB {SUBJECT} {PAYLOAD}\r\n").into_bytes();
    frame.resize(frame.len() + PAYLOAD, b'x');
    frame.extend_from_slice(b"\r\n");
    frame
}

fn write(mut link: Link, shared: &Shared) -> Result<()> {
    let frame = frame();
    let payload_at = frame.len() - PAYLOAD - 2;
    let mut bytes = frame.repeat(usize::try_from(BATCH)?);
    let mut next = 1;
    while shared.flow.wait_for_room(|| shared.written.load(Relaxed))? {
        let nanos = u64::try_from(shared.start.elapsed().as_nanos())?;
        let mut sum = 0u64;
        for (number, message) in (next..).zip(bytes.chunks_exact_mut(frame.len())) {
            stamp::write(number, message.get_mut(payload_at..).unwrap_or_default());
            stamp::write(nanos, message.get_mut(payload_at + stamp::LENGTH..).unwrap_or_default());
            sum = sum.wrapping_add(number);
        }
        // Counted before it is sent: receivers must never be ahead of what they are checked against.
        shared.flow.add_published(BATCH, sum);
        link.send(&bytes)?;
        next += BATCH;
    }
    link.fence()
}

/// Reads several connections in turn; the latencies of each phase.
fn read(mut links: Vec<Link>, shared: &Shared) -> Result<[Histogram; 2]> {
    let mut latencies = [Histogram::default(), Histogram::default()];
    let mut readers: Vec<(Inbox, Order)> = Vec::new();
    for link in &mut links {
        link.never_wait()?;
        let mut inbox = Inbox::new();
        inbox.load(&link.take_pending());
        readers.push((inbox, Order::new()));
    }
    while !shared.read.load(Relaxed) {
        let mut idle = true;
        for (link, (inbox, order)) in links.iter_mut().zip(&mut readers) {
            match inbox.fill(link)? {
                Received::Bytes(_) => idle = false,
                Received::Closed => bail!("the server closed the connection of a subscriber that reads"),
                Received::Nothing => continue,
            }
            take(link, inbox, order, shared, &mut latencies)?;
        }
        if idle {
            thread::sleep(PAUSE);
        }
    }
    Ok(latencies)
}

/// Checks and counts what one read brought.
fn take(
    link: &mut Link,
    inbox: &mut Inbox,
    order: &mut Order,
    shared: &Shared,
    latencies: &mut [Histogram; 2],
) -> Result<()> {
    let now = shared.start.elapsed();
    let mut here = latencies.get_mut(shared.phase.load(Relaxed));
    let (mut count, mut sum, mut pings) = (0, 0u64, 0);
    inbox.frames(|frame| {
        match frame {
            Frame::Message(message) => {
                let number = stamp::read(message.payload).filter(|number| order.advances(*number));
                let Some(number) = number.filter(|_| message.payload.len() == PAYLOAD) else {
                    bail!("a message came twice, late or changed");
                };
                if let Some(sent) = message.payload.get(stamp::LENGTH..).and_then(stamp::read)
                    && let Some(here) = &mut here
                {
                    here.record(now.saturating_sub(Duration::from_nanos(sent)));
                }
                count += 1;
                sum = sum.wrapping_add(number);
            }
            Frame::Ping => pings += 1,
            Frame::Error(text) => bail!("a subscriber was told: {}", String::from_utf8_lossy(text)),
            Frame::Pong | Frame::Info(_) | Frame::Ok => {}
        }
        Ok(())
    })?;
    shared.flow.add_delivered(count, sum);
    for _ in 0..pings {
        link.send(b"PONG\r\n")?;
    }
    Ok(())
}
