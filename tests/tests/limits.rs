//! Shows that the limits of an account hold, and that changing them changes live connections; that
//! connections are listed and kicked; and that a receiver who does not read costs nobody else.

use cordon_tests::peer::connect_line;
use cordon_tests::{Serve, wait};
use serde_json::json;

const TOO_MANY: &str = "-ERR 'maximum account active connections exceeded'\r\n";

#[tokio::test]
async fn connections_over_the_limit_are_turned_away_and_a_lower_limit_closes_the_newest() {
    let serve = Serve::start().await;
    let (tenant, other) = (serve.tenant("acme").await, serve.tenant("other").await);
    let user = tenant.user("any").await;
    let mut elsewhere = serve.peer(&other.user("any").await.creds).await;
    tenant.limit(json!({"connections": 2})).await;
    let mut oldest = serve.peer(&user.creds).await;
    let mut newest = serve.peer(&user.creds).await;
    let mut third = serve.stranger().await;
    let connect = connect_line(&third.info, &user.creds);
    third.send(connect).await;
    assert_eq!(third.end().await, TOO_MANY);

    tenant.limit(json!({"connections": 1})).await;
    assert_eq!(newest.end().await, TOO_MANY);
    assert_eq!(oldest.fence().await, "");
    tenant.limit(json!({"connections": null})).await;
    serve.peer(&user.creds).await;
    assert_eq!(elsewhere.fence().await, "");
}

#[tokio::test]
async fn subscriptions_over_the_limit_are_refused_and_a_lower_limit_ends_the_connection() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    tenant.limit(json!({"subscriptions": 2})).await;
    let mut peer = serve.peer(&user.creds).await;
    peer.send("SUB a 1\r\nSUB b 2\r\n").await;
    assert_eq!(peer.fence().await, "");
    peer.refused("SUB c 3\r\n", "maximum subscriptions exceeded").await;
    peer.send("UNSUB 1\r\nSUB c 3\r\n").await;
    assert_eq!(peer.fence().await, "", "there is room again");

    tenant.limit(json!({"subscriptions": 1})).await;
    assert_eq!(peer.end().await, "-ERR 'maximum subscriptions exceeded'\r\n");
    tenant.limit(json!({"subscriptions": null})).await;
    let mut peer = serve.peer(&user.creds).await;
    peer.send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n").await;
    assert_eq!(peer.fence().await, "");
}

#[tokio::test]
async fn a_message_over_the_payload_limit_ends_the_connection_also_when_lowered_meanwhile() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut peer = serve.peer(&user.creds).await;
    let message = |size: usize| format!("PUB a {size}\r\n{}\r\n", "x".repeat(size));
    peer.send(message(1000)).await;
    assert_eq!(peer.fence().await, "");
    tenant.limit(json!({"payload_bytes": 100})).await;
    peer.send(message(100)).await;
    let told = peer.fence().await;
    assert!(!told.contains("-ERR"), "{told}");
    peer.try_send(message(101)).await;
    assert_eq!(peer.end().await, "-ERR 'Maximum Payload Violation'\r\n");
    tenant.limit(json!({"payload_bytes": null})).await;
    let mut peer = serve.peer(&user.creds).await;
    peer.send(message(101)).await;
    assert_eq!(peer.fence().await, "");
}

#[tokio::test]
async fn a_users_own_limits_hold_below_its_accounts() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let limits = json!({"subscriptions": 1, "payload_bytes": 10});
    let user = tenant.user_with(json!({"name": "small", "limits": limits})).await;
    let mut peer = serve.peer(&user.creds).await;
    peer.send("SUB a 1\r\nPUB b 10\r\n0123456789\r\n").await;
    assert_eq!(peer.fence().await, "");
    peer.refused("SUB b 2\r\n", "maximum subscriptions exceeded").await;
    peer.try_send("PUB b 11\r\n0123456789a\r\n").await;
    assert_eq!(peer.end().await, "-ERR 'Maximum Payload Violation'\r\n");
}

