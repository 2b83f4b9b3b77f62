//! Shows that no secret leaves where it belongs: a whole story is played with everything logged that
//! can be, with secrets planted in each input, and then logs, answers and files are searched for them.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cordon_accounts::creds::Creds;
use cordon_accounts::key::{Role, Seed};
use cordon_tests::peer::connect_with;
use cordon_tests::{Serve, User};
use rand::rngs::OsRng;
use serde_json::json;

/// Secrets by what they are.
#[derive(Default)]
struct Canaries(BTreeMap<String, String>);

impl Canaries {
    fn plant(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 16, "{what} is too short to be searched for");
        self.0.insert(what.to_owned(), secret.to_owned());
    }

    fn plant_user(&mut self, what: &str, user: &User) {
        let creds = Creds::parse(&user.creds).unwrap();
        self.plant(&format!("seed of {what}"), &creds.seed.to_text());
        self.plant_token(&format!("token of {what}"), &user.jwt);
    }

    /// Of a token the signature is the secret part: the claims may be shown.
    fn plant_token(&mut self, what: &str, jwt: &str) {
        self.plant(what, jwt.rsplit('.').next().unwrap());
    }

    /// The others.
    fn without(&self, what: &[&str]) -> Self {
        let others = self.0.iter().filter(|(planted, _)| !what.contains(&planted.as_str()));
        Self(others.map(|(planted, secret)| (planted.clone(), secret.clone())).collect())
    }

    fn require_absent(&self, place: &str, bytes: &[u8]) {
        for (what, secret) in &self.0 {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} is in {place}");
        }
    }
}

async fn play(serve: &Serve) -> Canaries {
    let mut canaries = Canaries::default();
    let api = serve.api();
    canaries.plant("the owner's token", fs::read_to_string(serve.data("admin-token")).unwrap().trim());
    let system = Creds::parse(&serve.system_creds()).unwrap();
    canaries.plant("seed of the system user", &system.seed.to_text());
    canaries.plant_token("token of the system user", &system.jwt);

    let (maker, buyer) = (serve.tenant("maker").await, serve.tenant("buyer").await);
    let (alice, bob) = (maker.user("alice").await, buyer.user("bob").await);
    canaries.plant_user("alice", &alice);
    canaries.plant_user("bob", &bob);
    let bearer = buyer.user_with(json!({"name": "bearer", "bearer": true})).await;
    canaries.plant_user("a bearer", &bearer);
    let export = maker.add("exports", json!({"kind": "service", "subject": "door", "token_required": true})).await;
    let issued = maker.add("activations", json!({"export": export["id"], "importer": buyer.key})).await;
    canaries.plant_token("an activation", issued["token"].as_str().unwrap());
    let import = json!({"kind": "service", "account": maker.key, "subject": "door", "local_subject": "door", "token": issued["token"]});
    buyer.add("imports", import).await;
    let token = api.post("tokens", &json!({"name": "ci", "role": "auditor"})).await.ok(201);
    canaries.plant("an auditor's token", token["secret"].as_str().unwrap());
    let certificate = api.post("certificates", &json!({"emails": ["a@example.org"]})).await.ok(201);
    canaries.plant("a private key", certificate["private_key_pem"].as_str().unwrap().lines().nth(1).unwrap());
    let operator = Seed::generate(Role::Operator, &mut OsRng);
    canaries.plant("an imported operator's seed", &operator.to_text());
    let imported = json!({"name": "brought", "import": {"identity_seed": operator.to_text().to_string()}});
    api.post("operators", &imported).await.ok(201);

    let mut inside = serve.peer(&alice.creds).await;
    inside.send("SUB door 1\r\nPUB $SYS.REQ.USER.INFO _INBOX.a 0\r\n\r\n").await;
    inside.fence().await;
    let mut other = serve.peer(&bob.creds).await;
    other.send("PUB door 1\r\nx\r\n").await;
    other.fence().await;
    let mut bearing = serve.stranger().await;
    bearing.send(connect_with(json!({"jwt": bearer.jwt}))).await;
    bearing.fence().await;

    let planted = [("user", "pass"), ("token", "auth_token"), ("nkey", "sig"), ("nkey", "jwt"), ("proxy", "proxy_sig")];
    for (index, (who, field)) in planted.into_iter().enumerate() {
        let secret = format!("canary-of-{field}-0123456789-{index}");
        canaries.plant(field, &secret);
        let mut peer = serve.stranger().await;
        peer.send(connect_with(json!({"user": format!("guess-{who}"), field: secret}))).await;
        peer.end().await;
    }
    let guess = "cdn_canary0123456789canary0123456789canary";
    canaries.plant("a guessed API token", guess);
    api.with_token(guess).get("accounts").await.problem(401, "unauthenticated");
    let query = "canary-in-a-query-0123456789";
    api.post("operators", &json!({"name": "bad", "import": {"identity_seed": "SOCANARYCANARYCANARYCANARY"}}))
        .await
        .problem(422, "invalid");
    canaries.plant("a malformed seed", "SOCANARYCANARYCANARYCANARY");
    api.get(&format!("accounts/{query}")).await;
    buyer.add("revocations", json!({"user": bob.key})).await;
    other.end().await;
    canaries
}

