//! Shows the admin API's manners over the wire: what is wrong is named by field, who may not is refused
//! and written down, repeats are safe, and nobody overwrites what they have not read.

#![expect(clippy::unreachable, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use cordon_tests::{Serve, Tenant, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn every_wrong_field_is_named() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let api = serve.api();
    let user = |extra: Value| merged(json!({"name": "clerk"}), extra);
    let export = |extra: Value| merged(json!({"kind": "service", "subject": "orders"}), extra);
    let import = |extra: Value| merged(json!({"kind": "service", "account": tenant.key, "subject": "orders"}), extra);
    let long = "x".repeat(10_000);
    let users = tenant.path("users");
    let exports = tenant.path("exports");
    let imports = tenant.path("imports");
    let cases: Vec<(&str, Value, &str)> = vec![
        ("accounts", json!({"name": ""}), "name"),
        ("accounts", json!({"name": long}), "name"),
        ("accounts", json!({"name": 7}), "name"),
        ("accounts", json!({"name": "a\u{0}b"}), "name"),
        ("accounts", json!({"name": "x", "key": "AAAA"}), "key"),
        ("accounts", json!({"name": "x", "key": "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"}), "key"),
        ("accounts", json!({"name": "x", "operator": "nobody"}), "operator"),
        ("accounts", json!({"name": "x", "limits": {"connections": -5}}), "limits.connections"),
        ("accounts", json!({"name": "x", "limits": {"nonsense": 1}}), "limits.nonsense"),
        ("accounts", json!({"name": "x", "expires_at": "tomorrow"}), "expires_at"),
        ("accounts", json!({"name": "x", "mappings": {"a": [{"subject": "b", "weight": 101}]}}), "mappings"),
        ("accounts", json!({"name": "x", "surprise": true}), "surprise"),
        (&users, json!({}), "name"),
        (&users, user(json!({"key": tenant.key})), "key"),
        (&users, user(json!({"signing_key": "nobody"})), "signing_key"),
        (&users, user(json!({"permissions": {"publish": {"allow": ["a..b"]}}})), "permissions"),
        (&users, user(json!({"permissions": {"publish": {"allow": "a"}}})), "permissions"),
        (&users, user(json!({"limits": {"subscriptions": -2}})), "limits"),
        (&users, user(json!({"bearer": "yes"})), "bearer"),
        (&users, user(json!({"connection_types": ["PIGEON"]})), "connection_types"),
        (&users, user(json!({"source_networks": ["10.0.0.0/40"]})), "source_networks"),
        (&users, user(json!({"times": [{"start": "25:00:00", "end": "26:00:00"}]})), "times"),
        (&users, user(json!({"time_zone": "Mars/Base"})), "time_zone"),
        (&users, user(json!({"expires_in_seconds": -1})), "expires_in_seconds"),
        (&users, user(json!({"expires_in_seconds": 1, "expires_at": "2030-01-01T00:00:00Z"})), "expires_"),
        (&exports, json!({"subject": "orders"}), "kind"),
        (&exports, export(json!({"kind": "both"})), "kind"),
        (&exports, export(json!({"subject": "a b"})), "subject"),
        (&exports, export(json!({"kind": "stream", "response_type": "stream"})), "response_type"),
        (&exports, export(json!({"account_token_position": 3})), "account_token_position"),
        (&exports, export(json!({"latency": {"sampling_percent": 101, "results": "x"}})), "latency"),
        (&imports, import(json!({"account": "A"})), "account"),
        (&imports, import(json!({"subject": ""})), "subject"),
        (&imports, import(json!({"local_subject": "a..b"})), "local_subject"),
        ("tokens", json!({"name": "t", "role": "king"}), "role"),
        ("tokens", json!({"name": "t", "role": "account_admin", "accounts": ["nobody"]}), "accounts"),
        ("certificates", json!({"emails": ["not an address"]}), "emails"),
        ("certificates", json!({"csr": "nonsense", "common_name": "x"}), "csr"),
    ];
    let before = api.list("accounts").await.len();
    let mut wrong = Vec::new();
    for (path, body, field) in cases {
        let answer = api.post(path, &body).await;
        let named = answer.body["field"].as_str().unwrap_or_default();
        // What only the finished claims show is told in their words.
        let by_claims = answer.body["type"] == "urn:cordon:problem:claims-invalid";
        if answer.status != 422
            || !(named.starts_with(field) || field.starts_with(named) && !named.is_empty() || by_claims)
        {
            wrong.push(format!("{path} {body:.200} should name `{field}`: {} {}", answer.status, answer.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(api.list("accounts").await.len(), before);
    assert!(api.list(&users).await.is_empty());
}

fn merged(mut base: Value, extra: Value) -> Value {
    base.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    base
}

#[tokio::test]
async fn what_is_no_request_of_this_api_gets_its_own_problem() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let api = serve.api();
    let raw = |path: &str, body: &str, kind: &str| {
        api.request(Method::POST, path).header("content-type", kind).body(body.to_owned())
    };
    api.send(raw("accounts", "{", "application/json")).await.problem(422, "invalid");
    api.send(raw("accounts", "[]", "application/json")).await.problem(422, "invalid");
    api.send(raw("accounts", "\u{0}\u{1}", "application/json")).await.problem(422, "invalid");
    api.send(raw("accounts", r#"{"name":"a"}"#, "text/plain")).await.problem(415, "unsupported-media-type");
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    // On a connection of its own: the server need not read on to keep this one.
    let once = serve.api();
    let request = once.request(Method::POST, "accounts").header("content-type", "application/json").body(large);
    once.send(request).await.problem(413, "body-too-large");
    api.get("nonsense").await.problem(404, "not-found");
    api.get("accounts/nonsense").await.problem(404, "not-found");
    api.get(&tenant.path("users/nonsense")).await.problem(404, "not-found");
    api.send(api.request(Method::PUT, "accounts")).await.problem(405, "method-not-allowed");
    api.get("accounts?limit=0").await.problem(422, "invalid");
    api.get("accounts?limit=many").await.problem(422, "invalid");
    api.post("accounts", &json!({"name": "acme"})).await.problem(409, "conflict");
}

#[tokio::test]
async fn nobody_without_a_good_token_gets_in() {
    let serve = Serve::start().await;
    let api = serve.api();
    let made = api.post("tokens", &json!({"name": "brief", "role": "owner", "expires_in_seconds": 1})).await.ok(201);
    let brief = api.with_token(made["secret"].as_str().unwrap());
    wait::until("the token expires", async || {
        (brief.get("accounts").await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    brief.get("accounts").await.problem(401, "unauthenticated");
    let id = made["token"]["id"].as_str().unwrap();
    let refused = api.ledger_entry("outcome=refused", |entry| entry["reason"] == "token_expired").await;
    assert_eq!(refused["actor"]["id"], id, "{refused}");

    let made = api.post("tokens", &json!({"name": "gone", "role": "owner"})).await.ok(201);
    let gone = api.with_token(made["secret"].as_str().unwrap());
    gone.get("accounts").await.ok(200);
    api.delete(&format!("tokens/{}", made["token"]["id"].as_str().unwrap())).await.ok(204);
    gone.get("accounts").await.problem(401, "unauthenticated");
    for token in ["", "x", "cdn_", "cdn_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"x".repeat(5000)] {
        api.with_token(token).post("accounts", &json!({"name": "x"})).await.problem(401, "unauthenticated");
    }
    assert!(!api.list("accounts").await.iter().any(|account| account["name"] == "x"));
}

#[tokio::test]
async fn a_role_does_what_it_may_and_the_rest_is_refused_and_written_down() {
    let serve = Serve::start().await;
    let (ours, theirs) = (serve.tenant("ours").await, serve.tenant("theirs").await);
    let api = serve.api();
    let mut ids = Vec::new();
    let mut callers = Vec::new();
    for wanted in [
        json!({"name": "audit", "role": "auditor"}),
        json!({"name": "admin", "role": "account_admin", "accounts": [ours.key]}),
        json!({"name": "ops", "role": "operator_admin"}),
    ] {
        let made = api.post("tokens", &wanted).await.ok(201);
        ids.push(made["token"]["id"].as_str().unwrap().to_owned());
        callers.push(api.with_token(made["secret"].as_str().unwrap()));
    }
    let [auditor, admin, operator] = &callers[..] else { unreachable!() };
    let body = json!({"name": "new"});
    for path in
        ["accounts".to_owned(), ours.path("users"), ours.path("suspend"), "tokens".to_owned(), "operators".to_owned()]
    {
        auditor.post(&path, &body).await.problem(403, "forbidden");
    }
    auditor.put(&ours.path("limits"), &json!({})).await.problem(403, "forbidden");
    auditor.delete(&format!("accounts/{}", ours.key)).await.problem(403, "forbidden");
    auditor.delete("connections/1").await.problem(403, "forbidden");
    auditor.get("accounts").await.ok(200);
    auditor.get("ledger/entries").await.ok(200);
    let refused = api
        .ledger_entry(&format!("outcome=refused&actor={}", ids[0]), |entry| entry["object"] == "POST /api/v1/accounts")
        .await;
    assert_eq!(refused["kind"], "api.refused", "{refused}");
    assert_eq!(refused["actor"]["role"], "auditor", "{refused}");
    assert_eq!(refused["reason"], "forbidden", "{refused}");

    let mut victim = serve.peer(&theirs.user("victim").await.creds).await;
    let cid = api.list(&theirs.path("connections")).await[0]["cid"].clone();
    let kick = admin.delete(&format!("connections/{cid}")).await;
    assert!(matches!(kick.status.as_u16(), 403 | 404), "{}", kick.text);
    assert_eq!(victim.fence().await, "");
    admin.post(&ours.path("users"), &body).await.ok(201);
    for answer in [
        admin.post(&theirs.path("users"), &body).await,
        admin.get(&format!("accounts/{}", theirs.key)).await,
        admin.get(&theirs.path("connections")).await,
        admin.post("accounts", &body).await,
        admin.put(&ours.path("limits"), &json!({})).await,
        admin.act(&ours.path("suspend")).await,
        admin.get("tokens").await,
        admin.get("connections").await,
    ] {
        assert!(matches!(answer.status.as_u16(), 403 | 404), "{}: {}", answer.request, answer.text);
    }
    let seen = admin.list("accounts").await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    operator.post("accounts", &json!({"name": "by ops"})).await.ok(201);
    operator.post("tokens", &json!({"name": "t", "role": "owner"})).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_is_answered_and_not_done_again() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let api = serve.api();
    let post = |name: &str| {
        api.request(Method::POST, &tenant.path("users"))
            .header("idempotency-key", "first-try")
            .json(&json!({"name": name}))
    };
    let first = api.send(post("clerk")).await;
    assert!(first.headers.get("idempotency-replayed").is_none());
    let first = first.ok(201);
    let again = api.send(post("clerk")).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let again = again.ok(201);
    assert_eq!(again["user"], first["user"]);
    assert!(first["creds"].is_string() && again["creds"].is_null(), "creds are shown once: {again}");
    assert_eq!(api.list(&tenant.path("users")).await.len(), 1);
    api.send(post("other")).await.problem(409, "idempotency-mismatch");
    // At once, from many.
    let together = (0..8).map(|_| {
        let request =
            api.request(Method::POST, "accounts").header("idempotency-key", "together").json(&json!({"name": "once"}));
        api.send(request)
    });
    let answers = futures_util::future::join_all(together).await;
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)), "{answers:?}");
    assert_eq!(api.list("accounts").await.iter().filter(|account| account["name"] == "once").count(), 1);
}

#[tokio::test]
async fn nobody_overwrites_what_they_have_not_read() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let api = serve.api();
    let path = format!("accounts/{}", tenant.key);
    let patch = |etag: Option<&str>, text: &str| {
        let request = api.request(Method::PATCH, &path).json(&json!({"description": text}));
        if let Some(etag) = etag { request.header("if-match", etag) } else { request }
    };
    let read = api.get(&path).await;
    let etag = read.etag().to_owned();
    api.send(patch(None, "blind")).await.problem(428, "precondition-required");
    api.send(patch(Some("\"v999\""), "guess")).await.problem(412, "precondition-failed");
    api.send(patch(Some("nonsense"), "guess")).await.problem(422, "invalid");
    let changed = api.send(patch(Some(&etag), "mine")).await;
    assert_ne!(changed.etag(), etag);
    assert_eq!(changed.ok(200)["description"], "mine");
    api.send(patch(Some(&etag), "late")).await.problem(412, "precondition-failed");
    let stale = api.request(Method::DELETE, &path).header("if-match", &etag);
    api.send(stale).await.problem(412, "precondition-failed");
    assert_eq!(tenant.view().await["description"], "mine");
}

#[tokio::test]
async fn a_dry_run_shows_the_effect_and_has_none() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("clerk").await;
    let mut peer = serve.peer(&user.creds).await;
    let api = serve.api();
    let before = api.list("ledger/entries?kind=user.delete").await.len();
    let effect = api.delete(&tenant.path(&format!("users/{}?dry_run=true", user.key))).await.ok(200);
    assert_eq!(effect["dry_run"], true);
    assert_eq!(effect["disconnects_known"], true, "{effect}");
    assert_eq!(effect["disconnects"][0]["user"], user.key.as_str(), "{effect}");
    api.act(&tenant.path("suspend?dry_run=true")).await.ok(200);
    api.post("accounts?dry_run=true", &json!({"name": "ghost"})).await.ok(200);
    assert_eq!(peer.fence().await, "");
    assert_eq!(tenant.view().await["state"], "active");
    assert!(!api.list("accounts").await.iter().any(|account| account["name"] == "ghost"));
    assert_eq!(api.list("ledger/entries?kind=user.delete").await.len(), before);
}

#[tokio::test]
async fn lists_come_in_pages_that_miss_nothing() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let api = serve.api();
    for number in 0..7 {
        tenant.user(&format!("user-{number}")).await;
    }
    let mut names = Vec::new();
    let mut next = Some(tenant.path("users?limit=3"));
    while let Some(path) = next {
        let page = api.get(&path).await.ok(200);
        assert!(page["items"].as_array().unwrap().len() <= 3);
        names.extend(page["items"].as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap().to_owned()));
        let cursor = page["next"].as_str().map(cordon_tests::api::escape);
        next = cursor.map(|cursor| tenant.path(&format!("users?limit=3&after={cursor}")));
    }
    names.sort();
    assert_eq!(names, (0..7).map(|number| format!("user-{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_tenant_may_bring_its_own_keys_and_no_seed_is_ever_here() {
    let serve = Serve::start().await;
    let api = serve.api();
    let seed = cordon_accounts::key::Seed::generate(cordon_accounts::key::Role::Account, &mut rand::rngs::OsRng);
    let account = api
        .post("accounts", &json!({"name": "own", "key": seed.public().to_string(), "signing_key": false}))
        .await
        .ok(201);
    assert_eq!(account["key"], seed.public().to_string());
    let tenant = Tenant::of(&api, &account);
    api.post(&tenant.path("users"), &json!({"name": "clerk"})).await.problem(422, "seed-unavailable");
    let key = tenant.add("signing-keys", json!({})).await;
    assert_eq!(key["in_vault"], true);
    let signed = tenant.user_with(json!({"name": "clerk", "signing_key": key["key"]})).await;
    serve.peer(&signed.creds).await;
    let user = cordon_accounts::key::Seed::generate(cordon_accounts::key::Role::User, &mut rand::rngs::OsRng);
    let wanted = json!({"name": "brought", "key": user.public().to_string(), "signing_key": key["key"]});
    let issued = api.post(&tenant.path("users"), &wanted).await.ok(201);
    assert!(issued["creds"].is_null(), "{issued}");
    let creds = cordon_accounts::creds::Creds { jwt: issued["jwt"].as_str().unwrap().to_owned(), seed: user };
    serve.peer(&creds.to_text()).await;
}

#[tokio::test]
async fn the_api_describes_itself() {
    let serve = Serve::start().await;
    let document = serve.api().page("/openapi.json").await.ok(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{} paths", paths.len());
    // Every change that the document knows is refused to a stranger.
    let stranger = serve.api().with_token("cdn_stranger");
    let mut asked = 0;
    for (path, operations) in paths {
        let path = path.strip_prefix("/api/v1/").unwrap_or(path.trim_start_matches('/'));
        let path = path.replace(['{', '}'], "");
        for method in ["post", "put", "patch", "delete"] {
            if operations.get(method).is_some() {
                let request = stranger.request(method.to_uppercase().parse().unwrap(), &path).json(&json!({}));
                let answer = stranger.send(request).await;
                assert!(matches!(answer.status.as_u16(), 401 | 429), "{method} {path}: {}", answer.text);
                asked += 1;
            }
        }
    }
    assert!(asked > 30, "{asked} operations");
}
