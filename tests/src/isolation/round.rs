//! One round: some accounts from their first claims to their deletion.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::isolation::generate::Maker;
use crate::isolation::sign::{Keys, connect_line};
use crate::isolation::site::Site;
use crate::isolation::traffic::{self, EMPTY, Numbered, Seen};
use crate::isolation::wire::{Item, Wire};
use crate::model::world::NOT_AUTHORIZED;
use crate::model::{Account, Got, Kind, Message, Told, User, World};
use crate::wait::{now, reach};

/// Times that changes and messages take turns.
const TURNS: usize = 7;
/// Changes in one turn.
const CHANGES: usize = 8;
/// Publishers in one turn, and messages of each.
const PUBLISHERS: usize = 8;
const MESSAGES: usize = 18;
/// Most answers in one turn.
const ANSWERS: usize = 40;
/// Most connections at a time.
const CONNECTIONS: usize = 18;
/// Attempts to connect that may fail in a round: the broker slows down addresses that fail often.
const FAILURES: usize = 4;
/// One round in so many waits for claims to expire.
const EXPIRING: u64 = 60;
/// Seconds until they do.
const LIFETIME: i64 = 3;
/// The subscription of a connection for answers to itself.
const INBOX: u32 = 1_000;

/// One round.
#[derive(Debug)]
pub struct Round<'s> {
    site: &'s mut Site,
    maker: Maker,
    keys: Keys,
    world: World,
    wires: BTreeMap<usize, Wire>,
    /// What accounts were last meant to be, also while they are deleted.
    plans: Vec<Account>,
    users: Vec<User>,
    /// Requests that may still be answered: who got them, and their reply subject.
    asked: Vec<(usize, String)>,
    failures: usize,
    next: usize,
    messages: u64,
    steps: u64,
    /// What was done of late, for reports.
    history: Vec<String>,
}

/// An error says how the broker and the model differ.
type Outcome<T> = Result<T, String>;

impl<'s> Round<'s> {
    /// Runs one round; the number of its steps.
    ///
    /// # Errors
    ///
    /// A report of the first difference between broker and model.
    pub fn run(site: &'s mut Site, seed: u64) -> Result<u64, String> {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.gen_range(2..6);
        let keys = Keys::new(count);
        let expiring = seed.is_multiple_of(EXPIRING);
        let expiry = if expiring { now() + LIFETIME } else { 0 };
        let maker = Maker::new(random, keys.names(), expiry);
        let world = World { accounts: vec![None; count], now: now(), ..World::default() };
        let mut round = Self {
            site,
            maker,
            keys,
            world,
            wires: BTreeMap::new(),
            plans: Vec::new(),
            users: Vec::new(),
            asked: Vec::new(),
            failures: 0,
            next: 0,
            messages: 0,
            steps: 0,
            history: Vec::new(),
        };
        match round.all() {
            Ok(()) => Ok(round.steps),
            // What was to expire at a chosen moment has done so before.
            Err(_) if round.is_overdue() => {
                round.site.delete(&round.keys.names());
                Ok(round.steps)
            }
            Err(what) => Err(round.report(seed, &what)),
        }
    }

    fn all(&mut self) -> Outcome<()> {
        for index in 0..self.world.accounts.len() {
            let planned = self.maker.account(index, &self.plans);
            self.plans.push(planned);
        }
        for index in 0..self.plans.len() {
            // Now the offers of all are known: others' imports aim at them.
            let mut planned = self.maker.account(index, &self.plans);
            planned.exports.clone_from(&self.plans[index].exports);
            planned.signing_keys.clone_from(&self.plans[index].signing_keys);
            self.push(index, planned)?;
        }
        for _ in 0..self.plans.len() * 3 {
            self.connect()?;
        }
        for turn in 0..TURNS {
            for _ in 0..CHANGES {
                self.change()?;
            }
            if self.maker.expiry > 0 && turn == 1 {
                self.expire()?;
            }
            self.talk()?;
        }
        for index in 0..self.plans.len() {
            self.delete(index)?;
        }
        Ok(())
    }

    /// The machine was too slow to tell what came first, a message or an expiry.
    fn is_overdue(&self) -> bool {
        self.maker.expiry > 0 && now() >= self.maker.expiry
    }

    fn note(&mut self, what: impl Into<String>) {
        self.steps += 1;
        self.history.push(what.into());
    }

    fn change(&mut self) -> Outcome<()> {
        match self.maker.random.gen_range(0..100) {
            0..36 => self.subscribe(),
            36..48 => self.unsubscribe(),
            48..62 => self.connect(),
            62..68 => self.disconnect(),
            68..94 => self.change_claims(),
            94..96 => self.push_in_vain(),
            96..98 => self.publish_too_much(),
            _ => {
                let index = self.maker.random.gen_range(0..self.plans.len());
                self.delete(index)
            }
        }
    }

