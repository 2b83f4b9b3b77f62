//! Acknowledgements (jetstream.md 3.4): what a receiver says of a message that it got.

use bytes::Bytes;
use serde::Deserialize;

use super::advisory::Delivery;
use super::number::parse_u64;
use super::progress::Change;
use super::subject::AckTokens;
use super::{Consumer, Context};
use crate::config::AckPolicy;

/// Longest reason for which a message is given up; a longer one is cut.
const REASON_MAX: usize = 1024;

/// What an acknowledgement says.
#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    Done,
    /// Again, after so many nanoseconds.
    Again(i64),
    InProgress,
    /// Never again, and why.
    GiveUp(&'a [u8]),
    /// Done, and the next ones: a pull request.
    Next(&'a [u8]),
    Unknown,
}

fn word(body: &[u8]) -> Word<'_> {
    match body {
        b"" | b"+ACK" | b"+OK" => Word::Done,
        b"+WPI" => Word::InProgress,
        _ => {
            if let Some(rest) = body.strip_prefix(b"-NAK") {
                Word::Again(delay(rest.trim_ascii()).unwrap_or(0))
            } else if let Some(rest) = body.strip_prefix(b"+TERM") {
                let reason = rest.trim_ascii();
                Word::GiveUp(reason.get(..REASON_MAX).unwrap_or(reason))
            } else if let Some(rest) = body.strip_prefix(b"+NXT") {
                Word::Next(rest)
            } else {
                Word::Unknown
            }
        }
    }
}

/// The delay behind `-NAK`: `{"delay": <nanoseconds>}` or a duration like `1m30s`. Nothing if it is neither.
fn delay(text: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Delay {
        delay: i64,
    }
    if text.first() == Some(&b'{') {
        return serde_json::from_slice::<Delay>(text).ok().map(|of| of.delay.max(0));
    }
    duration(text)
}

