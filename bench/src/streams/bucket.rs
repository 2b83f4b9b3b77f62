//! A key-value bucket: putting to its keys, and getting them by direct get.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::json;

use super::client::Client;
use super::publish::{KEYS, PAYLOAD, Publisher, Subjects, create, window};
use crate::figure::Figure;
use crate::histogram::Histogram;
use crate::run::{Run, percentiles};
use crate::scenario::Scenario;
use crate::security::Entry;

const STREAM: &str = "KV_bench";
const PUTS_IN_FLIGHT: u64 = 64;
const GETS_IN_FLIGHT: u64 = 16;

fn bucket(run: &Run<'_>) -> Result<Client> {
    let mut client = Client::connect(&run.dialer(0))?;
    let more = json!({ "name": STREAM, "subjects": ["$KV.bench.>"], "max_msgs_per_subject": 1, "discard": "new",
        "allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true });
    create(&mut client, "file", &more)?;
    Ok(client)
}

fn put(run: &Run<'_>) -> Result<Vec<Figure>> {
    let publisher = Publisher::new(bucket(run)?, KEYS, Some(0));
    Ok(window(run, vec![publisher], PUTS_IN_FLIGHT)?.0)
}

fn get(run: &Run<'_>) -> Result<Vec<Figure>> {
    let mut publisher = Publisher::new(bucket(run)?, Subjects { mixed: false, ..KEYS }, Some(0));
    publisher.fill(0, KEYS.count)?;
    let (over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let asking = scope.spawn(|| ask(publisher.into_client(), &over, &answered));
        let measured = run.window(|| answered.load(Relaxed), || asking.is_finished());
        over.store(true, Relaxed);
        let Ok(latencies) = asking.join() else { bail!("the client panicked") };
        let latencies = latencies?;
        let mut figures = measured?;
        figures.extend(percentiles(&latencies));
        Ok(figures)
    })
}

/// Keeps requests on the way until it is over.
fn ask(mut client: Client, over: &AtomicBool, answered: &AtomicU64) -> Result<Histogram> {
    let mut latencies = Histogram::default();
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let (mut due, mut number) = (GETS_IN_FLIGHT, 0);
    while due > 0 || !waiting.is_empty() {
        let now = Instant::now();
        for _ in 0..due {
            let Client { outgoing, answers, .. } = &mut client;
            write!(outgoing, "PUB $JS.API.DIRECT.GET.{STREAM}.")?;
            KEYS.write(number, outgoing);
            write!(outgoing, " {answers}{number:08x} 0\r\n\r\n")?;
            number += 1;
            waiting.push_back(now);
        }
        client.send()?;
        let (mut came, now) = (0, Instant::now());
        client.read(|message| {
            if message.payload.len() != PAYLOAD {
                bail!("a get was answered by `{}`", String::from_utf8_lossy(message.payload));
            }
            if let Some(since) = waiting.pop_front() {
                latencies.record(now.saturating_duration_since(since));
            }
            came += 1;
            Ok(())
        })?;
        answered.fetch_add(came, Relaxed);
        due = if over.load(Relaxed) { 0 } else { came };
    }
    Ok(latencies)
}

/// Putting.
pub(super) const PUTS: [Scenario; 1] = [Scenario {
    name: "kv_put_64",
    title: "KV put, 64 in flight, 10,000 keys",
    entry: Entry::Plain,
    limit: false,
    measure: put,
}];

/// Getting.
pub(super) const GETS: [Scenario; 1] = [Scenario {
    name: "kv_get_16",
    title: "KV get, 16 in flight, 10,000 keys",
    entry: Entry::Plain,
    limit: false,
    measure: get,
}];
