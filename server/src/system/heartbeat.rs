//! What the server says of itself from time to time: STATSZ, and the connection counts of accounts.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::broker::Broker;
use crate::monitoring::varz;
use crate::system::{envelope, event, publish_event};

/// First pause between two STATSZ; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(250);
/// Longest pause between two STATSZ.
const LONGEST: Duration = Duration::from_secs(10);
/// STATSZ at full pace between two rounds of connection counts: every 30 seconds.
const ROUNDS: u32 = 3;

/// Publishes until the broker stops.
pub async fn beat(broker: Arc<Broker>) {
    let subject = format!("$SYS.SERVER.{}.STATSZ", broker.id);
    let (mut pause, mut round) = (FIRST, 0);
    loop {
        tokio::select! {
            () = broker.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        publish_event(
            &broker,
            &subject,
            || json!({"server": envelope::server_info(&broker), "statsz": varz::statsz(&broker)}),
        );
        if pause >= LONGEST {
            round = (round + 1) % ROUNDS;
            if round == 0 {
                publish_counts(&broker);
            }
        }
        pause = (pause * 2).min(LONGEST);
    }
}

fn publish_counts(broker: &Broker) {
    for tenant in broker.tenants.all() {
        if tenant.connection_count() > 0 {
            event::publish_connection_count(broker, &tenant);
        }
    }
}