/// Reads a duration as the Go language writes it, without sign: numbers with units, `1h2m3.5s`.
fn duration(mut text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !text.is_empty() {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (whole, rest) = text.split_at_checked(digits)?;
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => rest.split_at_checked(rest.iter().take_while(|byte| byte.is_ascii_digit()).count())?,
            None => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let units = rest.iter().take_while(|byte| !byte.is_ascii_digit() && **byte != b'.').count();
        let (unit, rest) = rest.split_at_checked(units)?;
        let unit: i128 = match unit {
            b"ns" => 1,
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
            b"ms" => 1_000_000,
            b"s" => 1_000_000_000,
            b"m" => 60_000_000_000,
            b"h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole = if whole.is_empty() { 0 } else { parse_u64(whole)? };
        total += i128::from(whole) * unit;
        let fraction = fraction.get(..fraction.len().min(12)).unwrap_or_default();
        if !fraction.is_empty() {
            total += i128::from(parse_u64(fraction)?) * unit / 10i128.pow(fraction.len() as u32);
        }
        text = rest;
    }
    i64::try_from(total).ok()
}

impl Consumer {
    /// What a receiver said of a delivery. If it has a `reply` subject, that goes to [`super::Effects::answers`]: an
    /// empty message, once the journal is synced. A sequence that was never delivered has neither effect nor answer.
    pub fn acknowledge(&mut self, of: &AckTokens, body: &[u8], reply: &[u8], cx: &mut Context<'_>) {
        if !self.takes_acks() {
            return;
        }
        let seq = of.stream_seq;
        if seq == 0 || seq >= self.progress.next() {
            return;
        }
        self.touch(cx.now);
        self.last_ack = cx.now;
        let mut answer = !reply.is_empty();
        match word(body) {
            Word::Done => self.done(seq, cx),
            Word::Again(delay) => self.again(seq, delay, cx),
            Word::InProgress => self.in_progress(seq, cx),
            Word::GiveUp(reason) => self.give_up(seq, reason, cx),
            Word::Next(request) => {
                self.done(seq, cx);
                if answer {
                    self.ask(request, reply, cx);
                }
                answer = false;
            }
            Word::Unknown => {}
        }
        if answer {
            cx.effects.answers.push(Bytes::copy_from_slice(reply));
        }
    }

    fn done(&mut self, seq: u64, cx: &mut Context<'_>) {
        if self.config.ack_policy == AckPolicy::All {
            self.done_up_to(seq, cx);
            return;
        }
        let deliveries = self.progress.deliveries(seq);
        let exhausted = self.progress.is_exhausted(seq);
        let Some(pending) = self.progress.acked(seq) else {
            if exhausted {
                self.note(Change::Acked(seq), cx.now);
                cx.effects.settled.push(seq);
            }
            return;
        };
        self.note(Change::Acked(seq), cx.now);
        cx.effects.settled.push(seq);
        if self.sample > 0 && self.is_sampled() {
            let of = Delivery { stream_seq: seq, consumer_seq: pending.consumer_seq, deliveries };
            self.tell_acked(&of, cx.now.saturating_sub(pending.sent), cx);
        }
    }

    /// All up to `seq` are acknowledged.
    pub(super) fn done_up_to(&mut self, seq: u64, cx: &mut Context<'_>) {
        if seq <= self.progress.floor_pair().stream && !self.progress.is_exhausted(seq) {
            return;
        }
        let last = self.progress.pending(seq).copied();
        let deliveries = self.progress.deliveries(seq);
        self.note(Change::AckedAll(seq), cx.now);
        let settled = &mut cx.effects.settled;
        self.progress.acked_all(seq, &mut |seq| settled.push(seq));
        if let Some(pending) = last
            && self.sample > 0
            && self.is_sampled()
        {
            let of = Delivery { stream_seq: seq, consumer_seq: pending.consumer_seq, deliveries };
            self.tell_acked(&of, cx.now.saturating_sub(pending.sent), cx);
        }
    }

    fn again(&mut self, seq: u64, delay: i64, cx: &mut Context<'_>) {
        let Some(pending) = self.progress.pending(seq).copied() else { return };
        let deliveries = self.progress.deliveries(seq);
        let of = Delivery { stream_seq: seq, consumer_seq: pending.consumer_seq, deliveries };
        self.tell_naked(&of, cx);
        if delay == 0 && self.may_not_be_delivered_again(seq) {
            self.give_out(seq, cx);
            return;
        }
        let at = cx.now.saturating_add(delay);
        self.note(Change::Due(seq, at), cx.now);
        self.progress.postpone(seq, at, Some(cx.now));
    }

    fn in_progress(&mut self, seq: u64, cx: &mut Context<'_>) {
        if self.progress.pending(seq).is_some() {
            let at = self.progress.deadline_from(seq, cx.now);
            self.note(Change::Due(seq, at), cx.now);
            self.progress.postpone(seq, at, Some(cx.now));
        }
    }

    fn give_up(&mut self, seq: u64, reason: &[u8], cx: &mut Context<'_>) {
        let deliveries = self.progress.deliveries(seq);
        let exhausted = self.progress.is_exhausted(seq);
        let Some(pending) = self.progress.acked(seq) else {
            if exhausted {
                self.note(Change::Acked(seq), cx.now);
                cx.effects.settled.push(seq);
            }
            return;
        };
        self.note(Change::Acked(seq), cx.now);
        cx.effects.settled.push(seq);
        let of = Delivery { stream_seq: seq, consumer_seq: pending.consumer_seq, deliveries };
        self.tell_terminated(&of, &String::from_utf8_lossy(reason), cx);
    }

    pub(super) fn may_not_be_delivered_again(&self, seq: u64) -> bool {
        self.config.max_deliver > 0 && i64::from(self.progress.deliveries(seq)) >= self.config.max_deliver
    }

    /// A message was delivered as often as it may be and is due again: it waits no more.
    pub(super) fn give_out(&mut self, seq: u64, cx: &Context<'_>) {
        let deliveries = self.progress.deliveries(seq);
        if self.progress.exhaust(seq).is_some() {
            self.note(Change::Exhausted(seq), cx.now);
            self.tell_max_deliveries(seq, deliveries, cx);
        }
    }

    /// Every so many acknowledgements are told of, evenly.
    fn is_sampled(&mut self) -> bool {
        self.sampled += self.sample;
        let told = self.sampled >= 100;
        if told {
            self.sampled -= 100;
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_acknowledgements() {
        for (body, expected) in [
            ("", Word::Done),
            ("+ACK", Word::Done),
            ("+OK", Word::Done),
            ("+WPI", Word::InProgress),
            ("+WPI ", Word::Unknown),
            ("-NAK", Word::Again(0)),
            ("-NAK {\"delay\": 2000000000}", Word::Again(2_000_000_000)),
            ("-NAK {\"delay\": -5}", Word::Again(0)),
            ("-NAK 5s", Word::Again(5_000_000_000)),
            ("-NAK nonsense", Word::Again(0)),
            ("-NAK {", Word::Again(0)),
            ("+TERM", Word::GiveUp(b"")),
            ("+TERM because", Word::GiveUp(b"because")),
            ("+NXT", Word::Next(b"")),
            ("+NXT 5", Word::Next(b" 5")),
            ("+ACK more", Word::Unknown),
            ("hello", Word::Unknown),
        ] {
            assert_eq!(word(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("5s", Some(5_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5ms", Some(500_000)),
            ("2µs", Some(2_000)),
            ("7ns", Some(7)),
            ("1h", Some(3_600_000_000_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("5x", None),
            ("5s5", None),
            (".s", None),
            ("99999999999999h", None),
            ("99999999999999999999999s", None),
        ] {
            assert_eq!(duration(text.as_bytes()), nanos, "{text}");
        }
    }
}
