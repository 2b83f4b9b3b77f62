//! Shows that a user can do what its permissions say and nothing else, that it is told so in the
//! words that clients know, and that a scoped signing key decides for all its users.

use cordon_tests::{Peer, Serve, Tenant};
use serde_json::{Value, json};

async fn peer_with(serve: &Serve, tenant: &Tenant, permissions: Value) -> Peer {
    let user = tenant.user_with(json!({"name": "limited", "permissions": permissions})).await;
    serve.peer(&user.creds).await
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_in_the_protocols_words() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let permissions = json!({
        "publish": {"allow": ["orders.>"], "deny": ["orders.secret"]},
        "subscribe": {"allow": ["orders.*", "jobs", "jobs blue", "_INBOX.>"], "deny": ["orders.secret"]},
    });
    let mut peer = peer_with(&serve, &tenant, permissions).await;
    for (bytes, text) in [
        ("PUB other 1\r\nx\r\n", r#"Permissions Violation for Publish to "other""#),
        ("PUB orders.secret 1\r\nx\r\n", r#"Permissions Violation for Publish to "orders.secret""#),
        ("HPUB orders 12 13\r\nNATS/1.0\r\n\r\nx\r\n", r#"Permissions Violation for Publish to "orders""#),
        ("PUB orders.a _R_.x 1\r\nx\r\n", r#"Permissions Violation for Publish with Reply of "_R_.x""#),
        ("PUB orders.a $JS.ACK.x 1\r\nx\r\n", r#"Permissions Violation for Publish with Reply of "$JS.ACK.x""#),
        ("SUB other 1\r\n", r#"Permissions Violation for Subscription to "other""#),
        ("SUB > 1\r\n", r#"Permissions Violation for Subscription to ">""#),
        ("SUB orders.> 1\r\n", r#"Permissions Violation for Subscription to "orders.>""#),
        ("SUB orders.secret 1\r\n", r#"Permissions Violation for Subscription to "orders.secret""#),
        ("SUB jobs red 1\r\n", r#"Permissions Violation for Subscription to "jobs" using queue "red""#),
        ("SUB orders.a _sys_ 1\r\n", r#"Permissions Violation for Subscription to "orders.a" using queue "_sys_""#),
    ] {
        peer.refused(bytes, text).await;
    }
    // None of that has cost the connection, nor left a subscription.
    peer.send("SUB orders.* 2\r\nSUB jobs blue 3\r\nSUB jobs 4\r\nPUB orders.a 1\r\ny\r\n").await;
    assert_eq!(peer.fence().await, "MSG orders.a 2 1\r\ny\r\n");
    let connections = serve.api().get(&tenant.path("connections")).await.ok(200);
    assert_eq!(connections["items"][0]["subscriptions"], 3, "{connections}");
}

#[tokio::test]
async fn a_wildcard_subscription_is_not_a_way_around_a_deny() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut publisher = serve.peer(&tenant.user("free").await.creds).await;
    let mut plain = peer_with(&serve, &tenant, json!({"subscribe": {"deny": ["*.secret", "deep.>"]}})).await;
    plain.send("SUB > 1\r\nSUB orders.* q 2\r\n").await;
    plain.fence().await;
    publisher.send("PUB orders.secret 1\r\nx\r\nPUB deep.er.still 1\r\nx\r\nPUB orders.open 1\r\ny\r\n").await;
    publisher.fence().await;
    let mut seen: Vec<_> =
        plain.fence().await.split("\r\n").filter(|line| line.starts_with("MSG")).map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["MSG orders.open 1 1", "MSG orders.open 2 1"]);
}

#[tokio::test]
async fn a_response_may_be_sent_once_to_who_asked_and_nowhere_else() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let permissions = json!({"subscribe": {"allow": ["help"]}, "response": {"max": 1, "ttl_ms": 60000}});
    let mut responder = peer_with(&serve, &tenant, permissions).await;
    responder.send("SUB help 1\r\n").await;
    responder.fence().await;
    let mut asker = serve.peer(&tenant.user("free").await.creds).await;
    asker.send("SUB _INBOX.> 1\r\nPUB help _INBOX.a.1 1\r\n?\r\n").await;
    asker.fence().await;
    assert_eq!(responder.fence().await, "MSG help 1 _INBOX.a.1 1\r\n?\r\n");
    responder.refused("PUB _INBOX.a.2 1\r\n!\r\n", r#"Permissions Violation for Publish to "_INBOX.a.2""#).await;
    responder.send("PUB _INBOX.a.1 1\r\n!\r\n").await;
    assert_eq!(responder.fence().await, "");
    responder.refused("PUB _INBOX.a.1 1\r\n!\r\n", r#"Permissions Violation for Publish to "_INBOX.a.1""#).await;
    assert_eq!(asker.fence().await, "MSG _INBOX.a.1 1 1\r\n!\r\n");
}

fn reader(news: &str) -> Value {
    json!({
        "role": "reader",
        "template": {
            "permissions": {
                "publish": {"allow": ["desk.{{name()}}.>"]},
                "subscribe": {"allow": [news, "_INBOX.>"], "deny": ["news.draft"]},
            },
            "limits": {"subscriptions": 3},
        },
    })
}

#[tokio::test]
async fn a_scoped_key_decides_for_its_users_and_they_bring_nothing() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("paper").await;
    let api = serve.api();
    let key = tenant.add("signing-keys", json!({"scope": reader("news.*")})).await;
    assert_eq!(key["scope"]["role"], "reader");
    let own = json!({"name": "bob", "signing_key": "reader", "permissions": {"publish": {"allow": [">"]}}});
    let problem = api.post(&tenant.path("users"), &own).await.problem(422, "invalid");
    assert_eq!(problem["field"], "permissions");

    let ann = tenant.user_with(json!({"name": "ann", "signing_key": "reader"})).await;
    assert_eq!(ann.view["role"], "reader");
    let mut peer = serve.peer(&ann.creds).await;
    peer.send("PUB desk.ann.inbox 1\r\nx\r\nSUB news.* 1\r\n").await;
    assert_eq!(peer.fence().await, "");
    peer.refused("PUB desk.bob.inbox 1\r\nx\r\n", r#"Permissions Violation for Publish to "desk.bob.inbox""#).await;
    peer.refused("SUB news.draft 2\r\n", r#"Permissions Violation for Subscription to "news.draft""#).await;
    peer.send("SUB news.a 2\r\nSUB news.b 3\r\n").await;
    assert_eq!(peer.fence().await, "");
    peer.refused("SUB news.c 4\r\n", "maximum subscriptions exceeded").await;

    // A changed scope ends its connections without a word; they come back under the new one.
    let path = tenant.path(&format!("signing-keys/{}", key["key"].as_str().unwrap()));
    api.put(&path, &json!({"scope": reader("sport.*")})).await.ok(200);
    assert_eq!(peer.end().await, "");
    let mut again = serve.peer(&ann.creds).await;
    again.refused("SUB news.* 1\r\n", r#"Permissions Violation for Subscription to "news.*""#).await;
    again.send("SUB sport.* 1\r\n").await;
    assert_eq!(again.fence().await, "");

    // Without the key there is no user.
    api.delete(&path).await.ok(204);
    assert_eq!(again.end().await, "");
    let mut refused = serve.stranger().await;
    let connect = cordon_tests::peer::connect_line(&refused.info, &ann.creds);
    refused.send(connect).await;
    assert_eq!(refused.end().await, "-ERR 'Authorization Violation'\r\n");
}

#[tokio::test]
async fn an_explanation_names_the_rule_that_decides() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let permissions = json!({"publish": {"allow": ["orders.>"], "deny": ["orders.secret"]}});
    let user = tenant.user_with(json!({"name": "clerk", "permissions": permissions})).await;
    for (subject, allowed, told) in
        [("orders.new", true, "orders.>"), ("orders.secret", false, "orders.secret"), ("other", false, "allow")]
    {
        let question = json!({"action": "publish", "account": tenant.key, "user": user.key, "subject": subject});
        let answer = serve.api().post("explain", &question).await.ok(200);
        assert_eq!(answer["allowed"], allowed, "{subject}: {answer}");
        assert!(answer["decided_by"].as_str().unwrap().contains(told), "{subject}: {answer}");
        assert!(!answer["steps"].as_array().unwrap().is_empty(), "{subject}: {answer}");
    }
}
