//! Shows mutual TLS: a certificate of the local authority connects, as the user it is mapped to; a
//! foreign one is turned away by TLS itself, and costs nobody else anything.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use cordon_tests::peer::connect_with;
use cordon_tests::{Peer, Serve, certificates, tls, wait};
use rustls::ClientConfig;
use serde_json::{Value, json};

fn presenting(serve: &Serve, issued: &Value) -> Arc<ClientConfig> {
    tls::presenting(&serve.ca(), issued["pem"].as_str().unwrap(), issued["private_key_pem"].as_str().unwrap())
}

async fn issue(serve: &Serve, wanted: Value) -> Value {
    serve.api().post("certificates", &wanted).await.ok(201)
}

/// What TLS or the broker says to a client that presents this certificate and then waits.
async fn turned_away(serve: &Serve, config: Arc<ClientConfig>) -> String {
    match Peer::try_open(serve.client_address, config).await {
        Err(error) => error.to_string(),
        // In TLS 1.3 the client has finished before the broker has looked at its certificate.
        Ok(mut peer) => peer.failure().await,
    }
}

#[tokio::test]
async fn a_certificate_of_the_authority_connects_as_the_user_it_is_mapped_to() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("fleet").await;
    let permissions = json!({"publish": {"allow": ["telemetry.>"]}});
    let user = tenant.user_with(json!({"name": "device", "permissions": permissions})).await;
    fs::write(serve.folder().join("device.creds"), &user.creds).unwrap();
    let cases = [
        ("device@example.org", json!({"emails": ["device@example.org"]})),
        ("device.example.org", json!({"dns": ["device.example.org"]})),
        ("spiffe://example.org/device", json!({"uris": ["spiffe://example.org/device"]})),
        ("CN=device-7", json!({"common_name": "device-7"})),
    ];
    for (name, _) in &cases {
        let done = serve.run(["certificate", "map", name, "--creds", "device.creds", "--data", "data"]).await;
        assert!(done.status.success(), "{name}: {done:?}");
    }
    let serve = serve.restart().await;
    for (name, wanted) in cases {
        let issued = issue(&serve, wanted).await;
        let mut peer = Peer::open(serve.client_address, presenting(&serve, &issued)).await;
        peer.send(connect_with(json!({"name": name}))).await;
        assert_eq!(peer.fence().await, "", "{name}");
        peer.refused("PUB other 1\r\nx\r\n", r#"Permissions Violation for Publish to "other""#).await;
        let seen = serve.api().list(&tenant.path("connections")).await;
        assert!(
            seen.iter().any(|connection| connection["client_name"] == name && connection["user"] == user.key.as_str()),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_mapped_to_nobody_opens_nothing() {
    let serve = Serve::start().await;
    let issued = issue(&serve, json!({"emails": ["nobody@example.org"]})).await;
    let mut peer = Peer::open(serve.client_address, presenting(&serve, &issued)).await;
    peer.send(connect_with(json!({}))).await;
    assert_eq!(peer.end().await, "-ERR 'Authorization Violation'\r\n");
    // With creds beside it, it is as good as none.
    let tenant = serve.tenant("acme").await;
    let mut peer = Peer::open(serve.client_address, presenting(&serve, &issued)).await;
    peer.authenticate(&tenant.user("any").await.creds).await;
}

#[tokio::test]
async fn a_foreign_certificate_is_refused_by_a_tls_alert() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut other = serve.peer(&user.creds).await;
    let (certificate, key) = certificates::foreign("device@example.org");
    let told = turned_away(&serve, tls::presenting(&serve.ca(), &certificate, &key)).await;
    assert!(told.contains("received fatal alert"), "{told}");
    assert_eq!(other.fence().await, "");
    serve.api().ledger_entry("outcome=refused", |entry| entry["reason"] == "tls_failed").await;
}

#[tokio::test]
async fn a_connection_ends_with_its_certificate() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("fleet").await;
    fs::write(serve.folder().join("device.creds"), tenant.user("device").await.creds).unwrap();
    let done =
        serve.run(["certificate", "map", "brief@example.org", "--creds", "device.creds", "--data", "data"]).await;
    assert!(done.status.success(), "{done:?}");
    let serve = serve.restart().await;
    let (certificate, key) = certificates::brief(&serve, "brief@example.org", Duration::from_secs(3));
    let config = tls::presenting(&serve.ca(), &certificate, &key);
    let mut peer = Peer::open(serve.client_address, config.clone()).await;
    peer.send(connect_with(json!({}))).await;
    peer.fence().await;
    let told = peer.end().await;
    assert!(told.starts_with("-ERR '"), "{told:?}");
    wait::until("an expired certificate is refused", async || {
        turned_away(&serve, config.clone()).await.contains("received fatal alert").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_library_client_needs_nothing_but_its_certificate() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("fleet").await;
    fs::write(serve.folder().join("device.creds"), tenant.user("device").await.creds).unwrap();
    let line = ["certificate", "map", "device.example.org", "--creds", "device.creds", "--data", "data"];
    assert!(serve.run(line).await.status.success());
    let serve = serve.restart().await;
    let line = "certificate issue --dns device.example.org --cert device.pem --key device.key --data data";
    let done = serve.run(line.split(' ')).await;
    assert!(done.status.success(), "{done:?}");
    let (certificate, key) = (serve.folder().join("device.pem"), serve.folder().join("device.key"));
    let options = async_nats::ConnectOptions::new().add_client_certificate(certificate, key);
    let client = cordon_tests::Client::with(&serve, options).await.unwrap();
    client.fence().await;
}
