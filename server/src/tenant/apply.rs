//! A changed account, or a changed configuration of users, takes effect on the connections that are open.
//!
//! Order per connection as nats-server has it (auth.md section 7): connection count, limits,
//! permissions and the principal's own standing. What is closed is always the newest.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::reason::Reason;
use cordon_auth::clock::Clock;
use cordon_auth::refusal::ClosePolicy;
use cordon_auth::standing;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::leaf;
use crate::system::security::SecurityEvent;
use crate::tenant::Tenant;

/// A connection over its lowered subscription limit is told, then closed after this time.
const SUBSCRIPTION_NOTICE: Duration = Duration::from_millis(20);

/// How often a clock that is waited for is looked at.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

/// Puts the account's claims, or its users as they are configured now, in force on its connections.
pub fn to_connections(broker: &Arc<Broker>, tenant: &Arc<Tenant>) {
    let now = broker.clock.unix_seconds();
    let connections = tenant.connections();
    for (connections, most) in
        [(connections, tenant.max_connections()), (tenant.leaf_connections(), tenant.max_leafs())]
    {
        let room = most.map_or(usize::MAX, |max| max as usize);
        for connection in connections.iter().skip(room) {
            end(
                connection,
                ClosePolicy::ACCOUNT_CONNECTIONS,
                Reason::AccountConnectionLimit,
                "the account's limit was lowered",
            );
        }
        for connection in connections.iter().take(room) {
            to_connection(broker, connection, tenant, now);
        }
    }
}

/// Does so for one connection. Called once more when a connection has
/// just been bound, since the record may have changed between its admission and that.
///
/// One at a time for each connection, and always by the record of that moment: so the last to finish has put the
/// newest in force.
pub fn to_connection(broker: &Arc<Broker>, connection: &Arc<Connection>, tenant: &Arc<Tenant>, now: i64) {
    let _one_at_a_time = connection.change();
    let identity = connection.identity();
    let Some(principal) = identity.principal.filter(|_| Arc::ptr_eq(&identity.tenant, tenant)) else { return };
    let standing = match tenant.record() {
        Some(record) => Some(standing::still_valid(&principal, &record, now)),
        None => match connection.leaf() {
            // Who dialled out is nobody's user.
            Some(leaf) if leaf.dialled => None,
            Some(_) => leaf::reload::standing(broker, connection, &principal),
            None => broker.configured_standing(&principal),
        },
    };
    match standing {
        None => {
            connection.set_limits(principal.limits.min(tenant.limits()));
        }
        Some(Err((reason, policy))) => end(connection, policy, reason, "the account or its users changed"),
        Some(Ok(update)) => {
            let over = connection.set_limits(update.limits.min(tenant.limits()));
            connection.update_principal(&update);
            if let Some(permissions) = update.permissions {
                connection.set_rights(permissions);
            }
            if over {
                end_soon(broker, connection.clone());
            }
            // What was decided about a subject may have become the broker's own, or have ceased to be.
            connection.forget_decisions();
            connection.wake();
        }
    }
}

/// Ends all connections of an account that is no more.
pub fn account_ended(tenant: &Tenant, reason: Reason, detail: &str) {
    for connection in tenant.connections().into_iter().chain(tenant.leaf_connections()) {
        end(&connection, ClosePolicy::ACCOUNT_EXPIRED, reason, detail);
    }
}

/// Ends all connections of an account that the configuration no longer has: without a word, as nats-server does it.
pub fn account_unconfigured(tenant: &Tenant) {
    for connection in tenant.connections().into_iter().chain(tenant.leaf_connections()) {
        end(&connection, ClosePolicy::SILENT, Reason::AccountUnknown, "the account is no longer configured");
    }
}

/// Waits for what expires first after the second `after`, the account or one of its imports, and acts
/// on it. A wait that began earlier is given up.
pub fn watch_expiry(broker: &Arc<Broker>, tenant: &Arc<Tenant>, after: i64) {
    let account = tenant.record().map(|record| record.claims.expires).filter(|at| *at > 0 && *at > after);
    let due = account.into_iter().chain(tenant.crossings.next_expiry(after)).min();
    tenant.wait_with(due.map(|due| broker.tasks.spawn(expire(broker.clone(), tenant.clone(), due)).abort_handle()));
}

async fn expire(broker: Arc<Broker>, tenant: Arc<Tenant>, due: i64) {
    tokio::select! {
        () = broker.stopping.cancelled() => {}
        () = reached(&broker.clock, due) => broker.tenants.expire(&broker, &tenant, due).await,
    }
}

/// Returns when the clock says `due`, Unix seconds. It is asked again and again: it may be set in either direction
/// meanwhile, and a machine may sleep.
async fn reached(clock: &Clock, due: i64) {
    loop {
        let left_ns = due.saturating_mul(1_000_000_000).saturating_sub(clock.unix_nanos());
        let Ok(left @ 1..) = u64::try_from(left_ns) else { return };
        tokio::time::sleep((Duration::from_nanos(left) + Duration::from_millis(1)).min(CLOCK_CHECK)).await;
    }
}

/// Ends a connection, and notes why.
pub(crate) fn end(connection: &Arc<Connection>, policy: ClosePolicy, reason: Reason, detail: &str) {
    connection.broker.security.note(SecurityEvent::of(connection, reason).about(b"", "", detail));
    connection.close(Closing::by_policy(policy, reason, detail));
}

/// Tells a connection that it has too many subscriptions, then ends it.
pub(crate) fn end_soon(broker: &Arc<Broker>, connection: Arc<Connection>) {
    connection.send_line(&crate::protocol::encode::error_line("maximum subscriptions exceeded"));
    broker.tasks.spawn(async move {
        tokio::time::sleep(SUBSCRIPTION_NOTICE).await;
        let closing = Closing::silent("Maximum Subscriptions Exceeded", Some(Reason::SubscriptionLimit));
        connection.close(closing.because("the subscription limit was lowered"));
    });
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const DUE: i64 = 1_700_000_000;

    #[tokio::test]
    async fn what_is_due_has_been_reached_and_what_is_not_has_not() {
        for (now, is_reached) in [(DUE, true), (DUE + 5, true), (DUE - 1, false)] {
            assert_eq!(reached(&Clock::manual(now), DUE).now_or_never().is_some(), is_reached, "{now}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_lags_behind_the_timer_is_waited_for() {
        // To the timer a nanosecond is over at once; this clock stands still until it is moved.
        let clock = Clock::manual(DUE - 1);
        clock.advance(Duration::from_nanos(999_999_999));
        let mut waiting = Box::pin(reached(&clock, DUE));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        clock.advance(Duration::from_nanos(1));
        waiting.await;
    }
}
