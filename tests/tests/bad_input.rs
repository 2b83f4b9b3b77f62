//! Shows that bad input before and after authentication gets the protocol's own error, costs its own
//! connection at most, and leaves a trace where it matters.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use cordon_accounts::claims::UserClaims;
use cordon_accounts::creds::Creds;
use cordon_accounts::key::{AccountKey, Role, Seed, UserKey};
use cordon_tests::peer::{connect_line, connect_with, plain};
use cordon_tests::wait::{now, within};
use cordon_tests::{Peer, Serve, Tenant};
use data_encoding::BASE64URL_NOPAD;
use rand::rngs::OsRng;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

#[tokio::test]
async fn noise_before_connect_ends_only_that_connection() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut other = serve.peer(&tenant.user("any").await.creds).await;
    let long = format!("CONNECT {{\"name\":\"{}\"}}\r\n", "x".repeat(10_000));
    let endless = "x".repeat(100_000);
    let cases: [(&str, Vec<u8>, &str); 10] = [
        ("binary", (0..=255).collect(), VIOLATION),
        ("zeroes", vec![0; 4096], VIOLATION),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), VIOLATION),
        ("no line end", endless.into_bytes(), VIOLATION),
        ("nearly CONNECT", b"CONSULT {}\r\n".to_vec(), "-ERR 'Unknown Protocol Operation'\r\n"),
        ("an oversized line", long.into_bytes(), "-ERR 'maximum control line exceeded'\r\n"),
        ("a publish", b"PUB a 1\r\nx\r\n".to_vec(), VIOLATION),
        ("a subscription", b"SUB > 1\r\n".to_vec(), VIOLATION),
        ("no credentials", connect_with(json!({})).into_bytes(), VIOLATION),
        ("a password", connect_with(json!({"user": "root", "pass": "root"})).into_bytes(), VIOLATION),
    ];
    for (case, bytes, told) in cases {
        let mut peer = serve.stranger().await;
        peer.try_send(bytes).await;
        assert_eq!(peer.end().await, told, "{case}");
    }
    for json in ["{", "[]", "null", "{\"verbose\":3}", "\u{7f}"] {
        let mut peer = serve.stranger().await;
        peer.try_send(format!("CONNECT {json}\r\n")).await;
        let told = peer.end().await;
        assert!(told.is_empty() || told.starts_with("-ERR '"), "{json}: {told:?}");
    }
    assert_eq!(other.fence().await, "");
}

#[tokio::test]
async fn oversized_and_malformed_frames_end_only_that_connection() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut other = serve.peer(&user.creds).await;
    let line = format!("PUB {} 1\r\nx\r\n", "a".repeat(5000));
    for (bytes, told) in [
        ("PUB a 2000000\r\n", "-ERR 'Maximum Payload Violation'\r\n"),
        ("PUB a 99999999999999999999\r\n", ""),
        ("HPUB a 1048577 1048577\r\n", "-ERR 'Maximum Payload Violation'\r\n"),
        (&line, "-ERR 'maximum control line exceeded'\r\n"),
        ("PUB a -1\r\n", ""),
        ("PUB a\r\n", ""),
        ("PUB a 1\r\nxyz", "-ERR 'Unknown Protocol Operation'\r\n"),
        ("HPUB a 5 1\r\nx\r\n", ""),
        ("SUB\r\n", ""),
        ("UNSUB\r\n", ""),
        ("NONSENSE\r\n", "-ERR 'Unknown Protocol Operation'\r\n"),
        ("\0\u{1}\u{2}\r\n", "-ERR 'Unknown Protocol Operation'\r\n"),
    ] {
        let mut peer = serve.peer(&user.creds).await;
        peer.try_send(bytes).await;
        let got = peer.end().await;
        let as_told = if told.is_empty() { got.is_empty() || got.starts_with("-ERR '") } else { got == told };
        assert!(as_told, "{bytes:.40?}: {got:?}");
    }
    // What is merely no subject costs nothing.
    for subject in ["a..b", ".a", "a.", "a.>.b"] {
        other.refused(format!("SUB {subject} 1\r\n"), "Invalid Subject").await;
    }
    serve.api().ledger_entry("outcome=refused", |entry| entry["reason"] == "payload_limit").await;
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_handshake_waits_alone() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut stalled = Vec::new();
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x01"] {
        for _ in 0..8 {
            let (mut socket, _info) = plain(serve.client_address).await;
            socket.write_all(bytes).await.unwrap();
            stalled.push(socket);
        }
    }
    // While they hang, others come and work.
    let mut peer = serve.peer(&user.creds).await;
    peer.send("SUB a 1\r\nPUB a 1\r\nx\r\n").await;
    assert_eq!(peer.fence().await, "MSG a 1 1\r\nx\r\n");
    // And they do not hang forever.
    for mut socket in stalled {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ended = within("the broker gives up", socket.read_to_end(&mut rest)).await;
    }
    assert_eq!(peer.fence().await, "");
    // Plain text where TLS must come.
    let (mut socket, info) = plain(serve.client_address).await;
    assert_eq!(info["tls_required"], true);
    socket.write_all(connect_line(&info, &user.creds).as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let _ended = within("the broker gives up", socket.read_to_end(&mut rest)).await;
    assert!(!String::from_utf8_lossy(&rest).contains("PONG"));
}

