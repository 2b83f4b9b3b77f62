//! What may pass over one leaf connection, in either direction.
//!
//! Permissions are those of the leaf's user, written from its point of view: what it publishes comes in at the hub, and
//! what it subscribes to goes out. The other end holds itself to the same lists, as INFO brought them. Deny lists of
//! either end, and the subjects that never cross, come on top.

use std::sync::Arc;

use cordon_accounts::permissions::{Denial, Permissions};
use cordon_accounts::reason::Reason;
use cordon_accounts::subject::{Pattern, matching};

/// What never crosses a leaf connection of a tenant: both sides may have their own JetStream.
pub const OF_EACH_SIDE: [&str; 3] = ["$JS.API.>", "$KV.>", "$OBJ.>"];
/// What does not cross one of the system account, besides [`OF_EACH_SIDE`].
pub const OF_EACH_SYSTEM: [&str; 2] = ["$JSC.>", "$NRG.>"];
/// Interest that finds loops: `$LDS.<unique>`.
pub const LOOP_DETECTION: &[u8] = b"$LDS.";
/// Answers of service imports: each is for one request, and passes whatever the lists say.
pub const REPLIES: &[u8] = b"_R_.";

/// Whose permissions [`Filter`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The peer's: this side checks what it does.
    Peer,
    /// This side's at the peer.
    Own,
}

/// What may pass over one leaf connection.
#[derive(Clone, Debug)]
pub struct Filter {
    whose: Whose,
    rights: Arc<Permissions>,
    not_in: Vec<Pattern>,
    not_out: Vec<Pattern>,
}

/// Why something does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The reason.
    pub reason: Reason,
    /// The rule.
    pub rule: String,
}

impl From<Denial> for Held {
    fn from(denial: Denial) -> Self {
        Self { reason: denial.reason, rule: denial.rule.to_string() }
    }
}

impl Filter {
    /// What passes by `rights`. Entries of the further lists that are no patterns deny nothing: who wrote them has
    /// been told.
    pub fn new(whose: Whose, rights: Arc<Permissions>, is_system: bool) -> Self {
        let system: &[&str] = if is_system { &OF_EACH_SYSTEM } else { &[] };
        let never: Vec<Pattern> =
            OF_EACH_SIDE.iter().chain(system).filter_map(|text| Pattern::parse(text).ok()).collect();
        Self { whose, rights, not_in: never.clone(), not_out: never }
    }

    /// Besides, `subjects` do not come in.
    pub fn deny_in(mut self, subjects: &[String]) -> Self {
        self.not_in.extend(subjects.iter().filter_map(|text| Pattern::parse(text).ok()));
        self
    }

    /// Besides, `subjects` do not go out.
    pub fn deny_out(mut self, subjects: &[String]) -> Self {
        self.not_out.extend(subjects.iter().filter_map(|text| Pattern::parse(text).ok()));
        self
    }

    /// The lists by which it was made.
    pub fn rights(&self) -> &Arc<Permissions> {
        &self.rights
    }

    /// Whether a message on `subject` may come in.
    ///
    /// # Errors
    ///
    /// What holds it back.
    pub fn comes_in(&self, subject: &[u8]) -> Result<(), Held> {
        if subject.starts_with(REPLIES) {
            return Ok(());
        }
        denied(&self.not_in, subject)?;
        match self.whose {
            Whose::Peer => self.rights.may_publish(subject).map(|_| ()).map_err(Held::from),
            Whose::Own => self.rights.may_subscribe(subject, None).map(|_| ()).map_err(Held::from),
        }
    }

    /// Whether a message on `subject` may go out, for plain subscriptions or for those in `queue`.
    pub fn goes_out(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        if subject.starts_with(REPLIES) {
            return true;
        }
        // With wildcards in it, it would be read as a pattern where it arrives.
        if !(matching::is_literal(subject) || names_a_filter(subject)) || denied(&self.not_out, subject).is_err() {
            return false;
        }
        match self.whose {
            Whose::Peer => self.rights.may_subscribe(subject, queue).is_ok(),
            Whose::Own => self.rights.may_publish(subject).is_ok(),
        }
    }

    /// Whether the peer may want `subject`. A wildcard may be wider than what is allowed: each message is looked at.
    ///
    /// # Errors
    ///
    /// What forbids it.
    pub fn wants(&self, subject: &[u8], queue: Option<&[u8]>) -> Result<(), Held> {
        if subject.starts_with(LOOP_DETECTION) || subject.starts_with(REPLIES) {
            return Ok(());
        }
        if self.whose == Whose::Own || !matching::is_literal(subject) {
            return Ok(());
        }
        self.rights.may_subscribe(subject, queue).map(|_| ()).map_err(Held::from)
    }

    /// Whether interest in `subject` is worth telling the peer: some of it may come in.
    pub fn is_told(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        if subject.starts_with(LOOP_DETECTION) || subject.starts_with(REPLIES) {
            return true;
        }
        if self.not_in.iter().any(|deny| matching::contains(deny.as_bytes(), subject)) {
            return false;
        }
        let claim = self.rights.claim();
        let lists = match self.whose {
            Whose::Peer => &claim.publish,
            Whose::Own => &claim.subscribe,
        };
        let subject_of = |entry: &String| entry.split_ascii_whitespace().next().unwrap_or_default().to_owned();
        let queue_of = |entry: &String| entry.split_ascii_whitespace().nth(1).map(str::to_owned);
        let fits = |entry: &String| match queue_of(entry) {
            None => true,
            Some(named) => {
                queue.is_some_and(|queue| named.as_bytes() == queue || matching::matches(named.as_bytes(), queue))
            }
        };
        if lists.deny.iter().any(|entry| fits(entry) && matching::contains(subject_of(entry).as_bytes(), subject)) {
            return false;
        }
        let responds = self.whose == Whose::Peer && claim.response.is_some();
        if lists.allow.is_empty() && !responds {
            return true;
        }
        // What may be answered is not known beforehand: inboxes are told.
        (responds && subject.starts_with(b"_INBOX."))
            || lists.allow.iter().any(|entry| fits(entry) && matching::overlaps(subject_of(entry).as_bytes(), subject))
    }
}

