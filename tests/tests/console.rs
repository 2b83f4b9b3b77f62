//! Shows that what the console does over TLS is done: a bucket is shared with another account, read by its stock client,
//! and taken back.

use async_nats::jetstream;
use async_nats::jetstream::kv::Config as BucketConfig;
use cordon_tests::{Console, Serve, wait};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_shared_in_the_console_is_read_by_the_partner_until_it_is_ended_there() {
    let serve = Serve::start().await;
    let (maker, buyer) = (serve.tenant("maker").await, serve.tenant("buyer").await);
    maker.limit(json!({"jetstream": {}})).await;
    let maker_client = serve.client(&maker.user("app").await.creds).await;
    let buyer_client = serve.client(&buyer.user("app").await.creds).await;
    let config = BucketConfig { bucket: "CONFIG".to_owned(), ..BucketConfig::default() };
    let own = jetstream::new(maker_client.nats.clone()).create_key_value(config).await.unwrap();
    own.put("colour", "red".into()).await.unwrap();

    let console = Console::sign_in(&serve).await;
    let fields = [("kind", "bucket"), ("name", "CONFIG"), ("importer", "buyer"), ("mode", "read_only"), ("once", "o1")];
    let place = console.form(&format!("/console/accounts/{}/shares/new", maker.key), &fields).await;
    assert!(console.page(&place).await.contains("The share is offered."));
    let id = place.rsplit('/').next().unwrap().split('?').next().unwrap();
    let of_buyer = format!("/console/accounts/{}/shares/{id}", buyer.key);
    let place = console.form(&format!("{of_buyer}/accept"), &[("prefix", "maker.API"), ("once", "o2")]).await;
    assert!(console.page(&place).await.contains("The share is taken up."));
    serve.api().settle().await;

    let shared = jetstream::with_prefix(buyer_client.nats.clone(), "maker.API");
    let bucket = shared.get_key_value("CONFIG").await.unwrap();
    assert_eq!(bucket.get("colour").await.unwrap().unwrap(), "red");
    assert!(bucket.put("colour", "blue".into()).await.is_err(), "it is shared for reading");

    let connections = console.page(&format!("/console/accounts/{}/connections", buyer.key)).await;
    assert!(connections.contains("app") && connections.contains("/kick"), "{connections}");
    let ask = console.page(&format!("/console/accounts/{}/shares/{id}/end", maker.key)).await;
    assert!(ask.contains("Imports that stop working"), "{ask}");
    console.confirm(&format!("/console/accounts/{}/shares/{id}/end", maker.key)).await;
    wait::until("the share is ended at the broker", async || bucket.get("colour").await.is_err().then_some(())).await;
    assert_eq!(own.get("colour").await.unwrap().unwrap(), "red");

    let ledger = console.page("/console/ledger?kind=share.").await;
    for kind in ["share.offer", "share.accept", "share.end"] {
        assert!(ledger.contains(kind), "{kind}: {ledger}");
    }
    console.form("/console/sign-out", &[]).await;
    serve.api().ledger_entry("kind=console.sign_out", |entry| entry["actor"]["kind"] == "person").await;
}
