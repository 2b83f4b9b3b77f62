//! Shows that a stream or a bucket is shared in one act, used by a stock client, kept apart from what else there is, and
//! taken back with effect on what runs.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull, push};
use async_nats::jetstream::kv::{Config as BucketConfig, Operation};
use async_nats::jetstream::stream::Config as StreamConfig;
use async_nats::jetstream::{self, AckKind, Context};
use cordon_tests::{Client, Serve, Tenant, wait};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// An account that has streams.
async fn with_streams(serve: &Serve, name: &str) -> Tenant {
    let tenant = serve.tenant(name).await;
    tenant.limit(json!({"jetstream": {}})).await;
    tenant
}

struct Side {
    tenant: Tenant,
    client: Client,
}

impl Side {
    async fn of(serve: &Serve, tenant: Tenant) -> Self {
        let client = serve.client(&tenant.user("app").await.creds).await;
        Self { tenant, client }
    }

    async fn maker(serve: &Serve, name: &str) -> Self {
        Self::of(serve, with_streams(serve, name).await).await
    }

    /// Its own streams.
    fn own(&self) -> Context {
        jetstream::new(self.client.nats.clone())
    }

    /// Those that are shared with it under a prefix.
    fn shared(&self, prefix: &str) -> Context {
        jetstream::with_prefix(self.client.nats.clone(), prefix)
    }

    /// Shares something with the other side, in force when this returns.
    async fn share(&self, with: &Self, mut wanted: Value) -> Value {
        wanted["importer"] = json!(with.tenant.key);
        if wanted.get("accept").is_none() {
            wanted["accept"] = json!({});
        }
        self.tenant.add("shares", wanted).await
    }

    async fn orders(&self) {
        let config = StreamConfig {
            name: "ORDERS".to_owned(),
            subjects: vec!["eu.>".to_owned(), "us.>".to_owned()],
            allow_direct: true,
            ..StreamConfig::default()
        };
        self.own().create_stream(config).await.unwrap();
        for (subject, text) in [("eu.de", "one"), ("us.ny", "two"), ("eu.fr", "three")] {
            self.own().publish(subject, text.into()).await.unwrap().await.unwrap();
        }
    }
}

fn durable(name: &str, filter: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: filter.to_owned(),
        ack_policy: AckPolicy::Explicit,
        ..pull::Config::default()
    }
}

