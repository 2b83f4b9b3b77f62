//! Shows that a changed account is in force on live connections at once, and only what changed: those
//! whom it does not concern notice nothing.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use cordon_tests::Serve;
use cordon_tests::wait::until;
use serde_json::{Value, json};

#[tokio::test]
async fn default_permissions_reach_those_who_have_none_of_their_own() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let own = json!({"name": "own", "permissions": {"subscribe": {"allow": [">"]}, "publish": {"allow": [">"]}}});
    let mut inherits = serve.peer(&tenant.user("inherits").await.creds).await;
    let mut has_own = serve.peer(&tenant.user_with(own).await.creds).await;
    for peer in [&mut inherits, &mut has_own] {
        peer.send("SUB secret 1\r\nSUB open 2\r\nSUB secret q 3\r\n").await;
        assert_eq!(peer.fence().await, "");
    }
    tenant
        .change(json!({"default_permissions": {"publish": {"allow": ["open"]}, "subscribe": {"deny": ["secret"]}}}))
        .await;
    let mut told: Vec<_> = inherits.fence().await.split_inclusive("\r\n").map(str::to_owned).collect();
    told.sort();
    let plain = "-ERR 'Permissions Violation for Subscription to \"secret\" (sid \"1\")'\r\n";
    let queue = "-ERR 'Permissions Violation for Subscription to \"secret\" using queue \"q\" (sid \"3\")'\r\n";
    assert_eq!(told, [plain, queue]);
    inherits.refused("PUB secret 1\r\nx\r\n", r#"Permissions Violation for Publish to "secret""#).await;
    has_own.send("PUB secret 1\r\nx\r\n").await;
    let got = has_own.fence().await;
    assert!(got.contains("MSG secret 1 1\r\n") && got.contains("MSG secret 3 1\r\n"), "{got}");
    assert_eq!(inherits.fence().await, "");

    tenant.change(json!({"default_permissions": null})).await;
    inherits.send("SUB secret 4\r\nPUB secret 1\r\ny\r\n").await;
    assert_eq!(inherits.fence().await, "MSG secret 4 1\r\ny\r\n", "lifted");
}

#[tokio::test]
async fn mappings_turn_subjects_and_are_taken_away() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut peer = serve.peer(&tenant.user("any").await.creds).await;
    peer.send("SUB > 1\r\nPUB old.a 1\r\nx\r\n").await;
    assert_eq!(peer.fence().await, "MSG old.a 1 1\r\nx\r\n");
    let mappings =
        json!({"old.*": [{"subject": "new.$1", "weight": 100}], "drop.this": [{"subject": "kept", "weight": 0}]});
    tenant.change(json!({"mappings": mappings})).await;
    peer.send("PUB old.a 1\r\nx\r\nPUB other 1\r\ny\r\n").await;
    assert_eq!(peer.fence().await, "MSG new.a 1 1\r\nx\r\nMSG other 1 1\r\ny\r\n");
    tenant.change(json!({"mappings": {}})).await;
    peer.send("PUB old.a 1\r\nx\r\n").await;
    assert_eq!(peer.fence().await, "MSG old.a 1 1\r\nx\r\n");
}

#[tokio::test]
async fn an_account_that_expires_closes_until_it_is_renewed() {
    let serve = Serve::start().await;
    let (tenant, other) = (serve.tenant("brief").await, serve.tenant("other").await);
    let user = tenant.user("any").await;
    let mut inside = serve.peer(&user.creds).await;
    let mut elsewhere = serve.peer(&other.user("any").await.creds).await;
    tenant.change(json!({"expires_at": rfc3339(cordon_tests::wait::now() + 2)})).await;
    assert_eq!(inside.end().await, "-ERR 'Account Authentication Expired'\r\n");
    until("the account has expired for newcomers too", async || {
        let mut peer = serve.stranger().await;
        let connect = cordon_tests::peer::connect_line(&peer.info, &user.creds);
        peer.send(connect).await;
        (peer.end().await == "-ERR 'Authorization Violation'\r\n").then_some(())
    })
    .await;
    assert_eq!(elsewhere.fence().await, "");
    tenant.change(json!({"expires_at": null})).await;
    serve.peer(&user.creds).await;
}

