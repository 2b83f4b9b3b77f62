//! Bursts of messages: sent, and what was seen of each.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::Value;

use crate::isolation::wire::{Item, Wire};
use crate::model::{Got, Message};

/// Stands for the one message of a burst that says nothing and so carries no number.
pub const EMPTY: u64 = u64::MAX;

const FORGED: &str = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"forged\"}\r\nX-Mark: 1\r\n\r\n";

/// One message with its number.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The number that its payload carries.
    pub number: u64,
    /// The message.
    pub message: Message,
    /// Bytes of its payload.
    pub size: usize,
    /// The account it comes from, named in its payload.
    pub account: usize,
}

impl Numbered {
    /// Bytes of it that are the payload limit's.
    pub fn len(&self) -> usize {
        self.size + if self.message.forged { FORGED.len() } else { 0 }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.message.empty
    }

    fn frame(&self, text: &mut String) {
        let Message { subject, reply, forged, empty, .. } = &self.message;
        let mut payload = String::new();
        if !*empty {
            write!(payload, "{}.{}.", self.account, self.number).unwrap();
            payload.extend(std::iter::repeat_n('x', self.size.saturating_sub(payload.len())));
        }
        let reply = if reply.is_empty() { String::new() } else { format!("{reply} ") };
        if *forged {
            let (head, total) = (FORGED.len(), FORGED.len() + payload.len());
            write!(text, "HPUB {subject} {reply}{head} {total}\r\n{FORGED}{payload}\r\n").unwrap();
        } else {
            write!(text, "PUB {subject} {reply}{}\r\n{payload}\r\n", payload.len()).unwrap();
        }
    }
}

/// What was seen of one burst.
#[derive(Debug, Default)]
pub struct Seen {
    /// Deliveries, by the number of their message.
    pub got: HashMap<u64, Vec<Got>>,
    /// Errors that the publisher got, by the number of its message.
    pub errors: HashMap<u64, Vec<String>>,
}

/// Sends messages in order, each publisher's run of them together, and reads everything that comes of them.
///
/// # Errors
///
/// What was seen that cannot be, whatever the model says.
pub fn burst(wires: &mut BTreeMap<usize, Wire>, messages: &[Numbered]) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut order = BTreeMap::new();
    for run in messages.chunk_by(|one, other| one.message.from == other.message.from) {
        let from = run[0].message.from;
        let wire = wires.get_mut(&from).expect("it is connected");
        let mut text = String::new();
        for one in run {
            one.frame(&mut text);
            text.push_str("PING\r\n");
        }
        wire.send(text);
        // A PONG after each tells whose errors they are; after the last one, all is queued to everybody.
        for one in run {
            let items = wire.until_pong();
            take(&mut seen, &mut order, from, items, Some(one.number))?;
        }
    }
    for (connection, wire) in wires.iter_mut() {
        let items = wire.fence();
        take(&mut seen, &mut order, *connection, items, None)?;
    }
    Ok(seen)
}

fn take(
    seen: &mut Seen,
    order: &mut BTreeMap<usize, u64>,
    connection: usize,
    items: Vec<Item>,
    publishing: Option<u64>,
) -> Result<(), String> {
    for item in items {
        match item {
            Item::Error(text) => match publishing {
                Some(number) => seen.errors.entry(number).or_default().push(text),
                None => return Err(format!("connection {connection} is told `{text}` and did nothing")),
            },
            Item::End => return Err(format!("connection {connection} ends")),
            Item::Pong => {}
            message @ Item::Message { .. } => {
                let Some((number, got)) = read(connection, message)? else { continue };
                seen.got.entry(number).or_default().push(got);
                // One publisher after the other: everybody gets messages in the order they were sent.
                let last = order.entry(connection).or_default();
                if number != EMPTY && std::mem::replace(last, number) > number {
                    return Err(format!("connection {connection} gets message {number} too late"));
                }
            }
        }
    }
    Ok(())
}

/// What a delivery is of; `None` for the broker's own reports.
fn read(connection: usize, item: Item) -> Result<Option<(u64, Got)>, String> {
    let Item::Message { subject, sid, reply, header, payload } = item else { return Ok(None) };
    if subject.starts_with("$SYS.") {
        return Ok(None);
    }
    let nobody = header.starts_with("NATS/1.0 503");
    let number = if nobody {
        subject.rsplit('.').next().and_then(|number| number.parse().ok())
    } else if payload.is_empty() {
        Some(EMPTY)
    } else {
        payload.split('.').nth(1).and_then(|number| number.parse().ok())
    };
    let Some(number) = number else {
        return Err(format!("connection {connection} gets `{payload}` on `{subject}`, which nobody sent"));
    };
    let mut infos = header.lines().filter_map(|line| line.strip_prefix("Nats-Request-Info: "));
    let info = infos.next().map(|text| {
        let info: Value = serde_json::from_str(text).unwrap_or_default();
        let field = |name: &str| info[name].as_str().map(str::to_owned);
        (field("acc").unwrap_or_default(), field("svc"))
    });
    if infos.next().is_some() {
        return Err(format!("connection {connection} gets two answers to who asks: {header}"));
    }
    let marked = header.contains("X-Mark: 1\r\n");
    Ok(Some((number, Got { connection, sid, subject, reply, nobody, info, marked })))
}
