//! What a connection may publish, subscribe to and receive.
//!
//! [`Permissions`] are compiled once from claims or configuration. Every question is answered with a permit or with
//! a [`Denial`] that names the list and the entry that decided, so that what enforces is also what explains.
//!
//! A deny beats every allow. An absent or empty allow list allows everything that is not denied, except that leave
//! to respond turns an absent publish list into "nothing" ([`response`]).

mod denial;
mod list;
pub mod reserved;
pub mod response;
pub mod template;

use std::sync::{Arc, LazyLock};

use crate::claims::PermissionsClaim;
use crate::subject::matching;

use list::{PublishList, SubscribeList};

pub use denial::{Denial, List, Permit, Rule, SubscribePermit, Verb};
pub use list::{EntryError, PermissionsError};
pub use response::{ReplyGrants, ResponseRule};

/// The queue group that belongs to the broker; refused to every client.
pub const RESERVED_QUEUE: &[u8] = b"_sys_";

/// Compiled permissions of a connection.
#[derive(Clone, Debug)]
pub struct Permissions {
    claim: PermissionsClaim,
    publish: Lists<PublishList>,
    subscribe: Lists<SubscribeList>,
    response: Option<ResponseRule>,
}

/// An allow list, where there is one, and a deny list.
#[derive(Clone, Debug)]
struct Lists<L> {
    allow: Option<L>,
    deny: L,
}

impl Permissions {
    /// Compiles the lists of a claim.
    ///
    /// # Errors
    /// [`PermissionsError`] names the list and the entry that is no pattern.
    pub fn compile(claim: &PermissionsClaim) -> Result<Self, PermissionsError> {
        let response = claim.response.as_ref().map(ResponseRule::from_claim);
        let publish = &claim.publish;
        // An empty allow list allows all; the leave to respond alone must not (upstream validateResponsePermissions).
        let restricted = !publish.allow.is_empty() || response.is_some();
        let publish = Lists {
            allow: restricted.then(|| PublishList::compile(List::PublishAllow, &publish.allow)).transpose()?,
            deny: PublishList::compile(List::PublishDeny, &publish.deny)?,
        };
        let subscribe = &claim.subscribe;
        let restricted = !subscribe.allow.is_empty();
        let subscribe = Lists {
            allow: restricted.then(|| SubscribeList::compile(List::SubscribeAllow, &subscribe.allow)).transpose()?,
            deny: SubscribeList::compile(List::SubscribeDeny, &subscribe.deny)?,
        };
        Ok(Self { claim: claim.clone(), publish, subscribe, response })
    }

    /// No restriction.
    pub fn everything() -> Self {
        Self {
            claim: PermissionsClaim::default(),
            publish: Lists { allow: None, deny: PublishList::default() },
            subscribe: Lists { allow: None, deny: SubscribeList::default() },
            response: None,
        }
    }

    /// No restriction, shared: most connections have none.
    pub fn everything_shared() -> Arc<Self> {
        static EVERYTHING: LazyLock<Arc<Permissions>> = LazyLock::new(|| Arc::new(Permissions::everything()));
        Arc::clone(&EVERYTHING)
    }

    /// The leave to respond; independent of the lists, see [`ReplyGrants`].
    pub fn response(&self) -> Option<ResponseRule> {
        self.response
    }

    /// The lists as they were written, for `$SYS.REQ.USER.INFO`.
    pub fn claim(&self) -> &PermissionsClaim {
        &self.claim
    }

    /// Decides whether a message may be published to `subject`, after the account's mappings.
    ///
    /// The leave to respond is not part of it: where this refuses, [`ReplyGrants::take`] may still let one through.
    ///
    /// # Errors
    /// [`Denial`] with the list and entry that refused it.
    pub fn may_publish(&self, subject: &[u8]) -> Result<Permit<'_>, Denial> {
        let denial = |rule| Denial::new(Verb::Publish, subject, None, rule);
        if let Some(entry) = self.publish.deny.matching(subject) {
            return Err(denial(Rule::entry(List::PublishDeny, entry)));
        }
        match &self.publish.allow {
            None => Ok(Permit::unrestricted()),
            Some(allow) => match allow.matching(subject) {
                Some(entry) => Ok(Permit::by_entry(entry)),
                None => Err(denial(Rule::NoAllowMatched { list: List::PublishAllow, entries: allow.len() })),
            },
        }
    }

    /// Decides whether a subscription may stand.
    ///
    /// The subscription must be contained in one allow entry: `foo.>` under `foo.*` would receive `foo.a.b`. With a
    /// queue group, entries of that subject that name a queue decide if there are any, else the plain ones do.
    ///
    /// # Errors
    /// [`Denial`] with the list and entry that refused it.
    pub fn may_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> Result<SubscribePermit<'_>, Denial> {
        let denial = |rule| Denial::new(Verb::Subscribe, subject, queue, rule);
        if queue == Some(RESERVED_QUEUE) {
            return Err(denial(Rule::ReservedQueue));
        }
        if let Some(entry) = self.subscribe.deny.denying(subject, queue) {
            return Err(denial(Rule::entry(List::SubscribeDeny, entry)));
        }
        let entry = match &self.subscribe.allow {
            None => None,
            Some(allow) => Some(allow.allowing(subject, queue).map_err(|refused| denial(refused.rule(allow.len())))?),
        };
        // A literal subject that overlaps a deny entry is contained in it and was refused above.
        let overlaps = !matching::is_literal(subject) && self.subscribe.deny.overlapping(subject, queue).is_some();
        Ok(SubscribePermit::new(entry, overlaps))
    }

    /// Decides whether one message may reach a subscription that overlaps a deny entry.
    ///
    /// `subject` is the one the client would see; `queue` the group it would be delivered for.
    ///
    /// # Errors
    /// [`Denial`] with the entry that refused it.
    pub fn may_deliver(&self, subject: &[u8], queue: Option<&[u8]>) -> Result<(), Denial> {
        match self.subscribe.deny.denying_message(subject, queue) {
            None => Ok(()),
            Some(entry) => Err(Denial::new(Verb::Deliver, subject, queue, Rule::entry(List::SubscribeDeny, entry))),
        }
    }

    /// A deny entry that takes some messages from a subscription, for explanations.
    pub fn overlapping_deny(&self, subject: &[u8], queue: Option<&[u8]>) -> Option<&str> {
        self.subscribe.deny.overlapping(subject, queue)
    }

    /// True if [`Permissions::may_deliver`] refuses, without building the refusal: for each delivery.
    pub fn denies_delivery(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.subscribe.deny.denying_message(subject, queue).is_some()
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self::everything()
    }
}

impl PartialEq for Permissions {
    fn eq(&self, other: &Self) -> bool {
        self.claim == other.claim
    }
}

impl Eq for Permissions {}

#[cfg(test)]
mod tests;
