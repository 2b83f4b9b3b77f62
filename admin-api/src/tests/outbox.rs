//! Pushes reach every broker, however often it takes, also after a crash.

use std::time::Duration;

use serde_json::json;

use super::Rig;
use super::fake::Mood;
use crate::issuing::push::Outbox;

#[tokio::test]
async fn a_push_is_confirmed_only_when_every_known_broker_took_it() {
    let rig = Rig::with_operator().await;
    *rig.broker.servers.lock() = vec!["N1".to_owned(), "N2".to_owned()];
    *rig.broker.mood.lock() = Mood::Half;
    let account = rig.account("orders").await;
    rig.push().await;
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["push"], "pending");
    *rig.broker.mood.lock() = Mood::Accept;
    rig.push().await;
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["push"], "pending", "it is not due yet");
    rig.clock.advance(Duration::from_secs(2));
    rig.push().await;
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["push"], "confirmed");
}

#[tokio::test]
async fn a_refused_push_is_told_tried_again_ever_more_seldom_and_written_down_once() {
    let rig = Rig::with_operator().await;
    *rig.broker.mood.lock() = Mood::Refuse("jwt validation failed".to_owned());
    let account = rig.account("orders").await;
    for _ in 0..200 {
        rig.push().await;
        rig.clock.advance(Duration::from_secs(1));
    }
    let tries = rig.broker.pushed.lock().len();
    assert!((8..40).contains(&tries), "{tries}");
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["push"], "failed");
    let entries = rig.entries().await;
    let refused = entries.iter().filter(|entry| {
        entry.leaf.kind == "account.push" && entry.leaf.account.is_some_and(|key| key.to_string() == account)
    });
    assert_eq!(refused.count(), 1, "the answer did not change, so there is one entry");
    let brokers = rig.get("brokers").await.expect(200);
    assert!(brokers["pushes"].to_string().contains("jwt validation failed"), "{brokers}");
}

#[tokio::test]
async fn what_a_crash_left_in_the_outbox_is_pushed_at_the_next_start() {
    let rig = Rig::with_operator().await;
    *rig.broker.mood.lock() = Mood::Silent;
    let account = rig.account("orders").await;
    rig.push().await;
    // A new process knows nothing but the store.
    let next = Outbox::new(rig.issuer.clone(), rig.broker.clone());
    *rig.broker.mood.lock() = Mood::Accept;
    rig.clock.advance(Duration::from_secs(5));
    next.run_due().await.unwrap();
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["push"], "confirmed");
}

#[tokio::test]
async fn a_newer_change_takes_the_place_of_an_older_one_and_is_dated_later() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let first = rig.get(&format!("accounts/{account}")).await.expect(200)["jti"].clone();
    for text in ["one", "two", "three"] {
        rig.call("PATCH", &format!("accounts/{account}"), Some(json!({ "description": text }))).await.expect(200);
    }
    rig.push().await;
    let pushed = rig.broker.last_pushed(&account).unwrap();
    assert_eq!(pushed.nats.description, "three");
    assert_ne!(json!(pushed.id), first);
    assert_eq!(pushed.issued_at, super::NOW + 3, "each is dated after the one before");
    assert_eq!(
        rig.broker.pushed.lock().iter().filter(|jwt| jwt.len() > 100).count(),
        2,
        "the system account and the newest claims"
    );
}

#[tokio::test]
async fn a_broker_that_appears_is_given_what_it_does_not_hold() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    rig.push().await;
    rig.broker.pushed.lock().clear();
    Outbox::new(rig.issuer.clone(), rig.broker.clone()).fill("N1").await.unwrap();
    assert!(rig.broker.last_pushed(&account).is_some());
    let count = rig.broker.pushed.lock().len();
    Outbox::new(rig.issuer.clone(), rig.broker.clone()).fill("N1").await.unwrap();
    assert_eq!(rig.broker.pushed.lock().len(), count, "it holds everything now");
}
