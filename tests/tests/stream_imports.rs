//! Shows that a stream stores what its account imports from another account under the stream's subjects, as long as the
//! import is in force, and that who published it reaches nobody in the importer by it.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use async_nats::RequestErrorKind;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use cordon_tests::{Client, Serve, Tenant, wait};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// An account that publishes, and one whose stream `KEPT` stores what is below `in`.
struct Sides {
    serve: Serve,
    maker: Tenant,
    keeper: Tenant,
    maker_client: Client,
    keeper_client: Client,
}

impl Sides {
    async fn open() -> Self {
        let serve = Serve::start_to_stay().await;
        let (maker, keeper) = (serve.tenant("maker").await, serve.tenant("keeper").await);
        keeper.limit(json!({"jetstream": {}})).await;
        let maker_client = serve.client(&maker.user("maker").await.creds).await;
        let keeper_client = serve.client(&keeper.user("keeper").await.creds).await;
        Self { serve, maker, keeper, maker_client, keeper_client }
    }

    fn streams(&self) -> Context {
        jetstream::new(self.keeper_client.nats.clone())
    }

    async fn keep(&self, subjects: &[&str]) {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        let config = Config { name: "KEPT".to_owned(), subjects, allow_direct: true, ..Config::default() };
        self.streams().create_or_update_stream(config).await.unwrap();
    }

    async fn import(&self) -> Value {
        self.keeper.import("stream", &self.maker, "events.>", "in.events.>").await
    }

    /// Whether a message of the maker on `events.<name>` is stored.
    async fn stores(&self, name: &str) -> bool {
        self.maker_client.nats.publish(format!("events.{name}"), name.to_owned().into()).await.unwrap();
        self.maker_client.fence().await;
        // It is behind the message, if that came.
        let marker = self.streams().publish("in.marker", "".into()).await.unwrap().await.unwrap();
        let stream = self.streams().get_stream_no_info("KEPT").await.unwrap();
        let before = stream.direct_get(marker.sequence - 1).await;
        let expected = format!("in.events.{name}");
        before.is_ok_and(|before| before.subject.as_str() == expected && before.payload == name.as_bytes())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_is_stored_while_it_is_imported_whatever_came_first() {
    let mut sides = Sides::open().await;
    sides.maker.export("stream", "events.>").await;
    sides.keep(&["in.>"]).await;
    assert!(!sides.stores("early").await, "nothing is imported");
    let import = sides.import().await;
    assert!(sides.stores("one").await, "the stream was there first");
    sides.keeper.remove("imports", import["id"].as_str().unwrap()).await;
    assert!(!sides.stores("two").await, "the import is gone");
    sides.import().await;
    assert!(sides.stores("three").await, "it is back");
    let export = sides.maker.view().await["exports"][0]["id"].as_str().unwrap().to_owned();
    sides.maker.remove("exports", &export).await;
    assert!(!sides.stores("four").await, "the export is gone");
    sides.maker.export("stream", "events.>").await;
    assert!(sides.stores("five").await);

    let (maker, keeper) = (sides.maker.user("later").await.creds, sides.keeper.user("later").await.creds);
    sides.serve = sides.serve.restart().await;
    sides.maker_client = sides.serve.client(&maker).await;
    sides.keeper_client = sides.serve.client(&keeper).await;
    assert!(sides.stores("six").await, "after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_takes_no_more_has_no_receiver_at_the_exporter() {
    let sides = Sides::open().await;
    sides.maker.export("stream", "events.>").await;
    sides.import().await;
    let nobody = async |subject: &'static str| {
        let asked = sides
            .maker_client
            .nats
            .send_request(subject, async_nats::Request::new().timeout(Some(std::time::Duration::from_millis(300))));
        asked.await.unwrap_err().kind() == RequestErrorKind::NoResponders
    };
    assert!(nobody("events.a").await, "there is no stream yet");
    sides.keep(&["in.events.a", "in.marker"]).await;
    assert!(!nobody("events.a").await, "the stream takes it, and is no one who answers");
    assert!(nobody("events.b").await, "it takes nothing else");
    assert!(sides.stores("a").await && !sides.stores("b").await);
    sides.keep(&["in.events.b", "in.marker"]).await;
    assert!(nobody("events.a").await);
    assert!(sides.stores("b").await && !sides.stores("a").await, "the subjects have changed");
    sides.streams().delete_stream("KEPT").await.unwrap();
    assert!(nobody("events.a").await && nobody("events.b").await, "the stream is gone");
    sides.keep(&["in.>"]).await;
    assert!(sides.stores("a").await);
    sides.keeper.limit(json!({"jetstream": null})).await;
    assert!(nobody("events.a").await, "the account has no streams any more");
    sides.keeper.limit(json!({"jetstream": {}})).await;
    assert!(sides.stores("a").await, "and has them again, with all they held");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_chooses_nothing_that_an_acknowledgement_reaches() {
    let sides = Sides::open().await;
    sides.maker.export("stream", "events.>").await;
    sides.import().await;
    sides.keep(&["in.>"]).await;
    let mut heard = sides.keeper_client.nats.subscribe("commands.>").await.unwrap();
    sides.keeper_client.fence().await;
    sides.maker_client.nats.publish_with_reply("events.a", "commands.stop", "".into()).await.unwrap();
    assert!(sides.stores("b").await);
    sides.keeper_client.nats.publish("commands.marker", "".into()).await.unwrap();
    let first = wait::within("a command", heard.next()).await.unwrap();
    assert_eq!(first.subject.as_str(), "commands.marker", "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_activation_ends_what_is_stored() {
    let sides = Sides::open().await;
    let export = json!({"kind": "stream", "subject": "events.>", "token_required": true});
    let export = sides.maker.add("exports", export).await;
    let activation = json!({"importer": sides.keeper.key, "export": export["id"]});
    let issued = sides.maker.add("activations", activation).await;
    let import = json!({
        "kind": "stream", "account": sides.maker.key, "subject": "events.>", "local_subject": "in.events.>",
        "token": issued["token"],
    });
    sides.keep(&["in.>"]).await;
    sides.keeper.add("imports", import).await;
    assert!(sides.stores("a").await);
    sides.maker.remove("activations", issued["activation"]["id"].as_str().unwrap()).await;
    assert!(!sides.stores("b").await, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_activation_ends_what_is_stored() {
    let sides = Sides::open().await;
    let export = json!({"kind": "stream", "subject": "events.>", "token_required": true});
    let export = sides.maker.add("exports", export).await;
    let activation = json!({"importer": sides.keeper.key, "export": export["id"], "expires_in_seconds": 4});
    let issued = sides.maker.add("activations", activation).await;
    let import = json!({
        "kind": "stream", "account": sides.maker.key, "subject": "events.>", "local_subject": "in.events.>",
        "token": issued["token"],
    });
    sides.keep(&["in.>"]).await;
    sides.keeper.add("imports", import).await;
    assert!(sides.stores("a").await);
    wait::until("the activation expires", async || (!sides.stores("b").await).then_some(())).await;
    assert!(!sides.stores("c").await);
}
