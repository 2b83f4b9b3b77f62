//! Services and streams between accounts, statement by statement: requests, answers, cycles, live changes.

#![expect(clippy::indexing_slicing, reason = "tests")]

mod house;
mod support;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::{Export, ExportKind, Import, Mapping, ResponseType, Sampling, ServiceLatency};
use house::{Account, Got, House, ask, expect_quiet, is_nobody};
use support::Peer;

/// An exporter and an importer of one service, and a client of each; the exporter's listens to everything.
fn served(exporter: &Account, importer: &Account) -> (House, Peer, Peer) {
    let house = House::new(&[exporter, importer]);
    let (mut server, client) = (house.join(exporter), house.join(importer));
    server.exchange_only("SUB > 1\r\n", "");
    (house, server, client)
}

fn mapping(subject: &str) -> Vec<Mapping> {
    vec![Mapping { subject: subject.to_owned(), ..Mapping::default() }]
}

fn until_owed(house: &House, exporter: &Account, count: usize) {
    house.broker.until("replies", |broker| {
        broker.tenants.find(&exporter.key().into()).is_some_and(|tenant| tenant.crossings.replies.len() == count)
    });
}

#[test]
fn every_forged_copy_of_the_request_info_is_replaced() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let (_house, mut server, mut client) = served(&exporter, &importer);
    let forged = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"forged\"}\r\nnats-request-info:{\"acc\":\"forged\"}\r\n\
                  Nats-Request-Info : {\"acc\":\"forged\"}\r\nKept: yes\r\nNATS-REQUEST-INFO: {\"acc\":\"forged\"}\r\n\r\n";
    client.exchange_only(format!("HPUB svc in {} {}\r\n{forged}\r\n", forged.len(), forged.len()), "");
    let request = Got::next(&mut server);
    assert_eq!(request.subject, "svc");
    assert!(request.reply.starts_with("_R_."), "{}", request.reply);
    assert_eq!(request.values("Nats-Request-Info"), [format!("{{\"acc\":\"{}\"}}", importer.key())]);
    assert_eq!(request.values("Kept"), ["yes"]);
    assert!(!request.header.join("\n").contains("forged"), "{:?}", request.header);
    // Inside one account, too, nobody can pretend to be another.
    server.exchange_only(
        format!("HPUB own {} {}\r\n{forged}\r\n", forged.len(), forged.len()),
        "HMSG own 1 23 23\r\nNATS/1.0\r\nKept: yes\r\n\r\n\r\n",
    );
}

#[test]
fn the_request_info_tells_more_only_if_the_import_shares() {
    let exporter = Account::new("exporter").exporting(Service, "svc").exporting(Service, "open");
    let mut importer =
        Account::new("importer").importing(Service, &exporter, "svc", "").importing(Service, &exporter, "open", "");
    importer.claims.nats.imports[1].share = true;
    let (_house, mut server, mut client) = served(&exporter, &importer);
    client.exchange_only("PUB svc in 0\r\n\r\nPUB open in 0\r\n\r\n", "");
    let info =
        |request: &Got| serde_json::from_str::<serde_json::Value>(&request.values("Nats-Request-Info")[0]).unwrap();
    let told = info(&Got::next(&mut server));
    let fields: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert!(fields.iter().all(|field| ["acc", "rtt"].contains(&field.as_str())), "{told}");
    let told = info(&Got::next(&mut server));
    assert_eq!(told["acc"], importer.key().to_string());
    for field in ["user", "id", "host", "start", "server", "name_tag"] {
        assert!(told.get(field).is_some(), "{field}: {told}");
    }
}

#[test]
fn an_answer_after_the_threshold_is_dropped() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_threshold = 1_000_000_000;
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let (house, mut server, mut client) = served(&exporter, &importer);
    client.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
    let reply = Got::next(&mut server).reply;
    until_owed(&house, &exporter, 0);
    server.send(format!("PUB {reply} 4\r\nlate\r\n"));
    assert_eq!(Got::next(&mut server).subject, reply);
    expect_quiet(&mut server);
    expect_quiet(&mut client);
}

