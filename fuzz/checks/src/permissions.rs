//! Publish, subscribe, deliver and respond, against the lists read plainly; and templates, which widen nothing.
//!
//! The input is lines. The first letter says what a line is: `p` allows and `P` denies publishing, `s` and `S` the
//! same of subscribing, `r` is the leave to respond; `?` asks about a subject and queue; `g`, `t` and `w` grant and
//! take a reply and let time pass; `n` and `k` are a user's name and tag for the placeholders of templates.

use std::collections::HashMap;

use cordon_accounts::claims::{PermissionsClaim, ResponseClaim, UserTemplate};
use cordon_accounts::permissions::template::{self, Values};
use cordon_accounts::permissions::{Permissions, ReplyGrants, ResponseRule};

use crate::input::Input;
use crate::naive;

/// Entries of one list; the model is quadratic in them.
const ENTRIES_MAX: usize = 24;

/// One entry, read plainly.
struct Entry<'a> {
    subject: &'a str,
    queue: Option<&'a str>,
}

/// What the lines say.
#[derive(Default)]
struct Script<'a> {
    claim: PermissionsClaim,
    asked: Vec<(&'a [u8], Option<&'a [u8]>)>,
    replies: Vec<(u8, &'a [u8])>,
    name: &'a str,
    tags: Vec<String>,
}

/// Panics when a verdict differs from the model's.
pub fn check(data: &[u8]) {
    let script = read(data);
    widens_nothing(&script);
    verdicts(&script);
    respond(&script);
}

fn read(data: &[u8]) -> Script<'_> {
    let mut input = Input::new(data);
    let mut script = Script::default();
    while !input.is_empty() {
        let kind = input.byte();
        let line = input.line();
        let text = std::str::from_utf8(line).unwrap_or_default();
        let claim = &mut script.claim;
        let list = match kind {
            b'p' => &mut claim.publish.allow,
            b'P' => &mut claim.publish.deny,
            b's' => &mut claim.subscribe.allow,
            b'S' => &mut claim.subscribe.deny,
            b'k' => &mut script.tags,
            b'n' => {
                script.name = text;
                continue;
            }
            b'r' => {
                let (max, ttl) = text.split_once(' ').unwrap_or((text, ""));
                claim.response = Some(ResponseClaim { max: max.parse().unwrap_or(0), ttl: ttl.parse().unwrap_or(0) });
                continue;
            }
            b'?' => {
                let mut parts = line.splitn(2, |byte| *byte == b' ');
                script.asked.push((parts.next().unwrap_or_default(), parts.next()));
                continue;
            }
            b'g' | b't' | b'w' => {
                script.replies.push((kind, line));
                continue;
            }
            _ => continue,
        };
        if list.len() < ENTRIES_MAX {
            list.push(text.to_owned());
        }
    }
    script
}

/// The entries of a list, if all are well formed.
fn entries(list: &[String], queues: bool) -> Option<Vec<Entry<'_>>> {
    list.iter().map(|text| entry(text, queues)).collect()
}

fn entry(text: &str, queues: bool) -> Option<Entry<'_>> {
    let fields: Vec<&str> = text.split([' ', '\t', '\n', '\r', '\x0c']).filter(|field| !field.is_empty()).collect();
    let sound = |field: &str| field.len() <= 4096 && naive::is_valid(&naive::tokens(field.as_bytes()));
    match fields[..] {
        [subject] if sound(subject) => Some(Entry { subject, queue: None }),
        [subject, queue] if queues && sound(subject) && sound(queue) => Some(Entry { subject, queue: Some(queue) }),
        _ => None,
    }
}

/// The lists of a claim that can be compiled.
struct Model<'a> {
    publish_allow: Option<Vec<Entry<'a>>>,
    publish_deny: Vec<Entry<'a>>,
    subscribe_allow: Option<Vec<Entry<'a>>>,
    subscribe_deny: Vec<Entry<'a>>,
}

impl<'a> Model<'a> {
    fn of(claim: &'a PermissionsClaim) -> Option<Self> {
        let publish_allow = entries(&claim.publish.allow, false)?;
        let subscribe_allow = entries(&claim.subscribe.allow, true)?;
        let restricted = !publish_allow.is_empty() || claim.response.is_some();
        Some(Self {
            publish_allow: restricted.then_some(publish_allow),
            publish_deny: entries(&claim.publish.deny, false)?,
            subscribe_allow: Some(subscribe_allow).filter(|list| !list.is_empty()),
            subscribe_deny: entries(&claim.subscribe.deny, true)?,
        })
    }

    fn may_publish(&self, subject: &[u8]) -> bool {
        let hit = |entry: &Entry<'_>| entry.matches(subject);
        !self.publish_deny.iter().any(hit) && self.publish_allow.as_ref().is_none_or(|list| list.iter().any(hit))
    }

    fn may_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        if queue == Some(b"_sys_") || self.subscribe_deny.iter().any(|e| e.denies(queue) && e.contains(subject)) {
            return false;
        }
        let Some(allow) = &self.subscribe_allow else { return true };
        let about: Vec<&Entry<'_>> = allow.iter().filter(|entry| entry.contains(subject)).collect();
        let named: Vec<&&Entry<'_>> = about.iter().filter(|e| queue.is_some() && e.queue.is_some()).collect();
        if named.is_empty() {
            return about.iter().any(|entry| entry.queue.is_none());
        }
        named.iter().any(|entry| entry.denies(queue))
    }

    fn may_deliver(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        !self.subscribe_deny.iter().any(|entry| entry.denies(queue) && entry.matches(subject))
    }

    fn overlaps_deny(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.subscribe_deny.iter().any(|entry| entry.denies(queue) && entry.overlaps(subject))
    }
}

