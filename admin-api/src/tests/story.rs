//! Two tenants from nothing: an operator, accounts, users, a service across, a revocation, and the ledger
//! that says so.

use cordon_accounts::claims::{User, decode};
use cordon_accounts::creds::Creds;
use cordon_accounts::key::AccountKey;
use serde_json::json;

use super::{Ask, Rig};
use crate::roles::RoleName;

#[tokio::test]
async fn an_account_is_created_written_down_pushed_and_its_user_gets_creds() {
    let rig = Rig::with_operator().await;
    let account = rig.post("accounts", json!({ "name": "orders", "limits": { "connections": 5 } })).await;
    assert_eq!(account.headers["location"], format!("/api/v1/accounts/{}", account.json()["key"].as_str().unwrap()));
    let account = account.expect(201);
    assert_eq!(account["push"], "pending");
    let key = account["key"].as_str().unwrap();

    rig.push().await;
    let pushed = rig.broker.last_pushed(key).unwrap();
    assert_eq!((pushed.name.as_str(), pushed.nats.limits.conn.0), ("orders", 5));
    let account = rig.get(&format!("accounts/{key}")).await.expect(200);
    assert_eq!(account["push"], "confirmed");

    let issued = rig
        .post(&format!("accounts/{key}/users"), json!({ "name": "ann", "expires_in_seconds": 3600 }))
        .await
        .expect(201);
    let creds = Creds::parse(issued["creds"].as_str().unwrap()).unwrap();
    let claims = decode::<User>(&creds.jwt).unwrap();
    assert_eq!(creds.seed.public().to_string(), issued["user"]["key"]);
    assert_eq!(claims.expires, super::NOW + 3600);
    assert_eq!(claims.issuer.to_string(), key);

    let kinds: Vec<String> = rig.entries().await.iter().map(|entry| entry.leaf.kind.clone()).collect();
    for kind in ["operator.create", "account.create", "account.push", "user.create"] {
        assert!(kinds.iter().any(|seen| seen == kind), "{kind} is missing in {kinds:?}");
    }
}

#[tokio::test]
async fn a_service_is_exported_imported_and_withdrawn_with_its_effect_shown_first() {
    let rig = Rig::with_operator().await;
    let (exporter, importer) = (rig.account("exporter").await, rig.account("importer").await);
    let export = rig
        .post(&format!("accounts/{exporter}/exports"), json!({ "kind": "service", "subject": "help.>" }))
        .await
        .expect(201);
    let import = json!({ "kind": "service", "account": exporter, "subject": "help.>", "local_subject": "support.>" });
    let import = rig.post(&format!("accounts/{importer}/imports"), import).await.expect(201);
    assert_eq!(import["state"], "working", "{import}");

    let path = format!("accounts/{exporter}/exports/{}", export["id"].as_str().unwrap());
    let effect = rig.call("DELETE", &format!("{path}?dry_run=true"), None).await.expect(200);
    assert_eq!(effect["imports_broken"][0]["importer"], importer.as_str(), "{effect}");
    assert_eq!(effect["imports_broken"][0]["reason"], "import_no_export");
    rig.get(&path).await.expect(200);

    rig.call("DELETE", &path, None).await.expect(204);
    rig.get(&path).await.expect(404);
    let imports = rig.get(&format!("accounts/{importer}/imports")).await.expect(200);
    assert_eq!(imports["items"][0]["state"], "refused", "{imports}");
}

#[tokio::test]
async fn a_private_export_needs_an_activation_and_taking_it_back_ends_the_import() {
    let rig = Rig::with_operator().await;
    let (exporter, importer, other) =
        (rig.account("exporter").await, rig.account("importer").await, rig.account("other").await);
    let export = json!({ "kind": "stream", "subject": "feed.>", "token_required": true });
    let export = rig.post(&format!("accounts/{exporter}/exports"), export).await.expect(201);
    let import = |token: &str| json!({ "kind": "stream", "account": exporter, "subject": "feed.>", "token": token });
    let refused = rig.post(&format!("accounts/{importer}/imports"), import("")).await;
    assert_eq!(refused.problem(), "import-refused", "{}", refused.text);

    let wanted = json!({ "export": export["id"], "importer": importer });
    let issued = rig.post(&format!("accounts/{exporter}/activations"), wanted).await.expect(201);
    let token = issued["token"].as_str().unwrap();
    let stolen = rig.post(&format!("accounts/{other}/imports"), import(token)).await;
    assert!(matches!(stolen.status.as_u16(), 422), "{}", stolen.text);
    rig.post(&format!("accounts/{importer}/imports"), import(token)).await.expect(201);

    let id = issued["activation"]["id"].as_str().unwrap();
    rig.call("DELETE", &format!("accounts/{exporter}/activations/{id}"), None).await.expect(204);
    let imports = rig.get(&format!("accounts/{importer}/imports")).await.expect(200);
    assert_eq!(imports["items"][0]["state"], "refused", "{imports}");
    let activation = rig.get(&format!("accounts/{exporter}/activations/{id}")).await.expect(200);
    assert_eq!(activation["revoked"], true);
}

