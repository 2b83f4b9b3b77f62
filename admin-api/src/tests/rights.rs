//! Every changing operation of the OpenAPI document, called without the right, is refused and leaves a
//! ledger entry; tokens that do not hold are all refused alike.

use std::time::Duration;

use cordon_accounts::key::{AccountKey, Role, Seed};
use serde_json::{Value, json};

use super::{Ask, Rig};
use crate::http::openapi;
use crate::ledger::Outcome;
use crate::roles::RoleName;

/// Method and path of every operation, path parameters filled in.
fn operations(account: &str, operator: &str, user: &str) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&openapi::document_text()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| ["get", "put", "post", "delete", "patch"].contains(&name.as_str()))
        {
            let own = if path.contains("/operators/{operator}/signing-keys/{key}") { operator } else { account };
            let path = path
                .replace("{account}", account)
                .replace("{operator}", operator)
                .replace("{user}", user)
                .replace("{key}", own)
                .replace("{cid}", "1")
                .replace("{token}", "x")
                .replace("{export}", "0000000000000000")
                .replace("{import}", "0000000000000000")
                .replace("{share}", "x")
                .replace("{activation}", "x");
            assert!(!path.contains('{'), "{path}: fill the parameter in");
            all.push((method.to_uppercase(), path));
        }
    }
    all
}

/// What each role may change, as (method, path) with `{a}` for its account: everything else is refused.
fn may(role: RoleName, method: &str, path: &str, account: &str) -> bool {
    let own = path.starts_with(&format!("/api/v1/accounts/{account}"));
    let below = path.trim_start_matches(&format!("/api/v1/accounts/{account}"));
    let ask_only = path == "/api/v1/explain";
    match role {
        RoleName::Owner => true,
        RoleName::OperatorAdmin => {
            let operators = path.starts_with("/api/v1/operators") && method != "PATCH";
            ask_only || !(operators || path.starts_with("/api/v1/tokens"))
        }
        RoleName::AccountAdmin => {
            let reserved = matches!((method, below), ("DELETE", "") | (_, "/suspend" | "/resume" | "/limits"));
            ask_only || (own && !reserved) || path.starts_with("/api/v1/connections/")
        }
        RoleName::Auditor => ask_only,
    }
}

#[tokio::test]
async fn every_change_without_the_right_is_refused_and_written_down() {
    let rig = Rig::with_operator().await;
    let account = rig.account("mine").await;
    let key = AccountKey::parse(&account).unwrap();
    let operator = rig.get("operators").await.expect(200)["items"][0]["key"].as_str().unwrap().to_owned();
    let user = Seed::from_raw(Role::User, [3; 32]).public().to_string();
    rig.broker.connect("AFOREIGN", "U", "", 1);
    let mut refused = 0;
    for role in RoleName::ALL {
        let accounts = if role == RoleName::AccountAdmin { vec![key] } else { vec![] };
        let token = rig.token(role, accounts).await;
        for (method, path) in operations(&account, &operator, &user) {
            if method == "GET" {
                continue;
            }
            let before = rig.entries().await.len();
            // No body and no If-Match: whoever may not is told so before anything else is looked at.
            let got = rig.send(Ask::new(&method, path.as_str()).token(&token)).await;
            let foreign_connection = role == RoleName::AccountAdmin && path.contains("/connections/");
            if may(role, &method, &path, &account) && !foreign_connection {
                assert_ne!(got.status.as_u16(), 403, "{role:?} {method} {path}: {}", got.text);
                continue;
            }
            assert_eq!(
                (got.status.as_u16(), got.problem().as_str()),
                (403, "forbidden"),
                "{role:?} {method} {path}: {}",
                got.text
            );
            let entries = rig.entries().await;
            let entry = &entries.last().unwrap().leaf;
            assert_eq!(entries.len(), before + 1, "{role:?} {method} {path}");
            assert_eq!((entry.outcome, entry.kind.as_str()), (Outcome::Refused, "api.refused"));
            assert_eq!(entry.object.as_deref(), Some(format!("{method} {path}").as_str()));
            assert_eq!(entry.actor.role.as_deref(), Some(role.text()));
            refused += 1;
            rig.clock.advance(Duration::from_secs(1));
        }
    }
    assert!(refused > 45, "only {refused} refusals were seen");
}

#[tokio::test]
async fn every_operation_but_health_needs_a_token_and_says_no_more() {
    let rig = Rig::with_operator().await;
    let account = rig.account("mine").await;
    let operator = rig.get("operators").await.expect(200)["items"][0]["key"].as_str().unwrap().to_owned();
    let user = Seed::from_raw(Role::User, [3; 32]).public().to_string();
    for (method, path) in operations(&account, &operator, &user) {
        let got = rig.send(Ask::new(&method, path.as_str())).await;
        if path == "/api/v1/health" {
            assert_eq!(got.status.as_u16(), 200);
            continue;
        }
        assert_eq!(got.status.as_u16(), 401, "{method} {path}: {}", got.text);
        assert!(got.headers.contains_key("www-authenticate"));
        rig.clock.advance(Duration::from_secs(10));
    }
    let refused =
        rig.entries().await.into_iter().filter(|entry| entry.leaf.reason.as_deref() == Some("token_missing")).count();
    assert!(refused > 40, "{refused}");
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused_alike_and_told_apart_in_the_ledger() {
    let rig = Rig::new().await;
    let new = |name: &str| json!({ "name": name, "role": "auditor", "expires_in_seconds": 60 });
    let expired = rig.post("tokens", new("expired")).await.expect(201);
    rig.clock.advance(Duration::from_mins(1));
    let revoked = rig.post("tokens", new("revoked")).await.expect(201);
    rig.call("DELETE", &format!("tokens/{}", revoked["token"]["id"].as_str().unwrap()), None).await.expect(204);
    let unknown = format!("cdn_{}", "A".repeat(43));
    let secret = |issued: &Value| issued["secret"].as_str().unwrap().to_owned();
    let mut bodies = std::collections::BTreeSet::new();
    for (token, reason) in [
        (secret(&expired), "token_expired"),
        (secret(&revoked), "token_revoked"),
        (unknown, "token_unknown"),
        ("cdn_short".to_owned(), "token_malformed"),
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), "token_malformed"),
    ] {
        let got = rig.send(Ask::new("GET", "/api/v1/whoami").token(&token)).await;
        assert_eq!(got.status.as_u16(), 401, "{reason}");
        bodies.insert(super::masked(&got.json()).to_string());
        let last = rig.entries().await.pop().unwrap().leaf;
        assert_eq!(last.reason.as_deref(), Some(reason));
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test]
async fn the_last_owner_cannot_lock_everybody_out() {
    let rig = Rig::new().await;
    let me = rig.get("whoami").await.expect(200);
    let got = rig.call("DELETE", &format!("tokens/{}", me["id"].as_str().unwrap()), None).await;
    assert_eq!(got.problem(), "conflict");
    rig.post("tokens", json!({ "name": "second", "role": "owner" })).await.expect(201);
    rig.call("DELETE", &format!("tokens/{}", me["id"].as_str().unwrap()), None).await.expect(204);
    rig.get("whoami").await.expect(401);
}

#[tokio::test]
async fn two_authorization_headers_are_none() {
    let rig = Rig::new().await;
    let ask =
        Ask::new("GET", "/api/v1/whoami").token(rig.owner()).header("authorization", format!("Bearer {}", rig.owner()));
    assert_eq!(rig.send(ask).await.status.as_u16(), 401);
}
