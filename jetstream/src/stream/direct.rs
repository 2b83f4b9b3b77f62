//! `DIRECT.GET`: messages read without JSON around them (jetstream.md 2.10).
//!
//! Runs on an API worker under the stream's lock, so it never sees half of a batch or what a rollup is about to remove.

use cordon_accounts::permissions::Permissions;
use cordon_accounts::subject::Pattern;
use serde::Deserialize;

use super::get::{Wanted, filter_of};
use super::head::{Builder, OURS, is_ours};
use super::{Core, head};
use crate::config::{Moment, StreamConfig, level};
use crate::port::{Outgoing, Port};
use crate::reader;
use crate::store::{Filter, Stored};

/// Most subjects of one `multi_last` request.
const MULTI_MAX: usize = 1024;
/// Most patterns of one `multi_last` request.
const PATTERNS_MAX: usize = 1024;
/// Bytes after which an answer ends that says no limit.
const BYTES_MAX: u64 = 64 << 20;

/// A request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    seq: u64,
    last_by_subj: String,
    next_by_subj: String,
    start_time: Option<Moment>,
    batch: i64,
    max_bytes: i64,
    multi_last: Vec<String>,
    up_to_seq: u64,
    up_to_time: Option<Moment>,
    no_hdr: bool,
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct DirectRequest<'a> {
    /// What follows the stream's name in its subject.
    pub subject: Option<&'a str>,
    /// Its header block.
    pub header: &'a [u8],
    /// Its body.
    pub payload: &'a [u8],
    /// Where answers go.
    pub reply: &'a [u8],
    /// What the asker may subscribe to, if that bounds what it reads.
    pub reader: Option<&'a Permissions>,
}

/// Where answers go.
struct Out<'a> {
    port: &'a dyn Port,
    to: &'a [u8],
    bare: bool,
}

impl Out<'_> {
    fn status(&self, status: &str) {
        self.end(Builder::status(status));
    }

    fn end(&self, block: Builder) {
        self.port.send(&Outgoing { to: self.to, header: &block.done(), ..Outgoing::default() });
    }
}

impl Core {
    /// Answers a request.
    pub fn direct_get(&self, asked: &DirectRequest<'_>) {
        let DirectRequest { subject, header, payload, reply, reader } = *asked;
        if reply.is_empty() {
            return;
        }
        let mut out = Out { port: &*self.port, to: reply, bare: false };
        if !level_is_met(header) {
            return out.status("412 Required Api Level");
        }
        let mut request = match crate::api::json::tolerant::<Request>(payload) {
            Some(request) => request,
            None if payload.trim_ascii().is_empty() => Request::default(),
            None => return out.status("408 Malformed Request"),
        };
        out.bare = request.no_hdr;
        match subject {
            Some(subject) => {
                let bare = Request { no_hdr: request.no_hdr, ..Request::default() };
                if !request.is_same_wish(&bare) {
                    return out.status("408 Bad Request");
                }
                subject.clone_into(&mut request.last_by_subj);
            }
            None if payload.trim_ascii().is_empty() => return out.status("408 Empty Request"),
            None => {}
        }
        if reader.is_some() && reader::check(reader, &request.reads_of(&self.config)).is_err() {
            return out.status("403 Permission Violation");
        }
        if !request.multi_last.is_empty() {
            out.bare = false;
            return self.direct_multi(&request, &out);
        }
        let wanted = request.wanted();
        if !wanted.is_valid() || request.up_to_seq > 0 || request.up_to_time.is_some() || request.batch < 0 {
            return out.status("408 Bad Request");
        }
        if request.batch > 0 {
            if !request.last_by_subj.is_empty() {
                return out.status("408 Bad Request");
            }
            return self.direct_batch(&request, &wanted, &out);
        }
        match self.message(&wanted) {
            Ok(stored) => self.send_stored(&stored, None, &out),
            Err(_) => out.status("404 Message Not Found"),
        }
    }

    fn send_stored(&self, stored: &Stored, batch: Option<(u64, u64)>, out: &Out<'_>) {
        if out.bare {
            out.port.send(&Outgoing { to: out.to, payload: stored.payload(), ..Outgoing::default() });
            return;
        }
        let mut block = Builder::from(stored.header(), is_ours)
            .add(OURS.stream, &self.config.name)
            .add(OURS.subject, stored.subject())
            .number(OURS.sequence, stored.seq)
            .add(OURS.time, Moment(stored.ts).to_string());
        if let Some((pending, last)) = batch {
            block = block.number(OURS.pending, pending).number(OURS.last_sequence, last);
        }
        out.port.send(&Outgoing {
            to: out.to,
            header: &block.done(),
            payload: stored.payload(),
            ..Outgoing::default()
        });
    }

