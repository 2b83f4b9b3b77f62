//! Random accounts, users and subjects, from few words, so that they meet.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::model::account::Scope;
use crate::model::subject::{contains, pattern};
use crate::model::{Account, Activation, Export, Import, Kind, Rights, Signer, SigningKey, User};

/// Claims are issued at such times, and revoked up to such: small numbers, so that they meet.
const TIMES: std::ops::Range<i64> = 1_700_000_000..1_700_000_006;
/// Long ago, for what has expired.
const LONG_AGO: i64 = 1_600_000_000;

const SERVICES: [&str; 11] = ["t.*", "t.>", "s.>", "s.*", "s.a", "s.b", "s.a.x", "s.*.*", "s.a.*", "s.*.x", "s.*.*.*"];
const STREAMS: [&str; 9] = ["t.>", "t.*", "t.a", "t.b", "t.a.x", "t.*.*", "t.a.*", "t.*.x", "t.*.*.*"];
const PATTERNS: [&str; 30] = [
    ">", "s.>", "s.*", "s.a", "s.b", "s.*.*", "s.a.x", "t.>", "t.*", "t.a", "t.b", "t.*.x", "t.a.>", "u.>", "u.*",
    "*.a", "*.*", "*.*.x", "*.*.*", "*.>", "i0.>", "i1.>", "i2.>", "*.s.>", "*.t.*", "i0.*.*", "m.>", "p.>", "_R_.>",
    "s.a.b.x",
];
const LITERALS: [&str; 14] =
    ["s.a", "s.b", "s.a.x", "s.b.x", "t.a", "t.b", "t.a.x", "t.b.a", "u.a", "u.x", "m.a", "m.b", "m.a.b", "s.a.b.x"];
const TOKENS: [&str; 4] = ["a", "b", "x", "a"];
const QUEUES: [&str; 4] = ["q", "v.a", "v.b", "w"];
const QUEUE_PATTERNS: [&str; 5] = ["q", "v.*", "v.a", "*.b", ">"];

/// Makes things up.
#[derive(Debug)]
pub struct Maker {
    /// All chance of a round.
    pub random: StdRng,
    /// The names of the accounts.
    pub names: Vec<String>,
    /// When what expires in this round does so; 0 for never.
    pub expiry: i64,
    users: usize,
}

impl Maker {
    /// Makes things up for accounts of these names.
    pub fn new(random: StdRng, names: Vec<String>, expiry: i64) -> Self {
        Self { random, names, expiry, users: 0 }
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u32) -> bool {
        self.random.gen_ratio(chance, 100)
    }

