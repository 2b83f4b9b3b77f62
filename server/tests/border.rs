//! The border, check by check: each of these fails when the one check that it names is switched off.

mod house;
mod support;

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::ResponseType;
use cordon_auth::clock::Clock;
use cordon_server::Broker;
use cordon_server::routing::match_set::MatchSet;
use cordon_server::routing::{Batch, Message, route};
use house::{Account, Got, House, expect_quiet};
use support::Peer;

fn now() -> i64 {
    Clock::system().unix_seconds()
}

/// Messages received of all accounts.
fn received(broker: &Broker) -> u64 {
    broker.tenants.traffic().in_messages
}

/// Asks on `subject`, to be answered on `in`; gives the reply subject that the server sees.
fn asked(client: &mut Peer, server: &mut Peer, subject: &str) -> String {
    client.send(format!("PUB {subject} in 0\r\n\r\n"));
    expect_quiet(client);
    Got::next(server).reply
}

#[test]
fn interest_that_crossed_goes_with_its_subscription() {
    let exporter = Account::new("exporter").exporting(Stream, "news");
    let importer = Account::new("importer").importing(Stream, &exporter, "news", "");
    let house = House::new(&[&exporter, &importer]);
    let mut reader = house.join(&importer);
    let interest = || house.tenant(&exporter).interest.len();
    let before = interest();
    reader.exchange_only("SUB news 1\r\nSUB other 2\r\n", "");
    assert_eq!(interest(), before + 1, "only what overlaps the import crosses");
    reader.exchange_only("UNSUB 1\r\n", "");
    assert_eq!(interest(), before, "nothing is left behind in the exporter");
    reader.exchange_only("SUB news 3\r\n", "");
    drop(reader);
    house.broker.until("the shadow is gone", |broker| {
        broker.tenants.find(&exporter.key().into()).unwrap().interest.len() == before
    });
}

#[test]
fn an_answer_carries_no_reply_subject_of_the_exporter() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\n", "");
    let reply = asked(&mut client, &mut server, "svc");
    server.exchange_only(format!("PUB {reply} inside.of.exporter 1\r\na\r\n"), "");
    client.exchange_only("", "MSG in 1 1\r\na\r\n");
}

/// Sends as a stream does: routed by one subject, shown with another, to be acknowledged on its reply subject.
fn deliver(house: &House, account: &Account, to: &str, shown: &str, reply: &str) {
    let tenant = house.tenant(account);
    let mut set = MatchSet::default();
    tenant.interest.matches(to.as_bytes(), &mut set);
    let message = Message::of_broker(to.as_bytes(), reply.as_bytes(), 0, b"x");
    let message = if shown.is_empty() { message } else { Message { shown: shown.as_bytes(), ..message } };
    assert_eq!(route(&set, &message, &mut Batch::new(1)), 1, "{to}");
}

#[test]
fn what_a_stream_delivers_shows_its_own_subject_and_is_acknowledged_across_accounts() {
    let exporter = Account::new("exporter").exporting(Service, "next").exporting(Stream, "deliver.>");
    let importer = Account::new("importer").importing(Service, &exporter, "next", "").importing(
        Stream,
        &exporter,
        "deliver.>",
        "",
    );
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB next 1\r\n", "");
    client.exchange_only("SUB in 1\r\nSUB deliver.a 2\r\n", "");
    let ack = "$JS.ACK.S.c.1.1.1.1.0";
    deliver(&house, &exporter, "deliver.a", "orders.new", ack);
    client.exchange_only("", format!("MSG orders.new 2 {ack} 1\r\nx\r\n"));
    deliver(&house, &exporter, "deliver.a", "", "");
    client.exchange_only("", "MSG deliver.a 2 1\r\nx\r\n");
    for (shown, reply, seen) in [
        ("orders.new", ack, format!("orders.new 1 {ack} 1")),
        ("", "", "in 1 1".to_owned()),
        ("", "inside", "in 1 1".to_owned()),
    ] {
        let asked = asked(&mut client, &mut server, "next");
        deliver(&house, &exporter, &asked, shown, reply);
        client.exchange_only("", format!("MSG {seen}\r\nx\r\n"));
    }
}

#[test]
fn answers_do_not_reach_those_who_import_the_requesters_streams() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "").exporting(Stream, "in");
    let spy = Account::new("spy").importing(Stream, &importer, "in", "");
    let house = House::new(&[&exporter, &importer, &spy]);
    let (mut server, mut client, mut listener) = (house.join(&exporter), house.join(&importer), house.join(&spy));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\n", "");
    listener.exchange_only("SUB in 1\r\n", "");
    let reply = asked(&mut client, &mut server, "svc");
    server.exchange_only(format!("PUB {reply} 6\r\nsecret\r\n"), "");
    client.exchange_only("", "MSG in 1 6\r\nsecret\r\n");
    listener.expect_nothing();
    client.exchange_only("PUB in 4\r\nopen\r\n", "MSG in 1 4\r\nopen\r\n");
    listener.exchange_only("", "MSG in 1 4\r\nopen\r\n");
}