#[tokio::test]
async fn secrets_are_in_no_log_no_answer_and_no_file_but_their_own() {
    let mut serve = Serve::start_talkative().await;
    let canaries = play(&serve).await;
    let api = serve.api();
    for path in ["accounts", "operators", "tokens", "certificates", "connections", "brokers", "ledger/entries"] {
        let items = api.get(path).await.ok(200);
        // A private import carries its activation in the account's own claims.
        let shown = without_claims(items);
        canaries.require_absent(path, shown.as_bytes());
    }
    canaries.require_absent("the export of the ledger", api.get("ledger/export").await.text.as_bytes());
    // Monitoring shows with `auth` the tokens of users, as clients of nats-server expect; without the seed
    // they open nothing. Those of bearers do, and are not shown.
    let canaries_of_monitoring = canaries.without(&["token of alice", "token of bob", "token of the system user"]);
    for page in ["varz", "connz?auth=1&subs=1", "connz?state=closed&auth=1", "subsz?subs=1", "healthz"] {
        canaries_of_monitoring.require_absent(page, serve.monitor(page).await.to_string().as_bytes());
    }
    serve.process.signal("TERM");
    serve.process.end().await;
    let log = serve.process.log();
    assert!(log.contains("DBG"), "everything is logged that can be");
    // The owner's token is shown once, on the terminal.
    let log = log.lines().filter(|line| !line.contains("(shown this once)")).collect::<Vec<_>>().join("\n");
    canaries.require_absent("the log", log.as_bytes());
    search(&canaries, &serve.folder().join("data"));
}

/// The text without account claims, which hold the activations of their imports by design.
fn without_claims(items: serde_json::Value) -> String {
    let mut items = items;
    for item in items["items"].as_array_mut().into_iter().flatten() {
        if let Some(fields) = item.as_object_mut() {
            fields.remove("jwt");
        }
    }
    items.to_string()
}

/// Searches every file of the data folder, but those whose purpose is to hold a secret.
fn search(canaries: &Canaries, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "creds" {
                search(canaries, &path);
            }
        } else if name != "admin-token" {
            let mut bytes = fs::read(&path).unwrap();
            if name.starts_with("cordon.db") {
                // User claims are stored, sealed seeds are; seeds and API tokens in clear are not.
                let tokens: Vec<_> =
                    canaries.0.keys().filter(|what| what.starts_with("token of")).map(String::as_str).collect();
                canaries.without(&tokens).without(&["an activation"]).require_absent(&name, &bytes);
                bytes.clear();
            }
            if path.extension().is_some_and(|extension| extension == "jwt") {
                bytes.clear();
            }
            canaries.require_absent(&path.display().to_string(), &bytes);
        }
    }
}
