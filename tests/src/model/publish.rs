//! Where one message goes: mappings, permissions, subscribers, queue groups, borders, and answers on their way back.

use std::collections::BTreeMap;

use crate::model::account::Kind;
use crate::model::sharing::Crossing;
use crate::model::subject::{looseness, matches, rewrite};
use crate::model::world::{Owed, World};

/// Borders that one message may pass.
const DEPTH_MAX: usize = 16;

/// What a connection publishes.
#[derive(Clone, Debug)]
pub struct Message {
    /// The connection.
    pub from: usize,
    /// Its subject.
    pub subject: String,
    /// Its reply subject, empty for none.
    pub reply: String,
    /// Whether it carries a header that claims to tell who asks, and another one.
    pub forged: bool,
    /// Whether it says nothing, which ends a stream of answers.
    pub empty: bool,
}

/// What a connection got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The connection.
    pub connection: usize,
    /// Its subscription.
    pub sid: u32,
    /// The subject it saw.
    pub subject: String,
    /// The reply subject it saw, empty for none.
    pub reply: String,
    /// Whether it is word that nobody got the request.
    pub nobody: bool,
    /// Who asks, as the broker says: the account, and the one between.
    pub info: Option<(String, Option<String>)>,
    /// Whether the other header of a forged message is there.
    pub marked: bool,
}

/// How what was seen differs from what should have been.
#[derive(Clone, Debug, Default)]
pub struct Mismatch {
    /// Deliveries that should have been.
    pub missing: Vec<String>,
    /// Deliveries that should not have been.
    pub extra: Vec<Got>,
    /// The errors that the publisher got, and the one it should have.
    pub errors: Option<(Vec<String>, Option<String>)>,
}

/// A message on its way.
#[derive(Clone)]
struct Passing {
    reply: String,
    info: Option<(String, Option<String>)>,
    /// Borders passed: importer, exporter, and the offer's subject.
    via: Vec<(usize, usize, String)>,
    is_answer: bool,
}

