//! What is done in the console: each form, what it asks first, and that nothing a tenant chose becomes markup.

use serde_json::json;

use super::console::{Browser, hidden};
use super::{Rig, console};
use crate::roles::RoleName;

/// A text that would do harm if it were markup. No quotes are needed to see it escaped.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

#[tokio::test]
async fn nothing_that_a_tenant_chose_becomes_markup() {
    let rig = Rig::with_operator().await;
    let account = rig.post("accounts", json!({ "name": HOSTILE, "description": HOSTILE, "tags": [HOSTILE] })).await;
    let account = account.expect(201)["key"].as_str().unwrap().to_owned();
    let buyer = rig.account("buyer").await;
    let user = json!({ "name": HOSTILE, "tags": [HOSTILE], "permissions": { "publish": { "allow": ["<b>.>"] } } });
    let user = rig.post(&format!("accounts/{account}/users"), user).await.expect(201);
    let user = user["user"]["key"].as_str().unwrap().to_owned();
    let export = json!({ "kind": "stream", "subject": "<b>.>", "name": HOSTILE });
    rig.post(&format!("accounts/{account}/exports"), export).await.expect(201);
    let share = json!({ "importer": buyer, "kind": "bucket", "name": "B", "description": HOSTILE });
    let share = rig.post(&format!("accounts/{account}/shares"), share).await.expect(201);
    rig.post("tokens", json!({ "name": HOSTILE, "role": "auditor" })).await.expect(201);
    rig.broker.connect(&account, &user, "", 7);
    {
        let mut connections = rig.broker.connections.lock();
        let connection = connections.last_mut().unwrap();
        connection.name = HOSTILE.to_owned();
        connection.lang = HOSTILE.to_owned();
        connection.server_name = HOSTILE.to_owned();
    }
    let browser = Browser::open(&rig, rig.owner()).await;
    browser
        .get(
            &format!("/console/{HOSTILE}")
                .replace(' ', "%20")
                .replace('<', "%3C")
                .replace('>', "%3E")
                .replace('"', "%22"),
        )
        .await;
    let share = share["id"].as_str().unwrap();
    for path in [
        "accounts".to_owned(),
        format!("accounts?name={}", "%3Cimg%20src=x%20onerror=alert(1)%3E%22"),
        format!("accounts/{account}"),
        format!("accounts/{account}/suspend"),
        format!("accounts/{account}/users/new"),
        format!("accounts/{account}/users/{user}"),
        format!("accounts/{account}/users/{user}/revoke"),
        format!("accounts/{account}/shares"),
        format!("accounts/{buyer}/shares"),
        format!("accounts/{buyer}/shares/{share}"),
        format!("accounts/{account}/shares/new"),
        format!("accounts/{account}/shares/{share}/end"),
        format!("accounts/{account}/connections"),
        "connections/N1/7/kick".to_owned(),
        "ledger".to_owned(),
        "ledger?actor=%3Cimg%20src=x%3E%22".to_owned(),
        "tokens".to_owned(),
    ] {
        let page = browser.page(&format!("/console/{path}")).await;
        assert!(!page.contains("<img") && !page.contains("<b>"), "{path}: {page}");
    }
    for (path, fields) in [
        (format!("accounts/{account}/users/new"), vec![("name", HOSTILE), ("publish_allow", "</textarea><img src=x>")]),
        (format!("accounts/{account}/shares/new"), vec![("importer", HOSTILE), ("name", HOSTILE), ("kind", HOSTILE)]),
        (format!("accounts/{buyer}/shares/{share}/accept"), vec![("prefix", HOSTILE)]),
    ] {
        let got = browser.send(&format!("/console/{path}"), &fields).await;
        assert!(got.status.as_u16() >= 400, "{path}: {}", got.status);
        assert!(!got.text.contains("<img"), "{path}: {}", got.text);
        assert!(got.text.contains("&#60;") || got.text.contains("&lt;"), "what was typed is still there: {}", got.text);
    }
}

