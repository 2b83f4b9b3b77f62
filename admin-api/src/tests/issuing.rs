//! Operators brought along, scoped keys, renewals, strictness.

use cordon_accounts::claims::{Account, OperatorClaims, User, decode};
use cordon_accounts::key::{OperatorKey, Role, Seed};
use serde_json::json;

use super::{NOW, Rig};

fn operator_made_elsewhere() -> (Seed, Seed, String) {
    let (identity, signing) = (Seed::from_raw(Role::Operator, [1; 32]), Seed::from_raw(Role::Operator, [2; 32]));
    let mut claims = OperatorClaims::new(OperatorKey::try_from(identity.public()).unwrap());
    claims.name = "elsewhere".to_owned();
    claims.nats.signing_keys = vec![OperatorKey::try_from(signing.public()).unwrap()];
    let jwt = claims.encode(&identity, NOW).unwrap();
    (identity, signing, jwt)
}

#[tokio::test]
async fn an_operator_with_only_a_signing_key_signs_accounts_and_not_itself() {
    let rig = Rig::new().await;
    let (identity, signing, jwt) = operator_made_elsewhere();
    let seed = signing.to_text();
    let operator = rig.post("operators", json!({ "import": { "jwt": jwt, "signing_seed": *seed } })).await.expect(201);
    assert_eq!((operator["custody"].as_str(), operator["name"].as_str()), (Some("signing_key"), Some("elsewhere")));
    let account = rig.post("accounts", json!({ "name": "orders" })).await.expect(201);
    let claims = decode::<Account>(account["jwt"].as_str().unwrap()).unwrap();
    assert_eq!(claims.issuer, signing.public());
    let path = format!("operators/{}", identity.public());
    let refused = rig.call("PATCH", &path, Some(json!({ "name": "mine" }))).await;
    assert_eq!(refused.problem(), "seed-unavailable", "{}", refused.text);

    let mut newer = OperatorClaims::new(OperatorKey::try_from(identity.public()).unwrap());
    newer.name = "renamed".to_owned();
    newer.nats.signing_keys = vec![OperatorKey::try_from(signing.public()).unwrap()];
    let newer = newer.encode(&identity, NOW + 1).unwrap();
    let changed = rig.call("PATCH", &path, Some(json!({ "jwt": newer }))).await.expect(200);
    assert_eq!(changed["name"], "renamed");
    let older = rig.call("PATCH", &path, Some(json!({ "jwt": jwt }))).await;
    assert_eq!(older.json()["field"], "jwt", "{}", older.text);
}

