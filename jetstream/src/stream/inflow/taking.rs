//! A message of an origin becomes one of this stream.

use std::borrow::Cow;

use super::super::head::{self, Builder, Head, value};
use super::super::publish::{Publication, Rollup, Verdict};
use super::super::ttl::{self, Ttl};
use super::super::{Core, counter};
use super::Shape;
use crate::api::ApiError;
use crate::store::{NewMessage, Stored};
use cordon_accounts::subject::Transform;

/// The header that tells where a sourced message comes from.
pub(super) const SOURCE: &str = "Nats-Stream-Source";

impl Core {
    /// Stores a message of a feed, whose origin calls itself `origin`; one that is there already changes nothing.
    pub(super) fn take_one(&mut self, feed: &Shape, origin: &str, stored: &Stored, now: i64) -> Result<(), ApiError> {
        let (subject, transform) = feed.transform(stored.subject());
        let dropped = |name: &[u8]| {
            name.starts_with(b"Nats-Batch-")
                || name.starts_with(b"Nats-Expected-")
                || name.eq_ignore_ascii_case(b"Nats-Request-Info")
                || (!feed.mirror && name == SOURCE.as_bytes())
        };
        let kept = head::without(stored.header(), dropped);
        if feed.mirror {
            return self.mirror_one(Publication { subject, header: kept, payload: stored.payload().into() }, stored);
        }
        let origin = format!(
            "{} {} {} {} {} {origin}",
            feed.key,
            stored.seq,
            transform.map_or_else(|| feed.filter_text().to_owned(), |one| one.source().to_string()),
            transform.map_or(">", Transform::destination),
            String::from_utf8_lossy(stored.subject()),
        );
        let own = self.rules.transform.as_ref().and_then(|one| one.apply(&subject, |below| u32::from(below > 1)));
        let mut message = Publication {
            subject: own.map_or(subject, Cow::Owned),
            header: Cow::Owned(Builder::from(&kept, |_| false).add(SOURCE, origin).done()),
            payload: stored.payload().into(),
        };
        let head_block = kept.clone();
        let head = Head::read(&head_block);
        if let Some(id) = head.msg_id
            && self.seen(id, now).is_some()
        {
            return Ok(());
        }
        let plain = Head { ttl: head.ttl, msg_id: head.msg_id, ..Head::default() };
        let mut verdict = if self.config.allow_msg_counter {
            self.sourced_counter(feed, stored, &mut message)?
        } else {
            self.examine(&mut message, &plain, now)?
        };
        if self.config.allow_rollup_hdrs {
            verdict.rollup = rollup(head.rollup);
        }
        self.commit(&message, &verdict, &plain, now).map(|_| ())
    }

    /// A message of a mirror has the sequence and the time of the origin's.
    fn mirror_one(&mut self, message: Publication<'_>, stored: &Stored) -> Result<(), ApiError> {
        let last = self.store.state().last_seq;
        if stored.seq <= last {
            return Ok(());
        }
        let size = self.store.size_of(message.subject.len(), message.header.len(), message.payload.len());
        self.ledger.room(self.config.storage, size)?;
        if stored.seq > last + 1 {
            self.store.skip_to(stored.seq - 1, stored.ts).map_err(ApiError::stream_store_failed)?;
        }
        let block = message.header.clone();
        let head = Head::read(&block);
        let expires = match head.ttl.filter(|_| self.config.allow_msg_ttl).and_then(ttl::parse) {
            Some(Ttl::Never) => -1,
            Some(Ttl::For(nanos)) => stored.ts.saturating_add(nanos),
            None => 0,
        };
        let new = NewMessage {
            subject: &message.subject,
            header: &message.header,
            payload: &message.payload,
            ts: stored.ts,
            expires,
        };
        let before = self.store.of_subject(&message.subject).map_or(0, |of| of.last);
        let seq = self.store.append(&new).map_err(|error| self.store_failed(&error))?;
        let rollup = if self.config.allow_rollup_hdrs { rollup(head.rollup) } else { None };
        let verdict = Verdict { expires, rollup, ..Verdict::default() };
        self.stored(&message, &verdict, None, seq, before, stored.ts);
        Ok(())
    }

    /// A sourced counter is added by what it grew since it came last (jetstream.md 2.9.1).
    fn sourced_counter(
        &self,
        feed: &Shape,
        stored: &Stored,
        message: &mut Publication<'_>,
    ) -> Result<Verdict, ApiError> {
        let sourced = counter::read(stored.payload())?;
        let mut known = self.counter_sources(&message.subject);
        let subject = String::from_utf8_lossy(stored.subject()).into_owned();
        let of_stream = known.entry(feed.source.name.clone()).or_default();
        let before = of_stream.get(&subject).and_then(|text| counter::parse(text.as_bytes())).unwrap_or_default();
        let grown = &sourced - before;
        of_stream.insert(subject, sourced.to_string());
        let sum = self.add_up(&message.subject, &grown)?;
        let known = serde_json::to_string(&known).unwrap_or_default();
        let block = Builder::from(&message.header, |name| name == b"Nats-Incr" || name == COUNTER_SOURCES.as_bytes())
            .number("Nats-Incr", grown)
            .add(COUNTER_SOURCES, known);
        message.header = Cow::Owned(block.done());
        message.payload = Cow::Owned(sum.payload.clone());
        Ok(Verdict { sum: Some(sum), ..Verdict::default() })
    }

    fn counter_sources(&self, subject: &[u8]) -> CounterSources {
        let last = self.store.of_subject(subject).and_then(|of| self.store.get(of.last).ok().flatten());
        last.and_then(|last| serde_json::from_slice(value(last.header(), COUNTER_SOURCES)?).ok()).unwrap_or_default()
    }
}

/// What a counter remembers of those that it is fed by: by stream and subject.
type CounterSources = std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>;
const COUNTER_SOURCES: &str = "Nats-Counter-Sources";

fn rollup(value: Option<&[u8]>) -> Option<Rollup> {
    let value = value?;
    if value.eq_ignore_ascii_case(b"all") {
        Some(Rollup::All)
    } else {
        value.eq_ignore_ascii_case(b"sub").then_some(Rollup::Subject)
    }
}
