//! What a joined leaf node says: interest, and messages.

use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_accounts::subject::MapOutcome;
use cordon_accounts::subject::matching;
use smallvec::SmallVec;

use crate::border;
use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::leaf::filter::{Filter, Held, LOOP_DETECTION, OF_EACH_SIDE, Whose};
use crate::leaf::forward::{Beyond, is_token, reply_and_shown};
use crate::leaf::info::LeafInfo;
use crate::leaf::ledger::key;
use crate::leaf::parser::{Forwarded, Queues};
use crate::leaf::session::LeafSession;
use crate::leaf::state::Leaf;
use crate::limits::DEEPEST;
use crate::protocol::{encode, headers};
use crate::routing::deliver::route_to;
use crate::routing::interest::has_more_tokens;
use crate::routing::match_set::MatchSet;
use crate::routing::message::Passage;
use crate::routing::{Message, Sink, Subscription};
use crate::system::callout;
use crate::tracing_messages::Wish;

/// Subjects that no peer of a tenant may publish to: replies of gateways, and the broker's own groups.
const RESERVED: [&[u8]; 2] = [b"_GR_.", b"$NRG."];

/// The message that a leaf node sent, as receivers here are to get it: without what was to be cleaned away.
pub(super) fn arrived<'a>(
    origin: &'a Arc<Connection>,
    subject: &'a [u8],
    (reply, shown): (&'a [u8], &'a [u8]),
    forwarded: &'a Forwarded<'_>,
    cleaned: Option<&'a (usize, Vec<u8>)>,
) -> Message<'a> {
    let (header_len, body) = match cleaned {
        Some((header_len, body)) => (*header_len, body.as_slice()),
        None => (forwarded.header_len, forwarded.body),
    };
    Message { subject, shown, reply, header_len, body, origin: Some(origin), passage: Passage::default() }
}

impl LeafSession {
    /// LS+: permission, limits, loops, then registration.
    pub(super) fn subscribe(&mut self, subject: &[u8], queue: Option<(&[u8], u32)>) {
        if subject == self.tenant.loop_mark() {
            return self.looped();
        }
        let (name, weight) = (queue.map(|(name, _)| name), queue.map_or(1, |(_, weight)| weight));
        let is_good = matching::is_valid(subject) && is_token(subject) && name.is_none_or(is_token);
        if !is_good || has_more_tokens(subject, self.connection.broker.options.max_sub_tokens().min(DEEPEST)) {
            self.note(Reason::InvalidSubject, subject, "", "a leaf node wants a malformed subject");
            return self.error("Invalid Subject");
        }
        let id = key(subject, name);
        if let Some(known) = self.connection.subscription(&id) {
            return self.reweigh(&known, weight);
        }
        let Some(filter) = self.filter() else { return };
        if let Err(held) = filter.wants(subject, name) {
            let text = format!("Permissions Violation for Subscription to {}", encode::quoted(subject));
            return self.violated(&held, subject, text);
        }
        if OF_EACH_SIDE.iter().any(|pattern| matching::contains(pattern.as_bytes(), subject)) {
            return;
        }
        let receiver = Arc::new(Beyond::new(self.connection.clone(), weight));
        let subscription = Subscription::far(subject, name, &id, receiver);
        if !self.connection.hold_far(&subscription) {
            self.note(Reason::SubscriptionLimit, subject, "", "");
            return self.error("maximum subscriptions exceeded");
        }
        self.tenant.interest.insert(&subscription);
        if !subject.starts_with(LOOP_DETECTION) {
            border::subscription_added(&self.connection.broker, &self.tenant, &subscription);
        }
    }

    fn reweigh(&self, known: &Subscription, weight: u32) {
        let Sink::Inside(receiver) = known.sink() else { return };
        self.tenant.interest.reweigh(known, &**receiver, weight);
    }

