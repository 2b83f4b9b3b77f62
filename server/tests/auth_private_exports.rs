//! Private exports on the wire: activations, whom they bind, and when they stop.

#![expect(clippy::unwrap_used, reason = "tests")]

mod house;
mod support;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::{Import, SigningKey};
use cordon_accounts::key::{AccountKey, Role, Seed};
use cordon_auth::clock::Clock;
use house::{Account, Got, House, ask, expect_quiet, is_nobody};
use support::Peer;

fn now() -> i64 {
    Clock::system().unix_seconds()
}

/// Waits until the account's table of crossings is as it should be.
fn until_crossings(house: &House, account: &Account, count: usize) {
    house.broker.until("crossings", |broker| {
        broker.tenants.find(&account.key().into()).is_some_and(|tenant| tenant.crossings.list().len() == count)
    });
}

/// What reaches `reader` when `source` publishes on each of these subjects.
fn reached(source: &mut Peer, reader: &mut Peer, subjects: &[&str]) -> Vec<String> {
    for subject in subjects {
        source.send(format!("PUB {subject} 1\r\nx\r\n"));
    }
    expect_quiet(source);
    let got = String::from_utf8(reader.fenced()).unwrap();
    got.split("\r\n").filter_map(|line| Some(line.strip_prefix("MSG ")?.split(' ').next()?.to_owned())).collect()
}

#[test]
fn a_private_stream_needs_an_activation_that_fits() {
    let mut exporter = Account::new("exporter").exporting_privately(Stream, "s.*").exporting_privately(Stream, "other");
    exporter = exporter.exporting_privately(Service, "q");
    let stranger = Account::new("stranger");
    let rightful = Account::new("rightful").importing_with(Stream, &exporter, "s.*", |_| {});
    let subset = Account::new("subset");
    let mut tokens = Vec::new();
    let fresh = Account::new;
    tokens.push((fresh("missing"), String::new()));
    tokens.push((fresh("foreign"), rightful.claims.nats.imports[0].token.clone()));
    let one = fresh("expired");
    let token = exporter.activation(&one, Stream, "s.*", |claims| claims.expires = now() - 5);
    tokens.push((one, token));
    let one = fresh("wrong kind");
    let token = exporter.activation(&one, Service, "s.*", |_| {});
    tokens.push((one, token));
    let one = fresh("wrong subject");
    let token = exporter.activation(&one, Stream, "other", |_| {});
    tokens.push((one, token));
    let one = fresh("signed by a stranger");
    let token = stranger.activation(&one, Stream, "s.*", |_| {});
    tokens.push((one, token));
    let mut refused: Vec<Account> = Vec::new();
    for (mut account, token) in tokens {
        let mut import = Import::new(Stream, exporter.key(), "s.*");
        import.token = token;
        account.claims.nats.imports.push(import);
        refused.push(account);
    }
    let subset = subset.importing_with(Stream, &exporter, "s.x", |claims| claims.nats.subject = "s.*".to_owned());
    // Claims that are inconsistent in themselves are not even believed; the rest resolves to nothing.
    let house = House::new(&[&exporter, &rightful, &subset]);
    let mut source = house.join(&exporter);
    let (mut all, mut part) = (house.join(&rightful), house.join(&subset));
    all.exchange_only("SUB > 1\r\n", "");
    part.exchange_only("SUB > 1\r\n", "");
    assert_eq!(reached(&mut source, &mut all, &["s.x", "s.y", "other"]), ["s.x", "s.y"]);
    assert_eq!(reached(&mut source, &mut part, &[]), ["s.x"]);
    let mut tried = Vec::new();
    for account in &refused {
        let token = house.token(account);
        let accounts = house.broker.running.broker.tenants.accounts().unwrap();
        let Ok(record) = accounts.trust().admit_account(&token, None, now()) else { continue };
        accounts.put(record, now()).unwrap();
        let mut reader = house.join(account);
        reader.exchange_only("SUB > 1\r\nSUB s.x q 2\r\n", "");
        assert!(reached(&mut source, &mut reader, &["s.x"]).is_empty(), "{}", account.claims.name);
        assert_eq!(house.tenant(account).crossings.refused().len(), 1, "{}", account.claims.name);
        tried.push(account.claims.name.as_str());
    }
    assert_eq!(tried, ["missing", "expired"], "the others are refused with their whole claims");
}