fn rfc3339(at: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(at).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}

#[tokio::test]
async fn a_changed_user_has_a_new_token_for_its_key_and_the_old_one_ends() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("clerk").await;
    let mut old = serve.peer(&user.creds).await;
    let path = tenant.path(&format!("users/{}", user.key));
    let patch = json!({"permissions": {"publish": {"deny": ["secret"]}}});
    let issued = serve.api().patch(&path, &patch).await.ok(200);
    assert_eq!(old.end().await, "-ERR 'User Authentication Revoked'\r\n");
    assert!(issued["creds"].is_null(), "the seed was shown once: {issued}");
    let seed = cordon_accounts::creds::Creds::parse(&user.creds).unwrap().seed;
    let renewed = cordon_accounts::creds::Creds { jwt: issued["jwt"].as_str().unwrap().to_owned(), seed };
    let mut new = serve.peer(&renewed.to_text()).await;
    new.refused("PUB secret 1\r\nx\r\n", r#"Permissions Violation for Publish to "secret""#).await;
}

#[tokio::test]
async fn a_suspended_exporter_is_silent_and_comes_back_without_anyone_connecting_again() {
    let serve = Serve::start().await;
    let (maker, buyer) = (serve.tenant("maker").await, serve.tenant("buyer").await);
    maker.export("service", "help").await;
    maker.export("stream", "news").await;
    buyer.import("service", &maker, "help", "help").await;
    buyer.import("stream", &maker, "news", "news").await;
    let importer = serve.client(&buyer.user("asker").await.creds).await;
    let mut reader = serve.peer(&buyer.user("reader").await.creds).await;
    reader.send("SUB news 1\r\n").await;
    reader.fence().await;
    let user = maker.user("helper").await;
    let mut helper = serve.peer(&user.creds).await;
    helper.send("SUB help 1\r\n").await;
    helper.fence().await;

    maker.act("suspend").await;
    helper.end().await;
    let error = importer.nats.request("help", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders);
    let imports = buyer.view().await["imports"].clone();
    assert!(imports.as_array().is_some_and(|imports| imports.len() == 2), "{imports}");
    assert_eq!(reader.fence().await, "", "the importer itself is not disturbed");

    maker.act("resume").await;
    let mut helper = serve.peer(&user.creds).await;
    helper.send("SUB help 1\r\nPUB news 1\r\nx\r\n").await;
    helper.fence().await;
    assert_eq!(reader.fence().await, "MSG news 1 1\r\nx\r\n");
    let nats = importer.nats.clone();
    let asked = tokio::spawn(async move { nats.request("help", "me".into()).await });
    let request = helper.through("me\r\n").await;
    let reply = request.split(' ').nth(3).unwrap();
    helper.send(format!("PUB {reply} 2\r\nok\r\n")).await;
    assert_eq!(&asked.await.unwrap().unwrap().payload[..], b"ok");
}

#[tokio::test]
async fn a_change_elsewhere_costs_no_connection() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut peer = serve.peer(&tenant.user("any").await.creds).await;
    peer.send("SUB a 1\r\n").await;
    peer.fence().await;
    let changes: [Value; 3] = [
        json!({"description": "changed"}),
        json!({"name": "renamed"}),
        json!({"tags": ["one"], "info_url": "https://example.org"}),
    ];
    for change in changes {
        tenant.change(change).await;
    }
    tenant.export("service", "new").await;
    let other = tenant.user("other").await;
    tenant.add("revocations", json!({"user": other.key})).await;
    peer.send("PUB a 1\r\nx\r\n").await;
    assert_eq!(peer.fence().await, "MSG a 1 1\r\nx\r\n");
}