#[tokio::test]
async fn seeds_that_do_not_fit_the_operator_are_refused() {
    let rig = Rig::new().await;
    let (identity, _, jwt) = operator_made_elsewhere();
    let stranger = Seed::from_raw(Role::Operator, [3; 32]).to_text();
    for (import, field) in [
        (json!({ "jwt": jwt, "signing_seed": *stranger }), "import.signing_seed"),
        (json!({ "jwt": jwt, "identity_seed": *stranger }), "import.identity_seed"),
        (json!({ "jwt": jwt, "signing_seed": *identity.to_text() }), "import.signing_seed"),
        (json!({ "jwt": jwt }), "import.signing_seed"),
        (json!({ "signing_seed": *stranger }), "import"),
    ] {
        let got = rig.post("operators", json!({ "import": import })).await;
        assert_eq!((got.status.as_u16(), got.json()["field"].as_str()), (422, Some(field)), "{}", got.text);
    }
    assert!(rig.get("operators").await.expect(200)["items"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_strict_operator_lets_no_identity_sign() {
    let rig = Rig::new().await;
    rig.post("operators", json!({ "name": "strict", "strict_signing_key_usage": true })).await.expect(201);
    let account = rig.post("accounts", json!({ "name": "orders" })).await.expect(201);
    let key = account["key"].as_str().unwrap();
    assert_eq!(account["signing_keys"].as_array().unwrap().len(), 1);
    assert_ne!(decode::<Account>(account["jwt"].as_str().unwrap()).unwrap().issuer.to_string(), account["operator"]);
    let users = format!("accounts/{key}/users");
    let issued = rig.post(&users, json!({ "name": "ann" })).await.expect(201);
    assert_eq!(issued["user"]["signing_key"], account["signing_keys"][0]["key"]);
    let refused = rig.post(&users, json!({ "name": "bob", "signing_key": key })).await;
    assert_eq!(refused.json()["field"], "signing_key");
}

#[tokio::test]
async fn users_of_a_scoped_key_bring_nothing_of_their_own() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let template = json!({ "permissions": { "publish": { "allow": ["orders.{{name()}}.>"] } } });
    let scope = json!({ "scope": { "role": "writer", "template": template } });
    let key = rig.post(&format!("accounts/{account}/signing-keys"), scope).await.expect(201);
    let users = format!("accounts/{account}/users");
    let refused = rig.post(&users, json!({ "name": "ann", "signing_key": "writer", "permissions": {} })).await;
    assert_eq!(refused.json()["field"], "permissions", "{}", refused.text);
    let wild = rig.post(&users, json!({ "name": "a.>", "signing_key": "writer" })).await;
    assert_eq!(wild.status.as_u16(), 422, "{}", wild.text);
    let issued = rig.post(&users, json!({ "name": "ann", "signing_key": "writer" })).await.expect(201);
    let claims = decode::<User>(issued["jwt"].as_str().unwrap()).unwrap();
    assert!(claims.nats.template.is_empty());
    assert_eq!(issued["user"]["role"], "writer");
    let question = |subject: &str| json!({ "action": "publish", "account": account, "user": issued["user"]["key"], "subject": subject });
    assert_eq!(rig.post("explain", question("orders.ann.new")).await.expect(200)["allowed"], true);
    assert_eq!(rig.post("explain", question("orders.bob.new")).await.expect(200)["allowed"], false);

    // The effect of taking the key away: its users go.
    rig.broker.connect(&account, issued["user"]["key"].as_str().unwrap(), issued["jwt"].as_str().unwrap(), 4);
    let path = format!("accounts/{account}/signing-keys/{}", key["key"].as_str().unwrap());
    let effect = rig.call("DELETE", &format!("{path}?dry_run=true"), None).await.expect(200);
    assert_eq!(effect["disconnects"][0]["reason"], "signing_key_removed", "{effect}");
    let rescoped = rig
        .call("PUT", &format!("{path}?dry_run=true"), Some(json!({ "scope": { "role": "writer" } })))
        .await
        .expect(200);
    assert_eq!(rescoped["disconnects"][0]["reason"], "credentials_changed", "{rescoped}");
    rig.call("DELETE", &path, None).await.expect(204);
    let late = rig.post(&users, json!({ "name": "cid", "signing_key": "writer" })).await;
    assert_eq!(late.json()["field"], "signing_key");
}

#[tokio::test]
async fn a_changed_user_gets_a_newer_jwt_and_the_older_is_revoked() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let users = format!("accounts/{account}/users");
    let first = rig.post(&users, json!({ "name": "ann" })).await.expect(201);
    let path = format!("{users}/{}", first["user"]["key"].as_str().unwrap());
    let second =
        rig.call("PATCH", &path, Some(json!({ "permissions": { "publish": { "allow": ["a"] } } }))).await.expect(200);
    rig.push().await;
    let claims = rig.broker.last_pushed(&account).unwrap();
    let old = decode::<User>(first["jwt"].as_str().unwrap()).unwrap();
    let new = decode::<User>(second["jwt"].as_str().unwrap()).unwrap();
    assert!(claims.revokes(&old), "the older JWT must not be good any more");
    assert!(!claims.revokes(&new), "the newer one must, though both are of the same second");
    assert_eq!(second["creds"], json!(null));
    assert_eq!(new.nats.template.permissions.publish.allow, ["a"]);
}

#[tokio::test]
async fn a_rotated_user_keeps_its_name_and_permissions_under_a_new_key() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let users = format!("accounts/{account}/users");
    let body = json!({ "name": "ann", "expires_in_seconds": 600, "permissions": { "subscribe": { "deny": ["x"] } } });
    let first = rig.post(&users, body).await.expect(201);
    rig.clock.advance(std::time::Duration::from_secs(100));
    let second = rig
        .post(&format!("{users}/{}/creds", first["user"]["key"].as_str().unwrap()), json!({ "rotate_key": true }))
        .await
        .expect(201);
    assert_ne!(first["user"]["key"], second["user"]["key"]);
    assert_eq!(
        (&second["user"]["name"], &second["user"]["permissions"]),
        (&first["user"]["name"], &first["user"]["permissions"])
    );
    assert_eq!(decode::<User>(second["jwt"].as_str().unwrap()).unwrap().expires, NOW + 700);
    rig.push().await;
    let claims = rig.broker.last_pushed(&account).unwrap();
    assert!(claims.revokes(&decode::<User>(first["jwt"].as_str().unwrap()).unwrap()));
    let listed = rig.get(&users).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_tenant_may_bring_its_keys() {
    let rig = Rig::with_operator().await;
    let (account, user) =
        (Seed::from_raw(Role::Account, [4; 32]).public(), Seed::from_raw(Role::User, [5; 32]).public());
    let made = rig.post("accounts", json!({ "name": "own", "key": account.to_string() })).await.expect(201);
    assert_eq!(made["custody"], "signing_key");
    let issued = rig
        .post(&format!("accounts/{account}/users"), json!({ "name": "ann", "key": user.to_string() }))
        .await
        .expect(201);
    assert_eq!((&issued["creds"], &issued["user"]["key"]), (&json!(null), &json!(user.to_string())));
    let claims = decode::<User>(issued["jwt"].as_str().unwrap()).unwrap();
    assert_eq!(claims.nats.issuer_account.unwrap().to_string(), account.to_string());
}

#[tokio::test]
async fn accounts_of_a_removed_operator_key_are_signed_anew() {
    let rig = Rig::with_operator().await;
    let operator = rig.get("operators").await.expect(200)["items"][0].clone();
    let (key, old) = (operator["key"].as_str().unwrap(), operator["signing_keys"][0]["key"].as_str().unwrap());
    let account = rig.account("orders").await;
    rig.post(&format!("operators/{key}/signing-keys"), json!({})).await.expect(201);
    rig.call("DELETE", &format!("operators/{key}/signing-keys/{old}"), None).await.expect(204);
    let account = rig.get(&format!("accounts/{account}")).await.expect(200);
    let issuer = decode::<Account>(account["jwt"].as_str().unwrap()).unwrap().issuer.to_string();
    let operator = rig.get(&format!("operators/{key}")).await.expect(200);
    assert_eq!(operator["signing_keys"][0]["key"], issuer.as_str());
}

#[tokio::test]
async fn limits_lowered_name_the_newest_connections() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    for cid in 1..=3 {
        rig.broker.connect(&account, "U", "", cid);
    }
    let effect = rig
        .call("PUT", &format!("accounts/{account}/limits?dry_run=true"), Some(json!({ "connections": 1 })))
        .await
        .expect(200);
    let cids: Vec<u64> =
        effect["disconnects"].as_array().unwrap().iter().map(|end| end["cid"].as_u64().unwrap()).collect();
    assert_eq!(cids, [2, 3], "{effect}");
    assert_eq!(rig.get(&format!("accounts/{account}/limits")).await.expect(200)["connections"], json!(null));
}

