//! What crosses between accounts, and what does not: services, streams, replies, queue groups.

mod house;
mod support;

use std::sync::atomic::Ordering;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::ResponseType;
use cordon_server::limits::SOFT_PENDING;
use house::{Account, House};

#[test]
fn the_same_subject_never_crosses_without_an_export() {
    let (a, b) = (Account::new("A"), Account::new("B"));
    let house = House::new(&[&a, &b]);
    let (mut left, mut right) = (house.join(&a), house.join(&b));
    right.send("SUB > 1\r\nSUB foo q 2\r\n");
    right.expect_nothing();
    left.send("PUB foo 1\r\nx\r\nPUB _INBOX.a 1\r\nx\r\n");
    left.expect_nothing();
    right.expect_nothing();
}

#[test]
fn a_request_crosses_with_the_requesters_account_and_its_answer_comes_back() {
    let exporter = Account::new("exporter").exporting(Service, "svc.*");
    let importer = Account::new("importer").importing(Service, &exporter, "svc.*", "my.*");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.send("SUB svc.add 1\r\n");
    server.expect_nothing();
    let forged = "NATS/1.0\r\nA: b\r\nnats-REQUEST-info: {\"acc\":1}\r\n\r\n";
    client.send(format!("SUB inbox 9\r\nHPUB my.add inbox {} {}\r\n{forged}hi\r\n", forged.len(), forged.len() + 2));
    client.expect_nothing();
    let line = server.line();
    let parts: Vec<&str> = line.split(' ').collect();
    assert_eq!((parts[0], parts[1], parts[2]), ("HMSG", "svc.add", "1"), "{line}");
    assert!(parts[3].starts_with("_R_."), "{line}");
    let header: Vec<String> = (0..4).map(|_| server.line()).collect();
    assert_eq!(header[1], format!("Nats-Request-Info: {{\"acc\":\"{}\"}}", importer.key()));
    assert_eq!(header[2], "A: b");
    assert_eq!(server.line(), "hi");
    server.send(format!("PUB {} 3\r\nyes\r\nPUB {} 2\r\nno\r\n", parts[3], parts[3]));
    server.expect_nothing();
    client.expect("MSG inbox 9 3\r\nyes\r\n");
    client.expect_nothing();
    let tenant = house.broker.running.broker.tenants.find(&exporter.key().into()).unwrap();
    assert!(tenant.crossings.replies.is_empty(), "a singleton's way back goes with its answer");
}

#[test]
fn a_stream_of_answers_ends_with_an_empty_one() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_type = ResponseType::Stream;
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.send("SUB svc 1\r\n");
    server.expect_nothing();
    client.send("SUB inbox 9\r\nPUB svc inbox 0\r\n\r\n");
    client.expect_nothing();
    let reply = server.line().split(' ').nth(3).unwrap().to_owned();
    (0..4).for_each(|_| drop(server.line()));
    server.send(format!("PUB {reply} 1\r\na\r\nPUB {reply} 1\r\nb\r\nPUB {reply} 0\r\n\r\nPUB {reply} 1\r\nc\r\n"));
    server.expect_nothing();
    client.expect("MSG inbox 9 1\r\na\r\nMSG inbox 9 1\r\nb\r\nMSG inbox 9 0\r\n\r\n");
    client.expect_nothing();
}

#[test]
fn nobody_at_the_service_means_no_responders() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer]);
    let mut client = house.join(&importer);
    let header = "NATS/1.0 503\r\nNats-Subject: svc\r\n\r\n";
    client.exchange("SUB inbox 9\r\nPUB svc inbox 0\r\n\r\n", format!("HMSG inbox 9 35 35\r\n{header}\r\n"));
}

#[test]
fn nobody_can_answer_in_anothers_place() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let stranger = Account::new("stranger");
    let house = House::new(&[&exporter, &importer, &stranger]);
    let (mut server, mut client, mut thief) = (house.join(&exporter), house.join(&importer), house.join(&stranger));
    server.send("SUB svc 1\r\n");
    server.expect_nothing();
    client.send("SUB inbox 9\r\nPUB svc inbox 0\r\n\r\n");
    client.expect_nothing();
    let reply = server.line().split(' ').nth(3).unwrap().to_owned();
    thief.send(format!("PUB {reply} 1\r\nx\r\n"));
    thief.expect_nothing();
    client.send(format!("PUB {reply} 1\r\nx\r\n"));
    client.expect_nothing();
    thief.exchange(
        "PUB foo _R_.x.y 0\r\n\r\n",
        "-ERR 'Permissions Violation for Publish with Reply of \"_R_.x.y\"'\r\n",
    );
}

