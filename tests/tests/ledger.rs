//! Shows that what happened can be proven: every act and every refusal is an entry, brokers' events
//! arrive numbered without gaps, and an export is verified offline down to the entry that was touched.

#![expect(clippy::indexing_slicing, reason = "a story: what fails here is its failure")]

use std::fs;

use cordon_tests::{Serve, wait};
use serde_json::{Value, json};

/// Acts of some kinds, and some refusals.
async fn lively(serve: &Serve) -> String {
    let tenant = serve.tenant("acme").await;
    let user = tenant.user_with(json!({"name": "clerk", "permissions": {"publish": {"deny": ["secret.>"]}}})).await;
    tenant.export("service", "orders").await;
    let mut peer = serve.peer(&user.creds).await;
    peer.refused("PUB secret.plan 1\r\nx\r\n", r#"Permissions Violation for Publish to "secret.plan""#).await;
    serve.api().with_token("cdn_nonsense").get("accounts").await.problem(401, "unauthenticated");
    serve.api().ledger_entry("outcome=refused", |entry| entry["reason"] == "publish_denied").await;
    tenant.key
}

async fn export(serve: &Serve) -> String {
    serve.api().get("ledger/export").await.text
}

#[tokio::test]
async fn every_act_is_an_entry_with_who_what_and_what_came_of_it() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("clerk").await;
    let me = serve.api().get("whoami").await.ok(200);
    let entry = serve.api().ledger_entry("kind=user.create", |entry| entry["object"] == user.key.as_str()).await;
    assert_eq!(entry["actor"]["kind"], "token");
    assert_eq!(entry["actor"]["id"], me["id"]);
    assert_eq!(entry["actor"]["role"], "owner");
    assert_eq!(entry["account"], tenant.key.as_str());
    assert_eq!(entry["outcome"], "done");
    assert_eq!(entry["source_ip"], "127.0.0.1");
    assert!(entry["references"].to_string().contains(user.view["jti"].as_str().unwrap()), "{entry}");
    let of_account = serve.api().list(&format!("ledger/entries?account={}&kind=account.create", tenant.key)).await;
    assert_eq!(of_account.len(), 1, "{of_account:?}");
    assert!(serve.api().list("ledger/entries?kind=no.such.kind").await.is_empty());
}

#[tokio::test]
async fn broker_events_arrive_numbered_without_gaps_and_with_their_reasons() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user_with(json!({"name": "clerk", "permissions": {"publish": {"deny": ["secret.>"]}}})).await;
    let mut feed = serve.peer(&tenant.user("watcher").await.creds).await;
    feed.send("SUB $SYS.ACCOUNT.SECURITY 1\r\n").await;
    feed.fence().await;
    let mut peer = serve.peer(&user.creds).await;
    for number in 0..5 {
        peer.send(format!("PUB secret.{number} 1\r\nx\r\n")).await;
    }
    peer.fence().await;
    for number in 0..5 {
        let entry =
            serve.api().ledger_entry("outcome=refused", |entry| refusal_of(entry, &format!("secret.{number}"))).await;
        assert_eq!(entry["reason"], "publish_denied", "{entry}");
        assert_eq!(entry["account"], tenant.key.as_str(), "{entry}");
    }
    // The tenant hears of its own.
    let heard = feed.through("secret.4").await;
    assert!(heard.contains("publish_denied") && heard.contains(&tenant.key), "{heard}");

    let mut numbers = numbers(&serve).await;
    assert!(numbers.len() >= 5, "{numbers:?}");
    let serve = serve.restart().await;
    let mut peer = serve.peer(&user.creds).await;
    peer.send("PUB secret.after 1\r\nx\r\n").await;
    serve.api().ledger_entry("outcome=refused", |entry| refusal_of(entry, "secret.after")).await;
    numbers = self::numbers(&serve).await;
    let first = numbers[0];
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "no number is missing, kill or not");
}