    /// LS-: what is not known changes nothing.
    pub(super) fn unsubscribe(&mut self, subject: &[u8], queue: Option<&[u8]>) {
        if let Some(subscription) = self.connection.subscription(&key(subject, queue)) {
            self.connection.end_subscription(&subscription);
        }
    }

    /// The peer's own interest came back: whoever passed it on closes a circle.
    fn looped(&mut self) {
        let text = format!(
            "Loop detected for leafnode account=\"{}\". Delaying attempt to reconnect for 30s",
            self.tenant.name
        );
        tracing::error!(connection.id = self.connection.cid, peer = %self.connection.peer(), "{text}");
        if let Some(dialled) = &self.dialled {
            dialled.heard(&text);
        }
        self.end(Closing { wire_text: Some(text), ..Closing::silent("Protocol Violation", None) });
    }

    /// The peer did what it may not. Whoever accepted it ends the connection; whoever dialled passes it over, since
    /// the hub need not know this side's lists.
    fn violated(&mut self, held: &Held, subject: &[u8], text: String) {
        self.note(held.reason, subject, &held.rule, "a leaf node did what it may not");
        if self.dialled.is_none() {
            self.end(Closing::told(text, "Protocol Violation", held.reason));
        }
    }

    pub(super) fn filter(&self) -> Option<Arc<Filter>> {
        self.connection.leaf().map(Leaf::filter)
    }

    /// LMSG or HMSG: a publish of the connection.
    pub(super) fn message(&mut self, forwarded: &Forwarded<'_>) {
        self.in_messages += 1;
        self.in_bytes += forwarded.body.len() as u64;
        if forwarded.header_len > 0 {
            let header = forwarded.body.get(..forwarded.header_len).unwrap_or_default();
            if let Some(wish) = Wish::of(header) {
                return self.message_traced(forwarded, &wish);
            }
            if self.tenant.has_trace()
                && let Some(destination) = self.sampled(header)
            {
                return self.report_on(forwarded, &destination, false);
            }
        }
        self.message_mapped(forwarded);
    }

    /// A message of which no report is made.
    pub(super) fn message_mapped(&mut self, forwarded: &Forwarded<'_>) {
        let subject = forwarded.subject;
        if !self.tenant.has_mappings()
            && let Some(set) = self.cache.find(subject, &self.tenant.interest)
        {
            return self.pass_on(subject, forwarded, &set, Some(&forwarded.queues));
        }
        if !self.may_come_in(subject) {
            return;
        }
        match self.tenant.has_mappings().then(|| self.tenant.clone().map(subject, &mut self.batch)) {
            None | Some(MapOutcome::Unchanged) => self.match_and_pass(subject, forwarded, Some(&forwarded.queues)),
            // The groups of the other side are those of the subject there.
            Some(MapOutcome::Mapped(mapped)) => self.match_and_pass(&mapped, forwarded, None),
            Some(MapOutcome::Dropped) => {}
        }
    }

    /// Whether receivers may see `subject` on a message of a stream of the other side.
    fn may_show(&self, subject: &[u8]) -> bool {
        self.connection.leaf().is_some_and(|leaf| leaf.filter().comes_in(subject).is_ok())
    }

    /// Nobody of a tenant publishes there.
    pub(super) fn is_reserved(&self, subject: &[u8]) -> bool {
        RESERVED.iter().any(|prefix| subject.starts_with(prefix))
            || callout::is_reserved(&self.connection.broker, &self.tenant, subject)
    }

    pub(super) fn may_come_in(&mut self, subject: &[u8]) -> bool {
        if !matching::is_publishable(subject) || !is_token(subject) {
            return false;
        }
        let Some(filter) = self.filter() else { return false };
        let reserved = self.is_reserved(subject);
        let outcome = if reserved {
            Err(Held { reason: Reason::SubjectReserved, rule: String::new() })
        } else {
            filter.comes_in(subject)
        };
        match outcome {
            Ok(()) => true,
            Err(_) if !reserved && self.connection.take_reply_grant(subject) => true,
            Err(held) => {
                let text = format!("Permissions Violation for Publish to {}", encode::quoted(subject));
                self.violated(&held, subject, text);
                false
            }
        }
    }

