//! What is known to have been promised, by anybody; what contradicts it is a fault.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A stream by its name.
pub(super) type StreamName = &'static str;

/// What everybody knows.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Who has which sequence, as anybody saw it: in an answer, a delivery or the stream.
    seen: HashMap<(StreamName, u64), String>,
    /// Messages whose storing was answered, with their sequence.
    pub(super) stored: HashMap<(StreamName, String), u64>,
    /// Batches: how many members, and whether the commit was answered.
    pub(super) batches: HashMap<String, (u64, bool)>,
    /// Messages for which a consumer sent an acknowledgement.
    pub(super) sent: HashSet<(StreamName, String)>,
    /// Messages whose acknowledgement was answered before the last kill.
    pub(super) settled: HashSet<(StreamName, String)>,
    /// The same since then.
    pub(super) fresh: HashSet<(StreamName, String)>,
    faults: Vec<String>,
}

impl Truth {
    pub(super) fn fault(&mut self, fault: String) {
        if self.faults.len() < 20 {
            self.faults.push(fault);
        }
    }

    /// Somebody saw this message under this sequence.
    pub(super) fn sees(&mut self, stream: StreamName, seq: u64, id: &str) {
        let before = self.seen.entry((stream, seq)).or_insert_with(|| id.to_owned());
        if *before != *id {
            let before = before.clone();
            self.fault(format!("sequence {seq} of {stream} was {before} and is {id}"));
        }
    }

    /// A publisher was answered.
    pub(super) fn answered(&mut self, stream: StreamName, seq: u64, id: String) {
        self.sees(stream, seq, &id);
        if let Some(before) = self.stored.insert((stream, id.clone()), seq)
            && before != seq
        {
            self.fault(format!("{id} of {stream} has the sequences {before} and {seq}"));
        }
    }

    /// The process was killed: what was answered before is past doubt.
    pub(super) fn killed(&mut self) {
        self.settled.extend(self.fresh.drain());
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Ends the story if anything was wrong.
    pub(super) fn require_none(&self, when: &str) {
        assert!(self.faults.is_empty(), "{when}:\n{}", self.faults.join("\n"));
    }
}

/// Counts answers of one round, and tells when there are enough.
#[derive(Debug)]
pub(super) struct Answers {
    count: AtomicUsize,
    enough_at: usize,
    pub(super) enough: Notify,
}

impl Answers {
    pub(super) fn new(enough_at: usize) -> Self {
        Self { count: AtomicUsize::new(0), enough_at, enough: Notify::new() }
    }

    pub(super) fn one_more(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.enough_at {
            self.enough.notify_one();
        }
    }
}

/// The payload of a message: its id, and bytes that follow from it.
pub(super) fn body(id: &str) -> Vec<u8> {
    let mixed = id.bytes().fold(17_u64, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let mut body = format!("{id}|").into_bytes();
    let len = body.len() + (mixed % 700) as usize;
    body.resize(len, b'a' + (mixed % 26) as u8);
    body
}

/// The id of a message by its payload; a fault if the payload is not the one of that id.
pub(super) fn id_of(truth: &mut Truth, stream: StreamName, payload: &[u8]) -> String {
    let end = payload.iter().position(|byte| *byte == b'|').unwrap_or(payload.len());
    let id = String::from_utf8_lossy(&payload[..end]).into_owned();
    if body(&id) != payload {
        truth.fault(format!("a message of {stream} is not what was published: {id}"));
    }
    id
}
