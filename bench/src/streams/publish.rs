//! Publishing to a stream with a number of messages in flight; each has an inbox token of its own, as clients do it, and
//! each acknowledgement must carry the next sequence.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use crate::figure::Figure;
use crate::histogram::Histogram;
use crate::run::{Run, percentiles};
use crate::scenario::Scenario;
use crate::security::Entry;

/// Payload of every message.
pub(super) const PAYLOAD: usize = 128;
/// The stream that scenarios use.
pub(super) const STREAM: &str = "BENCH";

/// Where messages go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subjects {
    /// What the number of a subject is put behind.
    pub(super) prefix: &'static str,
    /// How many there are.
    pub(super) count: u64,
    /// They come in no order.
    pub(super) mixed: bool,
}

/// Few subjects, in turn.
pub(super) const FEW: Subjects = Subjects { prefix: "bench.s.", count: 16, mixed: false };
/// So many that an index shows.
const MANY: Subjects = Subjects { prefix: "bench.s.", count: 100_000, mixed: true };
/// Keys of a bucket.
pub(super) const KEYS: Subjects = Subjects { prefix: "$KV.bench.key-", count: 10_000, mixed: true };

impl Subjects {
    /// The subject of message `number`, written to `out`.
    pub(super) fn write(self, number: u64, out: &mut Vec<u8>) {
        let number = if self.mixed { number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 } else { number };
        // Writing to a `Vec` cannot fail.
        let _ = write!(out, "{}{}", self.prefix, number % self.count.max(1));
    }
}

/// What publishers share with who measures them.
#[derive(Default)]
pub(super) struct Progress {
    /// Publish no more.
    over: AtomicBool,
    /// Acknowledgements so far.
    acknowledged: AtomicU64,
}

/// One publisher.
pub(super) struct Publisher {
    client: Client,
    subjects: Subjects,
    /// It alone publishes to the stream: sequences have no gaps.
    alone: bool,
    published: u64,
    sequence: u64,
    waiting: VecDeque<Instant>,
}

impl Publisher {
    /// A publisher over `client`; `sequence` is the stream's last if nobody else publishes.
    pub(super) fn new(client: Client, subjects: Subjects, sequence: Option<u64>) -> Self {
        let alone = sequence.is_some();
        Self { client, subjects, alone, published: 0, sequence: sequence.unwrap_or(0), waiting: VecDeque::new() }
    }

    /// The connection, once nothing is on the way.
    pub(super) fn into_client(self) -> Client {
        self.client
    }

    /// Publishes `count` messages, from number `first` on.
    ///
    /// # Errors
    ///
    /// As [`Publisher::run`].
    pub(super) fn fill(&mut self, first: u64, count: u64) -> Result<()> {
        /// Far more than any group that is synced together.
        const IN_FLIGHT: u64 = 4096;
        self.published = first;
        let (mut left, mut due) = (count, count.min(IN_FLIGHT));
        let mut unread = Histogram::default();
        while due > 0 || !self.waiting.is_empty() {
            left -= due;
            self.publish(due)?;
            due = self.receive(&mut unread)?.min(left);
        }
        Ok(())
    }

    /// Keeps `in_flight` messages on the way until it is over, then waits for the last acknowledgements.
    ///
    /// # Errors
    ///
    /// When one is refused, or its acknowledgement does not have the next sequence.
    fn run(mut self, in_flight: u64, progress: &Progress) -> Result<Histogram> {
        let mut latencies = Histogram::default();
        let mut due = in_flight;
        while due > 0 || !self.waiting.is_empty() {
            self.publish(due)?;
            let acknowledged = self.receive(&mut latencies)?;
            progress.acknowledged.fetch_add(acknowledged, Relaxed);
            due = if progress.over.load(Relaxed) { 0 } else { acknowledged };
        }
        Ok(latencies)
    }

    fn publish(&mut self, count: u64) -> Result<()> {
        let now = Instant::now();
        for _ in 0..count {
            let Client { outgoing: out, answers, .. } = &mut self.client;
            out.extend_from_slice(b"PUB ");
            self.subjects.write(self.published, out);
            write!(out, " {answers}{:08x} {PAYLOAD}\r\n", self.published)?;
            out.extend_from_slice(&[b'x'; PAYLOAD]);
            out.extend_from_slice(b"\r\n");
            self.published += 1;
            self.waiting.push_back(now);
        }
        self.client.send()
    }

    fn receive(&mut self, latencies: &mut Histogram) -> Result<u64> {
        let Self { client, alone, sequence, waiting, .. } = self;
        let before = waiting.len();
        let mut came = None;
        client.read(|message| {
            let Some(stored) = sequence_of(message.payload) else {
                bail!("a message was not stored: {}", String::from_utf8_lossy(message.payload));
            };
            if stored <= *sequence || (*alone && stored != *sequence + 1) {
                bail!("sequence {stored} was acknowledged after {sequence}");
            }
            *sequence = stored;
            let Some(since) = waiting.pop_front() else { bail!("an acknowledgement came without a message") };
            latencies.record(came.get_or_insert_with(Instant::now).saturating_duration_since(since));
            Ok(())
        })?;
        Ok((before - waiting.len()) as u64)
    }
}

