//! Full-speed traffic: lanes of publishers and subscribers, a warm-up, a measured window, and a check
//! that nothing was lost.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use anyhow::{Context as _, Result, anyhow};

use crate::figure::Figure;
use crate::flow::{Flow, settle};
use crate::link::Link;
use crate::publisher::Publisher;
use crate::receiver::{Receiver, run_many};
use crate::run::Run;
use crate::shape::Shape;
use crate::via::Via;

/// Up to this many subscribers each have a thread of their own that waits for its socket.
const OWN_THREAD_MAX: usize = 4;
/// More of them share so many threads.
const SHARED_THREADS: usize = 2;

/// Publishers and subscribers of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// What is published.
    pub(crate) shape: Shape,
    /// Publishing connections.
    pub(crate) publishers: usize,
    /// Subscribing connections.
    pub(crate) subscribers: usize,
    /// Whether the subscribers share the messages as a queue group.
    pub(crate) queue: bool,
    /// The tenant that all of them belong to, where the scenario has tenants.
    pub(crate) tenant: usize,
    /// The tenant that the subscribers belong to instead, where messages cross over.
    pub(crate) importer: Option<usize>,
}

impl Lane {
    /// One publisher, one subscriber.
    pub(crate) fn one_to_one(shape: Shape) -> Self {
        Self { shape, publishers: 1, subscribers: 1, queue: false, tenant: 0, importer: None }
    }

    fn flow(&self) -> Flow {
        let copies = if self.queue { 1 } else { self.subscribers as u64 };
        Flow::new(self.shape.delivery().length, copies)
    }

    fn subscribe_line(&self, via: Via, channel: &str) -> String {
        let subject = &self.shape.subject;
        if self.queue { via.join(channel, subject, "workers") } else { via.subscribe(channel, subject) }
    }
}

/// Runs `lanes` and measures deliveries.
///
/// # Errors
///
/// When anything is lost, doubled, changed or out of order, or a connection fails.
pub(crate) fn measure(run: &Run<'_>, lanes: &[Lane]) -> Result<Vec<Figure>> {
    let via = run.via();
    let flows: Vec<Flow> = lanes.iter().map(Lane::flow).collect();
    let channels: Vec<String> = (0..lanes.len()).map(|number| format!("lane-{number}")).collect();
    let parts = || lanes.iter().zip(&channels).zip(&flows).map(|((lane, channel), flow)| (lane, channel, flow));
    let mut receivers = Vec::new();
    for (lane, channel, flow) in parts() {
        let dialer = run.dialer(lane.importer.unwrap_or(lane.tenant));
        for _ in 0..lane.subscribers {
            let link = dialer.connect(&lane.subscribe_line(via, channel))?;
            receivers.push(Receiver::new(link, Some(lane.shape.delivery()), flow));
        }
    }
    let mut publishers = Vec::new();
    for (lane, channel, flow) in parts() {
        let shape = Shape { as_delivered: via.is_forwarder(), ..lane.shape.clone() };
        for number in 0..lane.publishers {
            let link = run.dialer(lane.tenant).connect(&via.publish(channel))?;
            publishers.push(Publisher {
                link,
                number,
                batches: vec![shape.batch(flow.batch_max())],
                fence: !via.is_forwarder(),
                flow,
            });
        }
    }
    let figures = drive(run, &flows.iter().collect::<Vec<_>>(), receivers, publishers)?;
    for (lane, _, flow) in parts() {
        flow.verify().with_context(|| format!("subject `{}`", lane.shape.subject))?;
    }
    Ok(figures)
}

/// The threads, the window, and the end in the right order. Whether the flows agree is for the caller to
/// ask then.
///
/// # Errors
///
/// When a connection fails, a delivery is wrong, or some do not come.
pub(crate) fn drive(
    run: &Run<'_>,
    flows: &[&Flow],
    receivers: Vec<Receiver<'_>>,
    publishers: Vec<Publisher<'_>>,
) -> Result<Vec<Figure>> {
    let (published, received) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let mut reading = Vec::new();
        for group in grouped(receivers) {
            let received = &received;
            reading.push(scope.spawn(move || end_of(received, run_many_or_one(group, received))));
        }
        let writing: Vec<_> = publishers
            .into_iter()
            .map(|publisher| scope.spawn(|| end_of(&published, publisher.run(&published))))
            .collect();

        let delivered = || flows.iter().map(|flow| flow.delivered()).sum();
        let figures = run.window(delivered, || published.load(Relaxed) || received.load(Relaxed));
        published.store(true, Relaxed);
        let ends: Result<Vec<Link>> = writing.into_iter().map(joined).collect();
        let settled = if ends.is_ok() && !received.load(Relaxed) { settle(flows) } else { Ok(()) };
        received.store(true, Relaxed);
        let read: Result<Vec<()>> = reading.into_iter().map(joined).collect();
        // What a receiver saw explains a publisher's trouble, and both explain missing deliveries.
        read?;
        ends?;
        settled?;
        figures
    })
}

/// A thread that ends early ends the run: without its receiver a flow would only be waited for.
fn end_of<T>(over: &AtomicBool, result: Result<T>) -> Result<T> {
    over.store(true, Relaxed);
    result
}

fn run_many_or_one(mut group: Vec<Receiver<'_>>, over: &AtomicBool) -> Result<()> {
    match (group.pop(), group.is_empty()) {
        (Some(only), true) => only.run(over),
        (Some(last), false) => {
            group.push(last);
            run_many(group, over)
        }
        (None, _) => Ok(()),
    }
}

fn grouped(receivers: Vec<Receiver<'_>>) -> Vec<Vec<Receiver<'_>>> {
    let threads = if receivers.len() <= OWN_THREAD_MAX { receivers.len() } else { SHARED_THREADS };
    let mut groups: Vec<Vec<Receiver<'_>>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, receiver) in receivers.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(index % threads.max(1)) {
            group.push(receiver);
        }
    }
    groups
}

/// The result of a thread; a panic is a result too.
pub(crate) fn joined<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("a thread of the generator panicked")))
}
