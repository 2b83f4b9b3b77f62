//! Mirrors and sources across accounts of one broker, and across domains over a leaf connection: checklist 101, L45.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

#[expect(dead_code, reason = "this program starts its brokers by itself")]
mod support;

use std::path::Path;
use std::sync::Arc;

use cordon_auth::clock::Clock;
use cordon_jetstream::node::Node;
use cordon_server::RunningBroker;
use cordon_server::config::{self, load_text};
use cordon_server::extension::Extension;

use crate::support::Client;

/// `OWNER` lets `USER` make consumers and take what they deliver; `OTHER` may nothing.
const SHARING: &str = r#"
accounts {
  OWNER {
    jetstream: enabled
    users: [ { user: owner, password: p } ]
    exports: [
      { service: "$JS.API.CONSUMER.>", accounts: [ USER ] }
      { service: "$JS.FC.>", accounts: [ USER ] }
      { stream: "shared.>", accounts: [ USER ] }
    ]
  }
  USER {
    jetstream: enabled
    users: [ { user: user, password: p } ]
    imports: [
      { service: { account: OWNER, subject: "$JS.API.CONSUMER.>" }, to: "owner.API.CONSUMER.>" }
      { service: { account: OWNER, subject: "$JS.FC.>" } }
      { stream: { account: OWNER, subject: "shared.>" } }
    ]
  }
  OTHER { jetstream: enabled, users: [ { user: other, password: p } ] }
}
"#;

const ONE_ACCOUNT: &str = "accounts { A { jetstream: enabled, users: [ { user: a, password: p } ] } }\n";

async fn start(folder: &Path, domain: &str, more: &str) -> RunningBroker {
    let text = format!(
        "listen: \"127.0.0.1:-1\"\nserver_name: {domain}\njetstream {{ store_dir: \"{}\", domain: {domain} }}\n{more}",
        folder.display()
    );
    let loaded = load_text(&text, "test.conf").unwrap();
    let streams = loaded.jetstream.clone().map(|options| -> Arc<dyn Extension> { Node::new(options) });
    config::start_with(loaded, Clock::system(), streams).await.unwrap()
}

impl Client {
    async fn make(&mut self, name: &str, rest: &str) {
        let told = self.ask(&format!("$JS.API.STREAM.CREATE.{name}"), &format!("{{\"name\":\"{name}\",{rest}}}")).await;
        assert!(told.contains("\"did_create\":true"), "{told}");
    }

    async fn publish(&mut self, subject: &str, count: usize) {
        for n in 0..count {
            let told = self.ask(subject, &format!("message {n}")).await;
            assert!(told.contains("\"seq\":"), "{told}");
        }
    }
}

const FROM_OWNER: &str = r#"{"name":"O","external":{"api":"owner.API","deliver":"shared"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_another_account_is_mirrored_and_sourced_by_what_it_exports() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "hub", SHARING).await;
    let (mut owner, mut user) = (Client::of(&broker, "owner").await, Client::of(&broker, "user").await);
    owner.make("O", r#""subjects":["orders.>"]"#).await;
    owner.publish("orders.new", 20).await;
    user.make("M", &format!("\"mirror\":{FROM_OWNER}")).await;
    user.make("S", &format!("\"subjects\":[\"mine\"],\"sources\":[{FROM_OWNER}]")).await;
    user.told("$JS.API.STREAM.INFO.M", "\"messages\":20").await;
    owner.publish("orders.new", 5).await;
    let told = user.told("$JS.API.STREAM.INFO.M", "\"messages\":25").await;
    assert!(!told.contains("\"error\"") && told.contains("\"lag\":0"), "{told}");
    user.told("$JS.API.STREAM.INFO.S", "\"messages\":25").await;
    let third = user.ask("$JS.API.STREAM.MSG.GET.M", r#"{"seq":3}"#).await;
    assert!(third.contains("\"subject\":\"orders.new\""), "{third}");
    // What is too much for one window of flow control passes, too.
    let large = "x".repeat(200_000);
    for _ in 0..40 {
        assert!(owner.ask("orders.large", &large).await.contains("\"seq\":"));
    }
    user.told("$JS.API.STREAM.INFO.M", "\"messages\":65").await;
    user.told("$JS.API.STREAM.INFO.S", "\"messages\":65").await;
    // Who was given nothing gets nothing.
    let mut other = Client::of(&broker, "other").await;
    other.make("M", &format!("\"mirror\":{FROM_OWNER}")).await;
    let told = other.told("$JS.API.STREAM.INFO.M", "\"error\"").await;
    assert!(told.contains("nobody answers for the API of the origin") && told.contains("\"messages\":0"), "{told}");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn domains_reach_each_other_over_a_leaf_connection_and_mirror_both_ways() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hub = start(there.path(), "hub", &format!("{ONE_ACCOUNT} leafnodes {{ listen: \"127.0.0.1:-1\" }}")).await;
    let port = hub.leaf_address.unwrap().port();
    let remote = format!(
        "{ONE_ACCOUNT} leafnodes {{ reconnect: 1, remotes: [ {{ url: \"nats-leaf://a:p@127.0.0.1:{port}\", account: A }} ] }}"
    );
    let leaf = start(here.path(), "leaf", &remote).await;
    let (mut at_hub, mut at_leaf) = (Client::of(&hub, "a").await, Client::of(&leaf, "a").await);
    at_leaf.told("$JS.hub.API.INFO", "\"domain\":\"hub\"").await;
    at_hub.told("$JS.leaf.API.INFO", "\"domain\":\"leaf\"").await;
    assert!(at_leaf.ask("$JS.API.INFO", "").await.contains("\"domain\":\"leaf\""), "the plain name means the own side");
    at_hub.make("H", r#""subjects":["h.>"]"#).await;
    at_leaf.make("L", r#""subjects":["l.>"]"#).await;
    at_hub.publish("h.a", 10).await;
    at_leaf.publish("l.a", 10).await;
    let of =
        |name: &str, domain: &str| format!("{{\"name\":\"{name}\",\"external\":{{\"api\":\"$JS.{domain}.API\"}}}}");
    at_leaf.make("HM", &format!("\"mirror\":{}", of("H", "hub"))).await;
    at_hub.make("LM", &format!("\"mirror\":{}", of("L", "leaf"))).await;
    at_hub.make("LS", &format!("\"sources\":[{}]", of("L", "leaf"))).await;
    at_leaf.told("$JS.API.STREAM.INFO.HM", "\"messages\":10").await;
    at_hub.told("$JS.API.STREAM.INFO.LM", "\"messages\":10").await;
    at_hub.told("$JS.API.STREAM.INFO.LS", "\"messages\":10").await;
    // The leaf node goes, and comes back with what it has.
    leaf.shutdown().await;
    at_hub.publish("h.b", 5).await;
    let leaf = start(here.path(), "leaf", &remote).await;
    let mut at_leaf = Client::of(&leaf, "a").await;
    at_leaf.publish("l.b", 5).await;
    at_leaf.told("$JS.API.STREAM.INFO.HM", "\"messages\":15").await;
    at_hub.told("$JS.API.STREAM.INFO.LM", "\"messages\":15").await;
    at_hub.told("$JS.API.STREAM.INFO.LS", "\"messages\":15").await;
    leaf.shutdown().await;
    hub.shutdown().await;
}