#[tokio::test]
async fn a_user_is_issued_once_with_creds_that_are_shown_once() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let browser = Browser::open(&rig, rig.owner()).await;
    let path = format!("/console/accounts/{account}/users/new");
    let once = hidden(&browser.page(&path).await, "once");
    let fields = [
        ("name", "ann"),
        ("days", "2"),
        ("publish_allow", "orders.>\r\n_INBOX.>\r\n"),
        ("words", "stream ORDERS: consume eu.>"),
        ("once", once.as_str()),
    ];
    let got = browser.send(&path, &fields).await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(got.headers["cache-control"], "no-store");
    assert!(got.text.contains("-----BEGIN NATS USER JWT-----") && got.text.contains("download=\"orders-ann.creds\""));
    let again = browser.send(&path, &fields).await;
    assert_eq!(again.status, 200);
    assert!(!again.text.contains("SEED") && again.text.contains("sent before"), "{}", again.text);
    let users = rig.get(&format!("accounts/{account}/users")).await.expect(200);
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
    let user = &users["items"][0];
    assert_eq!(user["permissions"]["publish"]["allow"][0], "orders.>");
    assert_eq!(user["expires_at"], "2026-05-30T20:26:40Z");
    for (fields, said) in [
        (vec![("name", "")], "a name is needed"),
        (vec![("name", "ann")], "there is such a user already"),
        (vec![("name", "bob"), ("days", "soon")], "expires_in_seconds"),
        (vec![("name", "bob"), ("words", "nonsense")], "words"),
        (vec![("name", "bob"), ("networks", "here")], "is not a network"),
        (vec![("name", "bob"), ("key", "x")], "key"),
    ] {
        let got = browser.send(&path, &fields).await;
        assert!(matches!(got.status.as_u16(), 409 | 422), "{fields:?}: {}", got.text);
        assert!(got.text.contains(said) && got.text.contains("name=\"publish_allow\""), "{fields:?}: {}", got.text);
    }
}

#[tokio::test]
async fn suspending_resuming_and_revoking_show_whom_they_disconnect_first() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let issued = rig.post(&format!("accounts/{account}/users"), json!({ "name": "ann" })).await.expect(201);
    let user = issued["user"]["key"].as_str().unwrap();
    rig.broker.connect(&account, user, "", 7);
    let browser = Browser::open(&rig, rig.owner()).await;
    let suspend = format!("/console/accounts/{account}/suspend");
    let page = browser.page(&suspend).await;
    assert!(page.contains("Connections that end: 1") && page.contains("198.51.100.1"), "{page}");
    let state = async || rig.get(&format!("accounts/{account}")).await.expect(200)["state"].clone();
    assert_eq!(state().await, "active", "asking changes nothing");
    let (once, version) = (hidden(&page, "once"), hidden(&page, "version"));
    rig.post(&format!("accounts/{account}/users"), json!({ "name": "bob" })).await.expect(201);
    let export = json!({ "kind": "stream", "subject": "a.>" });
    rig.post(&format!("accounts/{account}/exports"), export).await.expect(201);
    let stale = browser.send(&suspend, &[("once", &once), ("version", &version)]).await;
    assert_eq!(stale.status, 412, "what was looked at is not what there is: {}", stale.text);
    assert_eq!(browser.send(&suspend, &[]).await.status, 422);
    let got = browser.confirm(&suspend).await;
    assert_eq!((got.status.as_u16(), state().await), (303, json!("suspended")));
    assert!(browser.page(got.headers["location"].to_str().unwrap()).await.contains("The account is suspended."));
    assert_eq!(browser.confirm(&format!("/console/accounts/{account}/resume")).await.status, 303);
    assert_eq!(state().await, "active");

    let revoke = format!("/console/accounts/{account}/users/{user}/revoke");
    assert!(browser.page(&revoke).await.contains("Connections that end: 1"));
    let got = browser.confirm(&revoke).await;
    assert_eq!(got.status, 303, "{}", got.text);
    let page = browser.page(got.headers["location"].to_str().unwrap()).await;
    assert!(page.contains("The user is revoked.") && !page.contains("Revoke&hellip;"), "{page}");
    assert!(browser.page(&format!("/console/accounts/{account}")).await.contains("What was issued until"));
    let kinds: Vec<String> = rig.entries().await.into_iter().map(|entry| entry.leaf.kind).collect();
    for kind in ["account.suspend", "account.resume", "revocation.create"] {
        assert_eq!(kinds.iter().filter(|one| *one == kind).count(), 1, "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_bucket_is_offered_taken_up_and_ended_from_both_sides() {
    let rig = Rig::with_operator().await;
    let (maker, buyer) = (rig.account("maker").await, rig.account("buyer").await);
    let browser = Browser::open(&rig, rig.owner()).await;
    let new = format!("/console/accounts/{maker}/shares/new");
    assert!(browser.page(&new).await.contains(&format!("<option value=\"{buyer}\">buyer</option>")));
    let once = hidden(&browser.page(&new).await, "once");
    let fields = [
        ("kind", "bucket"),
        ("name", "CONFIG"),
        ("importer", "buyer"),
        ("mode", "read_only"),
        ("subjects", "eu.>\r\n"),
        ("days", "30"),
        ("once", once.as_str()),
    ];
    let got = browser.send(&new, &fields).await;
    assert_eq!(got.status, 303, "{}", got.text);
    assert_eq!(browser.send(&new, &fields).await.status, 303, "sent twice is offered once");
    let shares = rig.get(&format!("accounts/{maker}/shares")).await.expect(200);
    let shares = shares["items"].as_array().unwrap();
    assert_eq!((shares.len(), &shares[0]["subjects"], &shares[0]["mode"]), (1, &json!(["eu.>"]), &json!("read_only")));
    let id = shares[0]["id"].as_str().unwrap();

    let of_buyer = format!("/console/accounts/{buyer}/shares");
    assert!(browser.page(&of_buyer).await.contains("bucket CONFIG"));
    let page = browser.page(&format!("{of_buyer}/{id}")).await;
    assert!(page.contains("maker") && page.contains("Take it up"), "{page}");
    let admin = rig.token(RoleName::AccountAdmin, vec![buyer.parse().unwrap()]).await;
    let partner = Browser::open(&rig, &admin).await;
    let bad = partner.send(&format!("{of_buyer}/{id}/accept"), &[("prefix", "a.*")]).await;
    assert!(bad.status == 422 && bad.text.contains("a.*"), "{}", bad.text);
    let accept = partner.send(&format!("{of_buyer}/{id}/accept"), &[("prefix", "maker.api"), ("inbox", "")]).await;
    assert_eq!(accept.status, 303, "{}", accept.text);
    assert!(partner.page(accept.headers["location"].to_str().unwrap()).await.contains("maker.api"));

    let end = format!("/console/accounts/{maker}/shares/{id}/end");
    assert!(browser.page(&end).await.contains("Imports that stop working"));
    let ended = browser.confirm(&end).await;
    assert_eq!(ended.status, 303, "{}", ended.text);
    assert_eq!(rig.get(&format!("accounts/{buyer}/imports")).await.expect(200)["items"], json!([]));

    let all = [
        ("kind", "stream"),
        ("name", "ORDERS"),
        ("importer", buyer.as_str()),
        ("mode", "read_write"),
        ("subjects", ""),
        ("write_subjects", "in.>"),
        ("accept", "yes"),
    ];
    assert_eq!(browser.send(&new, &all).await.status, 303);
    let shares = rig.get(&format!("accounts/{buyer}/shares")).await.expect(200);
    assert_eq!((&shares["items"][0]["state"], &shares["items"][0]["mode"]), (&json!("accepted"), &json!("read_write")));
    let id = shares["items"][0]["id"].as_str().unwrap();
    assert_eq!(partner.confirm(&format!("{of_buyer}/{id}/end")).await.status, 303, "the partner gives it up");
    let maker_admin = rig.token(RoleName::AccountAdmin, vec![maker.parse().unwrap()]).await;
    let maker_admin = Browser::open(&rig, &maker_admin).await;
    assert_eq!(maker_admin.send(&new, &all).await.status, 403, "nobody takes up for an account that is not theirs");
}

#[tokio::test]
async fn a_connection_is_kicked_after_it_was_shown() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    rig.broker.connect(&account, "U", "", 7);
    let browser = Browser::open(&rig, rig.owner()).await;
    let list = browser.page(&format!("/console/accounts/{account}/connections")).await;
    assert!(list.contains("/console/connections/N1/7/kick"), "{list}");
    let page = browser.page("/console/connections/N1/7/kick").await;
    assert!(page.contains("Connections that end: 1"));
    assert!(rig.broker.kicked.lock().is_empty());
    let got = browser.confirm("/console/connections/N1/7/kick").await;
    assert_eq!(got.headers["location"], format!("/console/accounts/{account}/connections?done=kicked").as_str());
    assert_eq!(*rig.broker.kicked.lock(), [("N1".to_owned(), 7)]);
    assert_eq!(browser.get("/console/connections/N1/8/kick").await.status, 404);
}