#[tokio::test]
async fn the_system_account_stays() {
    let rig = Rig::with_operator().await;
    let operator = rig.get("operators").await.expect(200)["items"][0].clone();
    let system = operator["system_account"].as_str().unwrap();
    for (method, path) in [("DELETE", format!("accounts/{system}")), ("POST", format!("accounts/{system}/suspend"))] {
        assert_eq!(rig.call(method, &path, None).await.problem(), "conflict", "{method} {path}");
    }
    let account = rig.account("orders").await;
    let busy = rig.call("DELETE", &format!("operators/{}", operator["key"].as_str().unwrap()), None).await;
    assert_eq!(busy.problem(), "conflict");
    rig.call("DELETE", &format!("accounts/{account}"), None).await.expect(204);
    rig.call("DELETE", &format!("operators/{}", operator["key"].as_str().unwrap()), None).await.expect(204);
}

#[tokio::test]
async fn the_control_plane_mints_its_own_system_user() {
    let rig = Rig::with_operator().await;
    let user = rig.issuer.mint_system_user().await.unwrap();
    let claims = decode::<User>(&user.jwt).unwrap();
    assert_eq!(claims.subject, user.seed.public());
    assert_eq!(claims.expires, NOW + 3600);
    assert!(!claims.nats.template.permissions.publish.allow.iter().any(|subject| subject == ">"));
}