fn refusal_of(entry: &Value, subject: &str) -> bool {
    entry["object"] == subject
        || entry["references"].to_string().contains(subject)
        || entry["detail"].to_string().contains(subject)
}

/// The numbers of all broker events in the ledger, sorted.
async fn numbers(serve: &Serve) -> Vec<u64> {
    let entries = serve.api().list("ledger/entries").await;
    let mut numbers: Vec<_> = entries.iter().filter_map(|entry| entry["broker_event"]["seq"].as_u64()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn an_export_verifies_offline_and_every_touch_is_named() {
    let serve = Serve::start().await;
    lively(&serve).await;
    let text = export(&serve).await;
    fs::write(serve.folder().join("export.jsonl"), &text).unwrap();
    let key = serve.data("ledger/key.pub").display().to_string();
    let verify = async |name: &str| serve.run(["audit", "verify", name, "--key", &key]).await;
    let done = verify("export.jsonl").await;
    assert!(done.status.success(), "{done:?}");
    assert!(done.stdout.contains("verified"), "{done:?}");

    let lines: Vec<&str> = text.lines().collect();
    let target = lines.iter().position(|line| line.contains("user.create")).unwrap();
    let index = serde_json::from_str::<Value>(lines[target]).unwrap()["index"].as_u64().unwrap();
    let touched = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        change(&mut lines);
        lines.join("\n") + "\n"
    };
    let cases: [(&str, String, &str); 4] = [
        (
            "changed",
            touched(&|lines| lines[target] = lines[target].replace("user.create", "user.delete")),
            "was changed",
        ),
        ("missing", touched(&|lines| drop(lines.remove(target))), "is missing"),
        ("reordered", touched(&|lines| lines.swap(target, target + 1)), "is out of order"),
        ("cut", touched(&|lines| lines.truncate(target)), "was cut off"),
    ];
    for (case, text, told) in cases {
        fs::write(serve.folder().join("touched.jsonl"), text).unwrap();
        let done = verify("touched.jsonl").await;
        assert!(!done.status.success(), "{case}: {done:?}");
        assert!(
            done.stderr.contains(&format!("entry {index}")) && done.stderr.contains(told),
            "{case}: {}",
            done.stderr
        );
    }
}

#[tokio::test]
async fn a_kept_checkpoint_shows_that_the_log_was_not_begun_anew() {
    let (serve, other) = tokio::join!(Serve::start(), Serve::start());
    lively(&serve).await;
    let checkpoint = serve.api().get("ledger/checkpoint").await.ok(200);
    fs::write(serve.folder().join("kept"), checkpoint["note"].as_str().unwrap()).unwrap();
    fs::write(serve.folder().join("key"), checkpoint["key"].as_str().unwrap()).unwrap();
    serve.tenant("later").await;
    fs::write(serve.folder().join("export.jsonl"), export(&serve).await).unwrap();
    fs::write(serve.folder().join("other.jsonl"), export(&other).await).unwrap();
    let verify = async |name: &str| serve.run(["audit", "verify", name, "--checkpoint", "kept", "--key", "key"]).await;
    let done = verify("export.jsonl").await;
    assert!(done.status.success(), "{done:?}");
    let done = verify("other.jsonl").await;
    assert!(!done.status.success(), "{done:?}");
}

#[tokio::test]
async fn an_entry_is_proven_to_be_in_the_log() {
    let serve = Serve::start().await;
    lively(&serve).await;
    let checkpoint = serve.api().get("ledger/checkpoint").await.ok(200);
    let size = checkpoint["size"].as_u64().unwrap();
    let proof = wait::until("a proof of the first entry", async || {
        let answer = serve.api().get(&format!("ledger/proof?index=0&size={size}")).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!(proof["root"], checkpoint["root"], "{proof}");
    let depth = proof["path"].as_array().unwrap().len();
    assert_eq!(depth, size.next_power_of_two().trailing_zeros() as usize, "of {size} entries");
    serve.api().get(&format!("ledger/proof?index={size}&size={size}")).await.problem(422, "invalid");
}
