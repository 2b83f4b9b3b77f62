//! An authenticated tenant that makes as much work as its account lets it.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Order, Pace, Tally};
use crate::link::{Link, Received};

/// Connections that receive, and subscriptions of each: 1,000 in all.
const RECEIVERS: usize = 10;
const SUBSCRIPTIONS: usize = 100;
/// How long it sleeps between looking what is due.
const NAP: Duration = Duration::from_millis(1);
const SMALL: usize = 128;
const LARGE: usize = 16 * 1024;

/// Publishes to a thousand subscriptions of its own, which it reads.
pub(super) fn fan_out(order: &Order) -> Result<Tally> {
    let dialer = order.dialer()?;
    let mut lines = String::new();
    for sid in 1..=SUBSCRIPTIONS {
        // Writing to a `String` cannot fail.
        let _ = write!(lines, "SUB hostile.fan {sid}\r\n");
    }
    let mut receivers = (0..RECEIVERS).map(|_| dialer.connect_idle(&lines)).collect::<Result<Vec<Link>>>()?;
    receivers.iter().try_for_each(Link::never_wait)?;
    let mut publisher = dialer.connect_idle("")?;
    let message = message("hostile.fan", SMALL);
    let mut tally = Tally::default();
    let pace = order.pace()?;
    let mut space = vec![0; 256 * 1024];
    while !pace.is_over() {
        let count = due(&pace, &mut tally);
        if count > 0 {
            publisher.send(&message.repeat(count))?;
        }
        for receiver in &mut receivers {
            while matches!(receiver.receive(&mut space), Ok(Received::Bytes(_))) {}
        }
        thread::sleep(NAP);
    }
    Ok(tally)
}

/// Subscribes and unsubscribes, every other time with a wildcard.
pub(super) fn churn(order: &Order) -> Result<Tally> {
    let mut link = order.dialer()?.connect_idle("")?;
    let mut tally = Tally::default();
    let pace = order.pace()?;
    while !pace.is_over() {
        let first = tally.attempts;
        let mut lines = String::new();
        for number in first..first + due(&pace, &mut tally) as u64 {
            let subject = if number % 2 == 0 { "*.a" } else { "b.>" };
            // Writing to a `String` cannot fail.
            let _ = write!(lines, "SUB hostile.{}.{subject} {number}\r\nUNSUB {number}\r\n", number % 10_000);
        }
        link.send(lines.as_bytes())?;
        link.fence()?;
        thread::sleep(NAP);
    }
    Ok(tally)
}

/// Publishes large messages to a connection that reads nothing, and connects that one again when it was cut off.
pub(super) fn slow_reader(order: &Order) -> Result<Tally> {
    let dialer = order.dialer()?;
    let mut publisher = dialer.connect_idle("")?;
    let mut reader = dialer.connect_idle("SUB hostile.slow 1\r\n")?;
    let message = message("hostile.slow", LARGE);
    let mut tally = Tally::default();
    let pace = order.pace()?;
    while !pace.is_over() {
        for _ in 0..due(&pace, &mut tally) {
            publisher.send(&message)?;
        }
        // Writing is how it learns that the connection is gone: reading would make it a healthy one.
        if reader.send(b"PING\r\n").is_err() {
            tally.closed += 1;
            reader = dialer.connect_idle("SUB hostile.slow 1\r\n").context("the slow reader cannot come back")?;
        }
        thread::sleep(NAP);
    }
    Ok(tally)
}

/// How many more are due, which are counted as done.
fn due(pace: &Pace, tally: &mut Tally) -> usize {
    let count = pace.due().saturating_sub(tally.attempts);
    tally.attempts += count;
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn message(subject: &str, length: usize) -> Vec<u8> {
    format!("PUB {subject} {length}\r\n{}\r\n", "x".repeat(length)).into_bytes()
}
