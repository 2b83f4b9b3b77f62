//! One way at a steady 10,000 messages a second, 128 B: latency from when each message was due until it
//! was read, so that a server (or generator) that falls behind cannot hide it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Scenario;
use crate::exchange::Progress;
use crate::figure::Figure;
use crate::flow::{Flow, settle};
use crate::histogram::Histogram;
use crate::inbox::Inbox;
use crate::link::{Link, Received};
use crate::run::{Run, percentiles};
use crate::security::Entry;
use crate::shape::Shape;
use crate::stamp::{self, Order};
use crate::traffic::joined;
use crate::wire::Frame;

/// Time between two messages: 10,000 a second.
const INTERVAL: Duration = Duration::from_micros(100);
/// The forwarder's name for the one way.
const CHANNEL: &str = "steady";

pub(super) const SCENARIOS: [Scenario; 1] =
    [Scenario { name: "steady_10k", title: "1:1 at 10,000/s, 128 B", entry: Entry::Plain, limit: true, measure }];

fn measure(run: &Run<'_>) -> Result<Vec<Figure>> {
    let via = run.via();
    let shape = Shape { as_delivered: via.is_forwarder(), ..Shape::plain("bench.steady", 128) };
    let flow = Flow::new(shape.delivery().length, 1);
    let subscriber = run.dialer(0).connect(&via.subscribe(CHANNEL, &shape.subject))?;
    let publisher = run.dialer(0).connect(&via.publish(CHANNEL))?;
    let (progress, received) = (Progress::default(), AtomicBool::new(false));
    // Message n is due n intervals after this; sender and receiver work it out from the stamp alone.
    let start = Instant::now();
    let latencies = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let end = receive(subscriber, start, &flow, &progress, &received);
            progress.over.store(true, Relaxed);
            end
        });
        let writing = scope.spawn(|| {
            let end = publish(publisher, &shape, start, &flow, &progress);
            progress.over.store(true, Relaxed);
            end
        });
        let count = || {
            progress.measuring.store(true, Relaxed);
            flow.delivered()
        };
        let figures = run.window(count, || progress.over.load(Relaxed));
        progress.measuring.store(false, Relaxed);
        progress.over.store(true, Relaxed);
        let written = joined(writing);
        let settled = if written.is_ok() { settle(&[&flow]) } else { Ok(()) };
        received.store(true, Relaxed);
        let latencies = joined(reading)?;
        written?;
        settled?;
        let mut figures = figures?;
        figures.extend(percentiles(&latencies));
        anyhow::Ok(figures)
    })?;
    flow.verify()?;
    Ok(latencies)
}

/// When message `number` is due, after the start.
fn due(number: u64) -> Duration {
    INTERVAL * u32::try_from(number).unwrap_or(u32::MAX)
}

fn publish(mut link: Link, shape: &Shape, start: Instant, flow: &Flow, progress: &Progress) -> Result<Link> {
    let mut frame = shape.batch(1);
    let mut outgoing = Vec::new();
    let mut next = 1;
    while !progress.over.load(Relaxed) {
        outgoing.clear();
        let elapsed = start.elapsed();
        while due(next) <= elapsed {
            let (bytes, sum) = frame.stamped(0, next);
            outgoing.extend_from_slice(bytes);
            flow.add_published(1, sum);
            next += 1;
        }
        if !outgoing.is_empty() {
            link.send(&outgoing)?;
        }
        thread::sleep(due(next).saturating_sub(start.elapsed()));
    }
    // A forwarder has nobody to answer; the receiver's count tells as much.
    if shape.as_delivered { Ok(link) } else { link.fence().map(|()| link) }
}

fn receive(mut link: Link, start: Instant, flow: &Flow, progress: &Progress, over: &AtomicBool) -> Result<Histogram> {
    link.glance()?;
    let mut inbox = Inbox::new();
    inbox.load(&link.take_pending());
    let (mut order, mut latencies) = (Order::new(), Histogram::default());
    while !over.load(Relaxed) {
        match inbox.fill(&mut link)? {
            Received::Bytes(_) => {}
            Received::Closed => bail!("the server closed the subscriber's connection"),
            Received::Nothing => continue,
        }
        let elapsed = start.elapsed();
        let measuring = progress.measuring.load(Relaxed);
        let mut pings = 0;
        inbox.frames(|frame| {
            match frame {
                Frame::Message(message) => {
                    let number = stamp::read(message.payload).filter(|number| order.advances(*number));
                    let Some(number) = number else {
                        bail!("a message came twice, late or changed");
                    };
                    flow.add_delivered(1, number);
                    if measuring {
                        latencies.record(elapsed.saturating_sub(due(number)));
                    }
                }
                Frame::Ping => pings += 1,
                Frame::Error(text) => {
                    bail!("the subscriber was told: {}", String::from_utf8_lossy(text))
                }
                Frame::Pong | Frame::Info(_) | Frame::Ok => {}
            }
            Ok(())
        })?;
        for _ in 0..pings {
            link.send(b"PONG\r\n")?;
        }
    }
    Ok(latencies)
}