#[test]
fn requests_without_answers_leave_nothing_behind() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in.* 1\r\n", "");
    let requests = 20_000;
    for batch in 0..20 {
        let lines: Vec<String> =
            (0..requests / 20).map(|number| format!("PUB svc in.{batch}-{number} 0\r\n\r\n")).collect();
        client.send(lines.concat());
        expect_quiet(&mut client);
        server.fenced();
    }
    let tenant = house.tenant(&exporter);
    assert_eq!(tenant.crossings.replies.len(), requests);
    client.send("UNSUB 1\r\n");
    expect_quiet(&mut client);
    until_owed(&house, &exporter, 0);
    // Who goes away without a word leaves nothing either.
    client.send("SUB in 2\r\nPUB svc in 0\r\n\r\n");
    expect_quiet(&mut client);
    assert_eq!(tenant.crossings.replies.len(), 1);
    drop(client);
    until_owed(&house, &exporter, 0);
}

#[test]
fn wildcards_change_places_and_find_back() {
    let exporter = Account::new("exporter").exporting(Service, "q.*.*").exporting(Service, "r.*.*.*");
    let importer = Account::new("importer").importing(Service, &exporter, "q.*.*", "my.$2.$1").importing(
        Service,
        &exporter,
        "r.*.*.*",
        "turn.$2.$3.$1",
    );
    let (_house, mut server, mut client) = served(&exporter, &importer);
    client.exchange_only("PUB my.one.two in 0\r\n\r\nPUB turn.b.c.a in 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut server).subject, "q.two.one");
    assert_eq!(Got::next(&mut server).subject, "r.a.b.c");
}

#[test]
fn mappings_of_both_sides_apply_to_a_request() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc.*");
    exporter.claims.nats.mappings.insert("svc.old".to_owned(), mapping("svc.new"));
    let mut importer = Account::new("importer").importing(Service, &exporter, "svc.*", "");
    importer.claims.nats.mappings.insert("mine".to_owned(), mapping("svc.old"));
    let (_house, mut server, mut client) = served(&exporter, &importer);
    client.exchange_only("PUB mine in 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut server).subject, "svc.new");
    server.expect_nothing();
}

#[test]
fn neither_requests_nor_answers_reach_those_who_import_the_exporters_streams() {
    let exporter = Account::new("exporter").exporting(Service, "svc").exporting(Stream, ">");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let spy = Account::new("spy").importing(Stream, &exporter, ">", "");
    let narrow = Account::new("narrow").importing(Stream, &exporter, "_R_.>", "");
    let house = House::new(&[&exporter, &importer, &spy, &narrow]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    let mut spies = [house.join(&spy), house.join(&narrow)];
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\n", "");
    for spy in &mut spies {
        spy.exchange_only("SUB > 1\r\nSUB _R_.> q 2\r\n", "");
    }
    client.exchange_only("PUB svc in 8\r\nquestion\r\n", "");
    let reply = Got::next(&mut server).reply;
    server.exchange_only(format!("PUB {reply} 6\r\nsecret\r\n"), "");
    client.exchange_only("", "MSG in 1 6\r\nsecret\r\n");
    for spy in &mut spies {
        spy.expect_nothing();
    }
    server.exchange_only("PUB news 1\r\nx\r\n", "");
    spies[0].exchange_only("", "MSG news 1 1\r\nx\r\n");
}

#[test]
fn a_stream_arrives_under_its_prefix_alone() {
    let exporter = Account::new("exporter").exporting(Stream, "news.*");
    let mut importer = Account::new("importer");
    let mut import = Import::new(Stream, exporter.key(), "news.*");
    import.to = "from.exporter".to_owned();
    importer.claims.nats.imports.push(import);
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.exchange_only("SUB from.exporter.> 1\r\nSUB news.* 2\r\n", "");
    source.exchange_only("PUB news.today 1\r\nx\r\n", "");
    reader.exchange_only("", "MSG from.exporter.news.today 1 1\r\nx\r\n");
    reader.exchange_only("PUB from.exporter.news.today 1\r\ny\r\n", "MSG from.exporter.news.today 1 1\r\ny\r\n");
    source.exchange_only("SUB > 1\r\n", "");
}

#[test]
fn interest_in_a_stream_ends_with_the_subscription_and_with_the_connection() {
    let exporter = Account::new("exporter").exporting(Stream, "news");
    let importer = Account::new("importer").importing(Stream, &exporter, "news", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    assert!(is_nobody(&ask(&mut source, "news", "")));
    // Somebody receives, so the publisher is not told that nobody does.
    let received = |source: &mut Peer| source.exchange_only("PUB news in 0\r\n\r\n", "");
    source.exchange_only("SUB in 1\r\n", "");
    reader.exchange_only("SUB news 1\r\n", "");
    received(&mut source);
    reader.exchange_only("UNSUB 1\r\n", "MSG news 1 in 0\r\n\r\n");
    assert!(is_nobody(&ask(&mut source, "news", "")));
    reader.exchange_only("SUB news 2\r\nUNSUB 2 1\r\n", "");
    received(&mut source);
    assert!(is_nobody(&ask(&mut source, "news", "")), "its maximum is reached");
    reader.exchange_only("SUB news 3\r\n", "MSG news 2 in 0\r\n\r\n");
    received(&mut source);
    drop(reader);
    house.broker.until("the reader is gone", |broker| {
        broker.tenants.find(&importer.key().into()).unwrap().connection_count() == 0
    });
    assert!(is_nobody(&ask(&mut source, "news", "")));
}

/// Accounts of which each imports `x` from the next, and the last from the first.
fn ring(kind: ExportKind, length: usize) -> Vec<Account> {
    let mut accounts: Vec<Account> = (0..length).map(|n| Account::new(&format!("N{n}")).exporting(kind, "x")).collect();
    let keys: Vec<_> = accounts.iter().map(Account::key).collect();
    for (number, account) in accounts.iter_mut().enumerate() {
        account.claims.nats.imports.push(Import::new(kind, keys[(number + 1) % length], "x"));
    }
    accounts
}

#[test]
fn cycles_of_one_to_four_accounts_carry_nothing() {
    for kind in [Service, Stream] {
        for length in 1..=4 {
            let accounts = ring(kind, length);
            let house = House::new(&accounts.iter().collect::<Vec<_>>());
            let mut peers: Vec<Peer> = accounts.iter().map(|account| house.join(account)).collect();
            for (peer, account) in peers.iter_mut().zip(&accounts) {
                assert_eq!(house.tenant(account).crossings.refused().len(), 1, "{kind} {length}");
                peer.exchange_only("SUB x 1\r\n", "");
            }
            for number in 0..length {
                peers[number].exchange_only("PUB x in 1\r\no\r\n", "MSG x 1 in 1\r\no\r\n");
                for peer in &mut peers {
                    peer.expect_nothing();
                }
            }
        }
    }
}

#[test]
fn a_cycle_that_closes_and_opens_far_away_is_noticed_by_everybody_on_it() {
    let mut accounts = ring(Service, 4);
    let closing = std::mem::take(&mut accounts[3].claims.nats.imports);
    let house = House::new(&accounts.iter().collect::<Vec<_>>());
    let mut first = house.join(&accounts[0]);
    let mut last = house.join(&accounts[3]);
    last.exchange_only("SUB x 1\r\n", "");
    let in_force = |house: &House| accounts_in_force(house, &ring_keys(&accounts));
    assert_eq!(in_force(&house), [1, 1, 1, 0]);
    first.exchange_only("PUB x in 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut last).subject, "x");
    let mut changed = Account { seed: accounts[3].seed.duplicate(), claims: accounts[3].claims.clone() };
    changed.claims.nats.imports = closing;
    house.push(&changed);
    assert_eq!(in_force(&house), [0, 0, 0, 0]);
    assert!(is_nobody(&ask(&mut first, "x", "")));
    changed.claims.nats.imports.clear();
    house.push(&changed);
    assert_eq!(in_force(&house), [1, 1, 1, 0]);
    first.exchange_only("PUB x in 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut last).subject, "x");
}

fn ring_keys(accounts: &[Account]) -> Vec<cordon_accounts::key::AccountKey> {
    accounts.iter().map(Account::key).collect()
}

fn accounts_in_force(house: &House, keys: &[cordon_accounts::key::AccountKey]) -> Vec<usize> {
    let tenants = &house.broker.running.broker.tenants;
    keys.iter().map(|key| tenants.find(&(*key).into()).map_or(0, |tenant| tenant.crossings.list().len())).collect()
}

#[test]
fn imports_added_and_removed_reach_open_subscriptions() {
    let exporter = Account::new("exporter").exporting(Stream, "news").exporting(Service, "svc");
    let mut importer = Account::new("importer");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.exchange_only("SUB news 1\r\nSUB news q 2\r\n", "");
    source.exchange_only("SUB svc 1\r\nPUB news 1\r\na\r\n", "");
    reader.expect_nothing();
    assert!(is_nobody(&ask(&mut reader, "svc", "")));
    importer = importer.importing(Stream, &exporter, "news", "").importing(Service, &exporter, "svc", "");
    house.push(&importer);
    source.exchange_only("PUB news 1\r\nb\r\n", "");
    let got = String::from_utf8(reader.fenced()).unwrap();
    assert!(got.contains("MSG news 1 1\r\nb\r\n") && got.contains("MSG news 2 1\r\nb\r\n"), "{got}");
    reader.exchange_only("PUB svc in 0\r\n\r\n", "");
    assert_eq!(Got::next(&mut source).subject, "svc");
    importer.claims.nats.imports.clear();
    house.push(&importer);
    source.exchange_only("PUB news 1\r\nc\r\n", "");
    reader.expect_nothing();
    assert!(is_nobody(&ask(&mut reader, "svc", "")));
    // The subscriptions themselves are still there.
    reader.exchange_only("UNSUB 2\r\nPUB news 1\r\nd\r\n", "MSG news 1 1\r\nd\r\n");
}

#[test]
fn an_exporter_that_comes_later_is_found() {
    let exporter = Account::new("exporter").exporting(Stream, "news");
    let importer = Account::new("importer").importing(Stream, &exporter, "news", "");
    let house = House::new(&[&importer]);
    let mut reader = house.join(&importer);
    reader.exchange_only("SUB news 1\r\n", "");
    let refused = house.tenant(&importer).crossings.refused();
    assert_eq!(refused[0].reason.code(), "account_unknown");
    house.push(&exporter);
    let mut source = house.join(&exporter);
    source.exchange_only("PUB news 1\r\nx\r\n", "");
    reader.exchange_only("", "MSG news 1 1\r\nx\r\n");
}

#[test]
fn a_changed_exporter_still_owes_its_answers_and_one_without_the_export_does_not() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc").exporting(Service, "other");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
    let first = Got::next(&mut server).reply;
    exporter.claims.nats.description = "changed".to_owned();
    exporter.claims.nats.exports.pop();
    house.push(&exporter);
    server.exchange_only(format!("PUB {first} 1\r\na\r\n"), "");
    client.exchange_only("PUB svc in 0\r\n\r\n", "MSG in 1 1\r\na\r\n");
    let second = Got::next(&mut server).reply;
    exporter.claims.nats.exports.clear();
    house.push(&exporter);
    server.exchange_only(format!("PUB {second} 1\r\nb\r\n"), "");
    client.expect_nothing();
}

#[test]
fn a_changed_threshold_counts_for_the_next_request() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let (house, mut server, mut client) = served(&exporter, &importer);
    client.exchange_only("SUB in 1\r\n", "");
    exporter.claims.nats.exports[0].response_threshold = 1_000_000_000;
    house.push(&exporter);
    client.exchange_only("PUB svc in 0\r\n\r\n", "");
    Got::next(&mut server);
    assert_eq!(house.tenant(&exporter).crossings.replies.len(), 1);
    until_owed(&house, &exporter, 0);
}

/// An exporter that measures its service, a watcher of the figures, and a client of an importer.
fn measured(sampling: Sampling) -> (House, Peer, Peer, Peer) {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].latency = Some(ServiceLatency { sampling, results: "latency".to_owned() });
    exporter.claims.nats.exports[0].response_threshold = 1_000_000_000;
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut watcher, mut client) = (house.join(&exporter), house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    watcher.exchange_only("SUB latency 1\r\n", "");
    client.exchange_only("SUB in 1\r\n", "");
    (house, server, watcher, client)
}

#[test]
fn a_service_that_answers_nothing_is_reported_as_timed_out() {
    let (_house, _server, mut watcher, mut client) = measured(Sampling::Percent(100));
    client.exchange_only("PUB svc in 0\r\n\r\n", "");
    let report = Got::next(&mut watcher).json();
    assert_eq!(
        (report["status"].as_u64(), report["description"].as_str()),
        (Some(504), Some("Service Timeout")),
        "{report}"
    );
}

#[test]
fn one_percent_is_about_one_in_a_hundred() {
    let (_house, _server, mut watcher, mut client) = measured(Sampling::Percent(1));
    client.send("PUB svc 0\r\n\r\n".repeat(4000));
    client.expect_nothing();
    let reports = String::from_utf8(watcher.fenced()).unwrap().matches("service_latency").count();
    assert!((10..=90).contains(&reports), "{reports} of 4000");
}

#[test]
fn tracing_headers_choose_a_request_and_are_reported() {
    let (_house, _server, mut watcher, mut client) = measured(Sampling::Headers);
    let traced = |flags: &str| {
        let header = format!("NATS/1.0\r\nTraceparent: 00-a-b-{flags}\r\n\r\n");
        format!("HPUB svc {} {}\r\n{header}\r\n", header.len(), header.len())
    };
    client.exchange_only(format!("PUB svc 0\r\n\r\n{}", traced("00")), "");
    watcher.expect_nothing();
    client.exchange_only(traced("01"), "");
    let report = Got::next(&mut watcher).json();
    assert_eq!(report["header"]["Traceparent"][0], "00-a-b-01", "{report}");
    watcher.expect_nothing();
}

#[test]
fn a_stream_of_answers_ends_when_its_requester_does() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_type = ResponseType::Chunked;
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
    let reply = Got::next(&mut server).reply;
    server.exchange_only(format!("PUB {reply} 1\r\na\r\n"), "");
    client.exchange_only("UNSUB 1\r\n", "MSG in 1 1\r\na\r\n");
    server.exchange_only(format!("PUB {reply} 1\r\nb\r\n"), "");
    assert!(house.tenant(&exporter).crossings.replies.is_empty(), "nobody received the second answer");
}

#[test]
fn a_reply_with_wildcards_crosses_no_border() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let (house, mut server, mut client) = served(&exporter, &importer);
    client.send("SUB in.> 1\r\nPUB svc in.* 0\r\n\r\nPUB svc > 0\r\n\r\n");
    assert!(String::from_utf8(client.fenced()).unwrap().contains("NATS/1.0 503"), "nobody takes such a request");
    server.expect_nothing();
    assert!(house.tenant(&exporter).crossings.replies.is_empty());
}

