//! Advisories of NATS as tests: those that are shown best on the whole program, and the page that names the test of each.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a story: what fails here is its failure")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cordon_tests::advisories::{ADVISORIES, TRAPS, markdown};
use cordon_tests::process::{self, Process};
use cordon_tests::wait::{until, within};
use cordon_tests::ways::scene::Scene;
use cordon_tests::ways::site::{Extra, Site, launch};
use cordon_tests::ways::{Way, drive};
use cordon_tests::{Peer, Serve, peer, sources, tls};
use data_encoding::BASE64URL_NOPAD;
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const REFUSED: &str = "-ERR 'Authorization Violation'\r\n";

/// Two tenants of an operator, and a connection of each: who asks, and who is asked about.
async fn two_tenants() -> (Site, Scene, Peer, Peer) {
    let site = Site::operator(Extra::default()).await;
    let mut scene = Scene::of(Way::StreamImport);
    drive::cast(&mut scene, None, Way::Creds);
    site.push(&scene).await;
    let asker = site.connect(&scene, &scene.sender, &scene.home).await.unwrap();
    let away = scene.away.as_ref().unwrap();
    let other = site.connect(&scene, &scene.receiver, away).await.unwrap();
    (site, scene, asker, other)
}

/// Everything that answers a request, by its first answer: one comes always, if only to say that nobody does.
async fn answers(asker: &mut Peer, number: usize, subject: &str, body: &str) -> String {
    asker.send(format!("SUB in.{number} 9\r\nPUB {subject} in.{number} {}\r\n{body}\r\n", body.len())).await;
    let head = asker.through(" 9 ").await;
    let rest = asker.fence().await;
    asker.send("UNSUB 9\r\n").await;
    head + &rest
}

const NO_RESPONDERS: &str = "NATS/1.0 503";

#[tokio::test]
async fn a_tenants_requests_about_others_tell_nothing_of_them() {
    let (_site, scene, mut asker, mut other) = two_tenants().await;
    let (own, foreign) = (scene.home.key(), scene.away.as_ref().unwrap().key());
    other.send("SUB their.secret 1\r\n").await;
    assert_eq!(other.fence().await, "");
    let body =
        json!({"acc": foreign, "account": foreign, "subscriptions": true, "auth": true, "unused": true}).to_string();
    let subjects = [
        "$SYS.REQ.ACCOUNT.PING.CONNZ".to_owned(),
        "$SYS.REQ.SERVER.PING.CONNZ".to_owned(),
        "$SYS.REQ.ACCOUNT.PING.STATZ".to_owned(),
        "$SYS.REQ.USER.INFO".to_owned(),
        format!("$SYS.REQ.USER.{foreign}.INFO"),
        format!("$SYS.REQ.ACCOUNT.{foreign}.CONNZ"),
        format!("$SYS.REQ.ACCOUNT.{foreign}.SUBSZ"),
        format!("$SYS.REQ.ACCOUNT.{foreign}.INFO"),
        format!("$SYS.REQ.ACCOUNT.{foreign}.CONNS"),
        format!("$SYS.REQ.ACCOUNT.{foreign}.CLAIMS.LOOKUP"),
        "$SYS.REQ.ACCOUNT.NSUBS".to_owned(),
        "$SYS.REQ.SERVER.PING".to_owned(),
        "$SYS.REQ.SERVER.PING.SUBSZ".to_owned(),
        "$SYS.REQ.SERVER.PING.ACCOUNTZ".to_owned(),
        "$SYS.REQ.CLAIMS.LIST".to_owned(),
        "$SYS.REQ.CLAIMS.PACK".to_owned(),
        "$JS.API.STREAM.NAMES".to_owned(),
    ];
    let mut of_itself = 0;
    for (number, subject) in subjects.iter().enumerate() {
        let told = answers(&mut asker, number, subject, &body).await;
        if told.contains(NO_RESPONDERS) {
            continue;
        }
        assert!(!told.contains(&foreign.to_string()), "{subject}: {told}");
        assert!(!told.contains("their.secret"), "{subject}: {told}");
        assert!(told.contains(&own.to_string()) || told.contains("error"), "{subject}: {told}");
        of_itself += 1;
    }
    assert_eq!(of_itself, 4, "what a tenant may ask about itself is answered");
}

