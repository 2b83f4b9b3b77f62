//! What brokers report: numbered events once and without gaps, connections with the claims they used.

use serde_json::{Value, json};

use super::Rig;
use crate::broker::event::{BrokerEvent, ConnectionChange, ConnectionEvent};
use crate::broker::recorder::Recorder;
use crate::issuing::push::Outbox;

fn security(seq: u64) -> Value {
    json!({
        "type": "io.cordon.security.v1", "broker": "stable", "seq": seq, "time": "2026-05-28T20:26:40Z", "reason": "publish_denied",
        "account": "A", "user": "U", "cid": 7, "ip": "198.51.100.1", "subject": "orders.secret", "rule": "deny", "detail": "",
    })
}

fn event(seq: u64) -> BrokerEvent {
    BrokerEvent::Security { server: "N1".to_owned(), event: security(seq) }
}

fn recorder(rig: &Rig) -> Recorder {
    let outbox = Outbox::new(rig.issuer.clone(), rig.broker.clone());
    Recorder::new(rig.issuer.store().clone(), rig.clock.clone(), rig.broker.clone(), outbox)
}

/// Numbers of the recorded events in the order of the ledger, and how many gaps were written down.
async fn recorded(rig: &Rig) -> (Vec<u64>, usize) {
    let entries = rig.entries().await;
    let numbers = entries.iter().filter_map(|entry| entry.leaf.broker_event.as_ref().map(|event| event.seq)).collect();
    (numbers, entries.iter().filter(|entry| entry.leaf.kind == "ledger.gap").count())
}

#[tokio::test]
async fn events_are_recorded_once_in_their_order_with_their_numbers() {
    let rig = Rig::new().await;
    let mut recorder = recorder(&rig);
    recorder.take(vec![event(1), event(2), event(2), event(3), event(1)]).await;
    assert_eq!(recorded(&rig).await, (vec![1, 2, 3], 0));
    let last = rig.entries().await.pop().unwrap().leaf;
    assert_eq!(
        (last.kind.as_str(), last.reason.as_deref(), last.object.as_deref()),
        ("broker.security", Some("publish_denied"), Some("orders.secret"))
    );
}

#[tokio::test]
async fn a_gap_is_filled_by_replay_before_anything_is_written() {
    let rig = Rig::new().await;
    let mut recorder = recorder(&rig);
    recorder.take(vec![event(1)]).await;
    *rig.broker.events.lock() = vec![("N1".to_owned(), (1..=6).map(security).collect())];
    recorder.take(vec![event(6)]).await;
    assert_eq!(recorded(&rig).await, (vec![1, 2, 3, 4, 5, 6], 0));
}

#[tokio::test]
async fn what_a_broker_no_longer_has_becomes_an_entry_about_the_gap() {
    let rig = Rig::new().await;
    let mut recorder = recorder(&rig);
    recorder.take(vec![event(1)]).await;
    *rig.broker.events.lock() = vec![("N1".to_owned(), (5..=6).map(security).collect())];
    recorder.take(vec![event(6)]).await;
    assert_eq!(recorded(&rig).await, (vec![1, 5, 6], 1));
}

#[tokio::test]
async fn a_broker_that_appears_is_asked_for_what_was_missed() {
    let rig = Rig::new().await;
    *rig.broker.events.lock() = vec![("N1".to_owned(), (1..=1200).map(security).collect())];
    recorder(&rig).take(vec![BrokerEvent::Appeared { server: "N1".to_owned() }]).await;
    let mut reader = rig.issuer.store().read().await.unwrap();
    assert_eq!(reader.brokers().lookup("stable").await.unwrap().unwrap().last_seq, 1200);
}

#[tokio::test]
async fn a_stock_server_without_numbers_is_no_error() {
    let rig = Rig::new().await;
    let before = rig.entries().await.len();
    recorder(&rig).take(vec![BrokerEvent::Appeared { server: "N9".to_owned() }, BrokerEvent::Missed]).await;
    assert_eq!(rig.entries().await.len(), before);
}

#[tokio::test]
async fn a_connection_refers_to_the_claims_it_used_and_a_flood_is_counted() {
    let rig = Rig::new().await;
    let mut recorder = recorder(&rig);
    let connection = |cid| {
        BrokerEvent::Connection(ConnectionEvent {
            change: ConnectionChange::Connected,
            server: "N1".to_owned(),
            server_name: "n1".to_owned(),
            cid,
            account: "A".to_owned(),
            user: "U".to_owned(),
            host: "198.51.100.1".to_owned(),
            client_name: String::new(),
            jti: Some("J1".to_owned()),
            reason: String::new(),
            time: String::new(),
        })
    };
    let before = rig.entries().await.len();
    recorder.take((0..2000).map(connection).collect()).await;
    let mut reader = rig.issuer.store().read().await.unwrap();
    let written = usize::try_from(reader.ledger().head().await.unwrap().size).unwrap() - before;
    drop(reader);
    assert_eq!(written, 600);
    rig.clock.advance(std::time::Duration::from_mins(1));
    recorder.take(vec![connection(1)]).await;
    let found = rig.get("ledger/entries?kind=connection.suppressed").await.expect(200);
    assert_eq!(found["items"][0]["detail"]["reports"], 1400, "{found}");
    let by_claims = rig.get("ledger/entries?reference=claims:J1&limit=1").await.expect(200);
    assert_eq!(by_claims["items"][0]["kind"], "connection.begin", "{by_claims}");
}
