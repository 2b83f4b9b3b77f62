//! Seeds and tokens are shown once, and are in no log, ledger, list, error or store.

use std::io::Write;
use std::sync::Arc;

use cordon_accounts::creds::Creds;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::console::Browser;
use super::{Ask, Rig};
use crate::console::table;

/// Every secret that an answer may show.
fn secrets(answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(creds) = answer["creds"].as_str() {
        found.push(Creds::parse(creds).unwrap().seed.to_text().to_string());
    }
    if let Some(secret) = answer["secret"].as_str() {
        found.push(secret.to_owned());
    }
    if let Some(key) = answer["private_key_pem"].as_str() {
        found.push(key.lines().nth(1).unwrap().to_owned());
    }
    found
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_secret_is_in_the_first_answer_and_nowhere_else() {
    let rig = Rig::with_operator().await;
    let account = rig.account("orders").await;
    let mut planted = Vec::new();
    let users = format!("accounts/{account}/users");
    for (path, body) in [
        (users.as_str(), json!({ "name": "ann" })),
        ("tokens", json!({ "name": "ci", "role": "auditor" })),
        ("certificates", json!({ "common_name": "ann" })),
    ] {
        let send = || {
            let ask = Ask::new("POST", format!("/api/v1/{path}"))
                .token(rig.owner())
                .header("idempotency-key", path.replace('/', "."));
            rig.send(ask.json(&body))
        };
        let first = send().await.expect(201);
        let shown = secrets(&first);
        assert_eq!(shown.len(), 1, "{path}");
        let repeated = send().await;
        assert_eq!(repeated.headers["idempotency-replayed"], "true");
        assert!(secrets(&repeated.json()).is_empty(), "{path}");
        planted.extend(shown);
    }
    let user = rig.get(&users).await.expect(200)["items"][0]["key"].as_str().unwrap().to_owned();
    let rotated = rig.post(&format!("{users}/{user}/creds"), json!({ "rotate_key": true })).await.expect(201);
    planted.extend(secrets(&rotated));
    let extended =
        rig.post(&format!("{users}/{}/creds", rotated["user"]["key"].as_str().unwrap()), json!({})).await.expect(201);
    assert_eq!(extended["creds"], Value::Null);
    assert_eq!(planted.len(), 4);

    let mut everything = String::new();
    let account_path = format!("accounts/{account}");
    for path in [
        users.as_str(),
        "tokens",
        "certificates",
        "ledger/export",
        "ledger/entries",
        "operators",
        "accounts",
        "brokers",
        &account_path,
    ] {
        everything.push_str(&rig.get(path).await.text);
    }
    let browser = Browser::open(&rig, rig.owner()).await;
    let new = format!("/console/accounts/{account}/users/new");
    let issued = browser.send(&new, &[("name", "bob"), ("once", "k1")]).await.text;
    let (_, shown) = issued.split_once("readonly spellcheck=\"false\" autocomplete=\"off\">").unwrap();
    planted.push(Creds::parse(shown.split("</textarea>").next().unwrap()).unwrap().seed.to_text().to_string());
    planted.push(browser.cookie.split('=').nth(1).unwrap().to_owned());
    everything.push_str(&browser.send(&new, &[("name", "bob"), ("once", "k1")]).await.text);
    let user = rig.get(&users).await.expect(200)["items"][0]["key"].as_str().unwrap().to_owned();
    for page in table().into_iter().filter(|route| route.method == "GET") {
        let path = page.path.replace("{account}", &account).replace("{user}", &user);
        let got = browser.get(&path.replace("{share}", "x").replace("{server}", "N1").replace("{cid}", "1")).await;
        everything.extend(got.headers.values().filter_map(|value| value.to_str().ok()));
        everything.push_str(&got.text);
    }
    planted.push(rig.owner().to_owned());
    for secret in &planted {
        assert!(!everything.contains(secret.as_str()));
    }
    let database = std::fs::read(rig.folder.path().join("cordon.db")).unwrap();
    let wal = std::fs::read(rig.folder.path().join("cordon.db-wal")).unwrap_or_default();
    for secret in &planted {
        let inside = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!inside(&database) && !inside(&wal));
    }
}

#[test]
fn nothing_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let seed =
        cordon_accounts::key::Seed::from_raw(cordon_accounts::key::Role::Operator, [5; 32]).to_text().to_string();
    // For all threads: the database works on its own.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let secrets = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rig = Rig::new().await;
            let bad_seed = seed.replace("SO", "SA");
            rig.post("operators", json!({ "name": "a", "import": { "identity_seed": bad_seed } })).await.expect(422);
            rig.post("operators", json!({ "name": "a", "import": { "identity_seed": seed } })).await.expect(201);
            let account = rig.account("orders").await;
            let issued = rig.post(&format!("accounts/{account}/users"), json!({ "name": "ann" })).await.expect(201);
            let browser = Browser::open(&rig, rig.owner()).await;
            let page = browser.page("/console/accounts").await;
            rig.push().await;
            let mut planted = secrets(&issued);
            planted.extend([seed.clone(), bad_seed, rig.owner().to_owned()]);
            planted.push(browser.cookie.split('=').nth(1).unwrap().to_owned());
            planted.push(super::console::hidden(&page, "form_token"));
            planted
        })
    };
    let text = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(text.contains("answered"), "the log was not caught");
    for secret in secrets {
        assert!(!text.contains(&secret), "a secret of {} bytes was logged", secret.len());
    }
}

#[tokio::test]
async fn an_error_never_repeats_a_seed() {
    let rig = Rig::new().await;
    let seed = cordon_accounts::key::Seed::from_raw(cordon_accounts::key::Role::Account, [5; 32]).to_text().to_string();
    let got = rig.post("operators", json!({ "name": "a", "import": { "identity_seed": seed } })).await;
    assert_eq!(got.status.as_u16(), 422);
    assert!(!got.text.contains(&seed));
}