#[tokio::test]
async fn who_has_no_streams_makes_none_and_is_heard_by_nobody() {
    let (_site, _scene, mut asker, mut other) = two_tenants().await;
    other.send("SUB $JS.> 1\r\nSUB > 2\r\n").await;
    assert_eq!(other.fence().await, "");
    let names = ["INFO", "STREAM.CREATE.S", "STREAM.RESTORE.S", "STREAM.SNAPSHOT.S", "STREAM.RESTORE.../../etc"];
    for (number, name) in names.iter().enumerate() {
        let told = answers(&mut asker, number, &format!("$JS.API.{name}"), r#"{"config":{"name":"T"}}"#).await;
        assert!(told.contains(NO_RESPONDERS) || told.contains("\"err_code\":10039"), "{name}: {told}");
    }
    assert_eq!(other.fence().await, "");
}

#[tokio::test]
async fn what_servers_say_to_each_other_opens_nothing() {
    let (site, scene, _asker, mut other) = two_tenants().await;
    other.send("SUB > 1\r\n").await;
    assert_eq!(other.fence().await, "");
    let lines = [
        "RS+ ACC foo\r\n",
        "RMSG ACC foo 1\r\nx\r\n",
        "A+ ACC\r\n",
        "LS+ foo\r\n",
        "LMSG foo 1\r\nx\r\n",
        "HMSG foo 1 12 13\r\nNATS/1.0\r\n\r\nx\r\n",
        "MSG foo 1 1\r\nx\r\n",
    ];
    let server = r#"{"server_id":"N","name":"leaf","cluster":"c","gateway":"g","import":{},"export":{},"remote_account":"$G","compression":"s2_auto"}"#;
    for line in lines {
        let mut stranger = Peer::open_plain(site.address).await;
        stranger.try_send(line).await;
        assert!(stranger.end().await.starts_with("-ERR '"), "{line}");
        let mut inside = site.connect(&scene, &scene.sender, &scene.home).await.unwrap();
        inside.try_send(line).await;
        assert_eq!(inside.end().await, "-ERR 'Unknown Protocol Operation'\r\n", "{line}");
    }
    for first in [format!("CONNECT {server}\r\n"), format!("INFO {server}\r\nINFO {server}\r\nRS+ ACC foo\r\n")] {
        let mut stranger = Peer::open_plain(site.address).await;
        stranger.try_send(&first).await;
        assert_eq!(stranger.end().await, REFUSED, "{first}");
    }
    assert_eq!(other.fence().await, "");
}

/// What comes back for bytes on a plain socket until it is closed.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut told = Vec::new();
    let _closed_or_reset = within("the broker closes", socket.read_to_end(&mut told)).await;
    String::from_utf8_lossy(&told).into_owned()
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: broker\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

/// CONNECT of MQTT 3.1.1 with a name and a password.
const MQTT: &[u8] = b"\x10\x1a\x00\x04MQTT\x04\xc2\x00\x3c\x00\x04evil\x00\x01u\x00\x01p";

#[tokio::test]
async fn a_websocket_upgrade_opens_nothing() {
    let site = Site::operator(Extra::default()).await;
    let told = exchange(site.address, UPGRADE.as_bytes()).await;
    assert!(told.starts_with("INFO ") && told.ends_with("-ERR 'Authorization Violation'\r\n"), "{told}");
    let serve = Serve::start().await;
    let told = exchange(serve.monitor_address, UPGRADE.as_bytes()).await;
    assert!(told.starts_with("HTTP/1.1 200 "), "the page, and no upgrade: {told}");
    for path in ["ws", "leafnode", "mqtt"] {
        let told =
            exchange(serve.monitor_address, UPGRADE.replacen("GET / ", &format!("GET /{path} "), 1).as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 404 "), "{path}: {told}");
    }
}

#[tokio::test]
async fn mqtt_packets_and_paths_open_nothing() {
    let (site, _scene, _asker, mut other) = two_tenants().await;
    other.send("SUB > 1\r\nSUB $MQTT.> 2\r\n").await;
    assert_eq!(other.fence().await, "");
    for packet in [MQTT, &MQTT[..7], b"\x10\xff\xff\xff\x7f", b"\x82\x08\x00\x01\x00\x03a/b\x00"] {
        let told = exchange(site.address, packet).await;
        assert!(told.ends_with(REFUSED), "{packet:?}: {told}");
    }
    assert_eq!(other.fence().await, "");
}

/// How a TLS handshake with this broker goes, and the one after it with what the first one left.
async fn handshakes(address: SocketAddr, config: Arc<ClientConfig>) -> Vec<HandshakeKind> {
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let (socket, _) = peer::plain(address).await;
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        let mut stream =
            within("a handshake", connector.connect(ServerName::from(address.ip()), socket)).await.unwrap();
        // Tickets come after the handshake, before the answer.
        stream.write_all(b"CONNECT {}\r\nPING\r\n").await.unwrap();
        let mut answer = [0; 16];
        within("an answer", stream.read(&mut answer)).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
    }
    kinds
}

#[tokio::test]
async fn a_tls_session_is_not_resumed_where_certificates_count() {
    let serve = Serve::start().await;
    let asking = tls::trusting(&serve.ca());
    assert_eq!(handshakes(serve.client_address, asking).await, [HandshakeKind::Full, HandshakeKind::Full]);
    // The same client resumes where a certificate says nothing about who it is: it could have, here too.
    let folder = tempfile::tempdir().unwrap();
    for file in ["server.pem", "server.key"] {
        fs::copy(serve.data("tls").join(file), folder.path().join(file)).unwrap();
    }
    let config =
        "listen: \"127.0.0.1:-1\"\ninsecure_no_auth: true\ntls { cert_file: server.pem, key_file: server.key }\n";
    let (_process, address) = launch(&folder, config).await;
    let kinds = handshakes(address, tls::trusting(&serve.ca())).await;
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn keys_of_any_shape_in_connect_end_only_that_connection() {
    let mut scene = Scene::of(Way::Nkey);
    drive::cast(&mut scene, None, Way::Password);
    let configured = Site::configured(&[&scene]).await;
    let operator = Site::operator(Extra::default()).await;
    let key = scene.sender.seed.public().to_string();
    let account = scene.home.seed.public().to_string();
    let short = &key[..key.len() - 8];
    let long = format!("{key}{key}");
    let shapes = [
        "strict: true",
        "U",
        "UA",
        "SUA",
        short,
        &long,
        &key.to_lowercase(),
        &account,
        "ÜÄÖ",
        "\u{0}",
        &"U".repeat(3000),
        "U======",
    ];
    for shape in shapes {
        let mut peer = Peer::open_plain(configured.address).await;
        let fields = json!({"verbose": false, "nkey": shape, "sig": BASE64URL_NOPAD.encode(&[7; 64])});
        peer.try_send(format!("CONNECT {fields}\r\n")).await;
        assert_eq!(peer.end().await, REFUSED, "{shape}");
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = part(json!({"typ": "JWT", "alg": "ed25519-nkey"}));
        for (issuer, subject) in [(shape, &*key), (&*account, shape), (shape, shape)] {
            let claims = part(
                json!({"jti": "j", "iat": 1, "iss": issuer, "sub": subject, "nats": {"type": "user", "version": 2, "issuer_account": shape}}),
            );
            for signature in [vec![], vec![7; 31], vec![0; 64]] {
                let jwt = format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&signature));
                let mut peer = Peer::open_plain(operator.address).await;
                let fields = json!({"verbose": false, "jwt": jwt, "sig": BASE64URL_NOPAD.encode(&signature)});
                peer.try_send(format!("CONNECT {fields}\r\n")).await;
                let told = peer.end().await;
                assert!(told == REFUSED || told == "-ERR 'maximum control line exceeded'\r\n", "{shape}: {told}");
            }
        }
    }
    configured.connect(&scene, &scene.sender, &scene.home).await.expect("the right key still opens");
    assert!(!operator.log().contains("panic") && !configured.log().contains("panic"));
}

