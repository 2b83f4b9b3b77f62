//! Shows that what an account may use of JetStream changes while its clients are connected: limits, tiers, and whether it
//! has streams at all. Nothing that is stored is lost by it. Checklist 162, 163.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Context};
use cordon_tests::{Client, Serve, Tenant, wait};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

struct Side {
    serve: Serve,
    tenant: Tenant,
    client: Client,
}

impl Side {
    async fn open() -> Self {
        let serve = Serve::start().await;
        let tenant = serve.tenant("app").await;
        let client = serve.client(&tenant.user("app").await.creds).await;
        Self { serve, tenant, client }
    }

    fn streams(&self) -> Context {
        jetstream::new(self.client.nats.clone())
    }

    async fn may(&self, limits: Value, tiers: Value) {
        self.tenant.limit(json!({"jetstream": limits, "jetstream_tiers": tiers})).await;
    }

    async fn ask(&self, subject: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.client.nats.request(format!("$JS.API.{subject}"), body.into()).await.unwrap();
        serde_json::from_slice(&answer.payload).unwrap()
    }

    /// The number of the refusal; 0 if there was none.
    async fn refusal(&self, subject: &str, body: Value) -> u64 {
        self.ask(subject, body).await["error"]["err_code"].as_u64().unwrap_or(0)
    }

    async fn publish(&self, text: &str) -> u64 {
        let answer = self.client.nats.request("s", text.to_owned().into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        answer["error"]["err_code"].as_u64().unwrap_or(0)
    }
}

fn stream(name: &str) -> Value {
    json!({"name": name, "subjects": [name.to_lowercase()], "max_bytes": 100_000})
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_rise_and_fall_while_clients_are_connected() {
    let side = Side::open().await;
    assert_eq!(side.refusal("INFO", Value::Null).await, 10039);
    side.may(json!({"disk_bytes": 150_000, "memory_bytes": 0, "streams": 1}), json!({})).await;
    let info = side.ask("INFO", Value::Null).await;
    assert_eq!((&info["limits"]["max_storage"], &info["limits"]["max_streams"]), (&json!(150_000), &json!(1)));
    assert_eq!(side.refusal("STREAM.CREATE.S", stream("S")).await, 0);
    assert_eq!(side.refusal("STREAM.CREATE.T", stream("T")).await, 10027, "a second one");
    assert_eq!(side.publish(&"x".repeat(1000)).await, 0);

    side.may(json!({"disk_bytes": 150_000, "streams": 2}), json!({})).await;
    assert_eq!(side.refusal("STREAM.CREATE.T", stream("T")).await, 10047, "no room is left for it");
    side.may(json!({"disk_bytes": 300_000, "streams": 2}), json!({})).await;
    assert_eq!(side.refusal("STREAM.CREATE.T", stream("T")).await, 0);

    side.may(json!({"disk_bytes": 500, "streams": 2}), json!({})).await;
    assert_eq!(side.publish("more").await, 10002, "less than is stored");
    let stored = side.ask("STREAM.INFO.S", Value::Null).await;
    assert_eq!(stored["state"]["messages"], 1, "what is stored stays: {stored}");
    side.may(json!({"disk_bytes": 300_000, "streams": 2}), json!({})).await;
    assert_eq!(side.publish("more").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_shown_and_one_that_is_not_there_has_no_streams() {
    let side = Side::open().await;
    let of_three = json!({"disk_bytes": 900_000, "streams": 3});
    side.may(Value::Null, json!({"R3": of_three})).await;
    assert_eq!(side.refusal("STREAM.CREATE.S", stream("S")).await, 10120, "nothing is said of one copy");
    side.may(Value::Null, json!({"R1": {"disk_bytes": 200_000, "streams": 1}, "R3": of_three})).await;
    assert_eq!(side.refusal("STREAM.CREATE.S", stream("S")).await, 0);
    assert_eq!(side.publish("one").await, 0);
    let info = side.ask("INFO", Value::Null).await;
    assert_eq!(info["limits"]["max_storage"], 0, "limits stand with their tiers: {info}");
    let tiers = &info["tiers"];
    assert_eq!((&tiers["R1"]["limits"]["max_storage"], &tiers["R1"]["streams"]), (&json!(200_000), &json!(1)));
    assert_eq!((&tiers["R3"]["limits"]["max_streams"], &tiers["R3"]["streams"]), (&json!(3), &json!(0)));
    assert_eq!(tiers["R1"]["storage"], info["storage"]);
    side.may(Value::Null, json!({"R3": of_three})).await;
    assert_eq!(side.publish("two").await, 10120, "the tier is gone");
    assert_eq!(side.ask("STREAM.INFO.S", Value::Null).await["state"]["messages"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_had_no_streams_for_a_while_has_all_it_had() {
    let side = Side::open().await;
    side.may(json!({}), json!({})).await;
    assert_eq!(side.refusal("STREAM.CREATE.S", stream("S")).await, 0);
    for text in ["one", "two", "three"] {
        side.streams().publish("s", text.into()).await.unwrap().await.unwrap();
    }
    let durable =
        pull::Config { durable_name: Some("c".to_owned()), ack_policy: AckPolicy::Explicit, ..pull::Config::default() };
    let of_stream = side.streams().get_stream("S").await.unwrap();
    let consumer: PullConsumer = of_stream.create_consumer(durable).await.unwrap();
    let mut first = consumer.fetch().max_messages(1).messages().await.unwrap();
    wait::within("the first message", first.next()).await.unwrap().unwrap().double_ack().await.unwrap();
    let before = side.ask("STREAM.INFO.S", Value::Null).await;

    side.may(Value::Null, json!({})).await;
    assert_eq!(side.refusal("STREAM.INFO.S", Value::Null).await, 10039);
    let published = side.streams().publish("s", "lost".into()).await.unwrap().await;
    assert!(published.is_err(), "nobody stores it");
    let page = side.serve.monitor(&format!("healthz?account={}", side.tenant.key)).await;
    assert_eq!(page["status"], "unavailable", "{page}");

    side.may(json!({}), json!({})).await;
    let after = side.ask("STREAM.INFO.S", Value::Null).await;
    assert_eq!((&after["state"], &after["created"]), (&before["state"], &before["created"]));
    let info = side.ask("CONSUMER.INFO.S.c", Value::Null).await;
    assert_eq!((&info["ack_floor"]["stream_seq"], &info["num_pending"]), (&json!(1), &json!(2)), "{info}");
    let mut rest = consumer.fetch().max_messages(2).messages().await.unwrap();
    let second = wait::within("the second message", rest.next()).await.unwrap().unwrap();
    assert_eq!(&second.payload[..], b"two");
    assert_eq!(side.publish("four").await, 0);
}