/// The sequence in an acknowledgement; `None` if it is none.
fn sequence_of(answer: &[u8]) -> Option<u64> {
    const SEQ: &[u8] = b"\"seq\":";
    if answer.starts_with(b"{\"error\"") {
        return None;
    }
    let at = answer.windows(SEQ.len()).position(|part| part == SEQ)?;
    let digits = answer.get(at + SEQ.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    (number > 0).then_some(number)
}

/// Makes the stream of a scenario.
///
/// # Errors
///
/// When it is refused.
pub(super) fn create(client: &mut Client, storage: &str, more: &Value) -> Result<()> {
    let mut config = json!({ "name": STREAM, "subjects": ["bench.>"], "storage": storage, "retention": "limits",
        "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_msg_size": -1, "num_replicas": 1,
        "discard": "old" });
    if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
        config.extend(more.clone());
    }
    let name = config.get("name").and_then(Value::as_str).unwrap_or(STREAM).to_owned();
    client.ask(&format!("STREAM.CREATE.{name}"), &config).map(drop)
}

/// The measured window: `publishers`, each with `in_flight` messages on the way.
///
/// # Errors
///
/// Those of a publisher, and a stream that does not hold what was acknowledged.
pub(super) fn measure(run: &Run<'_>, load: &Load) -> Result<Vec<Figure>> {
    let dialer = run.dialer(0);
    let mut client = Client::connect(&dialer)?;
    create(&mut client, load.storage, &json!({}))?;
    let sequence = if load.publishers == 1 { Some(0) } else { None };
    let publishers =
        (0..load.publishers).map(|_| Ok(Publisher::new(Client::connect(&dialer)?, load.subjects, sequence)));
    let publishers = publishers.collect::<Result<Vec<_>>>()?;
    let (figures, acknowledged) = window(run, publishers, load.in_flight)?;
    let stored = client.stored(STREAM)?;
    if stored != acknowledged {
        bail!("{acknowledged} messages were acknowledged and {stored} are stored");
    }
    Ok(figures)
}

/// Runs `publishers` for a window; the figures, and how many messages were acknowledged in all.
///
/// # Errors
///
/// Those of a publisher.
pub(super) fn window(run: &Run<'_>, publishers: Vec<Publisher>, in_flight: u64) -> Result<(Vec<Figure>, u64)> {
    let progress = Progress::default();
    let progress = &progress;
    thread::scope(|scope| {
        let threads: Vec<_> =
            publishers.into_iter().map(|one| scope.spawn(move || one.run(in_flight, progress))).collect();
        let measured = run.window(
            || progress.acknowledged.load(Relaxed),
            || threads.iter().any(thread::ScopedJoinHandle::is_finished),
        );
        progress.over.store(true, Relaxed);
        let mut latencies = Histogram::default();
        for thread in threads {
            let Ok(ended) = thread.join() else { bail!("a publisher panicked") };
            latencies.merge(&ended?);
        }
        let mut figures = measured?;
        figures.extend(percentiles(&latencies));
        Ok((figures, progress.acknowledged.load(Relaxed)))
    })
}

/// Who publishes how.
pub(super) struct Load {
    storage: &'static str,
    publishers: usize,
    in_flight: u64,
    subjects: Subjects,
}

const fn load(storage: &'static str, publishers: usize, in_flight: u64, subjects: Subjects) -> Load {
    Load { storage, publishers, in_flight, subjects }
}

/// One publisher and many, to files.
pub(super) const TO_FILES: [Scenario; 4] = [
    Scenario {
        name: "publish_file_256",
        title: "publish to file, 256 in flight",
        entry: Entry::Plain,
        limit: false,
        measure: |run| measure(run, &load("file", 1, 256, FEW)),
    },
    Scenario {
        name: "publish_file_1",
        title: "publish to file, one at a time",
        entry: Entry::Plain,
        limit: false,
        measure: |run| measure(run, &load("file", 1, 1, FEW)),
    },
    Scenario {
        name: "publish_file_16x1",
        title: "publish to file, 16 publishers, one at a time each",
        entry: Entry::Plain,
        limit: false,
        measure: |run| measure(run, &load("file", 16, 1, FEW)),
    },
    Scenario {
        name: "publish_file_many",
        title: "publish to file, 256 in flight, 100,000 subjects",
        entry: Entry::Plain,
        limit: false,
        measure: |run| measure(run, &load("file", 1, 256, MANY)),
    },
];

/// To memory.
pub(super) const TO_MEMORY: [Scenario; 1] = [Scenario {
    name: "publish_memory_256",
    title: "publish to memory, 256 in flight",
    entry: Entry::Plain,
    limit: false,
    measure: |run| measure(run, &load("memory", 1, 256, FEW)),
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_acknowledgement_has_a_sequence() {
        let cases: [(&str, Option<u64>); 6] = [
            (r#"{"stream":"S", "seq":12}"#, Some(12)),
            (r#"{"stream":"S","seq":7,"duplicate": true}"#, Some(7)),
            (r#"{"error":{"code":503},"stream":"S","seq":5}"#, None),
            (r#"{"stream":"S","seq":0}"#, None),
            (r#"{"stream":"S"}"#, None),
            ("", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(sequence_of(answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn mixed_subjects_are_spread_over_all() {
        let mut seen = std::collections::HashSet::new();
        for number in 0..100 {
            let mut subject = Vec::new();
            Subjects { count: 10, ..KEYS }.write(number, &mut subject);
            assert!(subject.starts_with(b"$KV.bench.key-"));
            seen.insert(subject);
        }
        assert_eq!(seen.len(), 10);
    }
}
