//! What clients say to streams: whatever it is, nothing panics, each request has the one answer that it is to have, and
//! streams and consumers agree with themselves.
//!
//! The input is lines. The first byte of a line says what it is, tabs part the rest; in headers `|` ends a line.
//!
//! ```text
//! A subject  header  body        a request to the API, on $JS.API.<subject>
//! P subject  header  body        a message
//! F tail  subject  header  body  a message whose reply ends in <tail>: of a fast batch
//! D tail  header  body           $JS.API.DIRECT.GET.<tail>
//! N stream.consumer  header  body    a pull request
//! K n  body                      the n-th last delivery is acknowledged, or answered
//! R subject  header  body        something on $JS.ACK.<subject>, or on $JS.FC.<subject> if it begins with a dot
//! T milliseconds                 time passes
//! ```

mod ground;
mod standing;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use cordon_accounts::subject::Pattern;
use cordon_jetstream::stream::{Arrival, DirectRequest, Kind, Stream, Taken};
use serde_json::Value;

use crate::input::Input;
use ground::{Ground, Sent};

/// Lines that are read.
const LINES_MAX: usize = 48;

/// Panics when a request is not answered as it is to be, or a stream does not agree with itself.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let mut script = Script { ground: Ground::new(), seed: hasher.finish(), number: 0 };
    for _ in 0..LINES_MAX {
        if input.is_empty() {
            break;
        }
        script.act(input.line());
        standing::check(&script.ground);
    }
    standing::check_consumers(&script.ground);
    standing::ends(&mut script.ground);
}

/// Commands on their way to an account.
struct Script {
    ground: Ground,
    /// No input can say where its own answers go.
    seed: u64,
    number: usize,
}

fn block(field: &[u8]) -> Vec<u8> {
    if field.is_empty() {
        return Vec::new();
    }
    let mut block = b"NATS/1.0".to_vec();
    for byte in field {
        if *byte == b'|' { block.extend_from_slice(b"\r\n") } else { block.push(*byte) }
    }
    block.extend_from_slice(b"\r\n\r\n");
    block
}

