//! Pages over HTTP, as tools fetch them.

use cordon_auth::clock::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::broker::RunningBroker;
use crate::config::{load_text, start};

async fn broker() -> RunningBroker {
    let text = "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nserver_name: n1\n\
                accounts { A { users: [{user: alice, password: \"canary-password\"}] } }";
    start(load_text(text, "t.conf").unwrap(), Clock::system()).await.unwrap()
}

/// A client of account A that holds one subscription and has published once.
async fn client(running: &RunningBroker) -> TcpStream {
    let mut stream = TcpStream::connect(running.client_address).await.unwrap();
    let connect = "CONNECT {\"user\":\"alice\",\"pass\":\"canary-password\",\"verbose\":false,\"lang\":\"test\",\"version\":\"7\",\"name\":\"tool\"}\r\n";
    stream
        .write_all(format!("{connect}SUB some.subject 1\r\nPUB some.subject 2\r\nhi\r\nPING\r\n").as_bytes())
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"PONG\r\n") && !String::from_utf8_lossy(&seen).contains("PONG\r\n") {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    stream
}

async fn raw(running: &RunningBroker, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.monitor_address.unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A peer that resets has said what it had to say.
    let _outcome = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status and body of a page.
async fn fetch(running: &RunningBroker, path: &str) -> (u16, String) {
    let answer = raw(running, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{path}: {answer}"));
    assert!(!head.to_ascii_lowercase().contains("access-control-allow-origin"), "{head}");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn page(running: &RunningBroker, path: &str) -> Value {
    let (status, body) = fetch(running, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"))
}

#[tokio::test]
async fn every_page_is_there_and_requests_are_counted() {
    let running = broker().await;
    for path in [
        "/connz",
        "/subsz",
        "/subscriptionsz",
        "/accountz",
        "/accstatz?unused=1",
        "/routez",
        "/gatewayz",
        "/leafz",
        "/jsz",
        "/healthz",
    ] {
        assert!(page(&running, path).await.is_object(), "{path}");
    }
    let varz = page(&running, "/varz?callback=f").await;
    assert_eq!((varz["server_name"].as_str(), varz["auth_required"].as_bool()), (Some("n1"), Some(true)));
    assert_eq!(varz["port"].as_u64(), Some(u64::from(running.client_address.port())));
    assert_eq!(
        (varz["http_req_stats"]["/varz"].as_u64(), varz["http_req_stats"]["/subsz"].as_u64()),
        (Some(1), Some(2))
    );
    assert_eq!(fetch(&running, "/").await.0, 200);
    assert_eq!(fetch(&running, "/debug/vars").await.0, 404);
    assert_eq!(page(&running, "/healthz").await["status"], "ok");
    assert_eq!(
        (
            page(&running, "/leafz").await["leafs"].as_array().unwrap().len(),
            page(&running, "/jsz").await["disabled"].as_bool()
        ),
        (0, Some(true))
    );
}

#[tokio::test]
async fn integers_are_integers_and_parts_are_objects() {
    let running = broker().await;
    let varz = page(&running, "/varz").await;
    for field in [
        "ping_interval",
        "write_deadline",
        "mem",
        "cores",
        "connections",
        "in_msgs",
        "out_client_bytes",
        "slow_consumers",
        "subscriptions",
        "max_payload",
    ] {
        assert!(varz[field].is_u64(), "{field}: {}", varz[field]);
    }
    for field in
        ["cluster", "gateway", "leaf", "mqtt", "websocket", "jetstream", "slow_consumer_stats", "disk_io_wait_stats"]
    {
        assert!(varz[field].is_object(), "{field}");
    }
    assert!(
        varz["tls_timeout"].is_number() && varz["cpu"].is_number() && varz["uptime"].as_str().unwrap().ends_with('s')
    );
}

#[tokio::test]
async fn connections_are_shown_with_as_much_as_was_asked() {
    let running = broker().await;
    let client = client(&running).await;
    let plain = page(&running, "/connz").await;
    let row = &plain["connections"][0];
    assert_eq!(
        (row["kind"].as_str(), row["type"].as_str(), row["name"].as_str()),
        (Some("Client"), Some("nats"), Some("tool"))
    );
    assert_eq!(
        (row["in_msgs"].as_u64(), row["out_msgs"].as_u64(), row["in_bytes"].as_u64()),
        (Some(1), Some(1), Some(2))
    );
    for absent in ["authorized_user", "account", "jwt", "subscriptions_list", "stop", "reason"] {
        assert!(row.get(absent).is_none(), "{absent}");
    }
    let whole = page(&running, "/connz?auth=1&subs=1&acc=A&user=alice&sort=bytes_to").await;
    let row = &whole["connections"][0];
    assert_eq!((row["authorized_user"].as_str(), row["account"].as_str()), (Some("alice"), Some("A")));
    assert_eq!(row["subscriptions_list"][0], "some.subject");
    let detail = page(&running, "/connz?subs=detail").await;
    assert_eq!(detail["connections"][0]["subscriptions_list_detail"][0]["msgs"], 1);
    for none in [
        "/connz?user=bob",
        "/connz?acc=B",
        "/connz?cid=999",
        "/connz?offset=5",
        "/connz?mqtt_client=m",
        "/connz?state=closed",
    ] {
        assert_eq!(page(&running, none).await["connections"].as_array().unwrap().len(), 0, "{none}");
    }
    assert_eq!(page(&running, "/connz?limit=-1").await["limit"], 1024);
    drop(client);
    // Waits for the connection to be taken off, not for time.
    while running.broker.connections.count() > 0 {
        tokio::task::yield_now().await;
    }
    let closed = page(&running, "/connz?state=closed&sort=stop").await;
    assert_eq!(closed["connections"][0]["reason"], "Client Closed");
    assert!(closed["connections"][0].get("authorized_user").is_none());
}

#[tokio::test]
async fn every_order_is_accepted() {
    let running = broker().await;
    for sort in [
        "cid",
        "start",
        "subs",
        "pending",
        "msgs_to",
        "msgs_from",
        "bytes_to",
        "bytes_from",
        "last",
        "idle",
        "uptime",
        "rtt",
    ] {
        page(&running, &format!("/connz?sort={sort}")).await;
    }
    for sort in ["stop", "reason"] {
        page(&running, &format!("/connz?state=closed&sort={sort}")).await;
    }
}

#[tokio::test]
async fn bad_parameters_are_told_in_a_line() {
    let running = broker().await;
    for path in [
        "/connz?auth=x",
        "/connz?state=bogus",
        "/connz?sort=bogus",
        "/connz?sort=stop",
        "/connz?limit=x",
        "/connz?cid=-1",
        "/subsz?subs=1&test=a.*",
        "/accountz?acc=nope",
        "/accstatz?unused=maybe",
    ] {
        let (status, body) = fetch(&running, path).await;
        assert!(status == 400 && body.ends_with('\n'), "{path}: {status} {body:?}");
    }
}

#[tokio::test]
async fn subscriptions_are_found_by_a_subject() {
    let running = broker().await;
    let _client = client(&running).await;
    let rows = |value: Value| value["subscriptions_list"].as_array().unwrap().len();
    assert_eq!(rows(page(&running, "/subsz?subs=1&test=some.subject").await), 1);
    assert_eq!(rows(page(&running, "/subsz?subs=1&test=other.subject").await), 0);
    let none = page(&running, "/subsz").await;
    assert_eq!((none["total"].as_u64(), rows(none)), (Some(0), 0));
}

#[tokio::test]
async fn no_page_shows_a_password() {
    let running = broker().await;
    let _client = client(&running).await;
    for path in [
        "/varz",
        "/connz?auth=1&subs=detail&state=all",
        "/accountz?acc=A",
        "/accstatz",
        "/subsz?subs=1",
        "/metrics",
        "/",
    ] {
        let (_, body) = fetch(&running, path).await;
        assert!(!body.contains("canary-password"), "{path}");
    }
}

#[tokio::test]
async fn metrics_agree_with_varz_under_the_exporters_names() {
    let running = broker().await;
    let _client = client(&running).await;
    let (status, metrics) = fetch(&running, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "gnatsd_varz_connections{server_id=\"n1\"} 1.0",
        "gnatsd_varz_in_msgs{server_id=\"n1\"} 1.0",
        "gnatsd_healthz_status{server_id=\"n1\"} 0.0",
        "gnatsd_accstatz_received_messages{server_id=\"n1\",account=\"A\",account_id=\"A\"} 1.0",
        "cordon_messages_total{direction=\"received\"} 1",
        "cordon_connections_opened_total 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n") && !metrics.contains("some.subject") && !metrics.contains("alice"));
}

#[tokio::test]
async fn nonsense_and_too_long_requests_do_no_harm() {
    let running = broker().await;
    raw(&running, b"\x16\x03\x01nonsense\r\n\r\n").await;
    let long = format!("GET /varz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    assert!(!raw(&running, long.as_bytes()).await.contains("server_id"));
    page(&running, "/varz").await;
}

#[tokio::test]
async fn a_broker_that_takes_no_more_clients_is_unhealthy() {
    let running = broker().await;
    running.broker.listening.cancel();
    let (status, body) = fetch(&running, "/healthz").await;
    assert_eq!(status, 503);
    assert!(body.contains("unavailable"), "{body}");
}

#[tokio::test]
async fn one_answer_shows_a_bounded_number_of_subscriptions() {
    use crate::monitoring::SUBSCRIPTIONS_SHOWN;

    let running = broker().await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = client(&running).await;
        let more: Vec<String> =
            (2..=SUBSCRIPTIONS_SHOWN / 2 + 100).map(|sid| format!("SUB s.{sid} {sid}\r\n")).collect();
        peer.write_all(format!("{}PING\r\n", more.concat()).as_bytes()).await.unwrap();
        let mut pong = [0; 6];
        while &pong != b"PONG\r\n" {
            peer.read_exact(&mut pong).await.unwrap();
        }
        peers.push(peer);
    }
    let shown = |answer: &Value, list: &str| -> usize {
        let rows = answer["connections"].as_array().unwrap().iter();
        rows.map(|row| row[list].as_array().map_or(0, Vec::len)).sum()
    };
    for (asked, list) in [("1", "subscriptions_list"), ("detail", "subscriptions_list_detail")] {
        assert_eq!(shown(&page(&running, &format!("/connz?subs={asked}")).await, list), SUBSCRIPTIONS_SHOWN);
    }
    let subsz = page(&running, "/subsz?subs=1&limit=10000000").await;
    assert_eq!(subsz["subscriptions_list"].as_array().unwrap().len(), SUBSCRIPTIONS_SHOWN);
    assert_eq!(subsz["total"], SUBSCRIPTIONS_SHOWN + 200);
}

async fn started(text: &str) -> RunningBroker {
    start(load_text(text, "t.conf").unwrap(), Clock::system()).await.unwrap()
}

#[tokio::test]
async fn pages_are_below_the_path_that_is_configured() {
    let running = started("listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nhttp_base_path: \"a/b\"").await;
    assert_eq!(page(&running, "/a/b/varz").await["http_base_path"], "/a/b");
    let (status, body) = fetch(&running, "/a/b").await;
    assert!(status == 200 && body.contains("\"./b/varz\""), "{body}");
    for path in ["/", "/varz", "/a", "/a/bvarz"] {
        assert_eq!(fetch(&running, path).await.0, 404, "{path}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn varz_shows_what_the_configuration_says_of_the_broker() {
    let text = "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nserver_tags: [a, b]\nserver_metadata { zone: z }\n\
                client_advertise: \"nats.example:5\"";
    let running = started(text).await;
    let varz = page(&running, "/varz").await;
    assert_eq!((&varz["tags"][1], &varz["metadata"]["zone"]), (&"b".into(), &"z".into()));
    assert_eq!((&varz["host"], &varz["port"]), (&"nats.example".into(), &5.into()));
    assert!(varz["config_digest"].as_str().unwrap().starts_with("sha256:"), "{varz}");
    running.shutdown().await;
}

#[tokio::test]
async fn closed_connections_are_remembered_up_to_what_is_configured() {
    let text = "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\nmax_closed_clients: 2";
    let running = started(text).await;
    for _ in 0..4 {
        let mut stream = TcpStream::connect(running.client_address).await.unwrap();
        stream.write_all(b"CONNECT {}\r\nNONSENSE\r\n").await.unwrap();
        let _end = stream.read_to_end(&mut Vec::new()).await;
    }
    // The last one may still be on its way to the list.
    let closed = loop {
        let closed = page(&running, "/connz?state=closed&sort=cid").await;
        if closed["connections"].as_array().unwrap().iter().any(|one| one["cid"].as_u64() >= Some(4)) {
            break closed;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(closed["num_connections"], 2, "{closed}");
    running.shutdown().await;
}

#[tokio::test]
async fn monitoring_speaks_tls_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    // Clients must show a certificate; who reads the pages need not.
    let running = started(&format!(
        "listen: \"127.0.0.1:-1\"\nhttps: \"127.0.0.1:-1\"\n\
         tls {{ cert_file: '{0}', key_file: '{1}', ca_file: '{0}', verify: true }}",
        certificate.display(),
        key.display()
    ))
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = builder.with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = TcpStream::connect(running.monitor_address.unwrap()).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /varz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _end = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"http_port\": 0"), "{answer}");
    let plain = raw(&running, b"GET /varz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!plain.contains("200 OK"), "{plain}");
    running.shutdown().await;
}
