//! Reading a stream that was filled before: by pull requests as clients make them, each message acknowledged, and by a
//! push consumer with flow control, as ordered consumers have it.

use std::io::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::publish::{FEW, PAYLOAD, Publisher, STREAM, create};
use crate::figure::Figure;
use crate::link::PATIENCE;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::security::Entry;
use crate::wire::Message;

/// Messages that are read in one run; a smoke run has a part of them.
const MESSAGES: u64 = 600_000;
const CONSUMER: &str = "reader";

/// Where a push consumer delivers: it does so only while exactly this is subscribed to.
const DELIVERIES: &str = "_DELIVER.bench";
/// How the answer begins when a consumer was made.
const CREATED: &[u8] = b"{\"type\":\"io.nats.jetstream.api.v1.consumer_create_response\",\"stream_name\"";

/// How many a client asks for.
#[derive(Clone, Copy)]
struct Batches {
    /// At most so many are wanted.
    size: u64,
    /// It asks again when so many are still to come.
    again_at: u64,
}

/// As the clients' `consume` does it.
const CONSUME: Batches = Batches { size: 500, again_at: 250 };
/// As their `fetch` does it.
const FETCH: Batches = Batches { size: 100, again_at: 0 };

/// A stream of messages to read.
fn filled(run: &Run<'_>, storage: &str) -> Result<(Client, u64)> {
    let count = MESSAGES / run.pace.connections_divisor.max(1) as u64;
    let mut client = Client::connect(&run.dialer(0))?;
    create(&mut client, storage, &json!({}))?;
    let mut publisher = Publisher::new(client, FEW, Some(0));
    publisher.fill(0, count)?;
    Ok((publisher.into_client(), count))
}

fn pull(run: &Run<'_>, storage: &str, batches: Batches) -> Result<Vec<Figure>> {
    let (mut client, count) = filled(run, storage)?;
    let config = json!({ "stream_name": STREAM, "config": { "durable_name": CONSUMER, "name": CONSUMER,
        "deliver_policy": "all", "ack_policy": "explicit", "replay_policy": "instant", "ack_wait": 30_000_000_000u64,
        "max_ack_pending": 1000 } });
    client.ask(&format!("CONSUMER.CREATE.{STREAM}.{CONSUMER}"), &config)?;
    let mark = run.mark(0)?;
    let (mut seen, mut coming) = (0, 0);
    while seen < count {
        if coming <= batches.again_at && seen + coming < count {
            let wanted = (batches.size - coming).min(count - seen - coming);
            request(&mut client, wanted)?;
            coming += wanted;
        }
        client.send()?;
        let before = seen;
        client.read_and_answer(|message| counted(message, &mut seen), acknowledge)?;
        coming -= (seen - before).min(coming);
    }
    client.send()?;
    let begin = Instant::now();
    // A server may answer before it has worked off the acknowledgements.
    loop {
        let info = client.ask(&format!("CONSUMER.INFO.{STREAM}.{CONSUMER}"), &json!(null))?;
        let number = |name: &str| info.get(name).and_then(Value::as_u64).context("a number is not in the answer");
        let (pending, waiting) = (number("num_pending")?, number("num_ack_pending")?);
        if pending + waiting == 0 {
            break;
        }
        if begin.elapsed() > PATIENCE {
            bail!("all were acknowledged, and {waiting} wait for it, {pending} to be delivered");
        }
    }
    run.since(&mark, count)
}

fn request(client: &mut Client, batch: u64) -> Result<()> {
    let body = format!("{{\"batch\":{batch},\"expires\":30000000000}}");
    let Client { outgoing, answers, .. } = client;
    write!(outgoing, "PUB $JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER} {answers}pull {}\r\n{body}\r\n", body.len())?;
    Ok(())
}

fn counted(message: &Message<'_>, seen: &mut u64) -> Result<()> {
    let reply = message.reply.unwrap_or_default();
    if !reply.starts_with(b"$JS.ACK.") || message.payload.len() != PAYLOAD {
        bail!("no message of the stream, but `{}`", String::from_utf8_lossy(message.payload));
    }
    // `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…`, or with domain and account before the stream.
    let tokens: Vec<&[u8]> = reply.split(|byte| *byte == b'.').collect();
    let sequence = tokens.get(if tokens.len() > 9 { 7 } else { 5 }).and_then(|token| str::from_utf8(token).ok());
    if sequence.and_then(|token| token.parse().ok()) != Some(*seen + 1) {
        bail!("after message {seen} came `{}`", String::from_utf8_lossy(reply));
    }
    *seen += 1;
    Ok(())
}

fn acknowledge(message: &Message<'_>, out: &mut Vec<u8>) {
    if let Some(reply) = message.reply {
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(reply);
        out.extend_from_slice(b" 4\r\n+ACK\r\n");
    }
}

fn push(run: &Run<'_>, storage: &str) -> Result<Vec<Figure>> {
    let (mut client, count) = filled(run, storage)?;
    let config = json!({ "stream_name": STREAM, "config": { "name": CONSUMER, "deliver_policy": "all",
        "deliver_subject": DELIVERIES, "ack_policy": "none", "max_deliver": 1, "flow_control": true,
        "idle_heartbeat": 5_000_000_000u64, "mem_storage": true, "num_replicas": 1, "replay_policy": "instant",
        "inactive_threshold": 300_000_000_000u64 } });
    let (mut seen, mut created) = (0, false);
    let mark = run.mark(0)?;
    let line = config.to_string();
    let Client { outgoing, answers, .. } = &mut client;
    write!(
        outgoing,
        "SUB {DELIVERIES} 2\r\nPUB $JS.API.CONSUMER.CREATE.{STREAM}.{CONSUMER} {answers}api {}\r\n{line}\r\n",
        line.len()
    )?;
    while seen < count {
        client.send()?;
        client.read_and_answer(
            |message| match message.reply {
                Some(reply) if reply.starts_with(b"$JS.FC.") => Ok(()),
                Some(_) => counted(message, &mut seen),
                // The answer of the API, and heartbeats.
                None if !created && !message.payload.starts_with(CREATED) => {
                    bail!("the consumer was refused: {}", String::from_utf8_lossy(message.payload))
                }
                None => {
                    created = true;
                    Ok(())
                }
            },
            |message, out| {
                if let Some(reply) = message.reply.filter(|reply| reply.starts_with(b"$JS.FC.")) {
                    out.extend_from_slice(b"PUB ");
                    out.extend_from_slice(reply);
                    out.extend_from_slice(b" 0\r\n\r\n");
                }
            },
        )?;
    }
    run.since(&mark, count)
}

/// From files and from memory.
pub(super) const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "pull_file",
        title: "pull from file (consume by 500), each acknowledged",
        entry: Entry::Plain,
        limit: false,
        measure: |run| pull(run, "file", CONSUME),
    },
    Scenario {
        name: "pull_memory",
        title: "pull from memory (consume by 500), each acknowledged",
        entry: Entry::Plain,
        limit: false,
        measure: |run| pull(run, "memory", CONSUME),
    },
    Scenario {
        name: "fetch_file",
        title: "pull from file (fetch by 100), each acknowledged",
        entry: Entry::Plain,
        limit: false,
        measure: |run| pull(run, "file", FETCH),
    },
    Scenario {
        name: "push_file",
        title: "push from file, flow control, not acknowledged",
        entry: Entry::Plain,
        limit: false,
        measure: |run| push(run, "file"),
    },
];
