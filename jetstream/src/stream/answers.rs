//! Answers that wait until what they promise is on disk: publish acknowledgements, answers to acknowledgements.

use crate::port::{Outgoing, Port};

/// Answers in the order in which they are sent: one arena, and a small entry for each.
#[derive(Debug, Default)]
pub struct Answers {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    reply: u32,
    header: u32,
    payload: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It says nothing of what is stored.
    Tell,
    /// It promises that something is stored.
    Promise,
    /// It is a stored message itself.
    Message,
}

impl Answers {
    /// An answer that is sent once everything written so far is on disk. If writing fails, it is not sent; a publisher
    /// gets an error in its place.
    pub fn promise(&mut self, reply: &[u8], header: &[u8], payload: &[u8]) {
        self.push(reply, header, payload, Kind::Promise);
    }

    /// An answer that promises nothing (a refusal); sent in its turn, whatever becomes of the writing.
    pub fn tell(&mut self, reply: &[u8], header: &[u8], payload: &[u8]) {
        self.push(reply, header, payload, Kind::Tell);
    }

    /// A stored message that is published again, once it is on disk.
    pub(crate) fn publish(&mut self, to: &[u8], header: &[u8], payload: &[u8]) {
        self.push(to, header, payload, Kind::Message);
    }

    /// As [`Answers::promise`], with a payload that `write` appends.
    pub(crate) fn promise_with(&mut self, reply: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        if reply.is_empty() {
            return;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(reply);
        let from = self.bytes.len();
        write(&mut self.bytes);
        let payload = (self.bytes.len() - from) as u32;
        self.entries.push(Entry { at, reply: reply.len() as u32, header: 0, payload, kind: Kind::Promise });
    }

    fn push(&mut self, reply: &[u8], header: &[u8], payload: &[u8], kind: Kind) {
        if reply.is_empty() {
            return;
        }
        let at = self.bytes.len();
        for part in [reply, header, payload] {
            self.bytes.extend_from_slice(part);
        }
        self.entries.push(Entry {
            at,
            reply: reply.len() as u32,
            header: header.len() as u32,
            payload: payload.len() as u32,
            kind,
        });
    }

    /// Some of them may go out only once everything is on disk.
    pub(crate) fn promise_something(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind != Kind::Tell)
    }

    /// None waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends all and empties itself. With `failed`, what promised something is answered with that payload, or with
    /// silence where an empty answer was to go out.
    pub(crate) fn send(&mut self, port: &dyn Port, failed: Option<&[u8]>) {
        for entry in self.entries.drain(..) {
            let Some((reply, rest)) =
                self.bytes.get(entry.at..).and_then(|rest| rest.split_at_checked(entry.reply as usize))
            else {
                continue;
            };
            let Some((header, rest)) = rest.split_at_checked(entry.header as usize) else { continue };
            let payload = rest.get(..entry.payload as usize).unwrap_or_default();
            match failed {
                Some(error) if entry.kind != Kind::Tell => {
                    if !payload.is_empty() && entry.kind == Kind::Promise {
                        port.send(&Outgoing { to: reply, payload: error, ..Outgoing::default() });
                    }
                }
                _ => {
                    port.send(&Outgoing { to: reply, header, payload, ..Outgoing::default() });
                }
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
    }
}