#[tokio::test]
async fn who_never_says_who_it_is_is_told_so() {
    let serve = Serve::start().await;
    let mut peer = serve.stranger().await;
    assert_eq!(peer.end().await, "-ERR 'Authentication Timeout'\r\n");
    serve.api().ledger_entry("outcome=refused", |entry| entry["reason"] == "authentication_timeout").await;
}

/// A tenant that brought a signing key, so that a story can sign what no API would.
struct Forge {
    tenant: Tenant,
    signer: Seed,
}

impl Forge {
    async fn open(serve: &Serve) -> Self {
        let tenant = serve.tenant("acme").await;
        let signer = Seed::generate(Role::Account, &mut OsRng);
        tenant.add("signing-keys", json!({"key": signer.public().to_string()})).await;
        Self { tenant, signer }
    }

    /// Creds as `change` wants them, signed by `signer`.
    fn creds(&self, signer: &Seed, change: impl FnOnce(&mut UserClaims)) -> Creds {
        let seed = Seed::generate(Role::User, &mut OsRng);
        let mut claims = UserClaims::new(UserKey::try_from(seed.public()).unwrap());
        "forged".clone_into(&mut claims.name);
        claims.nats.issuer_account = Some(self.tenant.key.parse::<AccountKey>().unwrap());
        change(&mut claims);
        Creds { jwt: claims.encode(signer, now()).unwrap(), seed }
    }
}

async fn told(serve: &Serve, connect: impl FnOnce(&Peer) -> String) -> String {
    let mut peer = serve.stranger().await;
    let connect = connect(&peer);
    peer.send(connect).await;
    peer.end().await
}

#[tokio::test]
async fn every_fault_of_credentials_looks_the_same_outside_and_has_its_reason_inside() {
    let serve = Serve::start().await;
    let forge = Forge::open(&serve).await;
    let good = forge.creds(&forge.signer, |_| {});
    serve.peer(&good.to_text()).await;

    let stranger = Seed::generate(Role::Account, &mut OsRng);
    let elsewhere = AccountKey::try_from(Seed::generate(Role::Account, &mut OsRng).public()).unwrap();
    let cases = [
        ("expired", forge.creds(&forge.signer, |claims| claims.expires = now() - 60)),
        ("not_yet_valid", forge.creds(&forge.signer, |claims| claims.not_before = now() + 3600)),
        ("signer_unknown", forge.creds(&stranger, |_| {})),
        ("account_unknown", forge.creds(&forge.signer, |claims| claims.nats.issuer_account = Some(elsewhere))),
        (
            "address_not_allowed",
            forge.creds(&forge.signer, |claims| claims.nats.template.src = vec!["192.0.2.0/24".to_owned()]),
        ),
        (
            "connection_type_not_allowed",
            forge
                .creds(&forge.signer, |claims| claims.nats.template.allowed_connection_types = vec!["MQTT".to_owned()]),
        ),
    ];
    for (reason, creds) in cases {
        let answer = told(&serve, |peer| connect_line(&peer.info, &creds.to_text())).await;
        assert_eq!(answer, VIOLATION, "{reason}");
        serve.api().ledger_entry("outcome=refused", |entry| entry["reason"] == reason).await;
    }
}

#[tokio::test]
async fn a_forged_token_or_a_signature_of_something_else_opens_nothing() {
    let serve = Serve::start().await;
    let forge = Forge::open(&serve).await;
    let good = forge.creds(&forge.signer, |_| {});
    let sign = |message: &[u8]| BASE64URL_NOPAD.encode(&good.seed.sign(message).unwrap());
    let api = serve.api();
    let refused = async |reason: &str| api.ledger_entry("outcome=refused", |entry| entry["reason"] == reason).await;

    let other_nonce = connect_with(json!({"jwt": good.jwt, "sig": sign(b"another nonce")}));
    assert_eq!(told(&serve, |_| other_nonce).await, VIOLATION);
    refused("wrong_nonce_signature").await;
    assert_eq!(told(&serve, |_| connect_with(json!({"jwt": good.jwt}))).await, VIOLATION);
    assert_eq!(told(&serve, |_| connect_with(json!({"jwt": good.jwt, "sig": "%%%"}))).await, VIOLATION);

    // The claims changed after signing.
    let parts: Vec<_> = good.jwt.split('.').collect();
    let claims = String::from_utf8(BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap();
    let changed = BASE64URL_NOPAD.encode(claims.replace("\"forged\"", "\"forger\"").as_bytes());
    let forged = format!("{}.{changed}.{}", parts[0], parts[2]);
    let nonce_signed = |peer: &Peer, jwt: &str| {
        connect_with(json!({"jwt": jwt, "sig": sign(peer.info["nonce"].as_str().unwrap().as_bytes())}))
    };
    assert_eq!(told(&serve, |peer| nonce_signed(peer, &forged)).await, VIOLATION);
    refused("forged_signature").await;
    let unsigned = format!("{}.{}.", BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none"}"#), parts[1]);
    for jwt in [unsigned.as_str(), "", "x", "a.b.c", parts[1]] {
        assert_eq!(told(&serve, |peer| nonce_signed(peer, jwt)).await, VIOLATION, "{jwt}");
    }
    // Another user's token with one's own key.
    let theirs = forge.tenant.user("victim").await;
    assert_eq!(told(&serve, |peer| nonce_signed(peer, &theirs.jwt)).await, VIOLATION);
}
