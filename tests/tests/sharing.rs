//! Shows that two tenants meet where one exports and the other imports: requests and streams cross,
//! and each side sees what it should of the other.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use async_nats::HeaderMap;
use cordon_tests::{Client, Serve, Tenant, wait};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

struct Market {
    serve: Serve,
    maker: Tenant,
    buyer: Tenant,
}

impl Market {
    async fn open() -> Self {
        let serve = Serve::start().await;
        let maker = serve.tenant("maker").await;
        let buyer = serve.tenant("buyer").await;
        Self { serve, maker, buyer }
    }

    async fn client_of(&self, tenant: &Tenant, name: &str) -> Client {
        self.serve.client(&tenant.user(name).await.creds).await
    }
}

/// Answers every request on `subject` with what it saw: subject, reply subject, payload and headers.
async fn echo(client: &Client, subject: &'static str) {
    let mut requests = client.nats.queue_subscribe(subject, "echoes".into()).await.unwrap();
    let nats = client.nats.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let headers: Vec<_> = request
                .headers
                .iter()
                .flat_map(HeaderMap::iter)
                .flat_map(|(name, values)| values.iter().map(move |value| json!([name.to_string(), value.as_str()])))
                .collect();
            let reply = request.reply.expect("a request has a reply subject");
            let seen = json!({
                "subject": request.subject.as_str(),
                "reply": reply.as_str(),
                "payload": String::from_utf8_lossy(&request.payload),
                "headers": headers,
            });
            nats.publish(reply, seen.to_string().into()).await.unwrap();
        }
    });
    client.fence().await;
}

fn values<'a>(seen: &'a Value, header: &str) -> Vec<&'a str> {
    let headers = seen["headers"].as_array().unwrap().iter();
    headers.filter(|pair| pair[0] == header).map(|pair| pair[1].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_request_crosses_and_names_who_asked() {
    let market = Market::open().await;
    market.maker.export("service", "orders.new").await;
    market.maker.export("service", "orders.shared").await;
    market.buyer.import("service", &market.maker, "orders.new", "maker.order").await;
    let sharing = json!({"kind": "service", "account": market.maker.key, "subject": "orders.shared", "local_subject": "maker.shared", "share": true});
    market.buyer.add("imports", sharing).await;
    let exporter = market.client_of(&market.maker, "orders").await;
    echo(&exporter, "orders.*").await;
    let user = market.buyer.user("clerk").await;
    let importer = market.serve.client(&user.creds).await;

    let answer = importer.nats.request("maker.order", "two".into()).await.unwrap();
    assert!(answer.subject.starts_with("_INBOX."), "{}", answer.subject);
    let seen: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(seen["subject"], "orders.new");
    assert_eq!(seen["payload"], "two");
    assert!(!seen["reply"].as_str().unwrap().starts_with("_INBOX."), "the importer's inbox stays its own: {seen}");
    let told: Value = serde_json::from_str(values(&seen, "Nats-Request-Info")[0]).unwrap();
    assert_eq!(told["acc"], market.buyer.key.as_str());
    assert!(told.get("user").is_none() && told.get("host").is_none(), "not shared: {told}");

    let answer = importer.nats.request("maker.shared", "".into()).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.payload).unwrap();
    let told: Value = serde_json::from_str(values(&seen, "Nats-Request-Info")[0]).unwrap();
    assert_eq!(told["acc"], market.buyer.key.as_str());
    assert_eq!(told["user"], user.key.as_str());
    assert_eq!(told["host"], "127.0.0.1");
}

