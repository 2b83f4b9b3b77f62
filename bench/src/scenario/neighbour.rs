//! What one tenant feels of another: requests at a steady 1,000/s in one account while another account
//! publishes at full speed. Latency counts from when each request was due.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use anyhow::Result;

use super::Scenario;
use crate::exchange::{Progress, Requester, connect_responder, respond};
use crate::figure::Figure;
use crate::run::{Run, percentiles};
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane, joined};

const REQUESTS_PER_SECOND: u32 = 1_000;

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "neighbour",
    title: "requests at 1,000/s beside a busy account; rate and CPU are the busy one's, messages",
    entry: Entry::Tenants(2),
    limit: true,
    measure,
}];

fn measure(run: &Run<'_>) -> Result<Vec<Figure>> {
    let responder = connect_responder(&run.dialer(0), run.via())?;
    let requester = Requester::connect(&run.dialer(0), run.via())?;
    let busy = Lane { tenant: 1, ..Lane::one_to_one(Shape::plain("bench.busy", 128)) };
    let progress = Progress::default();
    let answered = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| requester.run_paced(REQUESTS_PER_SECOND, &progress));
        let answering = scope.spawn(|| respond(responder, run.via(), &answered));
        let timing = scope.spawn(|| {
            thread::sleep(run.pace.warm_up);
            progress.measuring.store(true, Relaxed);
            thread::sleep(run.pace.window);
            progress.measuring.store(false, Relaxed);
            Ok(())
        });
        let figures = traffic::measure(run, &[busy]);
        joined(timing)?;
        progress.over.store(true, Relaxed);
        let latencies = joined(asking);
        answered.store(true, Relaxed);
        joined(answering)?;
        let mut figures = figures?;
        figures.extend(percentiles(&latencies?));
        Ok(figures)
    })
}
