//! Shows that nothing answered is lost: while users and accounts are being issued, the process is
//! killed at random moments and started again; every creation that was answered is in the API, in the
//! ledger and, once the broker has caught up, good for a connection.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cordon_tests::{Api, Serve, Tenant};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Kills in one story.
const KILLS: usize = 4;
/// Callers that issue at the same time.
const CALLERS: usize = 4;

/// What was answered with 201.
#[derive(Default)]
struct Answered {
    /// User key and creds, by account.
    users: Vec<(String, String, String)>,
    accounts: Vec<String>,
}

/// Counts answers, and tells when there are enough.
#[derive(Default)]
struct Answers {
    count: AtomicUsize,
    enough_at: AtomicUsize,
    enough: Notify,
}

impl Answers {
    fn one_more(&self) {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.enough_at.load(Ordering::SeqCst) {
            self.enough.notify_one();
        }
    }
}

/// Issues until the API no longer answers.
async fn issue(api: Api, account: String, caller: String, answers: Arc<Answers>) -> Answered {
    let mut answered = Answered::default();
    for number in 0.. {
        let name = format!("{caller}-{number}");
        let is_account = number % 5 == 4;
        let path = if is_account { "accounts".to_owned() } else { format!("accounts/{account}/users") };
        let request = api.request(Method::POST, &path).json(&json!({"name": name}));
        let Ok(answer) = api.try_send(request).await else { break };
        let body = answer.ok(201);
        if is_account {
            answered.accounts.push(body["key"].as_str().unwrap().to_owned());
        } else {
            let user = |field: &str| body["user"][field].as_str().unwrap().to_owned();
            answered.users.push((account.clone(), user("key"), body["creds"].as_str().unwrap().to_owned()));
        }
        answers.one_more();
    }
    answered
}

#[tokio::test]
async fn every_answered_creation_survives_kills_at_random_moments() {
    let seed: u64 = match std::env::var("CORDON_CRASH_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => rand::thread_rng().r#gen(),
    };
    eprintln!("CORDON_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut serve = Serve::start().await;
    let account = serve.tenant("acme").await.key;
    let mut all = Answered::default();
    for round in 0..KILLS {
        let answers = Arc::new(Answers::default());
        answers.enough_at.store(random.gen_range(3..30), Ordering::SeqCst);
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(issue(serve.api(), account.clone(), format!("r{round}c{caller}"), answers.clone()));
        }
        answers.enough.notified().await;
        // Somewhere in the next requests, not right after an answer.
        for _ in 0..random.gen_range(0..2000) {
            tokio::task::yield_now().await;
        }
        serve.process.kill().await;
        while let Some(answered) = callers.join_next().await {
            let answered = answered.unwrap();
            all.users.extend(answered.users);
            all.accounts.extend(answered.accounts);
        }
        serve = serve.restart().await;
    }
    eprintln!("{} users and {} accounts were answered", all.users.len(), all.accounts.len());
    require_all(&serve, &account, &all).await;
}

async fn require_all(serve: &Serve, account: &str, all: &Answered) {
    let api = serve.api();
    api.settle().await;
    let keys = |items: Vec<serde_json::Value>, field: &str| -> HashSet<String> {
        items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
    };
    let users = keys(api.list(&format!("accounts/{account}/users")).await, "key");
    let accounts = keys(api.list("accounts").await, "key");
    let users_in_ledger = keys(api.list("ledger/entries?kind=user.create&outcome=done").await, "object");
    let accounts_in_ledger = keys(api.list("ledger/entries?kind=account.create&outcome=done").await, "account");
    for (_, key, creds) in &all.users {
        assert!(users.contains(key), "user {key} is lost");
        assert!(users_in_ledger.contains(key), "user {key} is not in the ledger");
        assert_eq!(serve.peer(creds).await.fence().await, "");
    }
    for key in &all.accounts {
        assert!(accounts.contains(key), "account {key} is lost");
        assert!(accounts_in_ledger.contains(key), "account {key} is not in the ledger");
        let issued = api.post(&format!("accounts/{key}/users"), &json!({"name": "first"})).await.ok(201);
        assert_eq!(serve.peer(issued["creds"].as_str().unwrap()).await.fence().await, "");
    }
    // State and ledger are written in one: what is in the one is in the other.
    assert_eq!(users.difference(&users_in_ledger).count(), 0);
    assert_eq!(accounts.difference(&accounts_in_ledger).count(), 0);
    let text = api.get("ledger/export").await.text;
    std::fs::write(serve.folder().join("export.jsonl"), text).unwrap();
    let done = serve.run(["audit", "verify", "export.jsonl"]).await;
    assert!(done.status.success(), "{done:?}");
}

#[tokio::test]
async fn clients_and_their_sharing_are_back_after_a_kill() {
    let serve = Serve::start().await;
    let (maker, buyer) = (serve.tenant("maker").await, serve.tenant("buyer").await);
    maker.export("stream", "news").await;
    buyer.import("stream", &maker, "news", "news").await;
    let (publisher, reader) = (maker.user("feed").await, buyer.user("reader").await);
    let revoked = buyer.user("revoked").await;
    buyer.add("revocations", json!({"user": revoked.key})).await;
    let serve = serve.restart().await;
    let mut reading = serve.peer(&reader.creds).await;
    reading.send("SUB news 1\r\n").await;
    reading.fence().await;
    let mut publishing = serve.peer(&publisher.creds).await;
    publishing.send("PUB news 1\r\nx\r\n").await;
    publishing.fence().await;
    assert_eq!(reading.fence().await, "MSG news 1 1\r\nx\r\n");
    let mut peer = serve.stranger().await;
    let connect = cordon_tests::peer::connect_line(&peer.info, &revoked.creds);
    peer.send(connect).await;
    assert_eq!(peer.end().await, "-ERR 'Authorization Violation'\r\n", "a revocation outlives the process");
}

#[tokio::test]
async fn a_library_client_is_back_by_itself_with_its_subscriptions() {
    let serve = Serve::start_to_stay().await;
    let tenant = serve.tenant("acme").await;
    let mut client = serve.client(&tenant.user("service").await.creds).await;
    let mut messages = client.nats.subscribe("news").await.unwrap();
    client.fence().await;
    client.reports("connected").await;
    let serve = serve.restart().await;
    client.reports("disconnected").await;
    client.reports("connected").await;
    client.fence().await;
    let feed = Tenant::of(&serve.api(), &serve.api().get(&format!("accounts/{}", tenant.key)).await.ok(200))
        .user("feed")
        .await;
    let feed = serve.client(&feed.creds).await;
    feed.nats.publish("news", "again".into()).await.unwrap();
    feed.fence().await;
    let message = cordon_tests::wait::within("a message", futures_util::StreamExt::next(&mut messages)).await.unwrap();
    assert_eq!(&message.payload[..], b"again");
}
