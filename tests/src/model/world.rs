//! Accounts with their connections and subscriptions, and what each change does to them.

use std::collections::BTreeMap;

use crate::model::account::{Account, Kind, Scope, Signer, User};
use crate::model::rights::Rights;
use crate::model::sharing::{Crossing, crossings};
use crate::model::subject::{contains, matches};

/// What a refused attempt to connect is told.
pub const NOT_AUTHORIZED: &str = "Authorization Violation";
/// What connections are told that are one too many.
pub const TOO_MANY_CONNECTIONS: &str = "maximum account active connections exceeded";
/// What a connection is told whose subscriptions are too many.
pub const TOO_MANY_SUBSCRIPTIONS: &str = "maximum subscriptions exceeded";

/// One subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Its pattern.
    pub subject: String,
    /// Its queue group.
    pub queue: Option<String>,
    /// Deliveries after which it ends.
    pub max: Option<u64>,
    /// Deliveries so far.
    pub delivered: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// As whom it has authenticated.
    pub user: User,
    /// What the key that signed its user gave it.
    pub scope: Option<Scope>,
    /// Whether it has the rights that the account gives to those without.
    pub inherits: bool,
    /// What it may do now.
    pub rights: Rights,
    /// Subscriptions that it may hold now.
    pub max_subscriptions: usize,
    /// Bytes that its messages may have now.
    pub max_payload: usize,
    /// Whether it gets what it publishes.
    pub echo: bool,
    /// Whether it wants to be told that nobody got its request.
    pub no_responders: bool,
    /// Its subscriptions.
    pub subscriptions: BTreeMap<u32, Subscription>,
    /// Reply subjects that it was given, with the number of answers so far.
    pub grants: BTreeMap<String, i64>,
}

/// The way back for the answers to one request that crossed a border.
#[derive(Clone, Debug)]
pub struct Owed {
    /// Its number.
    pub id: usize,
    /// Who answers.
    pub exporter: usize,
    /// Who asked.
    pub importer: usize,
    /// The offer that the request came by.
    pub export: String,
    /// Where the answer goes, in the importer.
    pub reply: String,
    /// The connection that asked.
    pub requester: usize,
    /// Whether more than one answer passes.
    pub many: bool,
    /// The reply subject that the exporter was shown, once it was seen.
    pub text: Option<String>,
    /// Nobody waits for it, so that it may be closed at any time.
    pub doubtful: bool,
}

/// What a change says to a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Errors, in no order.
    pub lines: Vec<String>,
    /// Whether the connection ends.
    pub ended: bool,
}

impl Told {
    /// The connection ends with this error, or without a word.
    fn end(line: Option<&str>) -> Self {
        Self { lines: line.map(str::to_owned).into_iter().collect(), ended: true }
    }
}

/// Everything that decides about deliveries.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Accounts, by index; `None` while there are no claims in force.
    pub accounts: Vec<Option<Account>>,
    /// Connections, by number; numbers grow.
    pub connections: BTreeMap<usize, Connection>,
    /// Answers on their way.
    pub owed: Vec<Owed>,
    /// Imports that hold.
    pub crossings: Vec<Crossing>,
    /// The time, in Unix seconds.
    pub now: i64,
    /// Ways back made so far.
    pub owed_ever: usize,
}