    /// One of a list.
    pub fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of.choose(&mut self.random).expect("the list has something")
    }

    /// A time of issue or revocation.
    pub fn time(&mut self) -> i64 {
        self.random.gen_range(TIMES)
    }

    /// An account, given the others as they are or were meant to be.
    pub fn account(&mut self, index: usize, others: &[Account]) -> Account {
        let mut account = Account { name: self.names[index].clone(), ..Account::default() };
        account.exports = self.exports();
        for number in 0..self.random.gen_range(0..5) {
            let import = self.import(index, number, others);
            account.imports.push(import);
        }
        if self.percent(50) {
            account.mappings = self.mappings();
        }
        account.signing_keys = self.signing_keys(index);
        self.limit(&mut account);
        if self.percent(30) {
            account.default_rights = self.rights(false);
        }
        account
    }

    /// Limits and revocations, mostly none.
    fn limit(&mut self, account: &mut Account) {
        account.max_connections = self.percent(12).then(|| self.random.gen_range(2..6));
        account.max_subscriptions = self.percent(12).then(|| self.random.gen_range(2..8));
        account.max_payload = self.percent(12).then(|| self.random.gen_range(40..100));
        account.disallow_bearer = self.percent(10);
        if self.percent(12) {
            let who =
                if self.users > 0 && self.percent(80) { Some(self.random.gen_range(0..self.users)) } else { None };
            account.revoked = BTreeMap::from([(who, self.time())]);
        }
    }

    fn exports(&mut self) -> Vec<Export> {
        let mut exports: Vec<Export> = Vec::new();
        for (kind, subjects) in [(Kind::Service, &SERVICES[..]), (Kind::Stream, &STREAMS[..])] {
            for _ in 0..self.random.gen_range(0..4) {
                let mut export = Export::public(kind, self.one(subjects));
                export.private = self.percent(50);
                export.many = kind == Kind::Service && self.percent(40);
                if export.private && self.percent(50) {
                    let who = self.percent(70).then(|| self.random.gen_range(0..self.names.len()));
                    export.revoked = BTreeMap::from([(who, self.time())]);
                }
                let same = |other: &Export| {
                    other.kind == kind
                        && (contains(&other.subject, &export.subject) || contains(&export.subject, &other.subject))
                };
                // Claims with two offers of the same subjects are turned down; that is tried now and then.
                if !exports.iter().any(same) || self.percent(3) {
                    exports.push(export);
                }
            }
            if self.percent(25) {
                exports.push(Export { position: 2, private: self.percent(30), ..Export::public(kind, "p.*.*") });
            }
        }
        exports
    }

    fn import(&mut self, importer: usize, number: usize, others: &[Account]) -> Import {
        let from = if self.percent(8) { importer } else { self.random.gen_range(0..self.names.len()) };
        let offers = others.get(from).map(|other| other.exports.clone()).unwrap_or_default();
        let (kind, remote, private) = match offers.choose(&mut self.random) {
            Some(offer) if self.random.gen_ratio(85, 100) => (offer.kind, offer.subject.clone(), offer.private),
            _ if self.percent(50) => (Kind::Service, self.one(&SERVICES).to_owned(), false),
            _ => (Kind::Stream, self.one(&STREAMS).to_owned(), false),
        };
        let remote = if remote == "p.*.*" {
            let whose = if self.percent(70) { importer } else { self.random.gen_range(0..self.names.len()) };
            format!("p.{}.*", self.names[whose])
        } else if self.percent(35) {
            self.narrowed(&remote)
        } else {
            remote
        };
        let (local, legacy) = self.local(number, kind, &remote);
        let wanted = private && self.percent(92) || self.percent(4);
        let activation = wanted.then(|| self.activation(importer, from, kind, &remote, others));
        Import { kind, from, remote, local, legacy, activation }
    }

    /// Where an import stands in the importer, and whether it is said the old way.
    fn local(&mut self, number: usize, kind: Kind, remote: &str) -> (String, bool) {
        let prefixed = format!("i{number}.{remote}");
        let stars = remote.split('.').filter(|token| *token == "*").count();
        match self.random.gen_range(0..10) {
            0..=2 => (remote.to_owned(), false),
            3 => (prefixed, true),
            4 if !remote.contains(['*', '>']) => (if kind == Kind::Service { "s.b" } else { "t.b" }.to_owned(), false),
            5..=7 if stars > 0 && !remote.contains('>') => {
                let mut order: Vec<String> = (1..=stars).map(|number| format!("${number}")).collect();
                order.shuffle(&mut self.random);
                (format!("i{number}.{}", order.join(".")), false)
            }
            _ => (prefixed, false),
        }
    }

    fn activation(&mut self, importer: usize, from: usize, kind: Kind, remote: &str, others: &[Account]) -> Activation {
        let keys: Vec<usize> =
            others.get(from).map(|other| other.signing_keys.iter().map(|key| key.key).collect()).unwrap_or_default();
        let signer = match keys.choose(&mut self.random) {
            Some(key) if self.percent(40) => Signer::Key(*key),
            _ if self.percent(20) => Signer::Key(9_000 + from),
            _ => Signer::Identity,
        };
        let other = self.random.gen_range(0..self.names.len());
        let expires = if self.percent(12) {
            LONG_AGO
        } else if self.expiry > 0 && self.percent(60) {
            self.expiry
        } else {
            0
        };
        Activation {
            importer: if self.percent(2) { other } else { importer },
            exporter: if self.percent(2) { other } else { from },
            kind: if self.percent(1) { Kind::Stream } else { kind },
            subject: if self.percent(2) { "s.b".to_owned() } else { remote.to_owned() },
            signer,
            issued_at: self.time(),
            expires,
        }
    }

    fn mappings(&mut self) -> BTreeMap<String, Vec<(String, u8)>> {
        let mut mappings = BTreeMap::new();
        for _ in 0..self.random.gen_range(1..4) {
            let (source, destinations): (&str, &[&str]) = match self.random.gen_range(0..10) {
                0 => ("m.a", &["u.a", "s.a", "t.b", "m.b", "i0.s.a"]),
                1 => ("m.b", &["u.x", "s.b", "t.a", "m.a", "i1.s.b"]),
                2 => ("m.*", &["u.$1", "s.$1", "t.$1", "m.a.$1", "i0.s.$1"]),
                3 => ("m.*.*", &["u.$2.$1", "s.$2.$1", "t.$1.$2", "s.$2"]),
                4 => ("s.b", &["u.b", "t.b", "s.a", "s.b"]),
                5 => ("s.*.x", &["s.$1", "u.$1", "s.$1.x"]),
                6 => ("t.a", &["t.b", "u.a"]),
                7 => ("s.*", &["t.$1", "u.$1", "s.$1.x"]),
                8 => ("s.a", &["s.a.x", "u.a", "s.b"]),
                _ => ("u.>", &["t.>", "s.>"]),
            };
            let mut chosen: Vec<(String, u8)> = Vec::new();
            let (count, weight) = *[(1, 100), (1, 100), (1, 50), (2, 50), (2, 30)].choose(&mut self.random).unwrap();
            for destination in destinations.choose_multiple(&mut self.random, count) {
                chosen.push(((*destination).to_owned(), weight));
            }
            if self.percent(10) {
                chosen = vec![(source.to_owned(), 60)];
            }
            mappings.insert(source.to_owned(), chosen);
        }
        mappings
    }

    fn signing_keys(&mut self, index: usize) -> Vec<SigningKey> {
        let mut keys = Vec::new();
        for number in 0..3 {
            if self.percent(50) {
                let scope = self.percent(50).then(|| self.scope(true));
                keys.push(SigningKey { key: index * 10 + number, scope });
            }
        }
        keys
    }

    fn scope(&mut self, is_template: bool) -> Scope {
        let rights = if self.percent(60) { self.rights(is_template) } else { Rights::default() };
        Scope {
            rights,
            subscriptions: self.percent(8).then(|| self.random.gen_range(1..7)),
            payload: self.percent(8).then(|| self.random.gen_range(40..100)),
        }
    }

    fn rights(&mut self, is_template: bool) -> Rights {
        let mut rights = Rights::default();
        let mut list = |chance: u32, queues: bool, allow: bool| {
            let mut entries = Vec::new();
            if self.percent(chance) {
                for _ in 0..self.random.gen_range(1..4) {
                    let mut entry = if self.percent(10) { ">".to_owned() } else { self.one(&PATTERNS).to_owned() };
                    if queues && self.percent(30) {
                        // Both: the plain entry must not help other groups.
                        if self.percent(50) {
                            entries.push(entry.clone());
                        }
                        entry = format!("{entry} {}", self.one(&QUEUE_PATTERNS));
                    }
                    entries.push(entry);
                }
                if allow && self.percent(70) {
                    entries.push("_INBOX.>".to_owned());
                }
                // An entry with a queue group is left out where there are placeholders.
                if is_template && self.percent(40) {
                    entries.retain(|entry| !entry.contains(' '));
                    entries.push("u.{{name()}}".to_owned());
                    entries.push("*.{{name()}}".to_owned());
                }
            }
            entries
        };
        rights.publish_allow = list(30, false, true);
        rights.publish_deny = list(30, false, false);
        rights.subscribe_allow = list(25, true, true);
        rights.subscribe_deny = list(45, true, false);
        rights.responses = self.percent(35).then(|| *[0, 1, 2, -1].choose(&mut self.random).unwrap());
        rights
    }

    /// A user of an account, mostly one that it lets in.
    pub fn user(&mut self, index: usize, account: &Account) -> User {
        let key = account.signing_keys.choose(&mut self.random).filter(|_| self.random.gen_ratio(50, 100));
        let (signer, scoped) = match key {
            Some(key) => (Signer::Key(key.key), key.scope.is_some()),
            None if self.percent(3) => (Signer::Key(index * 10 + self.random.gen_range(0..3)), false),
            None => (Signer::Identity, false),
        };
        let own = if scoped && !self.percent(6) { None } else { Some(self.scope(false)) };
        let expires = if self.percent(2) {
            LONG_AGO
        } else if self.expiry > 0 && self.percent(30) {
            self.expiry
        } else {
            0
        };
        let id = self.users;
        self.users += 1;
        let bearer = own.is_some() && self.percent(10);
        let name = self.one(&TOKENS).to_owned();
        User { id, name, account: index, signer, own, issued_at: self.time(), expires, bearer }
    }

    /// What a connection of an account may subscribe to: from the common words, or what the account imports.
    pub fn subscription(&mut self, account: Option<&Account>) -> (String, Option<String>) {
        let local =
            account.and_then(|account| account.imports.choose(&mut self.random)).map(|import| pattern(&import.local));
        let subject = match local {
            Some(local) if self.percent(35) => {
                if self.percent(40) {
                    self.narrowed(&local)
                } else {
                    local
                }
            }
            _ => self.one(&PATTERNS).to_owned(),
        };
        let queue = self.percent(35).then(|| self.one(&QUEUES).to_owned());
        (subject, queue)
    }

    /// A subject to publish to, mostly one that somebody knows.
    pub fn subject(&mut self, account: &Account, known: &[String]) -> String {
        let sources: Vec<String> = account.mappings.keys().cloned().collect();
        let imports: Vec<String> = account.imports.iter().map(|import| pattern(&import.local)).collect();
        let exports: Vec<String> = account.exports.iter().map(|export| export.subject.clone()).collect();
        let from = [known, &sources, &imports, &exports];
        let form = from.choose(&mut self.random).and_then(|list| list.choose(&mut self.random)).cloned();
        match form {
            Some(form) if self.percent(75) => self.instance(&form),
            _ if self.percent(30) => format!("i{}.{}", self.random.gen_range(0..3), self.one(&LITERALS)),
            _ => self.one(&LITERALS).to_owned(),
        }
    }

    /// A literal subject of a pattern.
    fn instance(&mut self, form: &str) -> String {
        let mut tokens: Vec<&str> = Vec::new();
        let whose = self.names.choose(&mut self.random).cloned().unwrap_or_default();
        for token in form.split('.') {
            match token {
                "*" if tokens == ["p"] => tokens.push(&whose),
                "*" => tokens.push(self.one(&TOKENS)),
                // Nothing of ours may look like the broker's own subjects.
                ">" if tokens.is_empty() => tokens.extend(["s", self.one(&TOKENS)]),
                ">" => (0..self.random.gen_range(1..3)).for_each(|_| tokens.push(self.one(&TOKENS))),
                literal => tokens.push(literal),
            }
        }
        if tokens.first() == Some(&"_R_") { "u.a".to_owned() } else { tokens.join(".") }
    }

    /// A pattern that is part of another.
    fn narrowed(&mut self, form: &str) -> String {
        let mut tokens: Vec<&str> = Vec::new();
        for token in form.split('.') {
            match token {
                "*" if self.percent(50) => tokens.push(self.one(&TOKENS)),
                ">" if self.percent(60) => tokens.push(if self.percent(50) { "*" } else { self.one(&TOKENS) }),
                other => tokens.push(other),
            }
        }
        tokens.join(".")
    }

    /// New claims for an account that has some: one or two things are different.
    pub fn changed(&mut self, index: usize, old: &Account, others: &[Account]) -> Account {
        let fresh = self.account(index, others);
        let mut account = old.clone();
        for _ in 0..self.random.gen_range(1..3) {
            self.change(&mut account, &fresh);
        }
        account
    }

    fn change(&mut self, account: &mut Account, fresh: &Account) {
        match self.random.gen_range(0..18) {
            1 => account.imports.clone_from(&fresh.imports),
            2 => account.mappings.clone_from(&fresh.mappings),
            3 => account.max_connections = fresh.max_connections.or_else(|| self.percent(30).then_some(3)),
            4 => account.max_subscriptions = fresh.max_subscriptions.or_else(|| self.percent(20).then_some(5)),
            5 => account.max_payload = fresh.max_payload,
            6 => account.disallow_bearer = !account.disallow_bearer,
            7 | 16 | 17 => {
                account.default_rights = if self.percent(20) { Rights::default() } else { self.rights(false) }
            }
            8 => account.signing_keys.clone_from(&fresh.signing_keys),
            9 => drop(account.revoked.insert(self.somebody(), self.random.gen_range(TIMES))),
            10 => account.revoked.clear(),
            11 | 12 => {
                if let Some(export) = account.exports.choose_mut(&mut self.random) {
                    match self.random.gen_range(0..6) {
                        0 | 1 => export.private = !export.private,
                        2 => export.revoked.clear(),
                        _ => {
                            let who = self.random.gen_bool(0.7).then(|| self.random.gen_range(0..self.names.len()));
                            export.revoked.insert(who, self.random.gen_range(TIMES));
                        }
                    }
                }
            }
            13 if !account.exports.is_empty() => {
                drop(account.exports.remove(self.random.gen_range(0..account.exports.len())));
            }
            14 if !account.imports.is_empty() => {
                drop(account.imports.remove(self.random.gen_range(0..account.imports.len())));
            }
            15 if !account.signing_keys.is_empty() => {
                drop(account.signing_keys.remove(self.random.gen_range(0..account.signing_keys.len())));
            }
            _ => account.exports.clone_from(&fresh.exports),
        }
    }

    fn somebody(&mut self) -> Option<usize> {
        if self.users == 0 || self.percent(15) { None } else { Some(self.random.gen_range(0..self.users)) }
    }
}
