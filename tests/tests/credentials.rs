//! Shows how credentials end: by revocation, by expiry, by suspension of the account; the live
//! connection is told why and ends, and nobody comes back with them.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use async_nats::ConnectErrorKind;
use cordon_tests::peer::connect_line;
use cordon_tests::{Client, Serve, User};
use serde_json::json;

async fn refused(serve: &Serve, creds: &str) {
    let mut peer = serve.stranger().await;
    let connect = connect_line(&peer.info, creds);
    peer.send(connect).await;
    assert_eq!(peer.end().await, "-ERR 'Authorization Violation'\r\n");
    let error = Client::try_connect(serve, creds).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);
}

#[tokio::test]
async fn a_revoked_user_is_told_and_ends_and_stays_out() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let (leaver, stayer) = (tenant.user("leaver").await, tenant.user("stayer").await);
    let mut leaving = serve.peer(&leaver.creds).await;
    let mut library = serve.client(&leaver.creds).await;
    let mut staying = serve.peer(&stayer.creds).await;

    let revocation = tenant.add("revocations", json!({"user": leaver.key})).await;
    assert_eq!(revocation["user"], leaver.key.as_str());
    assert_eq!(leaving.end().await, "-ERR 'User Authentication Revoked'\r\n");
    library.reports("User Authentication Revoked").await;
    refused(&serve, &leaver.creds).await;
    assert_eq!(staying.fence().await, "");
    let view = serve.api().get(&tenant.path(&format!("users/{}", leaver.key))).await.ok(200);
    assert_eq!(view["state"], "revoked");
}

#[tokio::test]
async fn a_deleted_user_ends_and_is_gone() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("leaver").await;
    let mut peer = serve.peer(&user.creds).await;
    tenant.remove("users", &user.key).await;
    assert_eq!(peer.end().await, "-ERR 'User Authentication Revoked'\r\n");
    refused(&serve, &user.creds).await;
    serve.api().get(&tenant.path(&format!("users/{}", user.key))).await.problem(404, "not-found");
}

#[tokio::test]
async fn a_revocation_of_everyone_spares_those_who_are_issued_later() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut peers = Vec::new();
    for name in ["a", "b", "c"] {
        peers.push(serve.peer(&tenant.user(name).await.creds).await);
    }
    tenant.add("revocations", json!({"user": "*"})).await;
    for peer in &mut peers {
        assert_eq!(peer.end().await, "-ERR 'User Authentication Revoked'\r\n");
    }
    let mut tries = 0;
    let later = cordon_tests::wait::until("a user issued in a later second", async || {
        tries += 1;
        let user = tenant.user(&format!("later-{tries}")).await;
        Client::try_connect(&serve, &user.creds).await.ok()
    })
    .await;
    later.fence().await;
}

#[tokio::test]
async fn rotation_gives_a_new_key_and_ends_the_old() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("service").await;
    let mut old = serve.peer(&user.creds).await;
    let path = tenant.path(&format!("users/{}/creds", user.key));
    let issued = serve.api().post(&path, &json!({"rotate_key": true})).await.ok(201);
    assert_eq!(old.end().await, "-ERR 'User Authentication Revoked'\r\n");
    refused(&serve, &user.creds).await;
    assert_ne!(issued["user"]["key"], user.key.as_str());
    let mut fresh = serve.peer(issued["creds"].as_str().unwrap()).await;
    assert_eq!(fresh.fence().await, "");
}

#[tokio::test]
async fn expiry_ends_the_connection_when_it_comes_and_not_before() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let (short, long): (User, User) = (
        tenant.user_with(json!({"name": "short", "expires_in_seconds": 3})).await,
        tenant.user_with(json!({"name": "long", "expires_in_seconds": 3600})).await,
    );
    let mut ending = serve.peer(&short.creds).await;
    let mut staying = serve.peer(&long.creds).await;
    assert_eq!(ending.end().await, "-ERR 'User Authentication Expired'\r\n");
    let expired_at = cordon_tests::wait::now();
    let expires = short.view["expires_at"].as_str().unwrap();
    let expires =
        time::OffsetDateTime::parse(expires, &time::format_description::well_known::Rfc3339).unwrap().unix_timestamp();
    assert!((expires..=expires + 5).contains(&expired_at), "expires {expires}, ended {expired_at}");
    // During its last second a token still is one, for what is left of it.
    cordon_tests::wait::until("the second is over", async || (cordon_tests::wait::now() > expires).then_some(())).await;
    refused(&serve, &short.creds).await;
    assert_eq!(staying.fence().await, "");
}

#[tokio::test]
async fn a_suspended_account_is_closed_until_it_is_resumed() {
    let serve = Serve::start().await;
    let (tenant, other) = (serve.tenant("acme").await, serve.tenant("other").await);
    let user = tenant.user("any").await;
    let mut inside = serve.peer(&user.creds).await;
    let mut elsewhere = serve.peer(&other.user("any").await.creds).await;

    assert_eq!(tenant.act("suspend").await["state"], "suspended");
    let told = inside.end().await;
    assert!(told.starts_with("-ERR '") && told.ends_with("'\r\n"), "{told:?}");
    let mut peer = serve.stranger().await;
    let connect = connect_line(&peer.info, &user.creds);
    peer.send(connect).await;
    let told = peer.end().await;
    assert!(told.starts_with("-ERR '") && told.ends_with("'\r\n"), "{told:?}");
    let problem = serve.api().post(&tenant.path("users"), &json!({"name": "new"})).await.problem(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("suspended"));
    assert_eq!(elsewhere.fence().await, "");

    assert_eq!(tenant.act("resume").await["state"], "active");
    let mut back = serve.peer(&user.creds).await;
    assert_eq!(back.fence().await, "");
}

#[tokio::test]
async fn a_deleted_account_takes_its_connections_with_it() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut inside = serve.peer(&user.creds).await;
    serve.api().delete(&format!("accounts/{}", tenant.key)).await.ok(204);
    let told = inside.end().await;
    assert!(told.starts_with("-ERR '") && told.ends_with("'\r\n"), "{told:?}");
    let mut peer = serve.stranger().await;
    let connect = connect_line(&peer.info, &user.creds);
    peer.send(connect).await;
    assert!(peer.end().await.starts_with("-ERR '"));
}