fn number(field: &[u8]) -> usize {
    std::str::from_utf8(field).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Script {
    fn inbox(&mut self) -> String {
        self.number += 1;
        format!("_R.{:016x}.{}", self.seed, self.number)
    }

    fn act(&mut self, line: &[u8]) {
        let Some((kind, rest)) = line.split_first() else { return };
        let mut fields = rest.splitn(if *kind == b'F' { 4 } else { 3 }, |byte| *byte == b'\t');
        let mut next = || fields.next().unwrap_or_default();
        match kind {
            b'A' => self.api(next(), &block(next()), next()),
            b'P' => self.publish("", next(), &block(next()), next()),
            b'F' => {
                let tail = String::from_utf8_lossy(next()).into_owned();
                self.publish(&tail, next(), &block(next()), next());
            }
            b'D' => self.direct(next(), &block(next()), next()),
            b'N' => self.pull(next(), &block(next()), next()),
            b'K' => self.acknowledge(number(next()), next()),
            b'R' => self.raw(next(), &block(next()), next()),
            b'T' => {
                self.ground.clock.advance(Duration::from_millis(number(next()).min(1 << 40) as u64));
                self.ground.settle();
            }
            _ => {}
        }
    }

    /// What went to `reply`.
    fn settled(&mut self, reply: &str) -> Vec<Sent> {
        self.ground.settle().into_iter().filter(|sent| sent.to == reply.as_bytes()).collect()
    }

    fn api(&mut self, subject: &[u8], header: &[u8], body: &[u8]) {
        let Ok(subject) = std::str::from_utf8(subject) else { return };
        let subject = format!("$JS.API.{subject}");
        if !is_literal(subject.as_bytes()) {
            return;
        }
        let reply = self.inbox();
        let answer = self.ground.api(&subject, header, body, reply.as_bytes());
        let sent = self.settled(&reply);
        assert_eq!(sent.len(), 0, "{subject} is answered twice, or by another way");
        let Some(answer) = answer else {
            assert!(of_clusters(&subject), "{subject} has no answer");
            return;
        };
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["type"].as_str().is_some_and(|kind| kind.starts_with("io.nats.jetstream.api.v1.")), "{answer}");
        if let Some(error) = answer.get("error") {
            assert!(error["code"].as_u64().is_some_and(|code| (400..600).contains(&code)), "{answer}");
            assert!(error["err_code"].as_u64().is_some_and(|code| (10_000..11_000).contains(&code)), "{answer}");
        }
    }

    fn publish(&mut self, tail: &str, subject: &[u8], header: &[u8], payload: &[u8]) {
        if !is_literal(subject) {
            return;
        }
        let Some(stream) = self.ground.storing(subject) else { return };
        let mut reply = self.inbox();
        if !tail.is_empty() {
            reply = format!("{reply}.{tail}.$FI");
        }
        let silent = stream.look(|core| core.config().no_ack);
        let arrival = Arrival { kind: Kind::Publish, subject, reply: reply.as_bytes(), header, payload };
        assert_eq!(stream.take(&arrival), Taken::Yes);
        let answers = self.settled(&reply);
        let of_batch = !tail.is_empty() || header.windows(11).any(|part| part == b"Nats-Batch-");
        if of_batch {
            return;
        }
        assert_eq!(answers.len(), usize::from(!silent), "{}", String::from_utf8_lossy(subject));
        for answer in answers {
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
            assert_eq!(answer["stream"], **stream.name(), "{answer}");
            let (seq, refused) = (answer["seq"].as_u64().unwrap(), answer.get("error").is_some());
            assert_eq!(seq == 0, refused, "{answer}");
        }
    }

    fn direct(&mut self, tail: &[u8], header: &[u8], payload: &[u8]) {
        let Ok(tail) = std::str::from_utf8(tail) else { return };
        if !is_literal(tail.as_bytes()) {
            return;
        }
        let (name, subject) = tail.split_once('.').map_or((tail, None), |(name, subject)| (name, Some(subject)));
        let Some(stream) = self.ground.account.direct(name) else { return };
        let reply = self.inbox();
        stream.direct_get(&DirectRequest { subject, header, payload, reply: reply.as_bytes(), reader: None });
        let answers = self.settled(&reply);
        let is_status = |sent: &Sent| sent.header.starts_with(b"NATS/1.0 ");
        assert!(!answers.is_empty(), "a read has no answer");
        let statuses = answers.iter().filter(|sent| is_status(sent)).count();
        assert!(statuses <= 1, "a read ends more than once");
        if answers.len() > 1 {
            assert!(answers.last().is_some_and(is_status), "many messages come without an end");
        }
    }

    fn pull(&mut self, names: &[u8], header: &[u8], payload: &[u8]) {
        let Some((stream, consumer)) = std::str::from_utf8(names).ok().and_then(|names| names.split_once('.')) else {
            return;
        };
        let reply = self.inbox();
        let names = (stream, consumer);
        let _taken = self.ground.account.request(names, reply.as_bytes(), header, payload, &mut Stream::begin);
        self.settled(&reply);
    }

    /// Answers to flow control carry no body; what is acknowledged asks to hear of it, and hears of it at most once.
    fn acknowledge(&mut self, back: usize, body: &[u8]) {
        let Some(delivery) = self.ground.delivery(back) else { return };
        let reply = self.inbox();
        let account = &self.ground.account;
        let _taken = if delivery.reply.starts_with(b"$JS.FC.") {
            account.flow(&delivery.reply, b"", b"", b"", &mut Stream::begin)
        } else {
            account.acknowledge(&delivery.reply, reply.as_bytes(), body, &mut Stream::begin)
        };
        let answers = self.settled(&reply);
        let is_pull = body.starts_with(b"+NXT");
        assert!(is_pull || answers.len() <= 1, "an acknowledgement is answered twice");
    }

    fn raw(&mut self, tail: &[u8], header: &[u8], body: &[u8]) {
        let reply = self.inbox();
        let account = &self.ground.account;
        let _taken = if let Some(tail) = tail.strip_prefix(b".") {
            let subject = [b"$JS.FC.", tail].concat();
            account.flow(&subject, reply.as_bytes(), header, body, &mut Stream::begin)
        } else {
            let subject = [b"$JS.ACK.", tail].concat();
            account.acknowledge(&subject, reply.as_bytes(), body, &mut Stream::begin)
        };
        self.settled(&reply);
    }
}

fn is_literal(subject: &[u8]) -> bool {
    let text = std::str::from_utf8(subject).ok();
    text.and_then(|text| Pattern::parse(text).ok()).is_some_and(|pattern| pattern.is_literal())
}

/// What only a cluster answers.
fn of_clusters(subject: &str) -> bool {
    let tokens: Vec<&str> = subject.split('.').skip(2).collect();
    matches!(
        tokens.as_slice(),
        ["STREAM", "LEADER" | "PEER" | "CANCEL_MOVE", ..]
            | ["CONSUMER", "LEADER", ..]
            | ["META" | "SERVER", ..]
            | ["ACCOUNT", "STREAM" | "PURGE", ..]
    )
}