#[tokio::test]
async fn the_ledger_is_searched_paged_and_taken_out() {
    let rig = Rig::with_operator().await;
    for number in 0..60 {
        rig.account(&format!("tenant-{number}")).await;
    }
    let browser = Browser::open(&rig, rig.owner()).await;
    let first = browser.page("/console/ledger?kind=account.create").await;
    assert_eq!(first.matches("<td>account.create</td>").count(), 50);
    let (_, rest) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
    let second = browser.page(&next).await;
    assert_eq!(second.matches("<td>account.create</td>").count(), 11, "the filter is kept; SYS is the eleventh");
    assert!(browser.page("/console/ledger?outcome=refused&kind=token.").await.contains("Nothing was found"));
    assert!(browser.page("/console/ledger").await.contains("ledger.search"), "reading is an entry");
    assert!(browser.page("/console/ledger/checkpoint").await.contains("Signed note"));
    let export = browser.get("/console/ledger/export").await;
    assert_eq!(export.headers["content-type"], "application/jsonl");
    assert!(export.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let _refused = console::sign_in(&rig, "cdn_x").await;
    assert!(browser.page("/console/ledger?kind=console.").await.contains("token_malformed"));
    assert!(browser.page("/console/tokens").await.contains("owner"));
    assert_eq!(browser.page("/console/accounts").await.matches("scope=\"row\"").count(), 50, "lists are paged");
}