#[test]
fn a_foreign_activation_in_anothers_import_opens_nothing() {
    let exporter = Account::new("exporter").exporting_privately(Stream, "s");
    let rightful = Account::new("rightful").importing_with(Stream, &exporter, "s", |_| {});
    let mut thief = Account::new("thief");
    thief.claims.nats.imports = rightful.claims.nats.imports.clone();
    let house = House::new(&[&exporter, &rightful]);
    let token = house.token(&thief);
    let accounts = house.broker.running.broker.tenants.accounts().unwrap();
    let error = accounts.trust().admit_account(&token, None, now()).expect_err("its claims are refused whole");
    assert_eq!(error.reason().code(), "claims_invalid");
}

#[test]
fn an_activation_that_expires_stops_its_import_and_no_other() {
    let exporter = Account::new("exporter")
        .exporting_privately(Stream, "s.*")
        .exporting_privately(Stream, "t.*")
        .exporting_privately(Service, "q")
        .exporting_privately(Service, "r")
        .exporting(Stream, "open");
    let end = now() + 2;
    let brief = move |claims: &mut cordon_accounts::claims::ActivationClaims| claims.expires = end;
    let mut importer = Account::new("importer")
        .importing_with(Stream, &exporter, "s.x", |claims| {
            claims.nats.subject = "s.*".to_owned();
            brief(claims);
        })
        .importing_with(Stream, &exporter, "t.*", |_| {})
        .importing_with(Service, &exporter, "q", brief)
        .importing_with(Service, &exporter, "r", |claims| claims.expires = end + 1000)
        .importing(Stream, &exporter, "open", "");
    // A renamed service stops, too: the end belongs to the import and not to a subject.
    importer.claims.nats.imports[2].local_subject = "ask.q".to_owned();
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    source.exchange_only("SUB q 1\r\nSUB r 2\r\n", "");
    reader.exchange_only("SUB > 1\r\n", "");
    assert_eq!(reached(&mut source, &mut reader, &["s.x", "t.x", "open"]), ["s.x", "t.x", "open"]);
    until_crossings(&house, &importer, 3);
    assert!(now() >= end);
    assert_eq!(reached(&mut source, &mut reader, &["s.x", "t.x", "open"]), ["t.x", "open"]);
    reader.send("UNSUB 1\r\n");
    expect_quiet(&mut reader);
    assert!(is_nobody(&ask(&mut reader, "ask.q", "")), "the service is gone");
    reader.send("PUB r in 0\r\n\r\n");
    assert_eq!(Got::next(&mut source).subject, "r");
    assert_eq!(house.tenant(&importer).crossings.refused().len(), 2);
}

#[test]
fn an_activation_ends_also_when_its_exporter_came_later_or_was_updated() {
    let mut exporter = Account::new("exporter");
    let end = now() + 3;
    let private = Account::new("").exporting_privately(Stream, "s").claims.nats.exports;
    let importer = Account::new("importer").importing_with(Stream, &exporter, "s", |claims| claims.expires = end);
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    reader.exchange_only("SUB s 1\r\n", "");
    assert!(reached(&mut source, &mut reader, &["s"]).is_empty(), "not exported yet");
    exporter.claims.nats.exports = private;
    house.push(&exporter);
    assert_eq!(reached(&mut source, &mut reader, &["s"]), ["s"]);
    exporter.claims.nats.description = "changed again".to_owned();
    house.push(&exporter);
    assert_eq!(reached(&mut source, &mut reader, &["s"]), ["s"]);
    until_crossings(&house, &importer, 0);
    assert!(now() >= end);
    assert!(reached(&mut source, &mut reader, &["s"]).is_empty());
}

