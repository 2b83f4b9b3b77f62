//! Shows that account JWTs pushed over NATS count only when a trusted operator signed them, and are
//! refused before they replace anything; and that import cycles are refused.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use cordon_accounts::claims::{AccountClaims, UserClaims};
use cordon_accounts::key::{AccountKey, Role, Seed, UserKey};
use cordon_tests::wait::now;
use cordon_tests::{Client, Serve, Tenant};
use data_encoding::BASE64URL_NOPAD;
use rand::rngs::OsRng;
use serde_json::{Value, json};

async fn ask(system: &Client, subject: String, body: impl Into<bytes::Bytes>) -> Value {
    let answer = system.nats.request(subject, body.into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

async fn stored(system: &Client, tenant: &Tenant) -> String {
    let answer =
        system.nats.request(format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", tenant.key), "".into()).await.unwrap();
    String::from_utf8(answer.payload.to_vec()).unwrap()
}

fn account_jwt(key: AccountKey, signer: &Seed, change: impl FnOnce(&mut AccountClaims)) -> String {
    let mut claims = AccountClaims::new(key);
    "forged".clone_into(&mut claims.name);
    change(&mut claims);
    claims.encode(signer, now() + 10).unwrap()
}

#[tokio::test]
async fn only_a_trusted_operator_can_replace_an_account() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let other = serve.tenant("other").await;
    let mut inside = serve.peer(&tenant.user("any").await.creds).await;
    let system = serve.client(&serve.system_creds()).await;
    let before = stored(&system, &tenant).await;
    assert_eq!(before, tenant.view().await["jwt"].as_str().unwrap());

    let key: AccountKey = tenant.key.parse().unwrap();
    let stranger = Seed::generate(Role::Operator, &mut OsRng);
    let own = Seed::generate(Role::Account, &mut OsRng);
    let parts: Vec<_> = before.split('.').collect();
    let claims = String::from_utf8(BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap()).unwrap();
    let changed = BASE64URL_NOPAD.encode(claims.replace("\"acme\"", "\"evil\"").as_bytes());
    let user_seed = Seed::generate(Role::User, &mut OsRng);
    let user = UserClaims::new(UserKey::try_from(user_seed.public()).unwrap());
    let cases = [
        ("a stranger's operator", account_jwt(key, &stranger, |_| {})),
        ("self-signed", account_jwt(AccountKey::try_from(own.public()).unwrap(), &own, |_| {})),
        ("signed by another account", account_jwt(key, &own, |_| {})),
        ("changed after signing", format!("{}.{changed}.{}", parts[0], parts[2])),
        ("a user's", user.encode(&own, now()).unwrap()),
        ("no token", "hello".to_owned()),
        ("nothing", String::new()),
        ("binary", "\u{0}\u{1}\u{2}.\u{3}.".to_owned()),
    ];
    for (case, jwt) in cases {
        for subject in ["$SYS.REQ.CLAIMS.UPDATE".to_owned(), format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", tenant.key)] {
            let answer = ask(&system, subject, jwt.clone()).await;
            assert_eq!(answer["error"]["code"], 500, "{case}: {answer}");
            assert!(answer.get("data").is_none(), "{case}: {answer}");
            assert!(answer["server"]["name"].as_str().is_some_and(|name| !name.is_empty()), "{case}: {answer}");
        }
        assert_eq!(stored(&system, &tenant).await, before, "{case}");
    }
    // A good token under another account's subject.
    let theirs = other.view().await["jwt"].as_str().unwrap().to_owned();
    let answer = ask(&system, format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", tenant.key), theirs).await;
    assert_eq!(answer["error"]["code"], 500, "{answer}");
    assert_eq!(stored(&system, &tenant).await, before);
    assert_eq!(inside.fence().await, "", "nobody was disturbed");
}

#[tokio::test]
async fn an_older_token_of_the_account_does_not_come_back() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let system = serve.client(&serve.system_creds()).await;
    let old = stored(&system, &tenant).await;
    let user = tenant.user("revoked").await;
    tenant.add("revocations", json!({"user": user.key})).await;
    let new = stored(&system, &tenant).await;
    assert_ne!(old, new);
    let answer = ask(&system, "$SYS.REQ.CLAIMS.UPDATE".to_owned(), old).await;
    assert_eq!(stored(&system, &tenant).await, new, "{answer}");
}

#[tokio::test]
async fn a_cycle_of_imports_is_refused_whoever_closes_it() {
    let serve = Serve::start().await;
    let (a, b, c) = (serve.tenant("a").await, serve.tenant("b").await, serve.tenant("c").await);
    for tenant in [&a, &b, &c] {
        tenant.export("service", "help").await;
        tenant.export("stream", "news").await;
    }
    for kind in ["service", "stream"] {
        let subject = if kind == "service" { "help" } else { "news" };
        a.import(kind, &b, subject, subject).await;
        b.import(kind, &c, subject, subject).await;
        let closing = json!({"kind": kind, "account": a.key, "subject": subject, "local_subject": subject});
        let problem = serve.api().post(&c.path("imports"), &closing).await.problem(422, "import-refused");
        assert!(problem["detail"].as_str().unwrap().contains("cycle"), "{problem}");
    }
    // The chain without the closing link works.
    let asker = serve.client(&a.user("asker").await.creds).await;
    let mut helper = serve.peer(&c.user("helper").await.creds).await;
    helper.send("SUB help 1\r\n").await;
    helper.fence().await;
    let nats = asker.nats.clone();
    let asked = tokio::spawn(async move { nats.request("help", "me".into()).await });
    let request = helper.through("me\r\n").await;
    let reply = request.split(' ').nth(3).unwrap();
    helper.send(format!("PUB {reply} 2\r\nok\r\n")).await;
    assert_eq!(&asked.await.unwrap().unwrap().payload[..], b"ok");
}

#[tokio::test]
async fn a_user_can_ask_who_it_is() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("curious").await;
    let client = serve.client(&user.creds).await;
    let info = ask(&client, "$SYS.REQ.USER.INFO".to_owned(), "").await;
    assert_eq!(info["data"]["user"], user.key.as_str(), "{info}");
    assert_eq!(info["data"]["account"], tenant.key.as_str(), "{info}");
}