#[tokio::test]
async fn extreme_paging_is_answered_everywhere() {
    let serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let mut peer = serve.peer(&tenant.user("any").await.creds).await;
    peer.send("SUB a 1\r\n").await;
    peer.fence().await;
    let numbers = [
        "0",
        "-1",
        "1",
        "2147483647",
        "-2147483648",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1e400",
        "NaN",
        "",
    ];
    for page in ["connz", "subsz", "accountz", "accstatz", "varz", "routez", "gatewayz", "leafz", "jsz", "healthz"] {
        for offset in numbers {
            for limit in ["9223372036854775807", "-1", "0", "18446744073709551615"] {
                let query = format!(
                    "GET /{page}?offset={offset}&limit={limit}&subs=1&cid={offset} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
                );
                let told = exchange(serve.monitor_address, query.as_bytes()).await;
                assert!(told.starts_with("HTTP/1.1 200 ") || told.starts_with("HTTP/1.1 400 "), "{query}{told}");
            }
        }
    }
    for (number, value) in numbers.iter().filter(|value| value.parse::<f64>().is_ok_and(f64::is_finite)).enumerate() {
        for subject in ["$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.STATZ"] {
            let body = format!(r#"{{"offset":{value},"limit":9223372036854775807,"cid":{value}}}"#);
            let told = answers(&mut peer, number, subject, &body).await;
            assert!(!told.contains(NO_RESPONDERS), "{body}: {told}");
        }
    }
    assert!(!serve.process.log().contains("panicked"));
}

#[tokio::test]
async fn no_page_of_monitoring_shows_a_credential_or_the_command_line() {
    const CANARIES: [&str; 4] = ["canary-password", "canary-wrong", "canary-token", "canary-file"];
    let folder = tempfile::tempdir().unwrap();
    let port = process::free_port();
    let config = format!(
        "listen: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:{port}\"\nauthorization {{ users: [{{user: known, password: canary-password}}] }}\n"
    );
    fs::write(folder.path().join("canary-file.conf"), config).unwrap();
    let process = Process::start(folder.path(), "broker.log", ["broker", "-c", "canary-file.conf"], true);
    let address: SocketAddr = until("the broker is ready", async || {
        let log = process.log();
        let line = log.lines().find(|line| line.contains("Listening for client connections on "))?;
        log.contains("Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
    })
    .await;
    let mut inside = Peer::open_plain(address).await;
    inside.send("CONNECT {\"verbose\":false,\"user\":\"known\",\"pass\":\"canary-password\",\"auth_token\":\"canary-token\",\"jwt\":\"canary-token\"}\r\n").await;
    inside.send("SUB a 1\r\n").await;
    assert_eq!(inside.fence().await, "");
    let mut outside = Peer::open_plain(address).await;
    outside.send("CONNECT {\"verbose\":false,\"user\":\"known\",\"pass\":\"canary-wrong\"}\r\n").await;
    assert_eq!(outside.end().await, REFUSED);
    let pages = [
        "",
        "varz",
        "connz?auth=1&subs=detail&state=all",
        "connz?state=closed&auth=1",
        "subsz?subs=1",
        "accountz",
        "accountz?acc=$G",
        "accstatz?unused=1",
        "jsz",
        "healthz",
        "metrics",
        "debug/vars",
        "debug/pprof/cmdline",
    ];
    for page in pages {
        let query = format!("GET /{page} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
        let told = exchange(SocketAddr::from(([127, 0, 0, 1], port)), query.as_bytes()).await;
        assert!(told.starts_with("HTTP/1.1 "), "{page}: {told}");
        assert_eq!(
            told.contains("\"known\""),
            page.contains("state=all"),
            "{page}: the pages are about these connections: {told}"
        );
        for canary in CANARIES {
            assert!(!told.contains(canary), "{page} shows `{canary}`: {told}");
        }
    }
}

#[tokio::test]
async fn no_shape_of_configuration_lets_a_stranger_in_unasked() {
    let shapes = [
        "strict: true",
        "authorization { }",
        "authorization { timeout: 1 }",
        "authorization { users: [] }",
        "authorization { token: \"\" }",
        "authorization { user: \"\", password: \"\" }",
        "authorization { default_permissions { publish: \">\" } }",
        "authorization { user: a, password: b }",
        "accounts { }",
        "accounts { A { } }",
        "accounts { A { users: [] } }",
        "accounts { A { users: [ {user: a, password: b} ] }, B { } }",
        // Without `strict` clients of `$G` are let in, as with nats-server, and the start says so loudly.
        "strict: true\naccounts { SYS { users: [ {user: a, password: b} ] } }\nsystem_account: SYS",
        "authorization { timeout: 1 }\naccounts { SYS { users: [ {user: a, password: b} ] } }\nsystem_account: SYS",
        "strict: true\nsystem_account: SYS",
        "no_auth_user: nobody",
        "accounts { A { users: [ {user: a, password: b} ] } }\nno_auth_user: nobody",
        "insecure_no_auth: false",
    ];
    let mut started = 0;
    for shape in shapes {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("listen: \"127.0.0.1:-1\"\n{shape}\n");
        fs::write(folder.path().join("broker.conf"), &config).unwrap();
        let done = process::run(folder.path(), ["broker", "-c", "broker.conf", "-t"]).await;
        if !done.status.success() {
            continue;
        }
        started += 1;
        let (_process, address) = launch(&folder, &config).await;
        let empty = json!({"verbose": false, "user": "", "pass": "", "auth_token": "", "jwt": "", "nkey": ""});
        for first in [String::new(), "CONNECT {}\r\n".to_owned(), format!("CONNECT {empty}\r\n")] {
            let mut stranger = Peer::open_plain(address).await;
            stranger.try_send(&first).await;
            stranger.try_send("PING\r\n").await;
            assert_eq!(stranger.end().await, REFUSED, "{shape}: {first}");
        }
    }
    assert!(started >= 4, "only {started} of the shapes start at all");
}

#[test]
fn the_page_of_advisories_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/advisories.md");
    if std::env::var_os("CORDON_WRITE_DOCS").is_some() {
        fs::write(&path, markdown()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    assert!(page == markdown(), "docs/advisories.md is not the table: write it with CORDON_WRITE_DOCS=1");
}

#[test]
fn every_advisory_has_tests_that_exist() {
    let sources = sources::all();
    for advisory in ADVISORIES.iter().chain(TRAPS) {
        assert!(!advisory.tests.is_empty(), "{}: no test is named", advisory.id);
        for test in advisory.tests {
            assert!(sources.has_test(test), "{}: no test is called `{test}`", advisory.id);
        }
    }
    let ids: Vec<_> = TRAPS.iter().map(|trap| trap.id.to_owned()).collect();
    let all: Vec<_> = (1..=46).map(|number| format!("T{number}")).collect();
    assert_eq!(ids, all);
}
