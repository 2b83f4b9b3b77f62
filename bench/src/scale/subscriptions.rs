//! A million subscriptions, every fifth with a wildcard: how fast they are taken, what each costs, what a message costs
//! that matches one of them, and how long it takes until none is left once their connections are gone.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::stage::{Meter, Stage, with_output};
use super::{Measure, Scale};
use crate::contender::Running;
use crate::figure::Metric;
use crate::flow::Flow;
use crate::link::Link;
use crate::monitor::Monitor;
use crate::publisher::Publisher;
use crate::receiver::Receiver;
use crate::security::{Own, Security};
use crate::shape::{Batch, Shape};
use crate::traffic;

pub(super) const SCALE: Scale =
    Scale { name: "subscriptions_1m", title: "1,000,000 subscriptions of ten connections", run };

const SUBSCRIPTIONS: usize = 1_000_000;
const CONNECTIONS: usize = 10;
/// Subscriptions that one connection sends between two fences.
const CHUNK: usize = 10_000;
/// Different subjects that are published to.
const SUBJECTS: usize = 200_000;
const PAYLOAD: usize = 128;
/// Subjects come in the same random order in every run.
const ORDER: u64 = 7;
/// Nobody takes longer than this to forget subscriptions.
const FORGET_MAX: Duration = Duration::from_mins(1);

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let monitor = Monitor::reserve()?;
    let security = Security::Own(Own { lines: monitor.line(), tls: None, users: Vec::new() });
    let mut server = stage.start(&security)?;
    let measured = measure(stage, &server, &security, monitor);
    with_output(&mut server, measured)
}

fn measure(stage: &Stage<'_>, server: &Running, security: &Security, monitor: Monitor) -> Result<Vec<Measure>> {
    let count = stage.size(SUBSCRIPTIONS, 20_000);
    let run = stage.run(server, security);
    let own = monitor.varz("subscriptions")?;
    let dial = || (0..CONNECTIONS).map(|_| run.dialer(0).connect("")).collect::<Result<Vec<Link>>>();

    let mut links = dial()?;
    let meter = Meter::start(server)?;
    subscribe(&mut links, count)?;
    let (seconds, cpu, memory) = (meter.seconds(), meter.cpu()?, meter.memory()?);
    let held = monitor.varz("subscriptions")?.saturating_sub(own);
    if held != count as u64 {
        bail!("{count} subscriptions were made and the server counts {held}");
    }
    let mut rows = vec![
        Measure::more("inserts per second", count as f64 / seconds),
        Measure::less("server CPU per insert, µs", cpu / count as f64 * 1e6),
        Measure::less("memory per subscription, bytes", memory / count as f64),
    ];

    let meter = Meter::start(server)?;
    drop(links);
    let gone = monitor.wait_for_at_most("subscriptions", own, FORGET_MAX)?;
    rows.push(Measure::less("removal of all by disconnect, ms", gone.as_secs_f64() * 1e3));
    rows.push(Measure::less("server CPU per removal, µs", meter.cpu()? / count as f64 * 1e6));
    rows.push(Measure::more("memory given back by then, MiB", -meter.memory()? / 1024.0 / 1024.0));

    let mut links = dial()?;
    subscribe(&mut links, count)?;
    let flow = Flow::new(Shape::plain(subject(count), PAYLOAD).delivery().length, 1);
    let publisher = Publisher {
        link: run.dialer(0).connect("")?,
        number: 0,
        batches: batches(count, stage.size(SUBJECTS, 2_000), flow.batch_max()),
        flow: &flow,
        fence: true,
    };
    let receivers = links.into_iter().map(|link| Receiver::new(link, None, &flow)).collect();
    let figures = traffic::drive(&run, &[&flow], receivers, vec![publisher])?;
    flow.verify()?;
    for figure in figures {
        match figure.metric {
            Metric::PerSecond => rows.push(Measure::more("messages per second to random subjects", figure.value)),
            Metric::CpuMicros => {
                rows.push(Measure::less("server CPU per message to a random subject, µs", figure.value));
            }
            Metric::PeakRssMib => rows.push(Measure::less("peak memory, MiB", figure.value)),
            _ => {}
        }
    }
    Ok(rows)
}

/// Subscribes to `count` subjects and waits until the server has taken all.
fn subscribe(links: &mut [Link], count: usize) -> Result<()> {
    for start in (0..count).step_by(CHUNK * CONNECTIONS) {
        let end = count.min(start + CHUNK * CONNECTIONS);
        for (index, link) in links.iter_mut().enumerate() {
            let mut lines = String::new();
            for number in (start + index..end).step_by(CONNECTIONS) {
                // Writing to a `String` cannot fail.
                let _ = write!(lines, "SUB {} {number}\r\n", pattern(number));
            }
            lines.push_str("PING\r\n");
            link.send(lines.as_bytes())?;
        }
        links.iter_mut().try_for_each(Link::await_pong)?;
    }
    Ok(())
}

/// Messages to `subjects` random ones of `count` subjects.
fn batches(count: usize, subjects: usize, batch_max: usize) -> Vec<Batch> {
    let mut random = StdRng::seed_from_u64(ORDER);
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    for _ in 0..subjects {
        batch.push(&Shape::plain(subject(random.gen_range(0..count)), PAYLOAD));
        if batch.is_full(batch_max) {
            batches.push(std::mem::take(&mut batch));
        }
    }
    if batch.count() > 0 {
        batches.push(batch);
    }
    batches
}

/// What message `number` is published to: four tokens, a few of them shared by many.
fn subject(number: usize) -> String {
    format!("bench.r{}.d{number}.k{}", number % 50, number % 7)
}

/// What it is received by.
fn pattern(number: usize) -> String {
    if number.is_multiple_of(5) { format!("bench.r{}.d{number}.*", number % 50) } else { subject(number) }
}
