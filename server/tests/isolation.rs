//! What one account, or one peer, could do to others: each test is an attack that must come to nothing.

mod house;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cordon_accounts::claims::ExportKind::Service;
use cordon_accounts::claims::{OperatorClaims, ResponseType};
use cordon_accounts::key::{AccountKey, OperatorKey, Role};
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::{AccountLookup, LookupFuture};
use cordon_auth::trust::Trust;
use cordon_server::BrokerOptions;
use cordon_server::tenant::directory::Tenants;
use house::{Account, Got, House, connect_of, expect_quiet};
use support::TestBroker;
use support::tenant::seed;

#[test]
fn an_exporter_cannot_answer_by_an_import_that_is_no_more() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_type = ResponseType::Stream;
    let mut importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let other = Account::new("other").importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer, &other]);
    let (mut server, mut client, mut second) = (house.join(&exporter), house.join(&importer), house.join(&other));
    server.send("SUB svc 1\r\n");
    server.expect_nothing();
    let mut replies = Vec::new();
    for peer in [&mut client, &mut second] {
        peer.send("SUB inbox 9\r\nPUB svc inbox 0\r\n\r\n");
        peer.expect_nothing();
        replies.push(Got::next(&mut server).reply);
        server.send(format!("PUB {} 3\r\none\r\n", replies.last().map_or("", String::as_str)));
        server.expect_nothing();
        peer.expect("MSG inbox 9 3\r\none\r\n");
    }
    importer.claims.nats.imports.clear();
    house.push(&importer);
    for reply in &replies {
        server.send(format!("PUB {reply} 3\r\ntwo\r\n"));
    }
    server.expect_nothing();
    expect_quiet(&mut client);
    second.expect("MSG inbox 9 3\r\ntwo\r\n");
    assert_eq!(house.tenant(&exporter).crossings.replies.len(), 1);
}

#[test]
fn who_asks_cannot_be_hidden_from_a_service_by_the_shape_of_the_header() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.send("SUB svc 1\r\n");
    server.expect_nothing();
    for block in [
        "NATS/1.0\r\n\r\nA: b\r\n\r\n",
        "NATS/1.0\r\nA: b",
        "NATS/1.0",
        "NATS/1.0\rNats-Request-Info: {\"acc\":\"x\"}\r\n\r\n",
        "junk",
    ] {
        client.send(format!("HPUB svc r {} {}\r\n{block}\r\n", block.len(), block.len()));
        client.expect_nothing();
        let got = String::from_utf8(server.fenced()).unwrap();
        let mut lines = got.split("\r\n").skip(1);
        assert_eq!(lines.next(), Some("NATS/1.0"), "{block:?}");
        assert_eq!(lines.next(), Some(&*format!("Nats-Request-Info: {{\"acc\":\"{}\"}}", importer.key())), "{block:?}");
        assert_eq!(got.matches("Nats-Request-Info").count(), 1, "{block:?}");
    }
}

/// A resolver that never answers.
#[derive(Debug)]
struct Silence;

impl AccountLookup for Silence {
    fn account<'a>(&'a self, _: &'a AccountKey, _: i64) -> LookupFuture<'a> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn credentials_that_cannot_be_checked_hold_a_connection_no_longer_than_its_time() {
    let operator = seed(Role::Operator);
    let claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
    let trust =
        Arc::new(Trust::new(vec![claims.sign(&operator, Clock::system().unix_seconds() - 10).unwrap()]).unwrap());
    let mode = Mode::Operator(OperatorMode::new(trust, Arc::new(Silence)));
    let options = BrokerOptions { auth_timeout: Duration::from_millis(300), ..BrokerOptions::default() };
    let broker = TestBroker::start(options, Authenticator::new(mode, Clock::system()), Tenants::new(None, None));
    let account = Account::new("any");
    let begun = Instant::now();
    let mut late = broker.raw();
    late.send(connect_of(&late, &account.user(|_| {})));
    late.expect_end("-ERR 'Authentication Timeout'\r\n");
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(8));
    // Somebody ends it while its credentials are being checked.
    let mut kicked = broker.raw();
    let cid = kicked.info()["client_id"].as_u64().unwrap();
    kicked.send(connect_of(&kicked, &account.user(|_| {})));
    broker.block_on(broker.running.shutdown());
    kicked.expect_end("");
    assert!(broker.running.broker.connections.find(cid).is_none());
}

#[test]
fn no_depth_of_a_subject_ends_the_broker() {
    let broker = TestBroker::tuned(|options| options.max_control_line = 100_000);
    let mut peer = broker.peer();
    let deep = vec!["a"; 40_000].join(".");
    peer.send(format!("SUB {deep} 1\r\nPUB {deep} 0\r\n\r\nUNSUB 1\r\nPING\r\n"));
    let got = String::from_utf8(peer.until("PONG\r\n")).unwrap();
    assert!(got.contains("too many tokens"), "{}", got.len());
    broker.peer().expect_nothing();
}

#[test]
fn a_web_of_imports_does_not_multiply_a_message_without_bound() {
    let bottom = [Account::new("left").exporting(Service, "x"), Account::new("right").exporting(Service, "x")];
    let mut levels = vec![bottom];
    for level in 0..13 {
        let [left, right] = levels.last().unwrap();
        let name = |side: &str| Account::new(&format!("{side}{level}"));
        let above = |side: &str| {
            name(side).exporting(Service, "x").importing(Service, left, "x", "x").importing(Service, right, "x", "x")
        };
        let pair = [above("left"), above("right")];
        levels.push(pair);
    }
    let accounts: Vec<&Account> = levels.iter().flatten().collect();
    let house = House::new(&accounts);
    let (mut server, mut client) = (house.join(&levels[0][0]), house.join(&levels[13][0]));
    server.send("SUB x 1\r\n");
    server.expect_nothing();
    client.send("PUB x 0\r\n\r\n");
    client.expect_nothing();
    let got = String::from_utf8(server.fenced()).unwrap();
    let copies = got.matches("HMSG x 1").count();
    assert!((1..=1024).contains(&copies), "{copies}");
}