    fn connect(&mut self) -> Outcome<()> {
        let index = self.maker.random.gen_range(0..self.plans.len());
        if self.wires.len() >= CONNECTIONS {
            return self.disconnect();
        }
        let known: Vec<_> = self.users.iter().filter(|user| user.account == index).cloned().collect();
        let user = match known.choose(&mut self.maker.random) {
            Some(user) if self.maker.percent(40) => user.clone(),
            _ => {
                let user = self.maker.user(index, &self.plans[index]);
                self.users.push(user.clone());
                user
            }
        };
        let (echo, no_responders) = (self.maker.percent(85), self.maker.percent(50));
        self.connect_as(&user, echo, no_responders)
    }

    fn connect_as(&mut self, user: &User, echo: bool, no_responders: bool) -> Outcome<()> {
        let number = self.next;
        let expected = self.world.connect(number, user, echo, no_responders);
        if expected == Err(NOT_AUTHORIZED) {
            if self.failures == FAILURES {
                return Ok(());
            }
            self.failures += 1;
        }
        self.next += 1;
        self.note(format!("connection {number}: {user:?}: {expected:?}"));
        let (jwt, seed) = self.keys.user(user);
        let mut wire = Wire::open(self.site.address);
        let line = connect_line(&wire.nonce, &jwt, (!user.bearer).then_some(&seed), echo, no_responders);
        wire.send(line);
        let items = wire.fence();
        let wanted = match expected {
            Ok(()) => Vec::new(),
            Err(text) => vec![Item::Error(text.to_owned()), Item::End],
        };
        require(&format!("connection {number} connects"), &items, &wanted)?;
        if expected.is_err() {
            return Ok(());
        }
        self.wires.insert(number, wire);
        if self.maker.percent(70) {
            self.subscribe_to(number, &format!("_INBOX.{number}.*"), None, INBOX)?;
        }
        for _ in 0..3 {
            self.subscribe_somewhere(number)?;
        }
        Ok(())
    }

    fn somebody(&mut self) -> Option<usize> {
        let all: Vec<usize> = self.wires.keys().copied().collect();
        all.choose(&mut self.maker.random).copied()
    }

    fn account_of(&self, number: usize) -> usize {
        self.world.connections[&number].user.account
    }

    fn subscribe(&mut self) -> Outcome<()> {
        let Some(number) = self.somebody() else { return self.connect() };
        self.subscribe_somewhere(number)
    }

    fn subscribe_somewhere(&mut self, number: usize) -> Outcome<()> {
        let account = self.world.accounts[self.account_of(number)].as_ref();
        let (subject, queue) = self.maker.subscription(account);
        let sid = self.maker.random.gen_range(1..9);
        self.subscribe_to(number, &subject, queue.as_deref(), sid)?;
        if self.may_be_bounded(number, sid) && self.maker.percent(20) {
            self.unsubscribe_after(number, sid)
        } else {
            Ok(())
        }
    }

    fn subscribe_to(&mut self, number: usize, subject: &str, queue: Option<&str>, sid: u32) -> Outcome<()> {
        let expected = self.world.subscribe(number, subject, queue, sid);
        self.note(format!("{number} SUB {subject} {queue:?} {sid}: {expected:?}"));
        let queue = queue.map(|queue| format!("{queue} ")).unwrap_or_default();
        let wire = self.wires.get_mut(&number).expect("it is connected");
        wire.send(format!("SUB {subject} {queue}{sid}\r\n"));
        let items = wire.fence();
        let wanted: Vec<_> = expected.into_iter().map(Item::Error).collect();
        require(&format!("connection {number} subscribes to {subject} {queue}by {sid}"), &items, &wanted)
    }

    fn unsubscribe(&mut self) -> Outcome<()> {
        let Some(number) = self.somebody() else { return self.connect() };
        let sids: Vec<u32> = self.world.connections[&number].subscriptions.keys().copied().collect();
        let Some(sid) = sids.choose(&mut self.maker.random) else { return Ok(()) };
        if self.may_be_bounded(number, *sid) && self.maker.percent(40) {
            return self.unsubscribe_after(number, *sid);
        }
        self.unsubscribe_now(number, *sid, 0)
    }

    /// Reports of the broker itself count as deliveries, too, and nobody knows when they come.
    fn may_be_bounded(&self, number: usize, sid: u32) -> bool {
        let subscription = self.world.connections[&number].subscriptions.get(&sid);
        subscription.is_some_and(|subscription| !subscription.subject.starts_with(['>', '*']))
    }

