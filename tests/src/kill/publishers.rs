//! Those who publish until the process is gone, and know what was answered.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Site;
use super::truth::{Answers, StreamName, Truth, body};

/// Messages that wait for their answers at once.
const IN_FLIGHT: usize = 256;
/// Batches that wait for their answers at once.
const BATCHES_IN_FLIGHT: usize = 4;

/// One publisher; it goes on where it was when the process comes back.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) name: String,
    pub(super) stream: StreamName,
    subject: String,
    /// Its messages end by themselves.
    brief: bool,
    next: u64,
    waiting: VecDeque<u64>,
}

impl Publisher {
    pub(super) fn new(stream: StreamName, name: &str, brief: bool) -> Self {
        let subject = format!("{}.{name}", stream.to_lowercase());
        Self { name: name.to_owned(), stream, subject, brief, next: 0, waiting: VecDeque::new() }
    }

    fn headers(&self, number: u64) -> Vec<(&'static str, String)> {
        let mut headers = vec![("Nats-Msg-Id", format!("{}:{number}", self.name))];
        if self.brief {
            headers.push(("Nats-TTL", "1s".to_owned()));
        } else if self.stream == "LIM" && number.is_multiple_of(5) {
            headers.push(("Nats-TTL", "1h".to_owned()));
        }
        headers
    }

    /// Publishes until the connection ends. What was not answered before comes again first, in its order.
    pub(super) async fn run(&mut self, site: &Site, truth: &Mutex<Truth>, answers: &Answers) -> io::Result<()> {
        let inbox = format!("I.{}", self.name);
        let mut wire = site.wire(&inbox).await?;
        let mut again: VecDeque<u64> = self.waiting.clone();
        let mut flying = 0;
        loop {
            while flying < IN_FLIGHT {
                let number = again.pop_front().unwrap_or_else(|| {
                    self.waiting.push_back(self.next);
                    self.next += 1;
                    self.next - 1
                });
                let id = format!("{}:{number}", self.name);
                wire.publish(&self.subject, &format!("{inbox}.{number}"), &self.headers(number), &body(&id));
                flying += 1;
            }
            wire.flush().await?;
            while flying > IN_FLIGHT / 2 {
                let answer = wire.next().await?;
                flying -= 1;
                let number: u64 = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
                let id = format!("{}:{number}", self.name);
                let told = answer.json();
                let Some(seq) = told["seq"].as_u64().filter(|seq| *seq > 0) else {
                    truth.lock().fault(format!("{id} was refused: {told} {}", answer.header));
                    return Ok(());
                };
                truth.lock().answered(self.stream, seq, id);
                self.waiting.retain(|other| *other != number);
                answers.one_more();
            }
        }
    }
}

/// Publishes batches that are there as a whole or not at all; one that was not answered is not tried again.
#[derive(Debug)]
pub(super) struct Batcher {
    name: String,
    next: u64,
}

impl Batcher {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), next: 0 }
    }

    pub(super) async fn run(&mut self, site: &Site, truth: &Mutex<Truth>, answers: &Answers) -> io::Result<()> {
        let inbox = format!("I.{}", self.name);
        let mut wire = site.wire(&inbox).await?;
        let mut flying = 0;
        loop {
            while flying < BATCHES_IN_FLIGHT {
                let batch = format!("{}:{}", self.name, self.next);
                let size = 2 + self.next % 9;
                self.next += 1;
                truth.lock().batches.insert(batch.clone(), (size, false));
                let ends_apart = size.is_multiple_of(2);
                for member in 1..=size {
                    let mut headers =
                        vec![("Nats-Batch-Id", batch.clone()), ("Nats-Batch-Sequence", member.to_string())];
                    let commits = member == size && !ends_apart;
                    if commits {
                        headers.push(("Nats-Batch-Commit", "1".to_owned()));
                    }
                    let reply = if commits { format!("{inbox}.{batch}") } else { String::new() };
                    let subject = format!("lim.{}", self.name);
                    wire.publish(&subject, &reply, &headers, &body(&format!("{batch}.{member}")));
                }
                if ends_apart {
                    let last = (size + 1).to_string();
                    let headers = [
                        ("Nats-Batch-Id", batch.clone()),
                        ("Nats-Batch-Sequence", last),
                        ("Nats-Batch-Commit", "eob".to_owned()),
                    ];
                    wire.publish(&format!("lim.{}", self.name), &format!("{inbox}.{batch}"), &headers, b"");
                }
                flying += 1;
            }
            wire.flush().await?;
            let answer = wire.next().await?;
            flying -= 1;
            let told = answer.json();
            let mut truth = truth.lock();
            let batch = answer.subject.strip_prefix(&format!("{inbox}.")).unwrap().to_owned();
            let Some(last) = told["seq"].as_u64().filter(|seq| *seq > 0) else {
                truth.fault(format!("batch {batch} was refused: {told}"));
                return Ok(());
            };
            let size = truth.batches[&batch].0;
            if told["count"].as_u64() != Some(size) {
                truth.fault(format!("batch {batch} of {size}: {told}"));
            }
            for member in 1..=size {
                truth.answered("LIM", last - size + member, format!("{batch}.{member}"));
            }
            truth.batches.insert(batch, (size, true));
            answers.one_more();
        }
    }
}

/// Publishes messages again that a consumer has acknowledged: they are still known by their ids.
pub(super) async fn repeat(site: &Site, truth: &Mutex<Truth>, stream: StreamName, ids: &[String]) -> io::Result<()> {
    let mut wire = site.wire("I.repeat").await?;
    for (number, id) in ids.iter().enumerate() {
        let subject = format!("{}.{}", stream.to_lowercase(), id.split(':').next().unwrap());
        wire.publish(&subject, &format!("I.repeat.{number}"), &[("Nats-Msg-Id", id.clone())], &body(id));
    }
    wire.flush().await?;
    for _ in ids {
        let answer = wire.next().await?;
        let number: usize = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
        let id = ids[number].clone();
        let told = answer.json();
        let mut truth = truth.lock();
        let before = truth.stored.get(&(stream, id.clone())).copied();
        if told["duplicate"] != true || (before.is_some() && told["seq"].as_u64() != before) {
            truth.fault(format!("{id}, stored before as {before:?}, came again as {told}"));
        }
    }
    Ok(())
}

/// A publisher among several tasks.
pub(super) type Shared<T> = Arc<tokio::sync::Mutex<T>>;