    fn match_and_pass(&mut self, subject: &[u8], forwarded: &Forwarded<'_>, listed: Option<&Queues<'_>>) {
        let stamp = self.tenant.interest.stamp(subject);
        let mut set = MatchSet::default();
        self.tenant.interest.matches(subject, &mut set);
        let set = Arc::new(set);
        // Inboxes are used once, and what a response rule let through may not come again.
        let is_kept = !self.tenant.has_mappings()
            && !subject.starts_with(b"_INBOX.")
            && self.filter().is_some_and(|filter| filter.comes_in(subject).is_ok());
        if is_kept {
            self.cache.keep(subject, stamp, set.clone());
        }
        self.pass_on(subject, forwarded, &set, listed);
    }

    fn pass_on(&mut self, subject: &[u8], forwarded: &Forwarded<'_>, set: &MatchSet, listed: Option<&Queues<'_>>) {
        let cleaned = self.cleaned(forwarded);
        let told = self.told_reply(subject, forwarded);
        let message = arrived(&self.connection, subject, told, forwarded, cleaned.as_ref());
        route_to(set, &message, listed.map(SmallVec::as_slice), &mut self.batch);
    }

    /// The reply subject, and the one that receivers are to see.
    pub(super) fn told_reply<'a>(&self, subject: &'a [u8], forwarded: &'a Forwarded<'_>) -> (&'a [u8], &'a [u8]) {
        let (reply, shown) = reply_and_shown(forwarded.reply);
        // A leaf node shows nothing that it may not publish; a hub that this broker chose is believed.
        let shown = shown.filter(|shown| self.dialled.is_some() || self.may_show(shown));
        (reply, shown.unwrap_or(subject))
    }

    /// Header and payload without what the other side may not say: who asks is the leaf node, whatever it says; a hub
    /// that this broker chose is believed.
    pub(super) fn cleaned(&self, forwarded: &Forwarded<'_>) -> Option<(usize, Vec<u8>)> {
        let (header, payload) = forwarded.body.split_at_checked(forwarded.header_len)?;
        if header.len() <= 1 || self.dialled.is_some() || !headers::has_request_info(header) {
            return None;
        }
        let header = headers::without(header, headers::REQUEST_INFO);
        Some((header.len(), [&header, payload].concat()))
    }
    /// Takes over changed rights, and tells the peer.
    pub(super) fn refresh_rights(&mut self) {
        let version = self.connection.rights_version();
        if version == self.rights_version || self.dialled.is_some() {
            return;
        }
        self.rights_version = version;
        let connection = self.connection.clone();
        let rights = connection.rights();
        // What was put in force again need not be told again.
        if let Some(leaf) = connection.leaf().filter(|leaf| **leaf.filter().rights() != *rights) {
            let filter = Filter::new(Whose::Peer, rights, self.tenant.is_system())
                .deny_in(&leaf.denied.inward)
                .deny_out(&leaf.denied.outward);
            self.refilter(filter);
            let info = LeafInfo::on_join(&connection.broker, &connection, self.local, &self.nonce);
            self.line(&info.line());
        }
    }

    /// Tells the peer where this broker is, after that has changed.
    pub(super) fn tell_move(&mut self) {
        let connection = self.connection.clone();
        if connection.leaf().is_some_and(|leaf| !leaf.dialled && leaf.take_move()) {
            let info = LeafInfo::on_join(&connection.broker, &connection, self.local, &self.nonce);
            self.line(&info.line());
        }
    }

    /// Puts a changed filter in force.
    pub(super) fn refilter(&mut self, filter: Filter) {
        self.cache.clear();
        let connection = self.connection.clone();
        let Some(leaf) = connection.leaf() else { return };
        self.tenant.interest.with_ledger(|ledger| {
            let before = leaf.set_filter(filter);
            ledger.refilter(&connection, &before, &leaf.filter());
        });
    }
}
