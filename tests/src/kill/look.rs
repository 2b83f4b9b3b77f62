//! Looking at what is there after the process came back.

use std::collections::{HashMap, HashSet};
use std::io;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Site;
use super::truth::{StreamName, Truth, id_of};
use super::wire::Wire;

/// Messages that are read at a time.
const PAGE: usize = 1000;

/// What a stream of the limits kind held when it was looked at.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Where reading goes on.
    next: u64,
    /// The number that each publisher's next message must have.
    expected: HashMap<String, u64>,
    /// Members of batches that were found, by batch.
    members: HashMap<String, u64>,
    pub(super) messages: u64,
}

/// Reads messages from `from` on: sequence and payload of each, in order.
async fn read(wire: &mut Wire, stream: StreamName, from: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let (mut all, mut next) = (Vec::new(), from.max(1));
    loop {
        let request = json!({"seq": next, "batch": PAGE});
        wire.publish(&format!("$JS.API.DIRECT.GET.{stream}"), "I.look.page", &[], request.to_string().as_bytes());
        wire.flush().await?;
        let before = next;
        loop {
            let message = wire.next().await?;
            if message.status().is_some() {
                break;
            }
            let seq: u64 = message.value("Nats-Sequence").unwrap().parse().unwrap();
            assert!(seq >= next, "{stream} gives {seq} after {next}");
            next = seq + 1;
            all.push((seq, message.payload));
        }
        if next == before {
            return Ok(all);
        }
    }
}

impl Look {
    /// Reads on in LIM, or from the beginning.
    pub(super) async fn go(&mut self, site: &Site, truth: &Mutex<Truth>) -> io::Result<()> {
        let mut wire = site.wire("I.look").await?;
        let read = read(&mut wire, "LIM", self.next).await?;
        let truth = &mut *truth.lock();
        for (seq, payload) in read {
            self.next = seq + 1;
            let id = id_of(truth, "LIM", &payload);
            truth.sees("LIM", seq, &id);
            self.found(truth, &id);
        }
        self.judge(truth);
        Ok(())
    }

    fn found(&mut self, truth: &mut Truth, id: &str) {
        let (name, number) = id.split_once(':').unwrap();
        if name.starts_with('t') {
            // It ends by itself.
            return;
        }
        self.messages += 1;
        if let Some((batch, member)) = number.split_once('.') {
            let members = self.members.entry(format!("{name}:{batch}")).or_default();
            *members += 1;
            if member.parse() != Ok(*members) {
                truth.fault(format!("{id} is the member {members} of its batch"));
            }
            return;
        }
        let expected = self.expected.entry(name.to_owned()).or_default();
        if number.parse() != Ok(*expected) {
            truth.fault(format!("{id} is where the number {expected} should be"));
        }
        *expected += 1;
    }

    /// Everything that was answered is there, batches as a whole.
    fn judge(&self, truth: &mut Truth) {
        let mut faults = Vec::new();
        for (stream, id) in truth.stored.keys().filter(|(stream, _)| *stream == "LIM") {
            let (name, number) = id.split_once(':').unwrap();
            if name.starts_with('t') || number.contains('.') {
                continue;
            }
            if self.expected.get(name).is_none_or(|expected| number.parse::<u64>().unwrap() >= *expected) {
                faults.push(format!("{id} of {stream} was stored and is lost"));
            }
        }
        for (batch, (size, answered)) in &truth.batches {
            let found = self.members.get(batch).copied().unwrap_or_default();
            if found != *size && (*answered || found != 0) {
                faults.push(format!("{found} of {size} members of batch {batch} are there (answered: {answered})"));
            }
        }
        for fault in faults {
            truth.fault(fault);
        }
    }
}

/// The work queue holds what was stored and not acknowledged, and nothing else.
pub(super) async fn queue(site: &Site, truth: &Mutex<Truth>) -> io::Result<()> {
    let mut wire = site.wire("I.look").await?;
    let read = read(&mut wire, "WQ", 1).await?;
    let truth = &mut *truth.lock();
    let mut there = HashSet::new();
    for (seq, payload) in read {
        let id = id_of(truth, "WQ", &payload);
        truth.sees("WQ", seq, &id);
        if truth.settled.contains(&("WQ", id.clone())) {
            truth.fault(format!("{id} was acknowledged and is in the queue"));
        }
        if !there.insert(id.clone()) {
            truth.fault(format!("{id} is in the queue twice"));
        }
    }
    let lost = truth.stored.keys().filter(|(stream, _)| *stream == "WQ");
    let lost = lost.filter(|key| !truth.sent.contains(*key) && !there.contains(&key.1));
    let faults: Vec<_> = lost.map(|(_, id)| format!("{id} of the queue was stored and is lost")).collect();
    for fault in faults {
        truth.fault(fault);
    }
    Ok(())
}

/// The answer to an API request.
pub(super) async fn ask(site: &Site, subject: &str, body: &Value) -> io::Result<Value> {
    site.wire("I.ask").await?.ask(subject, body).await
}

#[cfg(test)]
mod tests {
    use super::super::truth::body;
    use super::*;

    /// What is said of a stream that holds these messages after these promises.
    fn judged(promised: impl FnOnce(&mut Truth), there: &[(u64, &str)]) -> Vec<String> {
        let (mut truth, mut look) = (Truth::default(), Look::default());
        promised(&mut truth);
        for (seq, id) in there {
            let id = id_of(&mut truth, "LIM", &body(id));
            truth.sees("LIM", *seq, &id);
            look.found(&mut truth, &id);
        }
        look.judge(&mut truth);
        truth.faults().to_vec()
    }

    #[test]
    fn broken_promises_are_told() {
        let stored = |truth: &mut Truth| truth.answered("LIM", 2, "p:1".to_owned());
        let batch = |answered| move |truth: &mut Truth| truth.batches.extend([("b:0".to_owned(), (2, answered))]);
        assert_eq!(judged(stored, &[(1, "p:0"), (2, "p:1")]), [""; 0]);
        assert_eq!(judged(batch(true), &[(1, "b:0.1"), (2, "b:0.2")]), [""; 0]);
        assert_eq!(judged(batch(false), &[]), [""; 0]);
        assert_eq!(judged(stored, &[(1, "p:0")]), ["p:1 of LIM was stored and is lost"]);
        assert_eq!(judged(stored, &[(1, "p:0"), (2, "p:2")])[0], "sequence 2 of LIM was p:1 and is p:2");
        assert_eq!(judged(stored, &[(1, "p:1"), (3, "p:0")])[0], "p:1 is where the number 0 should be");
        assert_eq!(judged(stored, &[(1, "p:0"), (2, "p:1"), (3, "p:1")]), ["p:1 is where the number 2 should be"]);
        assert_eq!(judged(batch(false), &[(1, "b:0.1")]), ["1 of 2 members of batch b:0 are there (answered: false)"]);
        assert_eq!(judged(batch(true), &[]), ["0 of 2 members of batch b:0 are there (answered: true)"]);
    }
}