    fn unsubscribe_after(&mut self, number: usize, sid: u32) -> Outcome<()> {
        let max = self.maker.random.gen_range(1..30);
        self.unsubscribe_now(number, sid, max)
    }

    fn unsubscribe_now(&mut self, number: usize, sid: u32, max: u64) -> Outcome<()> {
        self.world.unsubscribe(number, sid, max);
        self.note(format!("{number} UNSUB {sid} {max}"));
        let wire = self.wires.get_mut(&number).expect("it is connected");
        wire.send(if max > 0 { format!("UNSUB {sid} {max}\r\n") } else { format!("UNSUB {sid}\r\n") });
        let items = wire.fence();
        require(&format!("connection {number} unsubscribes"), &items, &[])
    }

    fn disconnect(&mut self) -> Outcome<()> {
        let Some(number) = self.somebody() else { return Ok(()) };
        self.note(format!("{number} disconnects"));
        self.world.disconnect(number);
        let mut wire = self.wires.remove(&number).expect("it is connected");
        // The broker ends its side when it has forgotten the connection.
        wire.finish();
        let items = wire.until_end();
        require(&format!("connection {number} disconnects"), &items, &[])
    }

    /// A message over the limit ends its publisher.
    fn publish_too_much(&mut self) -> Outcome<()> {
        let Some(number) = self.somebody() else { return Ok(()) };
        let most = self.world.connections[&number].max_payload;
        if most == usize::MAX {
            return Ok(());
        }
        self.note(format!("{number} publishes {} bytes", most + 1));
        self.world.disconnect(number);
        let mut wire = self.wires.remove(&number).expect("it is connected");
        wire.send(format!("PUB s.a {}\r\n{}\r\n", most + 1, "x".repeat(most + 1)));
        let items = wire.until_end();
        let wanted = [Item::Error("Maximum Payload Violation".to_owned())];
        require(&format!("connection {number} publishes too much"), &items, &wanted)
    }

    fn change_claims(&mut self) -> Outcome<()> {
        let awaited = self.world.owed.iter().filter(|owed| owed.text.is_some() && !owed.doubtful);
        let awaited: Vec<_> = awaited.map(|owed| (owed.importer, owed.exporter, owed.export.clone())).collect();
        if let Some((importer, exporter, export)) = awaited.choose(&mut self.maker.random)
            && self.maker.percent(20)
        {
            return self.part(*importer, *exporter, export);
        }
        let index = self.maker.random.gen_range(0..self.plans.len());
        let account = self.maker.changed(index, &self.plans[index], &self.plans);
        self.push(index, account)
    }

    /// One of two accounts gives up what a request has crossed by that is not answered yet.
    fn part(&mut self, importer: usize, exporter: usize, export: &str) -> Outcome<()> {
        if self.maker.percent(50) {
            let mut account = self.plans[importer].clone();
            account.imports.retain(|import| import.kind != Kind::Service || import.from != exporter);
            return self.push(importer, account);
        }
        let mut account = self.plans[exporter].clone();
        account.exports.retain(|offer| offer.kind != Kind::Service || offer.subject != *export);
        self.push(exporter, account)
    }

    fn push(&mut self, index: usize, account: Account) -> Outcome<()> {
        let issued_at = self.site.tick();
        let token = self.keys.account(index, &account, &self.site.operator, issued_at);
        let expected = self.world.push(index, account.clone());
        self.note(format!("push {index}: {account:?}: {expected:?}"));
        let taken = self.site.push(&token);
        if taken != expected.is_some() {
            return Err(format!("claims of account {index} are taken: {taken}; {}", self.site.log()));
        }
        if expected.is_some() {
            self.plans[index] = account;
        }
        self.settle(expected.unwrap_or_default())
    }

    /// Claims that open everything, by a stranger, or older than those in force: nothing may come of them.
    fn push_in_vain(&mut self) -> Outcome<()> {
        let index = self.maker.random.gen_range(0..self.plans.len());
        let account = self.maker.account(index, &self.plans);
        let (forged, issued_at) = (self.maker.percent(50), self.site.tick());
        let stranger =
            cordon_accounts::key::Seed::generate(cordon_accounts::key::Role::Operator, &mut rand::rngs::OsRng);
        let token = if forged {
            self.keys.account(index, &account, &stranger, issued_at)
        } else if self.world.accounts[index].is_some() {
            self.keys.account(index, &account, &self.site.operator, issued_at - 10_000_000)
        } else {
            return Ok(());
        };
        self.note(format!("push {index} in vain"));
        if self.site.push(&token) {
            return Err(format!("forged or old claims of account {index} are taken"));
        }
        Ok(())
    }

