//! A hundred thousand subscriptions that go with their connections: how fast, and at what cost. They are gone
//! when requests to a sample of their subjects are answered with "no responders" (status 503).

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Result, bail};

use super::Scenario;
use super::subscriptions::{SUBSCRIPTIONS, connect, subject, subscribe};
use crate::figure::Figure;
use crate::inbox::Inbox;
use crate::link::{Link, PATIENCE, Received};
use crate::run::Run;
use crate::security::Entry;
use crate::wire::Frame;

/// Every so-manieth subscription is asked for; odd, so that it meets all connections and kinds.
const SAMPLE_STEP: usize = 501;
/// Where the answers go.
const ANSWERS: &str = "_INBOX.bench.removal";

pub(super) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "removal_100k",
    title: "100,000 subscriptions, removed by disconnecting",
    entry: Entry::Plain,
    limit: false,
    measure,
}];

fn measure(run: &Run<'_>) -> Result<Vec<Figure>> {
    let count = SUBSCRIPTIONS / run.pace.connections_divisor;
    let mut links = connect(run)?;
    subscribe(&mut links, count)?;
    let mut asking = run.dialer(0).connect(&format!("SUB {ANSWERS} 1\r\n"))?;
    let (mut questions, mut asked) = (String::new(), 0);
    for number in (0..count).step_by(SAMPLE_STEP) {
        // Writing to a `String` cannot fail.
        let _ = write!(questions, "PUB {} {ANSWERS} 0\r\n\r\n", subject(number));
        asked += 1;
    }
    questions.push_str("PING\r\n");

    let mark = run.mark(0)?;
    let since = Instant::now();
    drop(links);
    while answers(&mut asking, &questions)? < asked {
        if since.elapsed() > PATIENCE {
            bail!("subscriptions are still there {} s after their connections", PATIENCE.as_secs());
        }
    }
    run.since(&mark, count as u64)
}

/// Asks everything once; how many questions nobody was there for.
fn answers(asking: &mut Link, questions: &str) -> Result<usize> {
    asking.send(questions.as_bytes())?;
    let mut inbox = Inbox::new();
    inbox.load(&asking.take_pending());
    let (mut count, mut done) = (0, false);
    while !done {
        if inbox.fill(asking)? == Received::Closed {
            bail!("the server closed the connection");
        }
        inbox.frames(|frame| {
            match frame {
                Frame::Message(_) => count += 1,
                Frame::Pong => done = true,
                Frame::Error(text) => bail!("the server refused: {}", String::from_utf8_lossy(text)),
                Frame::Ping | Frame::Info(_) | Frame::Ok => {}
            }
            Ok(())
        })?;
    }
    Ok(count)
}