#[tokio::test]
async fn a_forged_request_info_does_not_cross_and_other_headers_do() {
    let market = Market::open().await;
    market.maker.export("service", "orders").await;
    market.buyer.import("service", &market.maker, "orders", "maker.orders").await;
    let exporter = market.client_of(&market.maker, "orders").await;
    echo(&exporter, "orders").await;
    let importer = market.client_of(&market.buyer, "forger").await;

    let mut headers = HeaderMap::new();
    headers.insert("Nats-Request-Info", r#"{"acc":"SYSTEM","user":"root"}"#);
    headers.append("nats-request-info", r#"{"acc":"SYSTEM"}"#);
    headers.insert("Order", "7");
    let answer = importer.nats.request_with_headers("maker.orders", headers, "".into()).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.payload).unwrap();
    let told = values(&seen, "Nats-Request-Info");
    assert_eq!(told.len(), 1, "{seen}");
    assert!(told[0].contains(&market.buyer.key) && !told[0].contains("SYSTEM"), "{seen}");
    assert!(!seen.to_string().contains("SYSTEM"), "{seen}");
    assert_eq!(values(&seen, "Order"), ["7"]);
}

#[tokio::test]
async fn requests_of_an_importer_are_shared_among_the_exporters_queue_group() {
    let market = Market::open().await;
    market.maker.export("service", "work").await;
    market.buyer.import("service", &market.maker, "work", "work").await;
    let (first, second) = (market.client_of(&market.maker, "one").await, market.client_of(&market.maker, "two").await);
    echo(&first, "work").await;
    echo(&second, "work").await;
    let importer = market.client_of(&market.buyer, "clerk").await;
    let mut answers = importer.nats.subscribe("answers").await.unwrap();
    for number in 0..20 {
        importer.nats.publish_with_reply("work", "answers", number.to_string().into()).await.unwrap();
    }
    let mut payloads = Vec::new();
    while payloads.len() < 20 {
        let answer = wait::within("an answer", answers.next()).await.unwrap();
        let seen: Value = serde_json::from_slice(&answer.payload).unwrap();
        payloads.push(seen["payload"].as_str().unwrap().parse::<u32>().unwrap());
    }
    importer.fence().await;
    payloads.sort_unstable();
    assert_eq!(payloads, (0..20).collect::<Vec<_>>(), "each request is answered once");
}

#[tokio::test]
async fn without_a_responder_the_importer_is_told_at_once() {
    let market = Market::open().await;
    market.maker.export("service", "orders").await;
    market.buyer.import("service", &market.maker, "orders", "orders").await;
    let importer = market.client_of(&market.buyer, "clerk").await;
    let error = importer.nats.request("orders", "".into()).await.unwrap_err();
    assert_eq!(error.kind(), async_nats::RequestErrorKind::NoResponders);
}

#[tokio::test]
async fn a_stream_crosses_under_its_local_subject_until_import_or_export_is_gone() {
    let market = Market::open().await;
    let export = market.maker.export("stream", "prices.>").await;
    let import = market.buyer.import("stream", &market.maker, "prices.>", "market.prices.>").await;
    let mut publisher = market.serve.peer(&market.maker.user("feed").await.creds).await;
    let mut gold = market.serve.peer(&market.buyer.user("gold").await.creds).await;
    let mut all = market.serve.peer(&market.buyer.user("all").await.creds).await;
    gold.send("SUB market.prices.gold 1\r\n").await;
    gold.fence().await;
    all.send("SUB > 9\r\n").await;
    all.fence().await;

    publisher.send("PUB prices.gold 4\r\n4055\r\nPUB prices.silver.eu 2\r\n50\r\nPUB other 1\r\nx\r\n").await;
    publisher.fence().await;
    assert_eq!(gold.fence().await, "MSG market.prices.gold 1 4\r\n4055\r\n");
    assert_eq!(all.fence().await, "MSG market.prices.gold 9 4\r\n4055\r\nMSG market.prices.silver.eu 9 2\r\n50\r\n");

    // What the importer publishes there stays with the importer.
    publisher.send("SUB > 1\r\n").await;
    publisher.fence().await;
    all.send("PUB market.prices.gold 1\r\ny\r\n").await;
    assert_eq!(all.fence().await, "MSG market.prices.gold 9 1\r\ny\r\n");
    assert_eq!(publisher.fence().await, "");
    assert_eq!(gold.fence().await, "MSG market.prices.gold 1 1\r\ny\r\n");
    publisher.send("UNSUB 1\r\n").await;

    market.buyer.remove("imports", import["id"].as_str().unwrap()).await;
    publisher.send("PUB prices.gold 1\r\n1\r\n").await;
    publisher.fence().await;
    assert_eq!(gold.fence().await, "", "the import is gone");
    market.buyer.import("stream", &market.maker, "prices.>", "market.prices.>").await;
    publisher.send("PUB prices.gold 1\r\n2\r\n").await;
    publisher.fence().await;
    assert_eq!(
        gold.fence().await,
        "MSG market.prices.gold 1 1\r\n2\r\n",
        "a subscription that stayed sees the new import"
    );

    market.maker.remove("exports", export["id"].as_str().unwrap()).await;
    publisher.send("PUB prices.gold 1\r\n3\r\n").await;
    publisher.fence().await;
    assert_eq!(gold.fence().await, "", "the export is gone");
}

#[tokio::test]
async fn one_queue_group_on_both_sides_of_a_stream_shares_each_message() {
    let market = Market::open().await;
    market.maker.export("stream", "prices").await;
    market.buyer.import("stream", &market.maker, "prices", "market.prices").await;
    let mut ours = market.serve.peer(&market.maker.user("ours").await.creds).await;
    let mut theirs = market.serve.peer(&market.buyer.user("theirs").await.creds).await;
    let mut apart = market.serve.peer(&market.buyer.user("apart").await.creds).await;
    for (peer, subscription) in [
        (&mut ours, "SUB prices q 1\r\n"),
        (&mut theirs, "SUB market.prices q 1\r\n"),
        (&mut apart, "SUB market.prices other 1\r\n"),
    ] {
        peer.send(subscription).await;
        peer.fence().await;
    }
    for _ in 0..100 {
        ours.send("PUB prices 1\r\nx\r\n").await;
    }
    let here = ours.fence().await.matches("MSG prices 1 1\r\nx\r\n").count();
    let there = theirs.fence().await.matches("MSG market.prices 1 1\r\nx\r\n").count();
    assert_eq!(here + there, 100, "{here} here and {there} there");
    assert!(here > 0 && there > 0, "{here} here and {there} there");
    assert_eq!(apart.fence().await.matches("MSG ").count(), 100, "a group of another name is another group");
}

#[tokio::test]
async fn a_dry_run_tells_which_imports_would_break_and_breaks_none() {
    let market = Market::open().await;
    let export = market.maker.export("service", "orders").await;
    market.buyer.import("service", &market.maker, "orders", "maker.orders").await;
    let exporter = market.client_of(&market.maker, "orders").await;
    echo(&exporter, "orders").await;
    let importer = market.client_of(&market.buyer, "clerk").await;

    let path = market.maker.path(&format!("exports/{}?dry_run=true", export["id"].as_str().unwrap()));
    let effect = market.serve.api().delete(&path).await.ok(200);
    assert_eq!(effect["dry_run"], true);
    let broken = effect["imports_broken"].as_array().unwrap();
    assert_eq!(broken.len(), 1, "{effect}");
    assert_eq!(broken[0]["importer"], market.buyer.key.as_str());
    assert_eq!(broken[0]["local_subject"], "maker.orders");
    assert!(importer.nats.request("maker.orders", "".into()).await.is_ok());
}