    fn delete(&mut self, index: usize) -> Outcome<()> {
        if self.world.accounts[index].is_none() {
            return Ok(());
        }
        let told = self.world.delete(index);
        self.note(format!("delete {index}: {told:?}"));
        if !self.site.delete(&[self.maker.names[index].clone()]) {
            return Err(format!("account {index} cannot be deleted: {}", self.site.log()));
        }
        self.settle(told)
    }

    /// Messages, and then time passes until users and activations expire.
    fn expire(&mut self) -> Outcome<()> {
        let index = self.maker.random.gen_range(0..self.plans.len());
        let mut user = self.maker.user(index, &self.plans[index]);
        user.expires = self.maker.expiry;
        self.users.push(user.clone());
        self.connect_as(&user, true, true)?;
        self.talk()?;
        if self.is_overdue() {
            return Err("too slow".to_owned());
        }
        let told = self.world.advance(self.maker.expiry);
        self.note(format!("expiry: {told:?}"));
        self.settle(told)?;
        reach(self.maker.expiry);
        // In the very second of its end a JWT still lets its user in, for no time.
        self.users.retain(|user| user.expires < self.maker.expiry);
        self.maker.expiry = 0;
        Ok(())
    }

    /// Holds connections to what a change told them.
    fn settle(&mut self, told: BTreeMap<usize, Told>) -> Outcome<()> {
        for (number, told) in told {
            let items = if told.ended {
                self.wires.remove(&number).expect("it was connected").until_end()
            } else {
                self.wires.get_mut(&number).expect("it is connected").fence()
            };
            let mut wanted: Vec<_> = told.lines.into_iter().map(Item::Error).collect();
            let mut items: Vec<_> = items.into_iter().filter(|item| !is_report(item)).collect();
            let text = |item: &Item| format!("{item:?}");
            wanted.sort_by_key(text);
            items.sort_by_key(text);
            require(&format!("connection {number} is told of a change"), &items, &wanted)?;
        }
        Ok(())
    }

    /// Messages of several publishers, then answers to some that came with a reply subject.
    fn talk(&mut self) -> Outcome<()> {
        let known: Vec<String> = self
            .world
            .connections
            .values()
            .flat_map(|connection| connection.subscriptions.values().map(|one| one.subject.clone()))
            .collect();
        let mut messages = Vec::new();
        for _ in 0..PUBLISHERS {
            let Some(from) = self.somebody() else { return Ok(()) };
            for _ in 0..MESSAGES {
                messages.extend(self.message(from, &known));
            }
        }
        let asked = self.exchange(&messages)?;
        self.asked.extend(asked);
        let answers = self.answers();
        self.exchange(&answers)?;
        Ok(())
    }

    fn message(&mut self, from: usize, known: &[String]) -> Option<Numbered> {
        let account = self.account_of(from);
        let subject = self.maker.subject(self.world.accounts[account].as_ref()?, known);
        let number = self.messages;
        let reply = match self.maker.random.gen_range(0..100) {
            0..35 => format!("_INBOX.{from}.{number}"),
            // No mapping knows these: which one was applied would not show.
            35..40 if !self.world.connections[&from].no_responders => "r.answer".to_owned(),
            40..49 if !self.world.connections[&from].no_responders => "t.r".to_owned(),
            49 => "_R_.abc.def".to_owned(),
            _ => String::new(),
        };
        let forged = self.maker.percent(8);
        self.numbered(Message { from, subject, reply, forged, empty: false })
    }

    fn numbered(&mut self, mut message: Message) -> Option<Numbered> {
        let connection = &self.world.connections[&message.from];
        let (account, most) = (connection.user.account, connection.max_payload);
        let size = self.maker.random.gen_range(16..40);
        message.forged &= most > 200;
        let number = if message.empty { EMPTY } else { self.messages };
        self.messages += u64::from(!message.empty);
        (size <= most).then_some(Numbered { number, message, size, account })
    }

