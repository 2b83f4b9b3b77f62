//! Shows `cordon control` driving a broker that runs elsewhere, as any NATS client could: what is
//! changed while the broker is away is in force soon after it is back.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a story: what fails here is its failure"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use cordon_tests::peer::{Peer, connect_line};
use cordon_tests::process::{self, Process};
use cordon_tests::wait::until;
use cordon_tests::{Api, Tenant, tls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

/// Writes a certificate authority and a server certificate of it.
fn write_certificates(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

async fn start_control(folder: &Path, broker: SocketAddr) -> (Process, Api) {
    let url = format!("tls://{broker}");
    let arguments = ["control", "--data", "control", "--nats", &url, "--nats-ca", "ca.pem", "--admin-port", "0"];
    let mut process = Process::start(folder, "control.log", arguments, false);
    let run: Value = until("`cordon control` writes run.json", async || {
        assert!(process.ended().is_none(), "`cordon control` ended");
        serde_json::from_str(&fs::read_to_string(folder.join("control/run.json")).ok()?).ok()
    })
    .await;
    let token = fs::read_to_string(folder.join("control/admin-token")).unwrap();
    let address = run["admin_address"].as_str().unwrap().parse().unwrap();
    (process, Api::new(address, &folder.join("control/ca/ca.pem"), token.trim()))
}

/// A broker that trusts the operator of this control plane.
async fn write_config(folder: &Path, api: &Api, address: SocketAddr) {
    let operator = api.list("operators").await.remove(0);
    let accounts = api.list("accounts").await;
    let system =
        accounts.iter().find(|account| account["is_system"] == true).expect("the operator has a system account");
    let (key, jwt) = (system["key"].as_str().unwrap(), system["jwt"].as_str().unwrap());
    let config = format!(
        "listen: \"{address}\"\ntls {{\n  cert_file: \"server.pem\"\n  key_file: \"server.key\"\n}}\noperator: {}\n\
         system_account: {key}\nresolver {{\n  type: full\n  dir: './jwt'\n}}\nresolver_preload: {{\n  {key}: {jwt},\n}}\n",
        operator["jwt"].as_str().unwrap()
    );
    fs::write(folder.join("broker.conf"), config).unwrap();
}

fn start_broker(folder: &Path) -> Process {
    Process::start(folder, "broker.log", ["broker", "-c", "broker.conf"], false)
}

#[tokio::test]
async fn what_is_changed_while_the_broker_is_away_is_in_force_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_certificates(folder);
    let address = SocketAddr::from(([127, 0, 0, 1], process::free_port()));
    let (_control, api) = start_control(folder, address).await;
    assert_eq!(api.get("health").await.ok(200)["broker"], "disconnected");
    write_config(folder, &api, address).await;
    let mut broker = start_broker(folder);
    let tenant = Tenant::create(&api, "acme").await;
    let (stays, goes) = (tenant.user("stays").await, tenant.user("goes").await);
    let config = tls::trusting(&folder.join("ca.pem"));
    let mut peer = Peer::open(address, config.clone()).await;
    peer.authenticate(&goes.creds).await;

    broker.kill().await;
    peer.end().await;
    api.delete(&tenant.path(&format!("users/{}", goes.key))).await.ok(204);
    let late = api.post("accounts", &serde_json::json!({"name": "late"})).await.ok(201);
    let health = api.get("health").await.ok(200);
    assert!(health["pushes_pending"].as_u64().unwrap() >= 2, "{health}");

    let _broker = start_broker(folder);
    api.settle().await;
    Peer::open(address, config.clone()).await.authenticate(&stays.creds).await;
    let newcomer = Tenant::of(&api, &late).user("newcomer").await;
    Peer::open(address, config.clone()).await.authenticate(&newcomer.creds).await;
    let mut refused = Peer::open(address, config).await;
    let connect = connect_line(&refused.info, &goes.creds);
    refused.send(connect).await;
    assert_eq!(refused.end().await, "-ERR 'Authorization Violation'\r\n");
    let brokers = api.get("brokers").await.ok(200);
    assert_eq!(brokers["connected"], true, "{brokers}");
}
