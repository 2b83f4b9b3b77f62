//! Fast batches: messages are stored as they come, and their publisher is told how far they are and how many may follow.
//! Everything that controls one is in the reply subject:
//! `<prefix>.<batch>.<flow>.<gap>.<sequence>.<operation>.$FI`.

use serde_json::json;

use super::{ID_MAX, count_in};
use crate::api::ApiError;
use crate::stream::head::Head;
use crate::stream::publish::Outcome;
use crate::stream::{Arrival, Core};

/// Messages between two answers, at first and at most, shared by the open batches of a stream.
const FLOW_MAX: u64 = 500;
/// What a publisher gets that asks for nothing sensible.
const FLOW_DEFAULT: u64 = 10;

/// An open batch.
#[derive(Debug)]
pub(super) struct Fast {
    /// The last sequence of the batch that came.
    last: u64,
    /// Messages stored.
    count: u64,
    /// The last sequence of the stream.
    stored: u64,
    /// Messages between two answers.
    flow: u64,
    /// Most that the publisher wants between two answers.
    most: u64,
    /// The sequence that was answered last.
    answered: u64,
    heard: i64,
}

impl Fast {
    pub(super) fn heard(&self) -> i64 {
        self.heard
    }
}

/// What a reply subject says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control<'a> {
    id: &'a [u8],
    flow: u64,
    fails: bool,
    seq: u64,
    operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Start,
    Append,
    Commit,
    End,
    Ping,
}

impl<'a> Control<'a> {
    fn parse(reply: &'a [u8]) -> Option<Self> {
        let mut parts = reply.rsplitn(7, |byte| *byte == b'.');
        if parts.next()? != b"$FI" {
            return None;
        }
        let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<i64>().ok());
        let operation = match parts.next()? {
            b"0" => Operation::Start,
            b"1" => Operation::Append,
            b"2" => Operation::Commit,
            b"3" => Operation::End,
            b"4" => Operation::Ping,
            _ => return None,
        };
        let seq = u64::try_from(number(parts.next()?)?).ok()?;
        let fails = match parts.next()? {
            b"ok" => false,
            b"fail" => true,
            _ => return None,
        };
        let flow = number(parts.next()?).and_then(|flow| u64::try_from(flow).ok()).filter(|flow| *flow > 0);
        let id = parts.next()?;
        let valid = match operation {
            Operation::Start => seq == 1,
            Operation::Append | Operation::End => seq >= 2,
            Operation::Commit => seq >= 1,
            Operation::Ping => true,
        };
        (valid && !id.is_empty()).then_some(Self {
            id,
            flow: flow.unwrap_or(FLOW_DEFAULT).min(65_535),
            fails,
            seq,
            operation,
        })
    }
}

impl Core {
    /// A message of a fast batch.
    pub(in crate::stream) fn fast(&mut self, arrival: &Arrival<'_>, now: i64) {
        if !self.config.allow_batched {
            return self.answer(arrival.reply, Err(ApiError::batch_publish_disabled()));
        }
        let Some(control) = Control::parse(arrival.reply) else {
            return self.answer(arrival.reply, Err(ApiError::batch_publish_invalid_pattern()));
        };
        if control.id.len() > ID_MAX {
            return self.answer(arrival.reply, Err(ApiError::batch_publish_invalid_batch_id()));
        }
        let known = self.batches.fast.contains_key(control.id);
        if !known && let Err(error) = self.open_fast(&control, now) {
            return self.answer(arrival.reply, Err(error));
        }
        self.go_on(arrival, &control, !known, now);
    }

    fn open_fast(&mut self, control: &Control<'_>, now: i64) -> Result<(), ApiError> {
        if control.seq != 1 || matches!(control.operation, Operation::Ping | Operation::End) {
            return Err(ApiError::batch_publish_unknown_batch_id());
        }
        let limits = self.ledger.settings().batch;
        if self.batches.fast.len() >= limits.fast_per_stream
            || !count_in(&self.batches.node.fast_batches, limits.fast_total)
        {
            return Err(ApiError::batch_publish_too_many_inflight());
        }
        let flow = if self.batches.fast.is_empty() { control.flow.min(FLOW_MAX) } else { 1 };
        let batch = Fast { last: 0, count: 0, stored: 0, flow, most: control.flow, answered: 0, heard: now };
        self.batches.fast.insert(control.id.to_vec(), batch);
        Ok(())
    }

