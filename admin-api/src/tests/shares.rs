//! Streams shared between two accounts in one act, and taken back in one.

use serde_json::{Value, json};

use super::Rig;
use crate::roles::RoleName;

async fn kinds_of(rig: &Rig, account: &str) -> Vec<String> {
    let entries = rig.entries().await;
    let of_account = entries.iter().filter(|entry| entry.leaf.account.is_some_and(|key| key.to_string() == account));
    of_account.map(|entry| entry.leaf.kind.clone()).filter(|kind| kind.starts_with("share.")).collect()
}

fn offer(importer: &str) -> Value {
    json!({ "importer": importer, "kind": "stream", "name": "ORDERS", "subjects": ["eu.>"] })
}

#[tokio::test]
async fn a_share_is_offered_and_taken_up_in_one_act_with_an_entry_for_each_side() {
    let rig = Rig::with_operator().await;
    let (maker, buyer) = (rig.account("maker").await, rig.account("buyer").await);
    let mut wanted = offer(&buyer);
    wanted["accept"] = json!({});
    let share = rig.post(&format!("accounts/{maker}/shares"), wanted).await.expect(201);
    assert_eq!((share["state"].as_str(), share["prefix"].as_str()), (Some("accepted"), Some("$JS.ORDERS.API")));
    let imports = rig.get(&format!("accounts/{buyer}/imports?limit=250")).await.expect(200);
    let imports = imports["items"].as_array().unwrap();
    assert!(imports.len() > 8 && imports.iter().all(|import| import["state"] == "working"), "{imports:?}");
    let exports = rig.get(&format!("accounts/{maker}/exports?limit=250")).await.expect(200);
    assert!(exports["items"].as_array().unwrap().iter().all(|export| export["token_required"] == true));
    for account in [&maker, &buyer] {
        let shares = rig.get(&format!("accounts/{account}/shares")).await.expect(200);
        assert_eq!(shares["items"][0]["id"], share["id"]);
    }
    rig.push().await;
    assert!(rig.broker.last_pushed(&buyer).unwrap().nats.imports.len() > 8);

    let path = format!("accounts/{maker}/shares/{}", share["id"].as_str().unwrap());
    rig.call("DELETE", &format!("{path}?dry_run=true"), None).await.expect(200);
    rig.get(&path).await.expect(200);
    rig.call("DELETE", &path, None).await.expect(204);
    rig.get(&path).await.expect(404);
    rig.push().await;
    assert!(rig.broker.last_pushed(&buyer).unwrap().nats.imports.is_empty());
    assert!(rig.broker.last_pushed(&maker).unwrap().nats.exports.is_empty());
    assert_eq!(kinds_of(&rig, &maker).await, ["share.offer", "share.end"]);
    assert_eq!(kinds_of(&rig, &buyer).await, ["share.accept", "share.end"]);
}

#[tokio::test]
async fn the_importer_takes_up_and_gives_up_by_itself() {
    let rig = Rig::with_operator().await;
    let (maker, buyer, other) = (rig.account("maker").await, rig.account("buyer").await, rig.account("other").await);
    let share = rig.post(&format!("accounts/{maker}/shares"), offer(&buyer)).await.expect(201);
    assert_eq!(share["state"], "offered");
    let id = share["id"].as_str().unwrap();
    let admin = rig.token(RoleName::AccountAdmin, vec![buyer.parse().unwrap()]).await;
    let accept = |account: &str, body: Value| {
        super::Ask::new("POST", format!("/api/v1/accounts/{account}/shares/{id}/acceptance")).token(&admin).json(&body)
    };
    assert_eq!(rig.send(accept(&other, json!({}))).await.status, 403);
    for bad in
        [json!({ "prefix": "$JS.API" }), json!({ "prefix": "a.*" }), json!({ "inbox": ">" }), json!({ "more": 1 })]
    {
        let refused = rig.send(accept(&buyer, bad.clone())).await;
        assert!(refused.status == 422 || refused.status == 400, "{bad}: {}", refused.text);
    }
    let taken = rig.send(accept(&buyer, json!({ "prefix": "acme.orders", "inbox": "_INBOX_b" }))).await.expect(201);
    assert_eq!((taken["state"].as_str(), taken["inbox"].as_str()), (Some("accepted"), Some("_INBOX_b")));
    assert_eq!(rig.send(accept(&buyer, json!({}))).await.status, 409);

    let second = json!({ "importer": buyer, "kind": "bucket", "name": "B", "accept": { "prefix": "acme.orders.b" } });
    let clash = rig.post(&format!("accounts/{maker}/shares"), second).await;
    assert_eq!(clash.status, 409, "{}", clash.text);
    let left = rig.get(&format!("accounts/{maker}/shares")).await.expect(200);
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "half of an act is not kept: {left}");

    rig.call("DELETE", &format!("accounts/{buyer}/shares/{id}"), None).await.expect(204);
    let share = rig.get(&format!("accounts/{maker}/shares/{id}")).await.expect(200);
    assert_eq!(share["state"], "offered");
    let imports = rig.get(&format!("accounts/{buyer}/imports")).await.expect(200);
    assert_eq!(imports["items"], json!([]));
}

#[tokio::test]
async fn shares_that_cannot_be_kept_are_refused_with_their_field() {
    let rig = Rig::with_operator().await;
    let (maker, buyer) = (rig.account("maker").await, rig.account("buyer").await);
    let stranger = cordon_accounts::key::Seed::generate(cordon_accounts::key::Role::Account, &mut rand::rngs::OsRng);
    for (change, field) in [
        (json!({ "importer": maker }), "importer"),
        (json!({ "importer": stranger.public().to_string() }), "importer"),
        (json!({ "name": "a.b" }), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "subjects": ["a..b"] }), "subjects"),
        (json!({ "subjects": ["a.*", "*.b"] }), "subjects"),
        (json!({ "subjects": [], "mode": "read_write" }), "write_subjects"),
        (json!({ "kind": "objects" }), "subjects"),
        (json!({ "description": "a\nb" }), "description"),
    ] {
        let mut wanted = offer(&buyer);
        for (name, value) in change.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let refused = rig.post(&format!("accounts/{maker}/shares"), wanted).await;
        assert_eq!(refused.status, 422, "{change}: {}", refused.text);
        assert!(refused.text.contains(&format!("\"{field}\"")), "{change}: {}", refused.text);
    }
    let admin = rig.token(RoleName::AccountAdmin, vec![maker.parse().unwrap()]).await;
    let mut wanted = offer(&buyer);
    wanted["accept"] = json!({});
    let ask = super::Ask::new("POST", format!("/api/v1/accounts/{maker}/shares")).token(&admin).json(&wanted);
    assert_eq!(rig.send(ask).await.status, 403, "nobody takes up for an account that is not theirs");
    assert_eq!(kinds_of(&rig, &maker).await, Vec::<String>::new());
}