#[test]
fn a_stream_reaches_equal_wider_and_narrower_subscriptions_once_each() {
    let exporter = Account::new("exporter").exporting(Stream, "news.*.*");
    let importer = Account::new("importer").importing(Stream, &exporter, "news.*.*", "in.$1.$2");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.send("SUB in.*.* 1\r\nSUB > 2\r\nSUB in.sport.* 3\r\nSUB *.*.uk 4\r\nSUB news.> 5\r\nSUB in.art.x 6\r\n");
    reader.expect_nothing();
    source.send("PUB news.sport.uk 1\r\na\r\n");
    source.expect_nothing();
    reader.send("PING\r\n");
    let mut got: Vec<String> = Vec::new();
    loop {
        let line = reader.line();
        if line == "PONG" {
            break;
        }
        assert_eq!(reader.line(), "a");
        got.push(line);
    }
    got.sort();
    assert_eq!(got, ["MSG in.sport.uk 1 1", "MSG in.sport.uk 2 1", "MSG in.sport.uk 3 1", "MSG in.sport.uk 4 1"]);
    reader.send("PUB in.sport.uk 1\r\nx\r\nUNSUB 1\r\nUNSUB 2\r\nUNSUB 3\r\nUNSUB 4\r\n");
    source.send("SUB news.> 1\r\n");
    source.expect_nothing();
    drop(reader);
    source.exchange("PUB news.sport.uk 1\r\nb\r\n", "MSG news.sport.uk 1 1\r\nb\r\n");
}

#[test]
fn a_publisher_does_not_wait_for_receivers_of_other_accounts() {
    let exporter = Account::new("exporter").exporting(Stream, "news");
    let importer = Account::new("importer").importing(Stream, &exporter, "news", "news");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.send("SUB news 1\r\n");
    reader.expect_nothing();
    let message = format!("PUB news 65536\r\n{}\r\n", "x".repeat(65536));
    for _ in 0..512 {
        source.send(&message);
    }
    source.expect_nothing();
    let broker = &house.broker.running.broker;
    let behind = broker.connections.open().iter().any(|connection| connection.outbound.pending() > SOFT_PENDING);
    assert!(behind, "the reader must be one that would be waited for at home");
    assert_eq!(broker.stalled.load(Ordering::Relaxed), 0);
}

#[test]
fn queue_groups_of_one_name_share_each_message_across_the_border() {
    let exporter = Account::new("exporter").exporting(Stream, "jobs");
    let importer = Account::new("importer").importing(Stream, &exporter, "jobs", "jobs");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut near, mut far) = (house.join(&exporter), house.join(&exporter), house.join(&importer));
    near.send("SUB jobs q 1\r\n");
    near.expect_nothing();
    far.send("SUB jobs q 1\r\n");
    far.expect_nothing();
    for _ in 0..100 {
        source.send("PUB jobs 1\r\nx\r\n");
    }
    source.expect_nothing();
    let count = |peer: &mut support::Peer| String::from_utf8(peer.fenced()).unwrap().matches("MSG jobs").count();
    let (near, far) = (count(&mut near), count(&mut far));
    assert_eq!(near + far, 100);
    assert!(near > 10 && far > 10, "{near} and {far}");
}

#[test]
fn exports_and_imports_change_while_connected() {
    let mut exporter = Account::new("exporter").exporting(Stream, "news").exporting(Service, "svc");
    let importer = Account::new("importer")
        .importing(Stream, &exporter, "news", "news")
        .importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.send("SUB news 1\r\nSUB inbox 2\r\n");
    reader.expect_nothing();
    source.send("PUB news 1\r\na\r\nSUB svc 1\r\n");
    source.expect_nothing();
    reader.expect("MSG news 1 1\r\na\r\n");
    let exports = std::mem::take(&mut exporter.claims.nats.exports);
    house.push(&exporter);
    source.send("PUB news 1\r\nb\r\n");
    source.expect_nothing();
    reader.exchange(
        "PUB svc inbox 0\r\n\r\nPING\r\n",
        "HMSG inbox 2 35 35\r\nNATS/1.0 503\r\nNats-Subject: svc\r\n\r\n\r\nPONG\r\n",
    );
    exporter.claims.nats.exports = exports;
    house.push(&exporter);
    source.send("PUB news 1\r\nc\r\n");
    source.expect_nothing();
    reader.expect("MSG news 1 1\r\nc\r\n");
}

