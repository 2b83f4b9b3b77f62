//! Golden answers: problems whole, headers, pages, preconditions, repeats.

use serde_json::json;

use super::{Ask, Rig, masked};

#[tokio::test]
async fn problems_read_as_they_should() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let missing =
        cordon_accounts::key::Seed::from_raw(cordon_accounts::key::Role::Account, [7; 32]).public().to_string();
    let cases = [
        (
            rig.get("nowhere").await,
            json!({
                "type": "urn:cordon:problem:not-found", "title": "there is no such object", "status": 404,
                "detail": "there is nothing at this path", "remedy": "see /openapi.json for every path", "request_id": "*",
            }),
        ),
        (
            rig.get(&format!("accounts/{missing}")).await,
            json!({
                "type": "urn:cordon:problem:not-found", "title": "there is no such object", "status": 404,
                "detail": format!("there is no account `{missing}`"),
                "remedy": "check the key or id in the path; the list of the collection shows those that exist", "request_id": "*",
            }),
        ),
        (
            rig.send(Ask::new("PATCH", format!("/api/v1/accounts/{account}")).token(rig.owner()).json(&json!({})))
                .await,
            json!({
                "type": "urn:cordon:problem:precondition-required", "title": "a change must say which version it changes", "status": 428,
                "detail": "the request has no If-Match header", "field": "If-Match",
                "remedy": "send `If-Match` with the ETag of the object as you read it, or `If-Match: *`", "request_id": "*",
            }),
        ),
        (
            rig.post("accounts", json!({ "name": "orders" })).await,
            json!({
                "type": "urn:cordon:problem:conflict", "title": "the present state does not allow this", "status": 409,
                "detail": "there is such an account already, or one of this name",
                "remedy": "choose another name or key, or change the one that is there", "request_id": "*",
            }),
        ),
        (
            rig.send(Ask::new("GET", "/api/v1/whoami")).await,
            json!({
                "type": "urn:cordon:problem:unauthenticated", "title": "a valid token is needed", "status": 401,
                "detail": "the request has no token that holds",
                "remedy": "send `Authorization: Bearer cdn_...`; an owner makes tokens with POST /api/v1/tokens", "request_id": "*",
            }),
        ),
    ];
    for (got, golden) in cases {
        assert_eq!(got.headers["content-type"], "application/problem+json");
        let id = got.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(got.json()["request_id"], id.as_str());
        let mut body = got.json();
        body["request_id"] = json!("*");
        assert_eq!(body, golden);
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_a_careful_server() {
    let rig = Rig::new().await;
    for path in ["/", "/openapi.json", "/api/v1/health", "/api/v1/nowhere", "/api/v1/operators"] {
        let got = rig.send(Ask::new("GET", path).token(rig.owner())).await;
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(got.headers[name], value, "{path}");
        }
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn a_known_path_with_another_method_says_which_methods_there_are() {
    let rig = Rig::new().await;
    let got = rig.call("DELETE", "whoami", None).await;
    assert_eq!((got.status.as_u16(), got.problem().as_str()), (405, "method-not-allowed"));
    assert!(got.headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn a_change_of_an_older_version_is_refused() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let path = format!("/api/v1/accounts/{account}");
    let etag = rig.get(&format!("accounts/{account}")).await.etag();
    let change = |etag: &str, text: &str| {
        rig.send(
            Ask::new("PATCH", path.clone())
                .token(rig.owner())
                .header("if-match", etag)
                .json(&json!({ "description": text })),
        )
    };
    let first = change(&etag, "one").await;
    assert_eq!(first.status.as_u16(), 200);
    assert_ne!(first.etag(), etag);
    let second = change(&etag, "two").await;
    assert_eq!((second.status.as_u16(), second.problem().as_str()), (412, "precondition-failed"));
    let stale = rig.send(Ask::new("DELETE", path.clone()).token(rig.owner()).header("if-match", etag)).await;
    assert_eq!(stale.status.as_u16(), 412);
    assert_eq!(rig.get(&format!("accounts/{account}")).await.expect(200)["description"], "one");
    assert_eq!(change(&first.etag(), "three").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_repeated_request_is_done_once() {
    let rig = Rig::with_operator().await;
    let send = |name: &str, key: &str| {
        let ask = Ask::new("POST", "/api/v1/accounts").token(rig.owner()).header("idempotency-key", key);
        rig.send(ask.json(&json!({ "name": name })))
    };
    let first = send("orders", "k1").await;
    let again = send("orders", "k1").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(first.json()["key"], again.json()["key"]);
    assert_eq!(first.headers["etag"], again.headers["etag"]);
    assert_eq!(first.headers["location"], again.headers["location"]);
    let other = send("billing", "k1").await;
    assert_eq!((other.status.as_u16(), other.problem().as_str()), (409, "idempotency-mismatch"));
    assert_eq!(send("x", "bad key").await.json()["field"], "Idempotency-Key");
    let accounts = rig.get("accounts").await.expect(200);
    assert_eq!(accounts["items"].as_array().unwrap().len(), 2, "SYS and orders: {accounts}");
    rig.clock.advance(std::time::Duration::from_hours(25));
    assert_eq!(send("billing", "k1").await.status.as_u16(), 201);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let rig = Rig::with_operator().await;
    for number in 0..5 {
        rig.account(&format!("tenant-{number}")).await;
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut after = String::new();
    for _ in 0..10 {
        let page = rig.get(&format!("accounts?limit=2{after}")).await.expect(200);
        for account in page["items"].as_array().unwrap() {
            assert!(seen.insert(account["key"].as_str().unwrap().to_owned()));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6);
    let one = rig.get("accounts?name=tenant-3").await.expect(200);
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_document_describes_every_route_and_is_valid_3_1() {
    let rig = Rig::new().await;
    let got = rig.send(Ask::new("GET", "/openapi.json")).await;
    let document = got.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/v1/operators",
        "/api/v1/accounts/{account}/users/{user}/creds",
        "/api/v1/ledger/proof",
        "/api/v1/explain",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and missing");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            let public = path == "/api/v1/health";
            assert_eq!(operation["security"].is_array(), !public, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn an_account_reads_as_it_should() {
    let rig = Rig::with_operator().await;
    let account = rig
        .post("accounts", json!({ "name": "orders", "tags": ["team:a"], "description": "Orders" }))
        .await
        .expect(201);
    assert_eq!(
        masked(&account),
        json!({
            "key": "A", "operator": "O", "name": "orders", "state": "active", "is_system": false, "custody": "identity",
            "description": "Orders", "info_url": "", "tags": ["team:a"],
            "limits": {
                "connections": null, "leaf_nodes": null, "subscriptions": null, "payload_bytes": null, "data_bytes": null,
                "imports": null, "exports": null, "wildcard_exports": true, "disallow_bearer": false, "jetstream": null, "jetstream_tiers": {},
            },
            "default_permissions": null, "mappings": {}, "signing_keys": [], "exports": [], "imports": [], "revocations": [],
            "jwt": "*", "jti": "*", "expires_at": null, "push": "pending", "version": 1,
            "created_at": "2026-05-28T20:26:40Z", "updated_at": "2026-05-28T20:26:40Z",
        })
    );
}
