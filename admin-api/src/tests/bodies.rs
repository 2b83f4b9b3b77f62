//! Bodies wrong in each field: the field is named, and nothing is written.

use serde_json::{Value, json};

use super::{Ask, Rig};

const TOO_LONG: usize = 300;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one flat table")]
async fn a_wrong_field_is_named_and_nothing_is_written() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let foreign = cordon_accounts::key::Seed::from_raw(cordon_accounts::key::Role::User, [9; 32]).public().to_string();
    let (users, exports, imports) = (
        format!("accounts/{account}/users"),
        format!("accounts/{account}/exports"),
        format!("accounts/{account}/imports"),
    );
    let keys = format!("accounts/{account}/signing-keys");
    let long = "x".repeat(TOO_LONG);
    let table: Vec<(&str, Value, &str)> = vec![
        ("operators", json!({}), "name"),
        ("operators", json!({ "name": "" }), "name"),
        ("operators", json!({ "name": 7 }), "name"),
        ("operators", json!({ "name": "a\nb" }), "name"),
        ("operators", json!({ "name": long }), "name"),
        ("operators", json!({ "name": "x", "nmae": "y" }), "nmae"),
        ("operators", json!({ "name": "x", "tags": [""] }), "tags"),
        ("operators", json!({ "name": "x", "strict_signing_key_usage": true, "signing_key": false }), "signing_key"),
        ("operators", json!({ "name": "x", "import": {} }), "import"),
        ("operators", json!({ "name": "x", "import": { "identity_seed": "SOnoise" } }), "import.identity_seed"),
        ("operators", json!({ "import": { "jwt": "a.b.c", "signing_seed": null } }), "import.jwt"),
        ("accounts", json!({}), "name"),
        ("accounts", json!({ "name": " x" }), "name"),
        ("accounts", json!({ "name": "x", "key": foreign }), "key"),
        ("accounts", json!({ "name": "x", "operator": "nobody" }), "operator"),
        ("accounts", json!({ "name": "x", "limits": { "connections": -1 } }), "limits.connections"),
        ("accounts", json!({ "name": "x", "limits": { "connections": "5" } }), "limits.connections"),
        ("accounts", json!({ "name": "x", "limits": { "conn": 5 } }), "limits.conn"),
        ("accounts", json!({ "name": "x", "expires_at": "tomorrow" }), "expires_at"),
        ("accounts", json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }), "expires_at"),
        (
            "accounts",
            json!({ "name": "x", "mappings": { "a": [{ "subject": "b", "weight": 300 }] } }),
            "mappings.a[0].weight",
        ),
        (&users, json!({}), "name"),
        (&users, json!({ "name": "x", "key": "UX" }), "key"),
        (&users, json!({ "name": "x", "signing_key": "nobody" }), "signing_key"),
        (&users, json!({ "name": "x", "limits": { "payload_bytes": -3 } }), "limits.payload_bytes"),
        (&users, json!({ "name": "x", "permissions": { "publish": { "alow": [] } } }), "permissions.publish.alow"),
        (&users, json!({ "name": "x", "times": [{ "start": "08:00:00" }] }), "times[0].end"),
        (&users, json!({ "name": "x", "times": [{ "start": "08:00:00", "end": "08:00:00" }] }), "times"),
        (&users, json!({ "name": "x", "expires_in_seconds": 0 }), "expires_in_seconds"),
        (
            &users,
            json!({ "name": "x", "expires_in_seconds": 5, "expires_at": "2030-01-01T00:00:00Z" }),
            "expires_in_seconds",
        ),
        (&users, json!({ "name": "x", "bearer": "yes" }), "bearer"),
        (&keys, json!({ "key": foreign }), "key"),
        (&keys, json!({ "scope": {} }), "scope.role"),
        (&keys, json!({ "scope": { "role": "" } }), "scope.role"),
        (
            &keys,
            json!({ "scope": { "role": "r", "template": { "limits": { "subscriptions": -1 } } } }),
            "scope.template.limits.subscriptions",
        ),
        (&exports, json!({ "subject": "a" }), "kind"),
        (&exports, json!({ "kind": "queue", "subject": "a" }), "kind"),
        (&exports, json!({ "kind": "stream", "subject": "a..b" }), "subject"),
        (&exports, json!({ "kind": "stream", "subject": "" }), "subject"),
        (&exports, json!({ "kind": "stream", "subject": "a", "response_type": "stream" }), "response_type"),
        (&exports, json!({ "kind": "service", "subject": "a", "response_threshold_ms": -1 }), "response_threshold_ms"),
        (&imports, json!({ "kind": "stream", "subject": "a" }), "account"),
        (&imports, json!({ "kind": "stream", "account": "A", "subject": "a" }), "account"),
        (&imports, json!({ "kind": "stream", "account": account, "subject": ">." }), "subject"),
        ("tokens", json!({ "role": "owner" }), "name"),
        ("tokens", json!({ "name": "x", "role": "root" }), "role"),
        ("tokens", json!({ "name": "x", "role": "account_admin" }), "accounts"),
        ("tokens", json!({ "name": "x", "role": "auditor", "accounts": [account] }), "accounts"),
        ("tokens", json!({ "name": "x", "role": "account_admin", "accounts": ["A"] }), "accounts[0]"),
        ("certificates", json!({}), "common_name"),
        ("certificates", json!({ "dns": ["-"] }), "dns"),
        ("certificates", json!({ "uris": ["x y:z"] }), "uris"),
        ("certificates", json!({ "common_name": "x", "expires_in_seconds": 1 }), "expires_in_seconds"),
        ("certificates", json!({ "common_name": "x", "csr": "noise" }), "csr"),
        ("explain", json!({ "action": "fly", "account": account }), "action"),
        ("explain", json!({ "action": "publish", "account": account }), "user"),
        ("explain", json!({ "action": "import", "account": account }), "import"),
    ];
    let before = rig.entries().await.len();
    for (path, body, field) in table {
        let got = rig.post(path, body.clone()).await;
        assert_eq!(got.status.as_u16(), 422, "{path} {body}: {}", got.text);
        assert_eq!(got.json()["field"], field, "{path} {body}: {}", got.text);
        assert!(got.json()["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    }
    assert_eq!(rig.entries().await.len(), before);
}

#[tokio::test]
async fn claims_that_would_not_be_valid_are_refused_with_their_reason() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    for (path, body) in [
        (format!("accounts/{account}/users"), json!({ "name": "x", "source_networks": ["10.0.0.0/99"] })),
        (
            format!("accounts/{account}/users"),
            json!({ "name": "x", "time_zone": "Mars/Olympus", "times": [{ "start": "08:00:00", "end": "09:00:00" }] }),
        ),
        (
            format!("accounts/{account}/users"),
            json!({ "name": "x", "permissions": { "publish": { "allow": ["a..b"] } } }),
        ),
        (
            "accounts".to_owned(),
            json!({ "name": "y", "mappings": { "a": [{ "subject": "b", "weight": 60 }, { "subject": "c", "weight": 60 }] } }),
        ),
    ] {
        let got = rig.post(&path, body.clone()).await;
        assert_eq!((got.status.as_u16(), got.problem().as_str()), (422, "claims-invalid"), "{body}: {}", got.text);
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_by_kind() {
    let rig = Rig::new().await;
    let send = |body: String, kind: &'static str| {
        let mut ask = Ask::new("POST", "/api/v1/operators").token(rig.owner());
        ask.body = Some(body);
        rig.send(ask.header("content-type", kind))
    };
    for (body, kind, status, code) in [
        ("{\"name\":\"x\"}".to_owned(), "text/plain", 415, "unsupported-media-type"),
        ("{\"name\":\"x\"}".to_owned(), "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        ("{".to_owned(), "application/json", 422, "invalid"),
        ("[".repeat(10_000), "application/json", 422, "invalid"),
        ("[]".to_owned(), "application/json", 422, "invalid"),
        (format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024)), "application/json", 413, "body-too-large"),
    ] {
        let got = send(body, kind).await;
        assert_eq!((got.status.as_u16(), got.problem().as_str()), (status, code), "{}", got.text);
    }
}

#[tokio::test]
async fn queries_are_checked() {
    let rig = Rig::new().await;
    for (path, field) in [
        ("operators?limit=0", "?limit"),
        ("operators?limit=9999", "?limit"),
        ("operators?limit=x", "?limit"),
        ("operators?offset=1", "?offset"),
        ("ledger/entries?outcome=maybe", "?outcome"),
        ("ledger/entries?from=yesterday", "?from"),
        ("ledger/entries?reference=x", "?reference"),
        ("ledger/entries?account=A", "?account"),
        ("connections?account=nobody", "?account"),
    ] {
        let got = rig.get(path).await;
        assert_eq!((got.status.as_u16(), got.json()["field"].as_str()), (422, Some(field)), "{path}: {}", got.text);
    }
}