#[tokio::test]
async fn an_import_cycle_is_refused() {
    let rig = Rig::with_operator().await;
    let (a, b) = (rig.account("a").await, rig.account("b").await);
    for account in [&a, &b] {
        rig.post(&format!("accounts/{account}/exports"), json!({ "kind": "service", "subject": "q" }))
            .await
            .expect(201);
    }
    let import = |from: &str| json!({ "kind": "service", "account": from, "subject": "q" });
    rig.post(&format!("accounts/{a}/imports"), import(&b)).await.expect(201);
    let cycle = rig.post(&format!("accounts/{b}/imports"), import(&a)).await;
    assert_eq!(cycle.problem(), "import-refused", "{}", cycle.text);
    assert!(cycle.text.contains("import_cycle"), "{}", cycle.text);
}

#[tokio::test]
async fn a_revoked_user_would_be_disconnected_and_is_revoked_in_the_next_push() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let issued = rig.post(&format!("accounts/{account}/users"), json!({ "name": "ann" })).await.expect(201);
    let user = issued["user"]["key"].as_str().unwrap();
    rig.broker.connect(&account, user, issued["jwt"].as_str().unwrap(), 3);

    let path = format!("accounts/{account}/revocations");
    let effect = rig.post(&format!("{path}?dry_run=true"), json!({ "user": user })).await.expect(200);
    assert_eq!(effect["disconnects"][0]["cid"], 3, "{effect}");
    assert_eq!(effect["disconnects"][0]["reason"], "revoked");
    rig.post(&path, json!({ "user": user })).await.expect(201);
    rig.push().await;
    let claims = rig.broker.last_pushed(&account).unwrap();
    let jwt = decode::<User>(issued["jwt"].as_str().unwrap()).unwrap();
    assert!(claims.revokes(&jwt));
    assert_eq!(rig.get(&format!("accounts/{account}/users/{user}")).await.expect(200)["state"], "revoked");

    rig.call("DELETE", &format!("{path}/{user}"), None).await.expect(204);
    assert_eq!(rig.get(&format!("accounts/{account}/users/{user}")).await.expect(200)["state"], "active");
}

#[tokio::test]
async fn a_suspended_account_lets_nobody_in_and_is_resumed_as_it_was() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    rig.call("PUT", &format!("accounts/{account}/limits"), Some(json!({ "connections": 7 }))).await.expect(200);
    let suspended = rig.call("POST", &format!("accounts/{account}/suspend"), None).await.expect(200);
    assert_eq!((&suspended["state"], &suspended["limits"]["connections"]), (&json!("suspended"), &json!(7)));
    rig.push().await;
    assert_eq!(rig.broker.last_pushed(&account).unwrap().nats.limits.conn.0, 0);
    let user = rig.post(&format!("accounts/{account}/users"), json!({ "name": "ann" })).await;
    assert_eq!(user.problem(), "conflict");
    rig.call("POST", &format!("accounts/{account}/resume"), None).await.expect(200);
    rig.push().await;
    assert_eq!(rig.broker.last_pushed(&account).unwrap().nats.limits.conn.0, 7);
}

#[tokio::test]
async fn a_deleted_account_is_closed_and_forgotten_and_its_name_is_free() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    rig.call("DELETE", &format!("accounts/{account}"), None).await.expect(204);
    rig.push().await;
    assert_eq!(rig.broker.last_pushed(&account).unwrap().nats.limits.conn.0, 0);
    assert_eq!(rig.broker.deleted.lock().len(), 1);
    rig.get(&format!("accounts/{account}")).await.expect(404);
    rig.account("orders").await;
}