#[test]
fn a_revoked_activation_stops_at_once_and_only_on_that_export() {
    // Before anything is issued, however long the rest takes.
    let start = now();
    let mut exporter = Account::new("exporter")
        .exporting_privately(Stream, "x")
        .exporting_privately(Stream, "y")
        .exporting_privately(Service, "q");
    let importer = Account::new("importer")
        .importing_with(Stream, &exporter, "x", |_| {})
        .importing_with(Stream, &exporter, "y", |_| {})
        .importing_with(Service, &exporter, "q", |_| {});
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    source.exchange_only("SUB q 1\r\n", "");
    reader.exchange_only("SUB x 1\r\nSUB y 2\r\n", "");
    assert_eq!(reached(&mut source, &mut reader, &["x", "y"]), ["x", "y"]);
    exporter.claims.nats.exports[0].revocations.revoke(importer.key().public(), start - 11);
    house.push(&exporter);
    assert_eq!(reached(&mut source, &mut reader, &["x", "y"]), ["x", "y"], "issued after the revocation");
    exporter.claims.nats.exports[0].revocations.revoke(importer.key().public(), now());
    house.push(&exporter);
    assert_eq!(reached(&mut source, &mut reader, &["x", "y"]), ["y"]);
    exporter.claims.nats.exports[2].revocations.revoke(cordon_accounts::claims::revocation::Revoked::All, now());
    house.push(&exporter);
    assert!(is_nobody(&ask(&mut reader, "q", "")));
    assert_eq!(reached(&mut source, &mut reader, &["x", "y"]), ["y"]);
}

#[test]
fn an_activation_goes_with_the_key_that_signed_it() {
    let signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let mut exporter = Account::new("exporter").exporting_privately(Stream, "s").exporting_privately(Service, "q");
    exporter.claims.nats.signing_keys.push(SigningKey::Plain(AccountKey::try_from(signer.public()).unwrap()));
    let mut importer = Account::new("importer");
    for (kind, subject) in [(Stream, "s"), (Service, "q")] {
        let mut claims = cordon_accounts::claims::ActivationClaims::new(importer.key(), kind, subject);
        claims.nats.issuer_account = Some(exporter.key());
        let mut import = Import::new(kind, exporter.key(), subject);
        import.token = claims.encode(&signer, now() - 10).unwrap();
        importer.claims.nats.imports.push(import);
    }
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    source.exchange_only("SUB q 1\r\n", "");
    reader.exchange_only("SUB s 1\r\n", "");
    assert_eq!(reached(&mut source, &mut reader, &["s"]), ["s"]);
    exporter.claims.nats.signing_keys.clear();
    house.push(&exporter);
    assert!(reached(&mut source, &mut reader, &["s"]).is_empty());
    assert!(is_nobody(&ask(&mut reader, "q", "")));
    source.expect_nothing();
}

#[test]
fn the_importers_own_key_must_stand_at_its_position() {
    let mut exporter = Account::new("exporter").exporting(Stream, "of.*.>");
    exporter.claims.nats.exports[0].account_token_position = 2;
    let victim = Account::new("victim");
    let own = Account::new("own");
    let mine = format!("of.{}.>", own.key());
    let own = own.importing(Stream, &exporter, &mine, "");
    let other = Account::new("other").importing(Stream, &exporter, &format!("of.{}.>", victim.key()), "");
    let all = Account::new("all").importing(Stream, &exporter, "of.*.>", "");
    let house = House::new(&[&exporter, &own, &other, &all]);
    let mut source = house.join(&exporter);
    let (mine, theirs) = (format!("of.{}.x", own.key()), format!("of.{}.x", victim.key()));
    for (account, wanted) in [(&own, vec![mine.clone()]), (&other, vec![]), (&all, vec![])] {
        let mut reader = house.join(account);
        reader.exchange_only("SUB > 1\r\n", "");
        assert_eq!(reached(&mut source, &mut reader, &[&mine, &theirs]), wanted, "{}", account.claims.name);
    }
}

#[test]
fn an_exporter_that_becomes_private_loses_its_importers_and_regains_them() {
    let mut exporter = Account::new("exporter").exporting(Stream, "s").exporting(Service, "q");
    let importer =
        Account::new("importer").importing(Stream, &exporter, "s", "").importing(Service, &exporter, "q", "");
    let house = House::new(&[&exporter, &importer]);
    let (mut source, mut reader) = (house.join(&exporter), house.join(&importer));
    source.exchange_only("SUB q 1\r\n", "");
    reader.exchange_only("SUB s 1\r\n", "");
    assert_eq!(reached(&mut source, &mut reader, &["s"]), ["s"]);
    exporter.claims.nats.exports.iter_mut().for_each(|export| export.token_req = true);
    house.push(&exporter);
    assert!(reached(&mut source, &mut reader, &["s"]).is_empty());
    assert!(is_nobody(&ask(&mut reader, "q", "")));
    exporter.claims.nats.exports.iter_mut().for_each(|export| export.token_req = false);
    house.push(&exporter);
    assert_eq!(reached(&mut source, &mut reader, &["s"]), ["s"]);
}
