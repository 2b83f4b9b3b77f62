//! Requests whose inbox is a new subscription each time (SUB, PUB, the answer, UNSUB) at full speed, beside a steady flow
//! of 10,000 messages a second: how many there are, and what the flow feels of them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::stage::{Meter, Stage, with_output};
use super::{Measure, Scale};
use crate::exchange::{SERVICE, connect_responder, respond};
use crate::figure::{Figure, Metric};
use crate::inbox::Inbox;
use crate::link::{Link, PATIENCE, Received};
use crate::monitor::Monitor;
use crate::scenario;
use crate::security::{Own, Security};
use crate::stamp;
use crate::traffic::joined;
use crate::via::Via;
use crate::wire::Frame;

pub(super) const SCALE: Scale = Scale {
    name: "subscription_churn",
    title: "requests with a new inbox each time beside 10,000 messages a second",
    run,
};

/// Requests on the way at the same time.
const IN_FLIGHT: u64 = 16;
const PAYLOAD: usize = 128;
/// The scenario of `compare` that is measured without and with the churn.
const STEADY: &str = "steady_10k";

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let monitor = Monitor::reserve()?;
    let security = Security::Own(Own { lines: monitor.line(), tls: None, users: Vec::new() });
    let mut server = stage.start(&security)?;
    let scenario = scenario::chosen(&[STEADY.to_owned()])?.pop().context("the steady flow is gone")?;
    let run = stage.run(&server, &security);
    let own = monitor.varz("subscriptions")?;

    let measured = (|| {
        let without = (scenario.measure)(&run)?;
        let responder = connect_responder(&run.dialer(0), Via::Server)?;
        let requester = run.dialer(0).connect("")?;
        let (over, answered, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
        let (with, rate, cpu) = thread::scope(|scope| {
            let answering = scope.spawn(|| respond(responder, Via::Server, &answered));
            let asking = scope.spawn(|| ask(requester, &over, &done));
            let meter = Meter::start(&server);
            let with = (scenario.measure)(&run);
            let count = done.load(Relaxed) as f64;
            let rate = meter.and_then(|meter| Ok((count / meter.seconds(), meter.cpu()? / count.max(1.0) * 1e6)));
            over.store(true, Relaxed);
            let asked = joined(asking);
            answered.store(true, Relaxed);
            joined(answering)?;
            asked?;
            let (rate, cpu) = rate?;
            anyhow::Ok((with?, rate, cpu))
        })?;
        // Every inbox must be gone again.
        monitor.wait_for_at_most("subscriptions", own, PATIENCE)?;
        let mut rows = vec![
            Measure::more("requests with a new inbox, per second", rate),
            Measure::less("server CPU per request, the flow's included, µs", cpu),
        ];
        for (what, figures, metric) in [
            ("the flow without it, p50, µs", &without, Metric::P50Micros),
            ("the flow beside it, p50, µs", &with, Metric::P50Micros),
            ("the flow without it, p99, µs", &without, Metric::P99Micros),
            ("the flow beside it, p99, µs", &with, Metric::P99Micros),
        ] {
            rows.push(Measure::less(what, value(figures, metric)));
        }
        Ok(rows)
    })();
    with_output(&mut server, measured)
}

fn value(figures: &[Figure], metric: Metric) -> f64 {
    figures.iter().find(|figure| figure.metric == metric).map_or(f64::NAN, |figure| figure.value)
}

/// Keeps so many requests on the way until it is over, and counts those answered.
fn ask(mut link: Link, over: &AtomicBool, done: &AtomicU64) -> Result<()> {
    let mut inbox = Inbox::new();
    inbox.load(&link.take_pending());
    let mut waiting = VecDeque::new();
    let (mut next, mut outgoing) = (1u64, Vec::new());
    let payload = "x".repeat(PAYLOAD - stamp::LENGTH);
    loop {
        while !over.load(Relaxed) && (waiting.len() as u64) < IN_FLIGHT {
            let mut lines = String::new();
            // Writing to a `String` cannot fail.
            let _ = write!(lines, "SUB _INBOX.churn.{next} {next}\r\nPUB {SERVICE} _INBOX.churn.{next} {PAYLOAD}\r\n");
            outgoing.extend_from_slice(lines.as_bytes());
            outgoing.extend_from_slice(&next.to_le_bytes());
            outgoing.extend_from_slice(payload.as_bytes());
            outgoing.extend_from_slice(b"\r\n");
            waiting.push_back(next);
            next += 1;
        }
        if !outgoing.is_empty() {
            link.send(&outgoing)?;
            outgoing.clear();
        }
        if waiting.is_empty() {
            return link.fence();
        }
        match inbox.fill(&mut link)? {
            Received::Bytes(_) => {}
            Received::Closed => bail!("the server closed the requester's connection"),
            Received::Nothing => bail!("no reply within {} s", PATIENCE.as_secs()),
        }
        inbox.frames(|frame| {
            match frame {
                Frame::Message(message) => {
                    let number = waiting.pop_front().context("a reply came without a request")?;
                    if message.payload.len() != PAYLOAD || stamp::read(message.payload) != Some(number) {
                        bail!("request {number} got a reply that is not its own");
                    }
                    outgoing.extend_from_slice(format!("UNSUB {number}\r\n").as_bytes());
                    done.fetch_add(1, Relaxed);
                }
                Frame::Ping => outgoing.extend_from_slice(b"PONG\r\n"),
                Frame::Error(text) => bail!("the requester was told: {}", String::from_utf8_lossy(text)),
                Frame::Pong | Frame::Info(_) | Frame::Ok => {}
            }
            Ok(())
        })?;
    }
}