/// A request for a consumer ends with what that one wants, wildcards and all: `<api>.CONSUMER.CREATE.<stream>.<name>.<filter>`.
fn names_a_filter(subject: &[u8]) -> bool {
    let at = memchr::memmem::find(subject, b".CONSUMER.CREATE.");
    at.and_then(|at| subject.get(..at)).is_some_and(matching::is_literal)
}

fn denied(list: &[Pattern], subject: &[u8]) -> Result<(), Held> {
    match list.iter().find(|deny| matching::matches(deny.as_bytes(), subject)) {
        None => Ok(()),
        Some(deny) => Err(Held {
            reason: Reason::PublishDenied,
            rule: format!("`{}` does not cross a leaf connection", deny.as_str()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};

    use super::*;

    fn list(allow: &[&str], deny: &[&str]) -> SubjectsClaim {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        SubjectsClaim { allow: texts(allow), deny: texts(deny) }
    }

    fn filter(whose: Whose, publish: SubjectsClaim, subscribe: SubjectsClaim) -> Filter {
        let claim = PermissionsClaim { publish, subscribe, ..PermissionsClaim::default() };
        Filter::new(whose, Arc::new(Permissions::compile(&claim).unwrap()), false)
    }

    #[test]
    fn what_the_peer_publishes_comes_in_and_what_it_subscribes_goes_out() {
        let filter = filter(Whose::Peer, list(&["in.>"], &["in.not"]), list(&["out.>"], &["out.not"]));
        for (subject, comes_in, goes_out) in [
            ("in.a", true, false),
            ("in.not", false, false),
            ("out.a", false, true),
            ("out.not", false, false),
            ("other", false, false),
            ("_R_.a.b", true, true),
            ("$JS.API.INFO", false, false),
        ] {
            assert_eq!(filter.comes_in(subject.as_bytes()).is_ok(), comes_in, "{subject}");
            assert_eq!(filter.goes_out(subject.as_bytes(), None), goes_out, "{subject}");
        }
    }

    #[test]
    fn at_the_other_end_the_same_lists_mean_the_other_direction() {
        let filter = filter(Whose::Own, list(&["up.>"], &[]), list(&["down.>"], &[]));
        assert!(filter.goes_out(b"up.a", None) && !filter.goes_out(b"down.a", None));
        assert!(filter.comes_in(b"down.a").is_ok() && filter.comes_in(b"up.a").is_err());
        assert!(filter.is_told(b"down.a", None) && filter.is_told(b">", None) && !filter.is_told(b"up.a", None));
        assert!(filter.wants(b"anything", None).is_ok(), "the other end decides");
    }

    #[test]
    fn literals_must_be_allowed_and_wildcards_are_looked_at_per_message() {
        let filter = filter(Whose::Peer, list(&["in.>"], &["in.not.>"]), list(&["out.>"], &["out.not"]));
        for (subject, wanted) in [("out.a", true), ("out.not", false), ("x", false), (">", true), ("$LDS.x", true)] {
            assert_eq!(filter.wants(subject.as_bytes(), None).is_ok(), wanted, "{subject}");
        }
        for (subject, told) in [
            ("in.a", true),
            ("in.not.b", false),
            ("in.not.>", false),
            ("in.*", true),
            (">", true),
            ("x.>", false),
            ("$LDS.x", true),
            ("_R_.x.>", true),
            ("$KV.b.>", false),
        ] {
            assert_eq!(filter.is_told(subject.as_bytes(), None), told, "{subject}");
        }
    }

    #[test]
    fn subjects_with_wildcards_in_them_do_not_go_out() {
        let filter = filter(Whose::Peer, list(&[], &[]), list(&[], &[]));
        for subject in ["a.*", ">", "a.>", "$JS.*.API.CONSUMER.CREATE.S.c.a", "$JS.hub.API.CONSUMER.*.CREATE.S"] {
            assert!(!filter.goes_out(subject.as_bytes(), None), "{subject}");
        }
        for subject in ["$JS.hub.API.CONSUMER.CREATE.S.c.a.*", "its.API.CONSUMER.CREATE.S.c.>"] {
            assert!(filter.goes_out(subject.as_bytes(), None), "{subject}");
        }
        assert!(!filter.goes_out(b"$JS.API.CONSUMER.CREATE.S.c.a.*", None), "each side has its own");
    }

    #[test]
    fn further_denials_only_take_away() {
        let open = || filter(Whose::Peer, list(&[], &[]), list(&[], &[]));
        let denied =
            open().deny_in(&["secret.>".to_owned()]).deny_out(&["local.*".to_owned(), "bad subject..".to_owned()]);
        assert!(denied.comes_in(b"secret.a").is_err() && denied.comes_in(b"local.a").is_ok());
        assert!(!denied.goes_out(b"local.a", None) && denied.goes_out(b"secret.a", None));
        assert!(open().comes_in(b"secret.a").is_ok());
    }

    #[test]
    fn entries_with_a_queue_group_speak_of_that_group() {
        let filter = filter(Whose::Peer, list(&[], &[]), list(&["work q1", "news"], &[]));
        assert!(filter.goes_out(b"work", Some(b"q1")) && !filter.goes_out(b"work", Some(b"q2")));
        assert!(!filter.goes_out(b"work", None) && filter.goes_out(b"news", None));
    }
}