#[tokio::test]
async fn connections_are_listed_within_the_account_and_kicked() {
    let rig = Rig::with_operator().await;
    let (mine, other) = (rig.account("mine").await, rig.account("other").await);
    rig.broker.connect(&mine, "U1", "", 1);
    rig.broker.connect(&other, "U2", "", 2);
    assert_eq!(rig.get("connections").await.expect(200)["items"].as_array().unwrap().len(), 2);
    let listed = rig.get(&format!("accounts/{mine}/connections")).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    let admin = rig.token(RoleName::AccountAdmin, vec![AccountKey::parse(&mine).unwrap()]).await;
    for (cid, status) in [(2, 403), (9, 403), (1, 204)] {
        let got = rig.send(Ask::new("DELETE", format!("/api/v1/connections/{cid}")).token(&admin)).await;
        assert_eq!(got.status.as_u16(), status, "{cid}: {}", got.text);
    }
    assert_eq!(*rig.broker.kicked.lock(), vec![("N1".to_owned(), 1)]);
    rig.call("DELETE", "connections/9", None).await.expect(404);
}

#[tokio::test]
async fn a_question_is_answered_with_the_rule_that_decides() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let permissions = json!({ "publish": { "allow": ["orders.>"], "deny": ["orders.secret"] } });
    let issued = rig
        .post(&format!("accounts/{account}/users"), json!({ "name": "ann", "permissions": permissions }))
        .await
        .expect(201);
    let user = issued["user"]["key"].clone();
    for (action, subject, allowed) in [
        ("publish", "orders.new", true),
        ("publish", "orders.secret", false),
        ("publish", "other", false),
        ("subscribe", "anything", true),
        ("connect", "", true),
    ] {
        let question = json!({ "action": action, "account": account, "user": user, "subject": subject });
        let answer = rig.post("explain", question).await.expect(200);
        assert_eq!(answer["allowed"], allowed, "{action} {subject}: {answer}");
        assert!(!answer["decided_by"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_client_certificate_is_issued_once_and_listed_without_its_key() {
    let rig = Rig::new().await;
    let issued = rig.post("certificates", json!({ "emails": ["ann@example.org"] })).await.expect(201);
    assert!(issued["private_key_pem"].as_str().unwrap().contains("PRIVATE KEY"));
    let listed = rig.get("certificates").await.expect(200);
    assert_eq!(listed["items"][0]["names"], json!(["email:ann@example.org"]));
    assert!(!listed.to_string().contains("PRIVATE"));
    let ca = rig.get("certificates/ca").await;
    assert_eq!(ca.text, issued["ca_pem"].as_str().unwrap());
    let bad = rig.post("certificates", json!({ "emails": ["nobody"] })).await;
    assert_eq!((bad.status.as_u16(), bad.json()["field"].clone()), (422, json!("emails")));
}

#[tokio::test]
async fn the_ledger_is_searched_taken_out_verified_and_its_reading_is_in_it() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let found = rig.get(&format!("ledger/entries?account={account}&kind=account.create")).await.expect(200);
    let index = found["items"][0]["index"].as_u64().unwrap();
    assert_eq!(found["items"][0]["source_ip"], "192.0.2.7", "{found}");
    let checkpoint = rig.get("ledger/checkpoint").await.expect(200);
    let size = checkpoint["size"].as_u64().unwrap();
    let proof = rig.get(&format!("ledger/proof?index={index}&size={size}")).await.expect(200);
    assert_eq!(proof["root"], checkpoint["root"]);
    let export = rig.get("ledger/export").await;
    assert_eq!(export.headers["content-type"], "application/jsonl");
    assert!(export.text.lines().count() as u64 > size);
    let kinds: Vec<String> = rig.entries().await.into_iter().map(|entry| entry.leaf.kind).collect();
    assert!(kinds.contains(&"ledger.search".to_owned()) && kinds.contains(&"ledger.export".to_owned()), "{kinds:?}");
    let outside = rig.get("ledger/proof?index=99999").await;
    assert_eq!(outside.problem(), "invalid", "{}", outside.text);
}

#[tokio::test]
async fn an_account_admin_sees_and_finds_only_its_own() {
    let rig = Rig::with_operator().await;
    let (mine, other) = (rig.account("mine").await, rig.account("other").await);
    let admin = rig.token(RoleName::AccountAdmin, vec![AccountKey::parse(&mine).unwrap()]).await;
    let get = |path: String| rig.send(Ask::new("GET", format!("/api/v1/{path}")).token(&admin));
    let listed = get("accounts".to_owned()).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    get(format!("accounts/{other}")).await.expect(403);
    // A key that exists nowhere is refused alike: there is no telling.
    let nowhere = cordon_accounts::key::Seed::from_raw(cordon_accounts::key::Role::Account, [7; 32]).public();
    get(format!("accounts/{nowhere}")).await.expect(403);
    let entries = get("ledger/entries".to_owned()).await.expect(200);
    assert!(entries["items"].as_array().unwrap().iter().all(|entry| entry["account"] == mine.as_str()), "{entries}");
    get("operators".to_owned()).await.expect(403);
}
