//! Events about connections (monitoring-and-system.md 2.3).
//!
//! Built and published on the connection's own task, and only if somebody listens.

use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use cordon_auth::refusal::Refusal;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::monitoring::{accounts, text};
use crate::observer::Observer;
use crate::system::{envelope, publish_event, publish_event_in};
use crate::tenant::{GLOBAL, Tenant};

/// The observer that publishes events.
pub struct Reporter;

impl Observer for Reporter {
    fn connected(&self, connection: &Connection) {
        let broker = &connection.broker;
        let tenant = connection.tenant();
        publish_event(broker, &format!("$SYS.ACCOUNT.{}.CONNECT", tenant.name), || {
            let mut event = envelope::event(broker, "client_connect");
            set(&mut event, "client", envelope::client_info(connection, &tenant.name));
            event
        });
        publish_connection_count(broker, &tenant);
    }

    fn disconnected(&self, connection: &Connection, closing: &Closing) {
        let broker = &connection.broker;
        let tenant = connection.tenant();
        publish_event(broker, &format!("$SYS.ACCOUNT.{}.DISCONNECT", tenant.name), || {
            end_of(connection, &tenant.name, None, closing.close_reason)
        });
        publish_connection_count(broker, &tenant);
    }

    fn authentication_refused(&self, connection: &Connection, refusal: &Refusal) {
        let broker = &connection.broker;
        let reason = refusal.close_policy().close_reason;
        let account = AccountName::global();
        let event = || end_of(connection, &account, refusal.user.as_deref(), reason);
        publish_event(broker, &format!("$SYS.SERVER.{}.CLIENT.AUTH.ERR", broker.id), event);
        // The account's own people hear of it only where the account is known to be meant.
        let concerned = refusal.account.as_ref().and_then(|account| broker.tenants.find(account));
        if let Some(tenant) = concerned.filter(|tenant| !tenant.is_system()) {
            // Those who run a callout service get to know what it said.
            let of_callout =
                matches!(refusal.reason, Reason::CalloutInvalid | Reason::CalloutRefused | Reason::CalloutUnavailable);
            let reason = if of_callout { &refusal.detail } else { reason };
            let event = || end_of(connection, &tenant.name, refusal.user.as_deref(), reason);
            publish_event_in(broker, &tenant, "$SYS.ACCOUNT.CLIENT.AUTH.ERR", event);
        }
    }
}

/// Publishes the number of an account's connections on both of its subjects.
pub fn publish_connection_count(broker: &Broker, tenant: &Tenant) {
    if tenant.name.as_str() == GLOBAL {
        return;
    }
    let subjects =
        [format!("$SYS.ACCOUNT.{}.SERVER.CONNS", tenant.name), format!("$SYS.SERVER.ACCOUNT.{}.CONNS", tenant.name)];
    // Both carry the same event, so that who hears both can tell.
    let mut event = None;
    for subject in subjects {
        publish_event(broker, &subject, || event.get_or_insert_with(|| connection_count(broker, tenant)).clone());
    }
}

/// The event about the number of an account's connections.
pub fn connection_count(broker: &Broker, tenant: &Tenant) -> Value {
    let mut event = envelope::event(broker, "account_connections");
    if let (Value::Object(event), Value::Object(figures)) = (&mut event, accounts::figures(tenant)) {
        event.extend(figures);
    }
    event
}

/// The end of a connection. `sent` is what the client sent.
fn end_of(connection: &Connection, account: &AccountName, claimed: Option<&str>, reason: &str) -> Value {
    use std::sync::atomic::Ordering::Relaxed;
    let broker = &connection.broker;
    let mut client = envelope::client_info(connection, account);
    set(&mut client, "stop", json!(text::rfc3339(broker.clock.unix_nanos())));
    if let Some(user) = claimed {
        set(&mut client, "user", json!(user));
    }
    let traffic = &connection.traffic;
    let rtt = traffic.rtt.load(Relaxed);
    if rtt > 0 {
        set(&mut client, "rtt", json!(rtt));
    }
    let mut event = envelope::event(broker, "client_disconnect");
    set(&mut event, "client", client);
    set(
        &mut event,
        "sent",
        json!({"msgs": traffic.in_messages.load(Relaxed), "bytes": traffic.in_bytes.load(Relaxed)}),
    );
    let (msgs, bytes) = connection.outbound.counters();
    set(&mut event, "received", json!({"msgs": msgs, "bytes": bytes}));
    set(&mut event, "reason", json!(reason));
    event
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}