#[test]
fn a_request_that_wants_no_answer_opens_no_way_back() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB in 1\r\nPUB svc 1\r\nx\r\n", "");
    assert_eq!(Got::next(&mut server).reply, "");
    let tenant = house.tenant(&exporter);
    assert!(tenant.crossings.replies.is_empty());
    asked(&mut client, &mut server, "svc");
    assert!(!tenant.crossings.replies.is_empty());
}

/// An exporter of streams of answers on `svc.a` and `other`, and an importer of them under `one`, `two` and `three`.
fn three_imports() -> (Account, Account) {
    let mut exporter = Account::new("exporter").exporting(Service, "svc.*").exporting(Service, "other");
    for export in &mut exporter.claims.nats.exports {
        export.response_type = ResponseType::Stream;
    }
    let importer = Account::new("importer")
        .importing(Service, &exporter, "svc.a", "one")
        .importing(Service, &exporter, "svc.b", "two")
        .importing(Service, &exporter, "other", "three");
    (exporter, importer)
}

#[test]
fn the_end_of_an_import_ends_the_answers_of_its_export_and_of_no_other() {
    let (exporter, mut importer) = three_imports();
    let house = House::new(&[&exporter, &importer]);
    let (mut server, mut client) = (house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc.* 1\r\nSUB other 2\r\n", "");
    client.exchange_only("SUB in 1\r\n", "");
    let [one, two, three] = ["one", "two", "three"].map(|subject| asked(&mut client, &mut server, subject));
    let mut answer = |reply: &str| server.exchange_only(format!("PUB {reply} 1\r\nx\r\n"), "");
    // The export is still imported, under another name.
    importer.claims.nats.imports.remove(0);
    house.push(&importer);
    answer(&one);
    client.exchange_only("", "MSG in 1 1\r\nx\r\n");
    answer(&two);
    client.exchange_only("", "MSG in 1 1\r\nx\r\n");
    importer.claims.nats.imports.remove(0);
    house.push(&importer);
    answer(&one);
    answer(&two);
    client.expect_nothing();
    answer(&three);
    client.exchange_only("", "MSG in 1 1\r\nx\r\n");
}

#[test]
fn two_exporters_of_one_stream_are_both_heard() {
    let (left, right) = (Account::new("left").exporting(Stream, "s"), Account::new("right").exporting(Stream, "s"));
    let importer = Account::new("importer").importing(Stream, &left, "s", "").importing(Stream, &right, "s", "");
    let house = House::new(&[&left, &right, &importer]);
    let (mut one, mut other, mut reader) = (house.join(&left), house.join(&right), house.join(&importer));
    reader.exchange_only("SUB > 1\r\n", "");
    for (source, body) in [(&mut one, "l"), (&mut other, "r")] {
        source.exchange_only(format!("PUB s 1\r\n{body}\r\n"), "");
        reader.exchange_only("", format!("MSG s 1 1\r\n{body}\r\n"));
    }
}

#[test]
fn two_parts_of_one_stream_are_both_heard() {
    let exporter = Account::new("exporter").exporting(Stream, "s.*");
    let importer = Account::new("importer")
        .importing(Stream, &exporter, "s.a", "in.a")
        .importing(Stream, &exporter, "s.b", "in.b");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.exchange_only("SUB in.* 1\r\n", "");
    source.exchange_only("PUB s.a 1\r\na\r\nPUB s.b 1\r\nb\r\nPUB s.c 1\r\nc\r\n", "");
    reader.exchange_only("", "MSG in.a 1 1\r\na\r\nMSG in.b 1 1\r\nb\r\n");
}

#[test]
fn the_first_activation_to_expire_is_waited_for() {
    let exporter = Account::new("exporter").exporting_privately(Stream, "s").exporting_privately(Stream, "t");
    let at = now() + 1000;
    let importer = Account::new("importer")
        .importing_with(Stream, &exporter, "s", |claims| claims.expires = at + 5)
        .importing_with(Stream, &exporter, "t", |claims| claims.expires = at);
    let house = House::new(&[&exporter, &importer]);
    let (_source, _reader) = (house.join(&exporter), house.join(&importer));
    let crossings = &house.tenant(&importer).crossings;
    assert_eq!(crossings.next_expiry(0), Some(at));
    assert_eq!(crossings.next_expiry(at), Some(at + 5), "what expired at that second is over");
    assert_eq!(crossings.next_expiry(at + 5), None);
    assert_eq!(house.tenant(&exporter).crossings.next_expiry(0), None);
}

/// The timer that takes an expired crossing away looks at the clock now and then; nothing crosses meanwhile.
#[test]
fn nothing_crosses_after_the_expiry_of_its_activation_however_late_the_timer_is() {
    let clock = Clock::manual(now());
    let exporter = Account::new("exporter").exporting_privately(Stream, "s").exporting_privately(Service, "q");
    let until = |claims: &mut cordon_accounts::claims::ActivationClaims| claims.expires = now() + 1000;
    let importer = Account::new("importer")
        .importing_with(Stream, &exporter, "s", until)
        .importing_with(Service, &exporter, "q", until);
    let house = House::timed(&[&exporter, &importer], &clock);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.exchange_only("SUB s 1\r\n", "");
    source.exchange_only("SUB q 1\r\nPUB s 1\r\na\r\n", "");
    reader.exchange_only("PUB q 1\r\na\r\n", "MSG s 1 1\r\na\r\n");
    assert_eq!(Got::next(&mut source).body, "a");
    clock.advance(Duration::from_secs(2000));
    source.exchange_only("PUB s 1\r\nb\r\n", "");
    reader.exchange_only("PUB q 1\r\nb\r\n", "");
    source.expect_nothing();
}

#[test]
fn nothing_of_a_deleted_account_stays_in_force() {
    let mut account = Account::new("gone").exporting(Stream, "s");
    let mapping = cordon_accounts::claims::Mapping { subject: "b".to_owned(), ..Default::default() };
    account.claims.nats.mappings.insert("a".to_owned(), vec![mapping]);
    let importer = Account::new("importer").importing(Stream, &account, "s", "");
    let house = House::new(&[&account, &importer]);
    let (member, mut reader) = (house.join(&account), house.join(&importer));
    reader.exchange_only("SUB s 1\r\n", "");
    let tenant = house.tenant(&account);
    assert!(tenant.has_mappings() && tenant.record().is_some());
    let broker = &house.broker.running.broker;
    house.broker.block_on(broker.tenants.remove(broker, account.key()));
    assert!(tenant.record().is_none() && tenant.sharing().is_none() && !tenant.has_mappings());
    assert!(house.tenant(&importer).crossings.list().is_empty());
    house.broker.until("its connections end", |_| tenant.connection_count() == 0);
    drop(member);
}

#[test]
fn a_deleted_account_gives_its_memory_back_and_may_come_again() {
    let account = Account::new("gone").exporting(Service, "q").exporting(Stream, "s");
    let importer = Account::new("importer").importing(Service, &account, "q", "").importing(Stream, &account, "s", "");
    let house = House::new(&[&account, &importer]);
    let broker = &house.broker.running.broker;
    let name = account.key().into();
    let mut reader = house.join(&importer);
    reader.exchange_only("SUB s 1\r\nSUB in 2\r\n", "");
    // With connections, and with none.
    for number in 1..=2 {
        let is_connected = number == 1;
        house.push(&account);
        let member = is_connected.then(|| {
            let mut member = house.join(&account);
            member.exchange_only("SUB q 1\r\nPUB s 1\r\na\r\n", "");
            reader.exchange_only("PUB q in 1\r\nb\r\n", "MSG s 1 1\r\na\r\n");
            assert_eq!(Got::next(&mut member).body, "b");
            member
        });
        let tenant = Arc::downgrade(&house.tenant(&account));
        let before = received(broker);
        house.broker.block_on(broker.tenants.remove(broker, account.key()));
        house.broker.until("nothing holds the account", |_| tenant.strong_count() == 0);
        assert!(broker.tenants.find(&name).is_none());
        assert!(received(broker) >= before, "what was counted stays counted");
        drop(member);
    }
    house.push(&account);
    let mut member = house.join(&account);
    member.exchange_only("SUB q 1\r\nPUB s 1\r\nc\r\n", "");
    reader.exchange_only("PUB q in 1\r\nd\r\n", "MSG s 1 1\r\nc\r\n");
    assert_eq!(Got::next(&mut member).body, "d");
}

#[test]
fn an_account_that_is_pushed_again_stays_while_the_connections_of_before_end() {
    let account = Account::new("back");
    let house = House::new(&[&account]);
    let broker = &house.broker.running.broker;
    for _ in 0..20 {
        let before = house.join(&account);
        house.broker.block_on(broker.tenants.remove(broker, account.key()));
        house.push(&account);
        let mut member = house.join(&account);
        house.broker.until("the connection of before has ended", |broker| broker.connections.count() == 1);
        let tenant = house.tenant(&account);
        assert!(tenant.record().is_some());
        assert_eq!(tenant.connection_count(), 1);
        member.exchange_only("SUB s 1\r\nPUB s 1\r\na\r\n", "MSG s 1 1\r\na\r\n");
        drop(before);
        drop(member);
        house.broker.until("all have ended", |broker| broker.connections.count() == 0);
    }
}

#[test]
fn a_changed_account_is_waited_for_once() {
    let mut account = Account::new("changing");
    account.claims.expires = now() + 1000;
    let house = House::new(&[&account]);
    let _member = house.join(&account);
    let tasks = &house.broker.running.broker.tasks;
    let before = tasks.len();
    for _ in 0..20 {
        house.push(&account);
    }
    house.broker.until("the earlier waits end", |_| tasks.len() <= before);
}