    /// Messages from a beginning, as many as were asked for.
    fn direct_batch(&self, request: &Request, wanted: &Wanted, out: &Out<'_>) {
        let Some(filter) = request.filter() else { return out.status("408 Bad Request") };
        let from = wanted.since.map_or(wanted.seq, |since| self.store.at_time(since.0)).max(1);
        let mut pending = self.store.count(&filter, from);
        if pending == 0 {
            return out.status("404 Message Not Found");
        }
        let (mut at, mut last, mut left, mut bytes) = (from, 0, request.batch, request.bytes());
        while left > 0
            && let Some(seq) = self.store.next(&filter, at)
        {
            at = seq + 1;
            pending = pending.saturating_sub(1);
            let Ok(Some(stored)) = self.store.get(seq) else { continue };
            self.send_stored(&stored, Some((pending, last)), out);
            last = seq;
            left -= 1;
            let size = (stored.subject().len() + stored.header().len() + stored.payload().len()) as u64;
            if size > bytes {
                break;
            }
            bytes -= size;
        }
        out.end(Builder::status("204 EOB").number(OURS.pending, pending).number(OURS.last_sequence, last));
    }

    /// The last message of each of many subjects, as of one moment.
    fn direct_multi(&self, request: &Request, out: &Out<'_>) {
        let mut plain = request.wanted();
        plain.seq = 0;
        if plain != Wanted::default()
            || request.multi_last.len() > PATTERNS_MAX
            || (request.up_to_seq > 0 && request.up_to_time.is_some())
        {
            return out.status("408 Bad Request");
        }
        let state = self.store.state();
        let mut up_to = if request.up_to_seq > 0 { request.up_to_seq } else { state.last_seq };
        if let Some(time) = request.up_to_time {
            up_to = self.store.at_time(time.0).saturating_sub(1);
        }
        let mut found = std::collections::BTreeSet::new();
        for pattern in &request.multi_last {
            let Some(filter) = filter_of(pattern) else { return out.status("408 Bad Request") };
            self.store.subjects(&filter, None, &mut |subject, of| {
                if let Some(seq) = self.last_at_most(subject, of.last, up_to) {
                    found.insert(seq);
                }
                found.len() <= MULTI_MAX
            });
            if found.len() > MULTI_MAX {
                return out.status("413 Too Many Results");
            }
        }
        let wanted: Vec<u64> = found.into_iter().filter(|seq| *seq >= request.seq).collect();
        if wanted.is_empty() || up_to < state.first_seq {
            return out.status("404 No Results");
        }
        let most = if request.batch > 0 { request.batch.unsigned_abs() as usize } else { usize::MAX };
        let (mut pending, mut last, mut bytes) = (wanted.len() as u64, 0, request.bytes());
        for seq in wanted.into_iter().take(most) {
            let Ok(Some(stored)) = self.store.get(seq) else { return out.status("404 Message Not Found") };
            pending -= 1;
            self.send_stored(&stored, Some((pending, last)), out);
            last = seq;
            let size = (stored.subject().len() + stored.header().len() + stored.payload().len()) as u64;
            if size > bytes {
                break;
            }
            bytes -= size;
        }
        let end = Builder::status("204 EOB").number(OURS.pending, pending).number(OURS.last_sequence, last);
        out.end(end.number(OURS.up_to, up_to));
    }

    /// The last message of a literal subject at or below a sequence.
    fn last_at_most(&self, subject: &[u8], last: u64, up_to: u64) -> Option<u64> {
        if last <= up_to {
            return Some(last);
        }
        let filter = filter_of(std::str::from_utf8(subject).ok()?)?;
        self.store.last(&filter, up_to)
    }
}

impl Request {
    fn wanted(&self) -> Wanted {
        let some = |subject: &String| (!subject.is_empty()).then(|| subject.clone());
        Wanted {
            seq: self.seq,
            last_of: some(&self.last_by_subj),
            next_of: some(&self.next_by_subj),
            since: self.start_time,
        }
    }

    /// The subjects that it is about; all of the stream where it names a sequence or a time alone.
    fn reads_of(&self, config: &StreamConfig) -> Vec<Pattern> {
        let single = [&self.last_by_subj, &self.next_by_subj].map(String::as_str);
        let all: Vec<&str> = single.into_iter().chain(self.multi_last.iter().map(String::as_str)).collect();
        reader::part_of(config, &all)
    }

    fn filter(&self) -> Option<Filter> {
        if self.next_by_subj.is_empty() { Some(Filter::All) } else { filter_of(&self.next_by_subj) }
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.max_bytes).ok().filter(|most| *most > 0).unwrap_or(BYTES_MAX)
    }

    /// Both ask for the same, but for what both may say.
    fn is_same_wish(&self, other: &Self) -> bool {
        self.wanted() == other.wanted()
            && self.batch == other.batch
            && self.max_bytes == other.max_bytes
            && self.multi_last == other.multi_last
            && self.up_to_seq == other.up_to_seq
            && self.up_to_time == other.up_to_time
    }
}

/// A request's `Nats-Required-Api-Level` is one that this server has.
pub(crate) fn level_is_met(header: &[u8]) -> bool {
    head::value(header, head::REQUIRED_API_LEVEL).is_none_or(|value| {
        std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
            .is_some_and(|wanted| wanted <= level::API_LEVEL)
    })
}