impl Entry<'_> {
    fn matches(&self, subject: &[u8]) -> bool {
        naive::matches(&naive::tokens(self.subject.as_bytes()), &naive::tokens(subject))
    }

    fn contains(&self, pattern: &[u8]) -> bool {
        naive::contains(&naive::tokens(self.subject.as_bytes()), &naive::tokens(pattern))
    }

    fn overlaps(&self, pattern: &[u8]) -> bool {
        naive::overlaps(&naive::tokens(self.subject.as_bytes()), &naive::tokens(pattern))
    }

    /// It is for this queue group: an entry without one is for all.
    fn denies(&self, queue: Option<&[u8]>) -> bool {
        match (self.queue, queue) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(queue)) => {
                own.as_bytes() == queue || naive::matches(&naive::tokens(own.as_bytes()), &naive::tokens(queue))
            }
        }
    }
}

fn verdicts(script: &Script<'_>) {
    let compiled = Permissions::compile(&script.claim);
    let Some(model) = Model::of(&script.claim) else {
        assert!(compiled.is_err(), "a bad entry is refused");
        return;
    };
    let compiled = compiled.expect("good entries are taken");
    for (subject, queue) in &script.asked {
        let (subject, queue) = (*subject, *queue);
        assert_eq!(compiled.may_publish(subject).is_ok(), model.may_publish(subject), "may_publish");
        let deliver = model.may_deliver(subject, queue);
        assert_eq!(compiled.may_deliver(subject, queue).is_ok(), deliver, "may_deliver");
        assert_eq!(compiled.denies_delivery(subject, queue), !deliver, "denies_delivery");
        if naive::is_valid(&naive::tokens(subject)) {
            subscribing(&compiled, &model, subject, queue, &script.asked);
        }
    }
}

fn subscribing(
    compiled: &Permissions,
    model: &Model<'_>,
    subject: &[u8],
    queue: Option<&[u8]>,
    asked: &[(&[u8], Option<&[u8]>)],
) {
    let permit = compiled.may_subscribe(subject, queue);
    assert_eq!(permit.is_ok(), model.may_subscribe(subject, queue), "may_subscribe");
    let Ok(permit) = permit else { return };
    let literal = naive::is_literal(&naive::tokens(subject));
    let overlaps = !literal && model.overlaps_deny(subject, queue);
    assert_eq!(permit.overlaps_deny(), overlaps, "overlaps_deny");
    // What it comes to: nothing denied ever arrives, and with plain lists nothing that is not allowed.
    for (message, _) in asked {
        let arrives = naive::matches(&naive::tokens(subject), &naive::tokens(message))
            && (!permit.overlaps_deny() || compiled.may_deliver(message, queue).is_ok());
        if arrives {
            assert!(model.may_deliver(message, queue), "a denied message arrives");
            let allowed = model.subscribe_allow.as_ref().is_none_or(|list| list.iter().any(|e| e.matches(message)));
            assert!(allowed, "a message arrives that nothing allows");
        }
    }
}

fn respond(script: &Script<'_>) {
    let Some(claim) = &script.claim.response else { return };
    let rule = ResponseRule::from_claim(claim);
    let mut grants = ReplyGrants::new(rule);
    let mut model: HashMap<&[u8], (u64, u32)> = HashMap::new();
    let mut now: u64 = 0;
    for (kind, reply) in &script.replies {
        match kind {
            b'g' => {
                grants.granted(reply, now);
                if !reply.is_empty() {
                    model.insert(reply, (now, 0));
                }
            }
            b't' => {
                let wanted = model.get_mut(reply).is_some_and(|(since, used)| {
                    *used += 1;
                    let open = rule.ttl_ns.is_none_or(|ttl| now - *since <= ttl);
                    open && rule.max.is_none_or(|max| *used <= max)
                });
                assert_eq!(grants.take(reply, now), wanted, "take");
            }
            _ => {
                let step = std::str::from_utf8(reply).ok().and_then(|text| text.parse::<u32>().ok());
                now += u64::from(step.unwrap_or(1));
            }
        }
        assert!(grants.len() <= model.len(), "no more is open than was granted");
    }
}

/// Values never bring a wildcard, and a list that lost all its entries does not become "everything".
fn widens_nothing(script: &Script<'_>) {
    let template = UserTemplate { permissions: script.claim.clone(), ..UserTemplate::default() };
    let values = Values {
        name: script.name,
        subject: "UABC",
        account_name: script.name,
        account_subject: "AABC",
        tags: &script.tags,
        account_tags: &script.tags,
    };
    let Ok(expanded) = template::expand_values(&template, &values) else { return };
    let (before, after) = (&template.permissions, &expanded.permissions);
    for (before, after) in [(&before.publish, &after.publish), (&before.subscribe, &after.subscribe)] {
        let wild = |list: &[String]| list.iter().any(|entry| entry.contains(['*', '>']));
        assert!(wild(&before.allow) || !wild(&after.allow), "a value brought a wildcard");
        assert!(after.deny.len() >= before.deny.len(), "a deny entry is gone");
        if !before.allow.is_empty() && after.allow.is_empty() {
            assert!(after.deny.iter().any(|entry| entry == ">"), "an empty allow list allows everything");
        }
    }
}