    /// Sends a burst and holds it against the model; the deliveries that ask for an answer.
    fn exchange(&mut self, messages: &[Numbered]) -> Outcome<Vec<(usize, String)>> {
        let mut seen = traffic::burst(&mut self.wires, messages)?;
        if self.is_overdue() {
            return Err("too slow".to_owned());
        }
        let mut asked = Vec::new();
        for one in messages {
            self.steps += 1;
            let Seen { got, errors } = &mut seen;
            let got = got.remove(&one.number).unwrap_or_default();
            let errors = errors.remove(&one.number).unwrap_or_default();
            let asks = |got: &&Got| !got.reply.is_empty();
            asked.extend(got.iter().filter(asks).map(|got| (got.connection, got.reply.clone())));
            if let Err(mismatch) = self.world.publish(&one.message, &got, &errors) {
                return Err(format!("{one:?}\n{mismatch:#?}\nall that was seen of it: {got:#?}"));
            }
        }
        if !seen.got.is_empty() || !seen.errors.is_empty() {
            return Err(format!("nobody sent this now: {seen:#?}"));
        }
        self.world.refresh();
        Ok(asked)
    }

    /// Answers to some requests, of now or of before the last changes: once or more, by those who were asked or by
    /// others.
    fn answers(&mut self) -> Vec<Numbered> {
        self.asked.shuffle(&mut self.maker.random);
        // Requests that crossed a border first: their answers cross only as long as all that let them cross is there.
        self.asked.sort_by_key(|(_, subject)| !subject.starts_with("_R_."));
        let crossed = self.asked.iter().filter(|(_, subject)| subject.starts_with("_R_.")).count();
        let mut asked = self.asked.split_off(crossed);
        asked.truncate(ANSWERS / 2);
        let late = self.asked.split_off(crossed.div_ceil(2).min(ANSWERS / 2));
        asked.append(&mut self.asked);
        self.asked = late;
        self.asked.truncate(ANSWERS * 2);
        let mut answers = Vec::new();
        let mut ended = false;
        for (asked, subject) in asked {
            if self.world.owed.iter().any(|owed| owed.text.as_ref() == Some(&subject) && owed.doubtful) {
                continue;
            }
            for _ in 0..*[1, 1, 1, 2, 3].choose(&mut self.maker.random).unwrap() {
                let other = self.maker.percent(10).then(|| self.somebody()).flatten();
                let empty = !ended && subject.starts_with("_R_.") && self.maker.percent(10);
                ended |= empty;
                answers.extend(self.answer(other.unwrap_or(asked), &subject, empty));
            }
        }
        // A publisher's messages stand together.
        answers.sort_by_key(|answer| answer.message.from);
        renumber(&mut answers);
        answers
    }

    fn answer(&mut self, from: usize, subject: &str, empty: bool) -> Option<Numbered> {
        let no_responders = self.world.connections.get(&from)?.no_responders;
        let forged = !empty && self.maker.percent(5);
        let asks = !empty && !no_responders && self.maker.percent(10);
        let reply = if asks { "r.answer".to_owned() } else { String::new() };
        self.numbered(Message { from, subject: subject.to_owned(), reply, forged, empty })
    }

    fn report(&self, seed: u64, what: &str) -> String {
        use std::fmt::Write as _;
        let mut text = format!("CORDON_MODEL_SEED={seed}, after {} steps: {what}\n", self.steps);
        for (index, account) in self.world.accounts.iter().enumerate() {
            writeln!(text, "account {index}: {account:?}").unwrap();
        }
        for (number, one) in &self.world.connections {
            writeln!(text, "connection {number}: {one:?}").unwrap();
        }
        for crossing in &self.world.crossings {
            let (from, remote, local) = (crossing.import.from, &crossing.import.remote, &crossing.import.local);
            writeln!(text, "{:?} {from} `{remote}` in {} as `{local}`", crossing.import.kind, crossing.importer)
                .unwrap();
        }
        for owed in &self.world.owed {
            writeln!(text, "{owed:?}").unwrap();
        }
        let first = self.history.len().saturating_sub(15);
        writeln!(text, "at last:\n{}", self.history[first..].join("\n")).unwrap();
        text
    }
}

fn require(what: &str, items: &[Item], wanted: &[Item]) -> Outcome<()> {
    let items: Vec<_> = items.iter().filter(|item| !is_report(item)).collect();
    if items.iter().copied().ne(wanted) {
        return Err(format!("{what}: expected {wanted:?}, got {items:?}"));
    }
    Ok(())
}

/// Numbers follow the order of sending, which everybody sees.
fn renumber(messages: &mut [Numbered]) {
    let mut numbers: Vec<u64> = messages.iter().map(|one| one.number).filter(|number| *number != EMPTY).collect();
    numbers.sort_unstable();
    let mut numbers = numbers.into_iter();
    for one in messages.iter_mut().filter(|one| one.number != EMPTY) {
        one.number = numbers.next().expect("there are as many");
    }
}

/// What the broker tells an account of itself.
fn is_report(item: &Item) -> bool {
    matches!(item, Item::Message { subject, .. } if subject.starts_with("$SYS."))
}