    fn go_on(&mut self, arrival: &Arrival<'_>, control: &Control<'_>, first: bool, now: i64) {
        let Some(batch) = self.batches.fast.get_mut(control.id) else { return };
        batch.heard = now;
        let expected = batch.last + 1;
        if control.operation == Operation::Ping {
            let (answered, flow) = (batch.answered, batch.flow);
            self.tell_flow(arrival.reply, answered, flow);
            if control.seq > expected {
                self.tell_gap(arrival.reply, expected, control.seq);
            }
            return;
        }
        if control.seq < expected {
            return self.end_batch(arrival.reply, control.id);
        }
        if control.seq > expected {
            self.tell_gap(arrival.reply, expected, control.seq);
            if control.fails {
                return self.end_batch(arrival.reply, control.id);
            }
        }
        let outcome = if control.operation == Operation::End { None } else { Some(self.store_fast(arrival, now)) };
        let Some(batch) = self.batches.fast.get_mut(control.id) else { return };
        batch.last = control.seq;
        match outcome {
            Some(Ok(Outcome::Stored { seq, .. })) => {
                batch.count += 1;
                batch.stored = seq;
            }
            Some(Err(error)) if first && control.fails => {
                self.batches.end_fast(control.id);
                return self.answer(arrival.reply, Err(error));
            }
            Some(Err(error)) => {
                let told = json!({"type": "err", "seq": control.seq, "error": error}).to_string();
                self.answers.tell(arrival.reply, b"", told.as_bytes());
                if control.fails {
                    return self.end_batch(arrival.reply, control.id);
                }
            }
            Some(Ok(Outcome::Duplicate(_))) | None => {}
        }
        if matches!(control.operation, Operation::Commit | Operation::End) {
            return self.end_batch(arrival.reply, control.id);
        }
        self.answer_flow(arrival.reply, control.id, first);
    }

    fn store_fast(&mut self, arrival: &Arrival<'_>, now: i64) -> Result<Outcome, ApiError> {
        let message = self.prepare(arrival.subject, arrival.header, arrival.payload);
        self.accept(message, &Head::read(arrival.header), now)
    }

    /// Tells how far the batch is, when that is due.
    fn answer_flow(&mut self, reply: &[u8], id: &[u8], first: bool) {
        let share = FLOW_MAX / (self.batches.fast.len() as u64).max(1);
        let Some(batch) = self.batches.fast.get_mut(id) else { return };
        if first {
            let flow = batch.flow;
            return self.tell_flow(reply, 0, flow);
        }
        if batch.last - batch.answered < batch.flow {
            return;
        }
        let most = batch.most.min(share).max(1);
        batch.flow = if batch.flow > most { (batch.flow / 2).max(1) } else { (batch.flow * 2).min(most) };
        batch.answered = batch.last;
        let (last, flow) = (batch.last, batch.flow);
        self.tell_flow(reply, last, flow);
    }

    fn tell_flow(&mut self, reply: &[u8], seq: u64, flow: u64) {
        let text = format!("{{\"type\":\"ack\",\"seq\":{seq},\"msgs\":{flow}}}");
        self.answers.promise(reply, b"", text.as_bytes());
    }

    fn tell_gap(&mut self, reply: &[u8], expected: u64, got: u64) {
        let text = format!("{{\"type\":\"gap\",\"last_seq\":{expected},\"seq\":{got}}}");
        self.answers.tell(reply, b"", text.as_bytes());
    }

    /// The batch ends; what was stored stays.
    fn end_batch(&mut self, reply: &[u8], id: &[u8]) {
        if let Some(batch) = self.batches.end_fast(id) {
            self.answer_batch(reply, id, batch.stored, batch.count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reply_subject_says() {
        let parse = |text: &'static str| Control::parse(text.as_bytes());
        let start = Control { id: b"B", flow: 100, fails: true, seq: 1, operation: Operation::Start };
        assert_eq!(parse("_INBOX.x.B.100.fail.1.0.$FI"), Some(start));
        assert_eq!(parse("p.B.-1.ok.2.1.$FI").map(|control| control.flow), Some(10));
        assert_eq!(parse("p.B.99999.ok.2.1.$FI").map(|control| control.flow), Some(65_535));
        for bad in [
            "p.B.1.ok.2.0.$FI",
            "p.B.1.ok.1.1.$FI",
            "p.B.1.no.1.0.$FI",
            "p.B.1.ok.x.1.$FI",
            "p.B.1.ok.1.9.$FI",
            "B.1.$FI",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