#[tokio::test]
async fn bearer_users_end_when_the_account_disallows_them() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user_with(json!({"name": "bearer", "bearer": true})).await;
    let bearer = cordon_tests::peer::connect_with(json!({"jwt": user.jwt}));
    let mut peer = serve.stranger().await;
    peer.send(&bearer).await;
    assert_eq!(peer.fence().await, "");
    tenant.limit(json!({"disallow_bearer": true})).await;
    assert_eq!(peer.end().await, "-ERR 'Authorization Violation'\r\n");
    let mut again = serve.stranger().await;
    again.send(&bearer).await;
    assert_eq!(again.end().await, "-ERR 'Authorization Violation'\r\n");
}

#[tokio::test]
async fn connections_are_listed_to_whom_they_concern_and_kicked() {
    let serve = Serve::start().await;
    let api = serve.api();
    let (tenant, other) = (serve.tenant("acme").await, serve.tenant("other").await);
    let user = tenant.user("worker").await;
    let mut kept = serve.peer(&other.user("any").await.creds).await;
    let options = async_nats::ConnectOptions::with_credentials(&user.creds).unwrap().name("to-be-kicked");
    let mut client = cordon_tests::Client::with(&serve, options).await.unwrap();
    client.reports("connected").await;

    let listed = api.list(&tenant.path("connections")).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    let connection = &listed[0];
    assert_eq!(connection["client_name"], "to-be-kicked");
    assert_eq!(connection["account"], tenant.key.as_str());
    assert_eq!(connection["account_name"], "acme");
    assert_eq!(connection["user"], user.key.as_str());
    assert_eq!(connection["user_name"], "worker");
    assert_eq!(connection["ip"], "127.0.0.1");
    assert_eq!(connection["lang"], "rust");
    assert!(connection["tls_version"].as_str().unwrap().contains("1.3"), "{connection}");
    let all = api.list("connections").await;
    assert!(all.iter().any(|one| one["account"] == other.key.as_str()), "{all:?}");

    api.delete(&format!("connections/{}", connection["cid"])).await.ok(204);
    client.reports("disconnected").await;
    // A kick is no revocation: the library comes back by itself.
    client.reports("connected").await;
    assert_eq!(kept.fence().await, "");
    api.delete("connections/999999").await.problem(404, "not-found");
    api.ledger_entry("kind=connection.kick", |entry| entry["outcome"] == "done").await;
}

#[tokio::test]
async fn a_receiver_that_does_not_read_is_cut_off_and_others_get_everything() {
    const MESSAGES: usize = 160;
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut stuck = serve.peer(&user.creds).await;
    let cid = stuck.info["client_id"].clone();
    stuck.send("SUB flood 1\r\n").await;
    stuck.fence().await;
    let mut reader = serve.peer(&user.creds).await;
    reader.send("SUB flood 1\r\n").await;
    reader.fence().await;
    let mut publisher = serve.peer(&user.creds).await;
    let payload = "x".repeat(512 * 1024);
    for number in 0..MESSAGES {
        publisher.send(format!("PUB flood {}\r\n{payload}\r\n", payload.len())).await;
        publisher.fence().await;
        let message = reader.through(&format!("{payload}\r\n")).await;
        // A story that takes long is asked by the broker whether it still lives.
        assert!(message.trim_start_matches("PING\r\n").starts_with("MSG flood 1 "), "message {number}");
        reader.fence().await;
    }
    let closed = wait::until("monitoring names the slow consumer", async || {
        let page = serve.monitor("connz?state=closed").await;
        let closed = page["connections"].as_array()?.clone();
        closed
            .into_iter()
            .find(|connection| connection["reason"].as_str().is_some_and(|reason| reason.starts_with("Slow Consumer")))
    })
    .await;
    assert_eq!(closed["cid"], cid, "{closed}");
    let page = serve.monitor("varz").await;
    assert_eq!(page["slow_consumers"], 1, "{page}");
    serve
        .api()
        .ledger_entry("outcome=refused", |entry| {
            entry["reason"].as_str().is_some_and(|reason| reason.starts_with("slow_consumer"))
        })
        .await;
}
