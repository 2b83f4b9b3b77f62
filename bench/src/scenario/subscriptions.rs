//! A hundred thousand subscriptions, every fifth with a wildcard: how fast they are taken, what each costs
//! in memory, and what a message costs that matches one of them.

use std::fmt::Write as _;

use anyhow::Result;
use rand::seq::SliceRandom as _;
use rand::{SeedableRng as _, rngs::StdRng};

use super::Scenario;
use crate::figure::{Figure, Metric};
use crate::flow::Flow;
use crate::link::Link;
use crate::process::rss_kib;
use crate::publisher::Publisher;
use crate::receiver::Receiver;
use crate::run::Run;
use crate::security::Entry;
use crate::shape::{Batch, Shape};
use crate::traffic;

/// How many.
pub(super) const SUBSCRIPTIONS: usize = 100_000;
/// Connections that they spread over.
const CONNECTIONS: usize = 10;
const PAYLOAD: usize = 128;
/// Subjects come in the same random order in every run.
const ORDER: u64 = 7;

pub(super) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "subscriptions_100k",
        title: "100,000 subscriptions, inserts",
        entry: Entry::Plain,
        limit: false,
        measure: |run| insert(run, SUBSCRIPTIONS / run.pace.connections_divisor),
    },
    Scenario {
        name: "random_100k",
        title: "1:10, 100,000 random subjects, 128 B",
        entry: Entry::Plain,
        limit: false,
        measure: publish,
    },
];

/// Inserts `count` subscriptions and measures what that takes.
///
/// # Errors
///
/// When the server refuses one.
pub(crate) fn insert(run: &Run<'_>, count: usize) -> Result<Vec<Figure>> {
    let mut links = connect(run)?;
    let memory_before = rss_kib(run.server.pid())?;
    let mark = run.mark(0)?;
    subscribe(&mut links, count)?;
    let mut figures = run.since(&mark, count as u64)?;
    let memory = (rss_kib(run.server.pid())? - memory_before) * 1024.0;
    figures.push(Figure::new(Metric::SubscriptionBytes, memory / count as f64));
    Ok(figures)
}

fn publish(run: &Run<'_>) -> Result<Vec<Figure>> {
    let count = SUBSCRIPTIONS / run.pace.connections_divisor;
    let mut links = connect(run)?;
    subscribe(&mut links, count)?;
    let flow = Flow::new(Shape::plain(subject(count), PAYLOAD).delivery().length, 1);
    let receivers = links.into_iter().map(|link| Receiver::new(link, None, &flow));
    let publisher = Publisher {
        link: run.dialer(0).connect("")?,
        number: 0,
        batches: batches(count, flow.batch_max()),
        flow: &flow,
        fence: true,
    };
    let figures = traffic::drive(run, &[&flow], receivers.collect(), vec![publisher])?;
    flow.verify()?;
    Ok(figures)
}

/// The connections that subscribe.
///
/// # Errors
///
/// When the server refuses one.
pub(super) fn connect(run: &Run<'_>) -> Result<Vec<Link>> {
    (0..CONNECTIONS).map(|_| run.dialer(0).connect("")).collect()
}

/// Subscribes to `count` subjects and waits until the server has taken all.
///
/// # Errors
///
/// When the server refuses one.
pub(super) fn subscribe(links: &mut [Link], count: usize) -> Result<()> {
    // A server may take longer over a million than any single answer is waited for.
    for first in (0..count).step_by(SUBSCRIPTIONS) {
        let numbers = first..count.min(first + SUBSCRIPTIONS);
        for (index, link) in links.iter_mut().enumerate() {
            let mut lines = String::new();
            for number in numbers.clone().skip(index).step_by(CONNECTIONS) {
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

/// One message to each subject, in random order.
fn batches(count: usize, batch_max: usize) -> Vec<Batch> {
    let mut numbers: Vec<usize> = (0..count).collect();
    numbers.shuffle(&mut StdRng::seed_from_u64(ORDER));
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    for number in numbers {
        batch.push(&Shape::plain(subject(number), PAYLOAD));
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
pub(super) fn subject(number: usize) -> String {
    format!("bench.r{}.d{number}.k{}", number % 50, number % 7)
}

/// What it is received by.
fn pattern(number: usize) -> String {
    if number.is_multiple_of(5) { format!("bench.r{}.d{number}.*", number % 50) } else { subject(number) }
}