impl World {
    /// Admits a connection, or says why not.
    ///
    /// # Errors
    ///
    /// What the connection is told before it ends.
    pub fn connect(&mut self, number: usize, user: &User, echo: bool, no_responders: bool) -> Result<(), &'static str> {
        let Some(account) = &self.accounts[user.account] else { return Err(NOT_AUTHORIZED) };
        let scope = account.scope(user.signer);
        let expired = user.expires > 0 && user.expires <= self.now;
        let banned = user.bearer && account.disallow_bearer;
        // A user of a scoped key may carry nothing of its own.
        let misfit = user.own.is_some() && scope.is_some();
        if !account.has_signer(user.signer) || misfit || expired || banned || account.revokes(user) {
            return Err(NOT_AUTHORIZED);
        }
        let present = self.connections.values().filter(|other| other.user.account == user.account).count();
        if account.max_connections.is_some_and(|most| present >= most) {
            return Err(TOO_MANY_CONNECTIONS);
        }
        let given = given(scope, user);
        let inherits = given.rights.is_empty();
        let rights = if inherits { account.default_rights.clone() } else { expanded(&given.rights, &user.name) };
        let connection = Connection {
            user: user.clone(),
            scope: scope.cloned(),
            inherits,
            rights,
            max_subscriptions: tighter(given.subscriptions, account.max_subscriptions),
            max_payload: tighter(given.payload, account.max_payload),
            echo,
            no_responders,
            subscriptions: BTreeMap::new(),
            grants: BTreeMap::new(),
        };
        self.connections.insert(number, connection);
        Ok(())
    }

    /// Ends a connection.
    pub fn disconnect(&mut self, number: usize) {
        self.connections.remove(&number);
        self.refresh();
    }

    /// Subscribes; the error if it is refused.
    pub fn subscribe(&mut self, number: usize, subject: &str, queue: Option<&str>, sid: u32) -> Option<String> {
        let connection = self.connections.get_mut(&number).expect("it is there");
        if !connection.rights.may_subscribe(subject, queue) {
            return Some(violation(subject, queue));
        }
        if connection.subscriptions.len() >= connection.max_subscriptions {
            return Some(TOO_MANY_SUBSCRIPTIONS.to_owned());
        }
        connection.subscriptions.entry(sid).or_insert_with(|| Subscription {
            subject: subject.to_owned(),
            queue: queue.map(str::to_owned),
            max: None,
            delivered: 0,
        });
        None
    }

    /// Unsubscribes, at once or after so many deliveries.
    pub fn unsubscribe(&mut self, number: usize, sid: u32, max: u64) {
        let connection = self.connections.get_mut(&number).expect("it is there");
        if let Some(subscription) = connection.subscriptions.get_mut(&sid) {
            if max > subscription.delivered {
                subscription.max = Some(max);
            } else {
                connection.subscriptions.remove(&sid);
            }
        }
        self.refresh();
    }

    /// New claims of an account: what they do to its connections. `None` if they are turned down.
    pub fn push(&mut self, index: usize, account: Account) -> Option<BTreeMap<usize, Told>> {
        if !account.is_valid(index) {
            return None;
        }
        let mut told = BTreeMap::new();
        let room = account.max_connections.unwrap_or(usize::MAX);
        let mine = self.connections.iter_mut().filter(|(_, connection)| connection.user.account == index);
        for (place, (number, connection)) in mine.enumerate() {
            let this = if place >= room { Told::end(Some(TOO_MANY_CONNECTIONS)) } else { connection.hold_to(&account) };
            if this != Told::default() {
                told.insert(*number, this);
            }
        }
        self.accounts[index] = Some(account);
        self.close(&told);
        Some(told)
    }

    /// An account's claims go.
    pub fn delete(&mut self, index: usize) -> BTreeMap<usize, Told> {
        self.accounts[index] = None;
        let mine = self.connections.iter().filter(|(_, connection)| connection.user.account == index);
        let told: BTreeMap<_, _> =
            mine.map(|(number, _)| (*number, Told::end(Some("Account Authentication Expired")))).collect();
        self.close(&told);
        told
    }

    /// Time has passed.
    pub fn advance(&mut self, now: i64) -> BTreeMap<usize, Told> {
        self.now = now;
        let over = self.connections.iter().filter(|(_, one)| one.user.expires > 0 && one.user.expires <= now);
        let told: BTreeMap<_, _> =
            over.map(|(number, _)| (*number, Told::end(Some("User Authentication Expired")))).collect();
        self.close(&told);
        told
    }

    fn close(&mut self, told: &BTreeMap<usize, Told>) {
        self.connections.retain(|number, _| !told.get(number).is_some_and(|told| told.ended));
        self.refresh();
    }

    /// Finds the imports that hold, and the ways back that are still behind one.
    pub fn refresh(&mut self) {
        self.crossings =
            (0..self.accounts.len()).flat_map(|index| crossings(&self.accounts, index, self.now)).collect();
        let holds = |owed: &Owed| {
            let mut behind = self.crossings.iter().filter(|crossing| crossing.import.kind == Kind::Service);
            let offered = |account: &Account| {
                let services = account.exports.iter().filter(|export| export.kind == Kind::Service);
                services.into_iter().any(|export| contains(&export.subject, &owed.export))
            };
            behind.any(|crossing| {
                (crossing.importer, crossing.import.from, &crossing.export.subject)
                    == (owed.importer, owed.exporter, &owed.export)
            }) && self.accounts[owed.exporter].as_ref().is_some_and(offered)
        };
        let mut owed = std::mem::take(&mut self.owed);
        owed.retain(holds);
        for one in &mut owed {
            let gone = !self.connections.contains_key(&one.requester);
            one.doubtful |= gone || !(one.reply.starts_with("_R_.") || self.awaits(one.importer, &one.reply));
        }
        self.owed = owed;
    }

    /// Whether some subscription of an account matches a subject.
    fn awaits(&self, account: usize, subject: &str) -> bool {
        let mine = self.connections.values().filter(|connection| connection.user.account == account);
        mine.flat_map(|connection| connection.subscriptions.values()).any(|one| matches(&one.subject, subject))
    }
}

