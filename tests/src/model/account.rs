//! What the claims of accounts and users say, as far as deliveries depend on it.

use std::collections::BTreeMap;

use crate::model::rights::Rights;
use crate::model::subject::{contains, pattern};

/// Which way messages pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// From the importer to the exporter, and answers back.
    Service,
    /// From the exporter to the importer.
    Stream,
}

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Which way.
    pub kind: Kind,
    /// What is on offer.
    pub subject: String,
    /// Whether importers need an activation.
    pub private: bool,
    /// The token, counted from 1, that must be the importer's name; 0 for none. It goes before `private`.
    pub position: u32,
    /// Whether a request may have many answers.
    pub many: bool,
    /// Activations taken back: by importer, `None` for all, with the time up to which.
    pub revoked: BTreeMap<Option<usize>, i64>,
}

/// Who signed something in an account's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signer {
    /// The account's own key.
    Identity,
    /// A signing key by number, listed by the account or not.
    Key(usize),
}

/// The token that a private export demands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Activation {
    /// Who may import.
    pub importer: usize,
    /// In whose name.
    pub exporter: usize,
    /// Which way.
    pub kind: Kind,
    /// What may be imported.
    pub subject: String,
    /// Who signed.
    pub signer: Signer,
    /// When.
    pub issued_at: i64,
    /// Until when; 0 for ever.
    pub expires: i64,
}

/// The acceptance of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Which way.
    pub kind: Kind,
    /// The exporter.
    pub from: usize,
    /// The exporter's subject.
    pub remote: String,
    /// The importer's subject, in which `$n` is the n-th `*` of `remote`.
    pub local: String,
    /// Whether the claims say it the old way: by `to`.
    pub legacy: bool,
    /// The token.
    pub activation: Option<Activation>,
}

/// A key that signs users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its number.
    pub key: usize,
    /// What all its users get and no more; `None` if they carry rights of their own.
    pub scope: Option<Scope>,
}

/// Rights and limits of the users of a signing key, or of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Rights; `{{name()}}` in an entry stands for the user's name.
    pub rights: Rights,
    /// Subscriptions of one connection.
    pub subscriptions: Option<usize>,
    /// Bytes of one message.
    pub payload: Option<usize>,
}

/// An account as its newest claims have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its key.
    pub name: String,
    /// Offers.
    pub exports: Vec<Export>,
    /// Acceptances.
    pub imports: Vec<Import>,
    /// Subject mappings: destinations with percentages.
    pub mappings: BTreeMap<String, Vec<(String, u8)>>,
    /// Connections.
    pub max_connections: Option<usize>,
    /// Subscriptions of one connection.
    pub max_subscriptions: Option<usize>,
    /// Bytes of one message.
    pub max_payload: Option<usize>,
    /// Whether users without a signature of the nonce are turned away.
    pub disallow_bearer: bool,
    /// Users taken back: by user, `None` for all, with the time up to which.
    pub revoked: BTreeMap<Option<usize>, i64>,
    /// For users that carry no rights of their own.
    pub default_rights: Rights,
    /// Keys that sign in its name, besides its own.
    pub signing_keys: Vec<SigningKey>,
}

/// A user as its JWT has it.
#[derive(Clone, Debug)]
pub struct User {
    /// Its number.
    pub id: usize,
    /// Its name.
    pub name: String,
    /// Its account.
    pub account: usize,
    /// Who signed.
    pub signer: Signer,
    /// Its own rights and limits; `None` if it says nothing, as users of a scoped key must.
    pub own: Option<Scope>,
    /// When it was issued.
    pub issued_at: i64,
    /// Until when; 0 for ever.
    pub expires: i64,
    /// Whether the JWT alone suffices.
    pub bearer: bool,
}

impl Export {
    /// An offer to everybody.
    pub fn public(kind: Kind, subject: &str) -> Self {
        let subject = subject.to_owned();
        Self { kind, subject, private: false, position: 0, many: false, revoked: BTreeMap::new() }
    }
}

impl Account {
    /// Whether a broker takes claims like these; else what was in force before stays.
    pub fn is_valid(&self, index: usize) -> bool {
        let same = |one: &str, other: &str| contains(one, other) || contains(other, one);
        let exports =
            pairs(&self.exports).all(|(one, other)| one.kind != other.kind || !same(&one.subject, &other.subject));
        let collide = |(one, other): (&Import, &Import)| {
            let both = one.kind == Kind::Service && other.kind == Kind::Service && one.from == other.from;
            both && same(&one.compared(), &other.compared())
        };
        let fits = |import: &Import| {
            import.activation.as_ref().is_none_or(|activation| {
                activation.importer == index
                    && activation.exporter == import.from
                    && activation.kind == import.kind
                    && contains(&activation.subject, &import.remote)
            })
        };
        exports && !pairs(&self.imports).any(collide) && self.imports.iter().all(fits)
    }

    /// Whether a key signs in its name now.
    pub fn has_signer(&self, signer: Signer) -> bool {
        match signer {
            Signer::Identity => true,
            Signer::Key(number) => self.signing_keys.iter().any(|listed| listed.key == number),
        }
    }

    /// What the users of a key get, if it says.
    pub fn scope(&self, signer: Signer) -> Option<&Scope> {
        let listed = |number| self.signing_keys.iter().find(move |listed| listed.key == number);
        match signer {
            Signer::Identity => None,
            Signer::Key(number) => listed(number)?.scope.as_ref(),
        }
    }

    /// Whether a user that was issued then is taken back.
    pub fn revokes(&self, user: &User) -> bool {
        [Some(user.id), None].iter().filter_map(|entry| self.revoked.get(entry)).any(|until| user.issued_at <= *until)
    }
}

impl Import {
    /// The subject by which service imports of one account are kept apart: with `to`, that is the exporter's.
    fn compared(&self) -> String {
        if self.legacy { self.remote.clone() } else { pattern(&self.local) }
    }
}

fn pairs<T>(list: &[T]) -> impl Iterator<Item = (&T, &T)> {
    list.iter().enumerate().flat_map(move |(at, one)| list[at + 1..].iter().map(move |other| (one, other)))
}