#[test]
fn a_chain_of_services_names_the_first_requester_and_the_account_between() {
    let last = Account::new("last").exporting(Service, "c");
    let middle = Account::new("middle").importing(Service, &last, "c", "b").exporting(Service, "b");
    let first = Account::new("first").importing(Service, &middle, "b", "a");
    let house = House::new(&[&last, &middle, &first]);
    let (mut server, mut client) = (house.join(&last), house.join(&first));
    // The account in between is loaded because the first one imports from it.
    server.send("SUB c 1\r\n");
    server.expect_nothing();
    client.send("SUB inbox 9\r\nPUB a inbox 0\r\n\r\n");
    client.expect_nothing();
    let reply = server.line().split(' ').nth(3).unwrap().to_owned();
    server.line();
    assert_eq!(
        server.line(),
        format!("Nats-Request-Info: {{\"acc\":\"{}\",\"svc\":\"{}\"}}", first.key(), middle.key())
    );
    server.send(format!("PUB {reply} 2\r\nok\r\n"));
    client.expect("MSG inbox 9 2\r\nok\r\n");
}

#[test]
fn import_cycles_are_not_in_force_and_the_broker_stays_responsive() {
    let mut a = Account::new("A").exporting(Service, "x");
    let b = Account::new("B").exporting(Service, "x").importing(Service, &a, "x", "x");
    a = a.importing(Service, &b, "x", "x");
    let house = House::new(&[&a, &b]);
    let (mut left, mut right) = (house.join(&a), house.join(&b));
    left.send("PUB x 0\r\n\r\n");
    left.expect_nothing();
    right.send("PUB x 0\r\n\r\n");
    right.expect_nothing();
    let tenant = house.broker.running.broker.tenants.find(&a.key().into()).unwrap();
    assert!(!tenant.crossings.refused().is_empty());
}

#[test]
fn measured_requests_are_reported_in_the_exporters_account() {
    use cordon_accounts::claims::{Sampling, ServiceLatency};
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    let latency = ServiceLatency { sampling: Sampling::Percent(100), results: "latency".to_owned() };
    exporter.claims.nats.exports[0].latency = Some(latency);
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut watcher, mut client) = (house.join(&exporter), house.join(&exporter), house.join(&importer));
    watcher.send("SUB latency 1\r\n");
    watcher.expect_nothing();
    let report = |watcher: &mut support::Peer| {
        watcher.line();
        serde_json::from_str::<serde_json::Value>(&watcher.line()).unwrap()
    };
    client.exchange(
        "SUB inbox 9\r\nPUB svc inbox 0\r\n\r\n",
        "HMSG inbox 9 35 35\r\nNATS/1.0 503\r\nNats-Subject: svc\r\n\r\n\r\n",
    );
    assert_eq!(report(&mut watcher)["status"], 503);
    server.send("SUB svc 1\r\n");
    server.expect_nothing();
    client.send("PUB svc 0\r\n\r\n");
    assert_eq!(report(&mut watcher)["status"], 400);
    client.send("PUB svc inbox 0\r\n\r\n");
    let mut line = server.line();
    while !line.contains(" _R_.") {
        line = server.line();
    }
    server.send(format!("PUB {} 2\r\nok\r\n", line.split(' ').nth(3).unwrap()));
    client.expect("MSG inbox 9 2\r\nok\r\n");
    let answered = report(&mut watcher);
    assert_eq!(answered["status"], 200, "{answered}");
    assert_eq!(answered["requestor"]["acc"], importer.key().to_string());
    assert!(answered["requestor"].get("user").is_none(), "the import shares nothing: {answered}");
    assert!(answered["responder"]["user"].is_string() && answered["total"].as_u64() > Some(0), "{answered}");
    client.send("PUB svc inbox 0\r\n\r\n");
    client.expect_nothing();
    drop(client);
    assert_eq!(report(&mut watcher)["status"], 408);
}