/// What the broker may decide by chance, gone through one after the other.
#[derive(Default)]
struct Decisions {
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Decisions {
    fn choose(&mut self, of: usize) -> usize {
        if self.next == self.made.len() {
            self.made.push((0, of));
        }
        self.next += 1;
        self.made[self.next - 1].0
    }

    /// Goes to the next possibility; false after the last.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((chosen, of)) = self.made.pop() {
            if chosen + 1 < of {
                self.made.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// One possible course of a message, held against what was seen.
struct Course<'a> {
    world: &'a World,
    message: &'a Message,
    got: &'a [Got],
    used: Vec<bool>,
    missing: Vec<String>,
    /// Deliveries that a subscription with a bound may have had no room for.
    passed_over: Vec<(usize, u32, String)>,
    taken: BTreeMap<(usize, u32), u64>,
    granted: Vec<(usize, String)>,
    grant_used: bool,
    owed: Vec<Owed>,
    bound: BTreeMap<usize, String>,
    answered: Vec<usize>,
    error: Option<String>,
}

impl World {
    /// Takes a publish into account, given everything that was seen of it and the errors it got.
    ///
    /// # Errors
    ///
    /// When none of the possible outcomes is what was seen.
    pub fn publish(&mut self, message: &Message, got: &[Got], errors: &[String]) -> Result<(), Mismatch> {
        let mut decisions = Decisions::default();
        let mut first = None;
        loop {
            let mut course = Course::new(self, message, got);
            course.run(&mut decisions);
            match course.judge(errors) {
                Ok(()) => {
                    let Course { taken, granted, grant_used, owed, bound, answered, .. } = course;
                    self.commit(message, taken, granted, grant_used, owed, &bound, &answered);
                    return Ok(());
                }
                Err(mismatch) => {
                    let first = first.get_or_insert(mismatch);
                    if !decisions.advance() {
                        return Err(first.clone());
                    }
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that a message changes")]
    fn commit(
        &mut self,
        message: &Message,
        taken: BTreeMap<(usize, u32), u64>,
        granted: Vec<(usize, String)>,
        grant_used: bool,
        owed: Vec<Owed>,
        bound: &BTreeMap<usize, String>,
        answered: &[usize],
    ) {
        if grant_used {
            let connection = self.connections.get_mut(&message.from).expect("it published");
            let most = connection.rights.responses.map_or(0, |most| if most == 0 { 1 } else { most });
            let used = connection.grants.get_mut(&message.subject).expect("it was granted");
            *used += 1;
            if most > 0 && *used >= most {
                connection.grants.remove(&message.subject);
            }
        }
        for ((number, sid), count) in taken {
            let subscriptions = &mut self.connections.get_mut(&number).expect("it got something").subscriptions;
            let subscription = subscriptions.get_mut(&sid).expect("it got something");
            subscription.delivered += count;
            if subscription.max.is_some_and(|max| subscription.delivered >= max) {
                subscriptions.remove(&sid);
            }
        }
        self.owed.extend(owed);
        self.owed_ever = self.owed_ever.max(self.owed.last().map_or(0, |last| last.id + 1));
        for one in &mut self.owed {
            if let Some(text) = bound.get(&one.id) {
                one.text = Some(text.clone());
            }
        }
        for (number, reply) in granted {
            let id = placeholder_id(&reply);
            let known = id.and_then(|id| self.owed.iter().find(|owed| owed.id == id)?.text.clone());
            let connection = self.connections.get_mut(&number).expect("it got something");
            connection.grants.insert(known.unwrap_or(reply), 0);
        }
        self.owed.retain(|owed| !answered.contains(&owed.id));
    }
}

impl<'a> Course<'a> {
    fn new(world: &'a World, message: &'a Message, got: &'a [Got]) -> Self {
        Self {
            world,
            message,
            got,
            used: vec![false; got.len()],
            missing: Vec::new(),
            passed_over: Vec::new(),
            taken: BTreeMap::new(),
            granted: Vec::new(),
            grant_used: false,
            owed: Vec::new(),
            bound: BTreeMap::new(),
            answered: Vec::new(),
            error: None,
        }
    }

    /// The publisher's side: mapping, permission, reply subject, and who is told that nobody is there.
    fn run(&mut self, decisions: &mut Decisions) {
        let message = self.message;
        let publisher = &self.world.connections[&message.from];
        let Some(subject) = self.map(publisher.user.account, &message.subject, decisions) else { return };
        if !publisher.rights.may_publish(&subject) {
            if !publisher.grants.contains_key(&subject) || publisher.rights.responses.is_none() {
                self.error = Some(format!("Permissions Violation for Publish to \"{subject}\""));
                return;
            }
            self.grant_used = true;
        }
        if message.reply.starts_with("_R_.") {
            self.error = Some(format!("Permissions Violation for Publish with Reply of \"{}\"", message.reply));
            return;
        }
        let passing = Passing { reply: message.reply.clone(), info: None, via: Vec::new(), is_answer: false };
        let accepted = self.arrive(publisher.user.account, &subject, &passing, decisions);
        if accepted == 0 && publisher.no_responders && !message.reply.is_empty() {
            self.tell_that_nobody_is_there();
        }
    }

    /// By any one of its own subscriptions.
    fn tell_that_nobody_is_there(&mut self) {
        let publisher = &self.world.connections[&self.message.from];
        let mut own = publisher
            .subscriptions
            .iter()
            .filter(|(_, one)| one.queue.is_none() && matches(&one.subject, &self.message.reply));
        let sids: Vec<u32> = own.by_ref().map(|(sid, _)| *sid).collect();
        if sids.is_empty() {
            return;
        }
        let told = self.got.iter().position(|got| {
            got.nobody
                && got.connection == self.message.from
                && got.subject == self.message.reply
                && sids.contains(&got.sid)
        });
        match told {
            Some(at) => self.used[at] = true,
            None => self.missing.push(format!("connection {} is told that nobody is there", self.message.from)),
        }
    }

    /// A message is in an account: subscribers, importers of streams, queue groups, imported services, answers.
    fn arrive(&mut self, account: usize, subject: &str, passing: &Passing, decisions: &mut Decisions) -> usize {
        let world = self.world;
        let mut accepted = 0;
        let mut groups: BTreeMap<&str, Vec<(usize, u32, String)>> = BTreeMap::new();
        let mut local = vec![(account, subject.to_owned())];
        if !passing.is_answer && passing.via.is_empty() && !subject.starts_with("_R_.") {
            for crossing in
                world.crossings.iter().filter(|one| (one.import.kind, one.import.from) == (Kind::Stream, account))
            {
                let seen = rewrite(&crossing.import.remote, &crossing.import.local, subject);
                local.extend(seen.map(|seen| (crossing.importer, seen)));
            }
        }
        for (owner, seen) in local {
            for (number, connection) in world.connections.iter().filter(|(_, one)| one.user.account == owner) {
                for (sid, one) in connection.subscriptions.iter().filter(|(_, one)| matches(&one.subject, &seen)) {
                    match &one.queue {
                        None => accepted += usize::from(self.offer(*number, *sid, &seen, passing)),
                        Some(queue) => groups.entry(queue).or_default().push((*number, *sid, seen.clone())),
                    }
                }
            }
        }
        for members in groups.values() {
            accepted += usize::from(self.offer_group(members, passing));
        }
        for crossing in world.crossings.iter().filter(|one| (one.import.kind, one.importer) == (Kind::Service, account))
        {
            if matches(&crossing.local, subject) {
                accepted += usize::from(self.carry(crossing, subject, passing, decisions));
            }
        }
        accepted + usize::from(self.answer(account, subject, passing, decisions))
    }

    /// Whether a subscription takes a message now.
    fn takes(&self, number: usize, sid: u32, seen: &str) -> bool {
        let connection = &self.world.connections[&number];
        let subscription = &connection.subscriptions[&sid];
        let own = number == self.message.from && !connection.echo;
        !own && connection.rights.may_receive(seen, subscription.queue.as_deref()) && self.has_room(number, sid)
    }

    fn has_room(&self, number: usize, sid: u32) -> bool {
        let subscription = &self.world.connections[&number].subscriptions[&sid];
        let delivered = subscription.delivered + self.taken.get(&(number, sid)).copied().unwrap_or(0);
        subscription.max.is_none_or(|max| delivered < max)
    }

    fn offer(&mut self, number: usize, sid: u32, seen: &str, passing: &Passing) -> bool {
        if !self.takes(number, sid, seen) {
            return false;
        }
        if !self.was_seen(number, sid, seen, passing) {
            let what = describe(number, sid, seen, passing);
            if self.world.connections[&number].subscriptions[&sid].max.is_some() {
                self.passed_over.push((number, sid, what));
                return true;
            }
            self.missing.push(what);
        }
        true
    }

    /// One member gets it, of those who take it.
    fn offer_group(&mut self, members: &[(usize, u32, String)], passing: &Passing) -> bool {
        let willing: Vec<_> = members.iter().filter(|(number, sid, seen)| self.takes(*number, *sid, seen)).collect();
        if willing.is_empty() {
            return false;
        }
        if !willing.iter().any(|(number, sid, seen)| self.was_seen(*number, *sid, seen, passing)) {
            let all: Vec<_> =
                willing.iter().map(|(number, sid, seen)| describe(*number, *sid, seen, passing)).collect();
            self.missing.push(format!("one of: {}", all.join(" | ")));
        }
        true
    }

    /// Finds a delivery among those that were seen, and takes its consequences into account.
    fn was_seen(&mut self, number: usize, sid: u32, seen: &str, passing: &Passing) -> bool {
        let found = (0..self.got.len()).find(|at| {
            let got = &self.got[*at];
            !self.used[*at]
                && !got.nobody
                && (got.connection, got.sid) == (number, sid)
                && got.info == passing.info
                && got.marked == self.message.forged
                && self.may_be(seen, &got.subject)
                && self.may_be(&passing.reply, &got.reply)
        });
        let Some(at) = found else { return false };
        self.used[at] = true;
        self.bind(seen, &self.got[at].subject);
        self.bind(&passing.reply, &self.got[at].reply);
        *self.taken.entry((number, sid)).or_default() += 1;
        let rights = &self.world.connections[&number].rights;
        if rights.responses.is_some() && !passing.reply.is_empty() && !rights.may_publish(&passing.reply) {
            self.granted.push((number, passing.reply.clone()));
        }
        true
    }

    /// Whether a text may be what the model expects, which may be a reply subject that was not seen before.
    fn may_be(&self, expected: &str, seen: &str) -> bool {
        let Some(id) = placeholder_id(expected) else { return expected == seen };
        let known = self.world.owed.iter().find(|owed| owed.id == id).and_then(|owed| owed.text.as_deref());
        if let Some(text) = self.bound.get(&id).map(String::as_str).or(known) {
            return text == seen;
        }
        let mut others = self.world.owed.iter().filter_map(|owed| owed.text.as_deref());
        seen.starts_with("_R_.") && !self.bound.values().any(|text| text == seen) && !others.any(|text| text == seen)
    }

    fn bind(&mut self, expected: &str, seen: &str) {
        if let Some(id) = placeholder_id(expected) {
            self.bound.insert(id, seen.to_owned());
        }
    }

    /// A request passes into the exporter of a service.
    fn carry(&mut self, crossing: &Crossing, subject: &str, passing: &Passing, decisions: &mut Decisions) -> bool {
        let (importer, exporter) = (crossing.importer, crossing.import.from);
        let step = (importer, exporter, crossing.export.subject.clone());
        if passing.via.contains(&step) || passing.via.len() >= DEPTH_MAX {
            return false;
        }
        let inner = rewrite(&crossing.import.local, &crossing.import.remote, subject).expect("the import matches");
        let Some(inner) = self.map(exporter, &inner, decisions) else { return true };
        let name = self.world.accounts[importer].as_ref().expect("it imports").name.clone();
        let info = match &passing.info {
            None => (name, None),
            Some((first, _)) => (first.clone(), Some(name)),
        };
        let id = self.world.owed_ever + self.owed.len();
        let mut onward = Passing { reply: String::new(), info: Some(info), via: passing.via.clone(), is_answer: false };
        onward.via.push(step);
        if !passing.reply.is_empty() {
            onward.reply = format!("_R_.?{id}.?");
            self.owed.push(Owed {
                id,
                exporter,
                importer,
                export: crossing.export.subject.clone(),
                reply: passing.reply.clone(),
                requester: self.message.from,
                many: crossing.export.many,
                text: None,
                doubtful: false,
            });
        }
        let accepted = self.arrive(exporter, &inner, &onward, decisions) > 0;
        if !accepted {
            self.answered.push(id);
        }
        accepted
    }

    /// An answer passes back to who asked.
    fn answer(&mut self, account: usize, subject: &str, passing: &Passing, decisions: &mut Decisions) -> bool {
        let id = placeholder_id(subject);
        let is_it = |owed: &&Owed| {
            owed.exporter == account && (id.is_some_and(|id| id == owed.id) || owed.text.as_deref() == Some(subject))
        };
        let Some(owed) = self.world.owed.iter().find(is_it) else { return false };
        if self.answered.contains(&owed.id) {
            return false;
        }
        if !owed.many || self.message.empty {
            self.answered.push(owed.id);
        }
        let onward = Passing { reply: String::new(), info: None, via: passing.via.clone(), is_answer: true };
        let accepted = self.arrive(owed.importer, &owed.reply, &onward, decisions) > 0;
        if !accepted {
            self.answered.push(owed.id);
        }
        accepted
    }

    /// Where an account's mappings send a subject; `None` where it is dropped. They apply once.
    fn map(&self, account: usize, subject: &str, decisions: &mut Decisions) -> Option<String> {
        let account = self.world.accounts[account].as_ref()?;
        let sources = account.mappings.iter().filter(|(source, _)| matches(source, subject));
        let Some((source, destinations)) = sources.min_by_key(|(source, _)| looseness(source)) else {
            return Some(subject.to_owned());
        };
        let sum: u32 = destinations.iter().map(|(_, percent)| u32::from(*percent)).sum();
        let drops = destinations.iter().any(|(destination, _)| destination == source);
        let choices = destinations.len() + usize::from(sum < 100);
        match destinations.get(if choices == 1 { 0 } else { decisions.choose(choices) }) {
            Some((destination, _)) if destination == source => Some(subject.to_owned()),
            Some((destination, _)) => rewrite(source, destination, subject),
            None if drops => None,
            None => Some(subject.to_owned()),
        }
    }

    fn judge(&mut self, errors: &[String]) -> Result<(), Mismatch> {
        for (number, sid, what) in std::mem::take(&mut self.passed_over) {
            if self.has_room(number, sid) {
                self.missing.push(what);
            }
        }
        let extra: Vec<_> =
            self.used.iter().zip(self.got).filter(|(used, _)| !**used).map(|(_, got)| got.clone()).collect();
        let errors_differ = errors.iter().ne(&self.error);
        if self.missing.is_empty() && extra.is_empty() && !errors_differ {
            return Ok(());
        }
        let errors = errors_differ.then(|| (errors.to_vec(), self.error.clone()));
        Err(Mismatch { missing: self.missing.clone(), extra, errors })
    }
}

fn describe(number: usize, sid: u32, seen: &str, passing: &Passing) -> String {
    format!("connection {number} by {sid} on `{seen}`, reply `{}`, asked by {:?}", passing.reply, passing.info)
}

/// Reply subjects of crossed requests are unknown until they are seen; until then they are numbered.
fn placeholder_id(text: &str) -> Option<usize> {
    text.strip_prefix("_R_.?")?.strip_suffix(".?")?.parse().ok()
}
