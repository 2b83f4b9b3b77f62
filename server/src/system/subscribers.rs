//! `$SYS.DEBUG.SUBSCRIBERS`: how many subscriptions the asker's account has for a subject.
//!
//! The body is a subject, or a subject and a queue group; the answer is a bare number. What a literal subject counts are
//! those that would get a message on it, and what a pattern counts are those that lie within it. Clients and leaf nodes
//! count, of the latter as many as they announced; the broker's own do not. A member of the system account asks about
//! that account; others reach it only where the system account exports it and they import it, and ask about their own.

use std::sync::Arc;

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::matching;
use serde_json::Value;

use crate::broker::Broker;
use crate::routing::match_set::MatchSet;
use crate::routing::{Sink, Subscription};
use crate::system::desk::Request;
use crate::tenant::Tenant;

/// Connections that are looked at before other tasks get a turn.
const IN_A_TURN: usize = 256;

/// Answers with the number.
pub(super) async fn answer(broker: &Broker, request: &Request) {
    // Who asks is known by the connection, or by what the border says.
    let Some(tenant) = asker(broker, request) else { return };
    let mut words = request.body.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (subject, queue) = (words.next().unwrap_or_default(), words.next());
    let count = match (matching::is_valid(subject), matching::is_literal(subject)) {
        (false, _) => 0,
        (true, true) => receivers(&tenant, subject, queue),
        (true, false) => within(&tenant, subject, queue).await,
    };
    request.answer_raw(broker, count.to_string().as_bytes());
}

fn asker(broker: &Broker, request: &Request) -> Option<Arc<Tenant>> {
    if let Some(cid) = request.asker {
        return Some(broker.connection(cid)?.tenant());
    }
    let info: Value = serde_json::from_slice(&request.info).ok()?;
    broker.tenants.find(&AccountName::new(info.get("acc")?.as_str()?))
}

/// Those that would get a message on `subject`.
fn receivers(tenant: &Tenant, subject: &[u8], queue: Option<&[u8]>) -> u64 {
    let mut set = MatchSet::default();
    tenant.interest.matches(subject, &mut set);
    let far = set.far.take();
    [Some(&set), far.as_deref()].into_iter().flatten().flat_map(all).map(|one| weight(one, queue)).sum()
}

fn all(set: &MatchSet) -> impl Iterator<Item = &Subscription> {
    set.plain.iter().chain(set.queues.iter().flat_map(|group| &group.members))
}

/// Those whose subjects are within `pattern`.
async fn within(tenant: &Tenant, pattern: &[u8], queue: Option<&[u8]>) -> u64 {
    let mut count = 0;
    for some in [tenant.connections(), tenant.leaf_connections()].concat().chunks(IN_A_TURN) {
        for connection in some {
            let list = connection.subscription_list();
            let inside = list.iter().filter(|one| matching::contains(pattern, one.subject()));
            count += inside.map(|one| weight(one, queue)).sum::<u64>();
        }
        tokio::task::yield_now().await;
    }
    count
}

/// For how many receivers a subscription stands, if it is of the queue group that is asked for.
fn weight(subscription: &Subscription, queue: Option<&[u8]>) -> u64 {
    if subscription.is_closed() || queue.is_some() && subscription.queue() != queue {
        return 0;
    }
    match (subscription.sink(), subscription.beyond()) {
        (Sink::Client(_), _) => 1,
        (Sink::Inside(_), far) => far.map_or(0, |far| u64::from(far.weight)),
    }
}