async fn fetch(consumer: &PullConsumer, most: usize) -> Vec<jetstream::Message> {
    let mut batch = consumer.fetch().max_messages(most).messages().await.unwrap();
    let mut all = Vec::new();
    while let Some(message) = wait::within("a message of a batch", batch.next()).await {
        all.push(message.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_bucket_is_read_watched_and_written_by_a_stock_client() {
    let serve = Serve::start().await;
    let maker = Side::maker(&serve, "maker").await;
    let buyer = Side::of(&serve, serve.tenant("buyer").await).await;
    let own = maker
        .own()
        .create_key_value(BucketConfig { bucket: "CONFIG".to_owned(), history: 3, ..BucketConfig::default() })
        .await
        .unwrap();
    own.put("colour", "red".into()).await.unwrap();
    let share = maker.share(&buyer, json!({"kind": "bucket", "name": "CONFIG", "mode": "read_write"})).await;
    assert_eq!(share["prefix"], "$JS.CONFIG.API");

    let bucket = buyer.shared("$JS.CONFIG.API").get_key_value("CONFIG").await.unwrap();
    assert_eq!(bucket.get("colour").await.unwrap().unwrap(), "red");
    let mut watch = bucket.watch_with_history(">").await.unwrap();
    let first = wait::within("the present value", watch.next()).await.unwrap().unwrap();
    assert_eq!((first.key.as_str(), &first.value[..]), ("colour", &b"red"[..]));
    bucket.put("size", "42".into()).await.unwrap();
    let second = wait::within("what is written", watch.next()).await.unwrap().unwrap();
    assert_eq!((second.key.as_str(), &second.value[..]), ("size", &b"42"[..]));
    assert_eq!(own.get("size").await.unwrap().unwrap(), "42");
    bucket.purge("colour").await.unwrap();
    let third = wait::within("what is purged", watch.next()).await.unwrap().unwrap();
    assert_eq!((third.key.as_str(), third.operation), ("colour", Operation::Purge));
    assert_eq!(own.get("colour").await.unwrap(), None);
    assert!(buyer.shared("$JS.CONFIG.API").delete_key_value("CONFIG").await.is_err());

    maker.tenant.remove("shares", share["id"].as_str().unwrap()).await;
    let mut stream = maker.own().get_stream("KV_CONFIG").await.unwrap();
    wait::until("consumers of the share are gone", async || {
        (stream.info().await.ok()?.state.consumer_count == 0).then_some(())
    })
    .await;
    own.put("size", "43".into()).await.unwrap();
    assert!(bucket.get("size").await.is_err(), "nothing is read after the end of a share");
    assert!(bucket.put("size", "44".into()).await.is_err(), "nothing is written after the end of a share");
    assert_eq!(own.get("size").await.unwrap().unwrap(), "43");
    maker.client.fence().await;
    buyer.client.fence().await;
    let late = tokio::time::timeout(std::time::Duration::from_millis(1), watch.next()).await;
    assert!(!matches!(late, Ok(Some(Ok(_)))), "a watch sees nothing after the end of a share");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_stream_is_consumed_and_acknowledged_and_nothing_else_is_reached() {
    let serve = Serve::start().await;
    let maker = Side::maker(&serve, "maker").await;
    let buyer = Side::of(&serve, serve.tenant("buyer").await).await;
    maker.orders().await;
    let own = maker.own().get_stream("ORDERS").await.unwrap();
    own.create_consumer(durable("mine", "")).await.unwrap();
    let share = json!({"kind": "stream", "name": "ORDERS", "subjects": ["eu.>"], "accept": {"prefix": "acme.API"}});
    maker.share(&buyer, share).await;

    let context = buyer.shared("acme.API");
    let stream = context.get_stream("ORDERS").await.unwrap();
    let consumer = stream.create_consumer(durable("worker", "eu.>")).await.unwrap();
    let messages = fetch(&consumer, 5).await;
    let seen: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
    assert_eq!(seen, ["eu.de", "eu.fr"]);
    messages[0].double_ack().await.unwrap();
    messages[1].ack_with(AckKind::Nak(None)).await.unwrap();
    let again = fetch(&consumer, 1).await;
    assert_eq!(again[0].subject.as_str(), "eu.fr");
    assert_eq!(again[0].info().unwrap().delivered, 2);
    again[0].double_ack().await.unwrap();
    let mut seen_by_maker: PullConsumer = own.get_consumer("worker").await.unwrap();
    let info = seen_by_maker.info().await.unwrap();
    assert_eq!((info.num_ack_pending, info.ack_floor.stream_sequence), (0, 3));

    for filter in ["us.>", ">", "*.de", "us.ny"] {
        assert!(stream.create_consumer(durable("other", filter)).await.is_err(), "a filter `{filter}`");
    }
    assert!(stream.create_consumer(durable("other", "")).await.is_err(), "no filter");
    assert!(stream.create_consumer(durable("mine", "eu.>")).await.is_err(), "the name of another's consumer");
    assert!(stream.get_consumer::<pull::Config>("mine").await.is_err(), "another's consumer");
    assert!(stream.delete_consumer("mine").await.is_err(), "another's consumer");
    assert!(stream.get_raw_message(2).await.is_err() && stream.direct_get(2).await.is_err());
    assert_eq!(stream.direct_get_last_for_subject("eu.fr").await.unwrap().payload, "three");
    assert!(stream.direct_get_last_for_subject("us.ny").await.is_err());
    assert!(context.delete_stream("ORDERS").await.is_err() && stream.purge().await.is_err());
    let names: Vec<String> = stream.consumer_names().map(Result::unwrap).collect().await;
    assert_eq!(names, ["worker"]);
    assert!(buyer.own().get_stream("ORDERS").await.is_err(), "the account's own streams are others");
    let mut all = own.consumer_names().map(Result::unwrap).collect::<Vec<String>>().await;
    all.sort();
    assert_eq!(all, ["mine", "worker"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_name_and_consumers_of_one_name_are_kept_apart() {
    let serve = Serve::start().await;
    let (one, two) = (Side::maker(&serve, "one").await, Side::maker(&serve, "two").await);
    // The importer has such a stream and such a consumer itself.
    let buyer = Side::maker(&serve, "buyer").await;
    for side in [&one, &two, &buyer] {
        side.orders().await;
    }
    for (maker, prefix) in [(&one, "one.API"), (&two, "two.API")] {
        let share = json!({"kind": "stream", "name": "ORDERS", "accept": {"prefix": prefix}});
        maker.share(&buyer, share).await;
    }
    let mut consumers = Vec::new();
    for context in [buyer.shared("one.API"), buyer.shared("two.API"), buyer.own()] {
        let stream = context.get_stream("ORDERS").await.unwrap();
        let consumer = stream.create_consumer(durable("worker", "")).await.unwrap();
        assert_eq!(fetch(&consumer, 3).await.len(), 3);
        consumers.push(consumer);
    }
    // Only the messages of the first are acknowledged.
    let context = buyer.shared("one.API");
    let again = context.get_stream("ORDERS").await.unwrap().create_consumer(durable("acks", "")).await.unwrap();
    for message in fetch(&again, 3).await {
        message.double_ack().await.unwrap();
    }
    for context in [buyer.shared("two.API"), buyer.own()] {
        let stream = context.get_stream("ORDERS").await.unwrap();
        let other = stream.create_consumer(durable("acks", "")).await.unwrap();
        assert_eq!(fetch(&other, 3).await.len(), 3, "an acknowledgement reaches one consumer alone");
    }
    for consumer in &mut consumers {
        assert_eq!(consumer.info().await.unwrap().num_ack_pending, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_consumers_deliver_to_inboxes_of_the_importer_and_nowhere_else() {
    let serve = Serve::start().await;
    let maker = Side::maker(&serve, "maker").await;
    let buyer = Side::of(&serve, serve.tenant("buyer").await).await;
    maker.orders().await;
    maker.share(&buyer, json!({"kind": "stream", "name": "ORDERS", "accept": {"prefix": "acme.API"}})).await;
    let stream = buyer.shared("acme.API").get_stream("ORDERS").await.unwrap();
    let config = push::OrderedConfig {
        deliver_subject: buyer.client.nats.new_inbox(),
        filter_subject: "eu.>".to_owned(),
        ..push::OrderedConfig::default()
    };
    let ordered = stream.create_consumer(config).await.unwrap();
    let mut messages = ordered.messages().await.unwrap();
    for (subject, text) in [("eu.de", "one"), ("eu.fr", "three")] {
        let message = wait::within("a delivery", messages.next()).await.unwrap().unwrap();
        assert_eq!((message.subject.as_str(), &message.payload[..]), (subject, text.as_bytes()));
    }
    // Delivered to what the exporter listens to, a message would be one of the importer's choosing there.
    let mut heard = maker.client.nats.subscribe("maker.>").await.unwrap();
    maker.client.fence().await;
    let config = push::Config {
        deliver_subject: "maker.commands".to_owned(),
        name: Some("attack".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        ..push::Config::default()
    };
    let attack = stream.create_consumer(config).await.unwrap();
    assert_eq!(attack.cached_info().config.deliver_subject.as_deref(), Some("maker.commands"));
    maker.client.nats.publish("maker.end", "".into()).await.unwrap();
    let first = wait::within("the end", heard.next()).await.unwrap();
    assert_eq!(first.subject.as_str(), "maker.end");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_stay_within_what_is_offered() {
    let serve = Serve::start().await;
    let maker = Side::maker(&serve, "maker").await;
    let buyer = Side::of(&serve, serve.tenant("buyer").await).await;
    let config = StreamConfig {
        name: "ORDERS".to_owned(),
        subjects: vec!["eu.>".to_owned(), "us.>".to_owned()],
        allow_rollup: true,
        ..StreamConfig::default()
    };
    maker.own().create_stream(config).await.unwrap();
    maker.own().publish("us.ny", "keep".into()).await.unwrap().await.unwrap();
    let share = json!({"kind": "stream", "name": "ORDERS", "mode": "read_write", "subjects": ["eu.>"]});
    maker.share(&buyer, share).await;
    let context = buyer.shared("$JS.ORDERS.API");
    let stored = context.publish("eu.de", "new".into()).await.unwrap().await.unwrap();
    assert_eq!((stored.stream.as_str(), stored.sequence), ("ORDERS", 2));
    assert!(context.publish("us.ny", "no".into()).await.unwrap().await.is_err());
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Rollup", "all");
    assert!(context.publish_with_headers("eu.de", headers.clone(), "no".into()).await.unwrap().await.is_err());
    headers.insert("Nats-Rollup", "sub");
    context.publish_with_headers("eu.de", headers, "last".into()).await.unwrap().await.unwrap();
    let mut stream = maker.own().get_stream("ORDERS").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 2);
    let stored = stream.get_last_raw_message_by_subject("eu.de").await.unwrap();
    assert!(stored.headers.get("Nats-Request-Info").is_none() && stored.payload == "last");
    // A user of the account itself has no way by the subjects of shares.
    let direct = maker.client.nats.request("$JS.SHARE.abcdefghijklmnop.API.STREAM.INFO.ORDERS", "".into()).await;
    assert!(direct.is_err(), "{direct:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_taken_back_ends_what_runs_and_stays_so_after_a_restart() {
    let serve = Serve::start_to_stay().await;
    let maker = Side::maker(&serve, "maker").await;
    let buyer = Side::of(&serve, serve.tenant("buyer").await).await;
    maker.orders().await;
    let share = maker.share(&buyer, json!({"kind": "stream", "name": "ORDERS"})).await;
    let stream = buyer.shared("$JS.ORDERS.API").get_stream("ORDERS").await.unwrap();
    let consumer = stream.create_consumer(durable("worker", "")).await.unwrap();
    let mut running = consumer.messages().await.unwrap();
    for _ in 0..3 {
        wait::within("a message", running.next()).await.unwrap().unwrap().ack().await.unwrap();
    }
    let end = serve.run(["share", "--data", "data", "list", "maker"]).await;
    assert!(end.stdout.contains("ORDERS") && end.stdout.contains("accepted"), "{end:?}");
    let end = serve.run(["share", "--data", "data", "end", "maker", share["id"].as_str().unwrap()]).await;
    assert!(end.status.success(), "{end:?}");
    let mut own = maker.own().get_stream("ORDERS").await.unwrap();
    wait::until("the consumer is gone", async || (own.info().await.ok()?.state.consumer_count == 0).then_some(()))
        .await;
    maker.own().publish("eu.de", "late".into()).await.unwrap().await.unwrap();
    maker.client.fence().await;
    buyer.client.fence().await;
    let late = tokio::time::timeout(std::time::Duration::from_millis(1), running.next()).await;
    assert!(!matches!(late, Ok(Some(Ok(_)))), "nothing is delivered after the end of a share");
    drop(running);

    // A consumer of a share that is still there goes on after a restart, and its owner is known.
    maker.share(&buyer, json!({"kind": "stream", "name": "ORDERS", "accept": {"prefix": "again.API"}})).await;
    let stream = buyer.shared("again.API").get_stream("ORDERS").await.unwrap();
    stream.create_consumer(durable("worker", "")).await.unwrap();
    let later = buyer.tenant.user("later").await.creds;
    let serve = serve.restart().await;
    let client = serve.client(&later).await;
    let stream = jetstream::with_prefix(client.nats.clone(), "again.API").get_stream("ORDERS").await.unwrap();
    let consumer: PullConsumer = stream.get_consumer("worker").await.unwrap();
    let messages = fetch(&consumer, 4).await;
    assert_eq!(messages.len(), 4);
    messages[3].double_ack().await.unwrap();
}