#[test]
fn two_exporters_of_one_name_are_both_asked() {
    let (left, right) =
        (Account::new("left").exporting(Service, "svc"), Account::new("right").exporting(Service, "svc"));
    let importer = Account::new("importer").importing(Service, &left, "svc", "").importing(Service, &right, "svc", "");
    let house = House::new(&[&left, &right, &importer]);
    let (mut one, mut other, mut client) = (house.join(&left), house.join(&right), house.join(&importer));
    one.exchange_only("SUB svc 1\r\n", "");
    other.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
    for (peer, body) in [(&mut one, "l"), (&mut other, "r")] {
        let reply = Got::next(peer).reply;
        peer.exchange_only(format!("PUB {reply} 1\r\n{body}\r\n"), "");
        client.exchange_only("", format!("MSG in 1 1\r\n{body}\r\n"));
    }
}

#[test]
fn traces_stay_in_the_account_that_asked_for_them() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports.push(Export::new(Stream, "news"));
    let importer =
        Account::new("importer").importing(Service, &exporter, "svc", "").importing(Stream, &exporter, "news", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\nSUB traces 2\r\n", "");
    client.exchange_only("SUB news 1\r\nSUB traces 2\r\n", "");
    let traced = |subject: &str, reply: &str| {
        let header = "NATS/1.0\r\nNats-Trace-Dest: traces\r\n\r\n";
        format!("HPUB {subject} {reply} {} {}\r\n{header}\r\n", header.len(), header.len())
    };
    client.send(traced("svc", "in"));
    let own = Got::next(&mut client);
    assert_eq!(own.subject, "traces");
    client.expect_nothing();
    assert_eq!(Got::next(&mut server).subject, "svc");
    server.expect_nothing();
    server.send(traced("news", ""));
    assert_eq!(Got::next(&mut server).subject, "traces");
    server.expect_nothing();
    assert_eq!(Got::next(&mut client).subject, "news");
    client.expect_nothing();
}