impl Connection {
    /// What new claims of its account do to it.
    fn hold_to(&mut self, account: &Account) -> Told {
        if self.user.bearer && account.disallow_bearer {
            return Told::end(Some(NOT_AUTHORIZED));
        }
        if account.revokes(&self.user) {
            return Told::end(Some("User Authentication Revoked"));
        }
        if !account.has_signer(self.user.signer) || account.scope(self.user.signer) != self.scope.as_ref() {
            return Told::end(None);
        }
        let given = given(self.scope.as_ref(), &self.user);
        self.max_subscriptions = tighter(given.subscriptions, account.max_subscriptions);
        self.max_payload = tighter(given.payload, account.max_payload);
        let mut told = Told::default();
        if self.inherits && self.rights != account.default_rights {
            self.rights = account.default_rights.clone();
            self.grants.clear();
            let rights = &self.rights;
            self.subscriptions.retain(|sid, one| {
                let stays = rights.may_subscribe(&one.subject, one.queue.as_deref());
                if !stays {
                    told.lines.push(format!("{} (sid \"{sid}\")", violation(&one.subject, one.queue.as_deref())));
                }
                stays
            });
        }
        if self.subscriptions.len() > self.max_subscriptions {
            told.lines.push(TOO_MANY_SUBSCRIPTIONS.to_owned());
            told.ended = true;
        }
        told
    }

    /// Whether its user was signed by a key of this kind.
    pub fn is_signed_by(&self, signer: Signer) -> bool {
        self.user.signer == signer
    }
}

/// A user who says nothing and whose key says nothing either has limits of zero.
fn given(scope: Option<&Scope>, user: &User) -> Scope {
    let nothing = || Scope { rights: Rights::default(), subscriptions: Some(0), payload: Some(0) };
    scope.or(user.own.as_ref()).cloned().unwrap_or_else(nothing)
}

fn violation(subject: &str, queue: Option<&str>) -> String {
    let using = queue.map(|queue| format!(" using queue \"{queue}\"")).unwrap_or_default();
    format!("Permissions Violation for Subscription to \"{subject}\"{using}")
}

fn tighter(one: Option<usize>, other: Option<usize>) -> usize {
    one.unwrap_or(usize::MAX).min(other.unwrap_or(usize::MAX))
}

/// The rights of a template for one user.
fn expanded(rights: &Rights, name: &str) -> Rights {
    let fill = |list: &[String]| list.iter().map(|entry| entry.replace("{{name()}}", name)).collect();
    Rights {
        publish_allow: fill(&rights.publish_allow),
        publish_deny: fill(&rights.publish_deny),
        subscribe_allow: fill(&rights.subscribe_allow),
        subscribe_deny: fill(&rights.subscribe_deny),
        responses: rights.responses,
    }
}