#[test]
fn a_stream_of_answers_ends_with_the_import_that_asked_for_it() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_type = ResponseType::Stream;
    let mut importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let other = Account::new("other").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer, &other]);
    let (mut server, mut client, mut bystander) = (house.join(&exporter), house.join(&importer), house.join(&other));
    server.exchange_only("SUB svc 1\r\n", "");
    let replies = [&mut client, &mut bystander].map(|peer| {
        peer.exchange_only("SUB in 1\r\nPUB svc in 0\r\n\r\n", "");
        Got::next(&mut server).reply
    });
    let mut answer = |body: &str| {
        for reply in &replies {
            server.exchange_only(format!("PUB {reply} 1\r\n{body}\r\n"), "");
        }
    };
    answer("a");
    client.exchange_only("", "MSG in 1 1\r\na\r\n");
    bystander.exchange_only("", "MSG in 1 1\r\na\r\n");
    importer.claims.nats.imports.clear();
    house.push(&importer);
    answer("b");
    client.expect_nothing();
    bystander.exchange_only("", "MSG in 1 1\r\nb\r\n");
    // What the exporter closes to everybody ends for those who still import it.
    exporter.claims.nats.exports[0].token_req = true;
    house.push(&exporter);
    answer("c");
    client.expect_nothing();
    bystander.expect_nothing();
}
