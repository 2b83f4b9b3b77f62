//! Account JWTs over the system account: what is stored and in force, what is refused, how it is answered.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod house;
mod support;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::GenericClaims;
use cordon_accounts::key::{Role, Seed};
use cordon_accounts::limits::Limit;
use cordon_auth::clock::Clock;
use house::{Account, Got, House, ask, is_nobody};
use serde_json::{Value, json};
use support::Peer;

fn stored(folder: &tempfile::TempDir, account: &Account) -> Option<String> {
    std::fs::read_to_string(folder.path().join(format!("{}.jwt", account.key()))).ok()
}

/// The description of the error that a request is answered with.
fn refusal(system: &mut Peer, subject: &str, body: &str) -> String {
    let answer = ask(system, subject, body).json();
    assert!(answer["server"]["name"].is_string() && answer.get("data").is_none(), "{answer}");
    assert_eq!(answer["error"]["code"], 500, "{answer}");
    answer["error"]["description"].as_str().unwrap().to_owned()
}

fn delete_request(signer: &Seed, accounts: &Value) -> String {
    let mut claims = GenericClaims::new(signer.public());
    claims.nats.members.insert("accounts".to_owned(), accounts.clone());
    claims.encode(signer, Clock::system().unix_seconds()).unwrap()
}

#[test]
fn an_update_is_stored_in_force_and_answered_under_every_subject() {
    let folder = tempfile::tempdir().unwrap();
    let mut account = Account::new("A");
    let house = House::in_folder(&[&account], folder.path());
    let mut system = house.join(&house.system);
    let key = account.key();
    let subjects = [
        "$SYS.REQ.CLAIMS.UPDATE".to_owned(),
        format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE"),
        format!("$SYS.ACCOUNT.{key}.CLAIMS.UPDATE"),
    ];
    for (limit, subject) in (1..).zip(&subjects) {
        account.claims.nats.limits.subs = Limit(limit);
        let token = house.token(&account);
        let answer = ask(&mut system, subject, &token).json();
        assert_eq!(answer["data"], json!({"code": 200, "message": "jwt updated", "account": key}), "{subject}");
        for field in ["name", "id", "host", "ver", "seq", "time"] {
            assert!(answer["server"].get(field).is_some(), "{field}: {answer}");
        }
        assert_eq!(stored(&folder, &account), Some(token));
        let mut peer = house.join(&account);
        let subscriptions: Vec<String> = (0..=limit).map(|sid| format!("SUB s {sid}\r\n")).collect();
        peer.exchange_only(subscriptions.concat(), "-ERR 'maximum subscriptions exceeded'\r\n");
    }
    let looked_up = ask(&mut system, &format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP"), "");
    assert_eq!(Some(looked_up.body), stored(&folder, &account));
    let nobody = Account::new("unknown").key();
    assert_eq!(ask(&mut system, &format!("$SYS.REQ.ACCOUNT.{nobody}.CLAIMS.LOOKUP"), "").body, "");
    let listed = ask(&mut system, "$SYS.REQ.CLAIMS.LIST", "").json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[test]
fn headers_of_a_request_are_not_taken_for_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new("A");
    let house = House::in_folder(&[&account], folder.path());
    let mut system = house.join(&house.system);
    let header = "NATS/1.0\r\nTrace: 1\r\n\r\n";
    system.exchange_only("SUB in 1\r\n", "");
    let mut with_header = |subject: &str, body: &str| {
        let (head, all) = (header.len(), header.len() + body.len());
        system.send(format!("HPUB {subject} in {head} {all}\r\n{header}{body}\r\n"));
        Got::next(&mut system)
    };
    let token = house.token(&account);
    assert_eq!(with_header("$SYS.REQ.CLAIMS.UPDATE", &token).json()["data"]["message"], "jwt updated");
    assert_eq!(with_header(&format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.key()), "").body, token);
    assert_eq!(with_header("$SYS.REQ.CLAIMS.LIST", "").json()["data"].as_array().unwrap().len(), 2);
    let request = delete_request(&house.operator, &json!([account.key()]));
    assert_eq!(
        with_header("$SYS.REQ.CLAIMS.DELETE", &request).json()["data"],
        json!({"code": 200, "message": "deleted 1 accounts"})
    );
    let line = with_header("$SYS.REQ.CLAIMS.PACK", "").body;
    assert!(line.starts_with(&format!("{}|eyJ", house.system.key())), "{line}");
    let end = Got::next(&mut system);
    assert_eq!((end.subject.as_str(), end.body.as_str()), ("in", ""));
}

#[test]
fn a_bad_update_leaves_the_account_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = Account::new("exporter").exporting(Service, "svc").exporting(Stream, "news");
    let importer =
        Account::new("importer").importing(Service, &exporter, "svc", "").importing(Stream, &exporter, "news", "");
    let house = House::in_folder(&[&exporter, &importer], folder.path());
    let (mut system, mut server, mut client) =
        (house.join(&house.system), house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB news 1\r\n", "");
    let before = stored(&folder, &exporter).unwrap();
    let stranger = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
    let now = Clock::system().unix_seconds();
    let signed = |change: fn(&mut cordon_accounts::claims::Account)| {
        let mut claims = exporter.claims.clone();
        change(&mut claims.nats);
        claims.encode(&house.operator, now + 9).unwrap_or_default()
    };
    let mut bare = exporter.claims.clone();
    bare.nats.exports.clear();
    let good = signed(|_| {});
    let (head, signature) = good.rsplit_once('.').unwrap();
    let bad = [
        String::new(),
        "nonsense".to_owned(),
        "eyJ.eyJ.eyJ".to_owned(),
        bare.encode(&stranger, now + 5).unwrap(),
        bare.encode(&exporter.seed, now + 5).unwrap(),
        bare.encode(&house.operator, now - 1000).unwrap(),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        signed(|account| account.limits.exports = Limit(0)),
        signed(|account| account.exports.push(cordon_accounts::claims::Export::new(Service, "svc"))),
        signed(|account| {
            account.mappings.insert(
                "a".to_owned(),
                ["b", "c"]
                    .map(|to| cordon_accounts::claims::Mapping {
                        subject: to.to_owned(),
                        weight: 60,
                        ..Default::default()
                    })
                    .to_vec(),
            );
        }),
        signed(|account| {
            account.limits.wildcards = false;
            account.limits.exports = Limit(10);
            account.exports.push(cordon_accounts::claims::Export::new(Service, "wild.*"));
        }),
    ];
    for (number, body) in bad.iter().enumerate() {
        for subject in
            ["$SYS.REQ.CLAIMS.UPDATE".to_owned(), format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", exporter.key())]
        {
            let description = refusal(&mut system, &subject, body);
            assert!(
                description.starts_with("jwt update resulted in error")
                    || description.starts_with("jwt validation failed"),
                "{number}: {description}"
            );
        }
        assert_eq!(stored(&folder, &exporter).as_ref(), Some(&before), "{number}");
        // All of it still works: requests, streams, connections old and new.
        client.exchange_only("PUB svc in 0\r\n\r\n", "");
        assert_eq!(Got::next(&mut server).subject, "svc", "{number}");
        server.exchange_only("PUB news 1\r\nx\r\n", "");
        client.exchange_only("", "MSG news 1 1\r\nx\r\n");
        house.join(&exporter);
    }
    let misnamed = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", importer.key());
    assert!(refusal(&mut system, &misnamed, &house.token(&exporter)).contains("subject does not match jwt content"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn a_key_that_is_a_path_touches_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::in_folder(&[], &folder.path().join("jwt"));
    let token = house.token(&Account::new("A"));
    std::fs::write(folder.path().join("secret.jwt"), "canary").unwrap();
    let mut system = house.join(&house.system);
    for key in ["../secret", "..%2Fsecret", "/etc/passwd", "secret", &"B".repeat(56)] {
        assert_eq!(ask(&mut system, &format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP"), "").body, "", "{key}");
        // With dots in it, it is not even such a request.
        let answer = ask(&mut system, &format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE"), &token);
        assert!(is_nobody(&answer) || answer.json()["error"]["code"] == 500, "{key}: {}", answer.body);
        let request = delete_request(&house.operator, &json!([key]));
        refusal(&mut system, "$SYS.REQ.CLAIMS.DELETE", &request);
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("secret.jwt")).unwrap(), "canary");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read_dir(folder.path().join("jwt")).unwrap().count(), 1);
}

#[test]
fn updates_that_wait_together_are_answered_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let accounts: Vec<Account> = (0..5).map(|number| Account::new(&format!("A{number}"))).collect();
    let house = House::in_folder(&[], folder.path());
    let mut system = house.join(&house.system);
    system.exchange_only("SUB in.* 1\r\n", "");
    // Each account comes twenty times, each time with a newer JWT, and now and then comes what is none.
    let updates: Vec<Option<(&Account, String)>> = (0..120)
        .map(|number| {
            let account = &accounts[number % 5];
            (number % 6 != 5).then(|| (account, house.token(account)))
        })
        .collect();
    let requests = updates.iter().enumerate().map(|(number, update)| {
        let body = update.as_ref().map_or("nonsense", |(_, token)| token);
        format!("PUB $SYS.REQ.CLAIMS.UPDATE in.{number} {}\r\n{body}\r\n", body.len())
    });
    system.send(requests.collect::<String>());
    for (number, update) in updates.iter().enumerate() {
        let got = Got::next(&mut system);
        assert_eq!(got.subject, format!("in.{number}"));
        let answer: Value = serde_json::from_str(&got.body).unwrap();
        match update {
            Some((account, _)) => assert_eq!(answer["data"]["account"], json!(account.key()), "{number}: {answer}"),
            None => assert_eq!(answer["error"]["code"], json!(500), "{number}: {answer}"),
        }
    }
    for account in &accounts {
        let last = updates.iter().flatten().rfind(|(of, _)| of.key() == account.key()).map(|(_, token)| token.clone());
        assert_eq!(stored(&folder, account), last);
        assert_eq!(house.tenant(account).record().map(|record| record.token().to_owned()), last);
    }
}

#[test]
fn deleting_is_for_the_operator_and_ends_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = Account::new("exporter").exporting(Service, "svc").exporting(Stream, "news");
    let importer =
        Account::new("importer").importing(Service, &exporter, "svc", "").importing(Stream, &exporter, "news", "");
    let house = House::in_folder(&[&exporter, &importer], folder.path());
    let (mut system, mut server, mut client) =
        (house.join(&house.system), house.join(&exporter), house.join(&importer));
    server.exchange_only("SUB svc 1\r\n", "");
    client.exchange_only("SUB news 1\r\n", "");
    let stranger = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
    let keys = json!([exporter.key()]);
    let foreign = {
        let mut claims = GenericClaims::new(exporter.seed.public());
        claims.nats.members.insert("accounts".to_owned(), keys.clone());
        claims.encode(&house.operator, Clock::system().unix_seconds()).unwrap()
    };
    let cases = [
        (delete_request(&stranger, &keys), "not trusted"),
        (delete_request(&exporter.seed, &keys), "not trusted"),
        (foreign, "not self signed"),
        (delete_request(&house.operator, &json!([house.system.key()])), "not allowed to delete system account"),
        (
            delete_request(&house.operator, &json!([exporter.key(), house.system.key()])),
            "not allowed to delete system account",
        ),
        (delete_request(&house.operator, &json!("all")), "malformed request"),
        (delete_request(&house.operator, &json!([7])), "malformed request"),
        (String::new(), ""),
    ];
    for (body, wanted) in cases {
        let description = refusal(&mut system, "$SYS.REQ.CLAIMS.DELETE", &body);
        assert!(description.contains(wanted), "{wanted}: {description}");
        assert!(stored(&folder, &exporter).is_some());
        server.expect_nothing();
    }
    let answer = ask(&mut system, "$SYS.REQ.CLAIMS.DELETE", &delete_request(&house.operator, &keys)).json();
    assert_eq!(answer["data"], json!({"code": 200, "message": "deleted 1 accounts"}));
    server.expect_end("-ERR 'Account Authentication Expired'\r\n");
    house.present(&exporter.user(|_| {})).expect_end("-ERR 'Authorization Violation'\r\n");
    assert!(is_nobody(&ask(&mut client, "svc", "")));
    client.expect_nothing();
    assert!(folder.path().join(format!("{}.jwt.deleted", exporter.key())).exists());
    // What comes back is in force again, for its importers too.
    ask(&mut system, "$SYS.REQ.CLAIMS.UPDATE", &house.token(&exporter));
    let mut server = house.join(&exporter);
    server.exchange_only("PUB news 1\r\nx\r\n", "");
    client.exchange_only("", "MSG news 1 1\r\nx\r\n");
}

#[test]
fn without_leave_to_delete_nothing_is_deleted() {
    let account = Account::new("A");
    // A resolver in memory does not answer at all.
    let house = House::new(&[&account]);
    let mut system = house.join(&house.system);
    let request = delete_request(&house.operator, &json!([account.key()]));
    for subject in ["$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.PACK", "$SYS.REQ.CLAIMS.UPDATE"]
    {
        assert!(is_nobody(&ask(&mut system, subject, &request)), "{subject}");
    }
    house.join(&account);
    let known = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", account.key());
    assert_eq!(ask(&mut system, &known, &house.token(&account)).json()["data"]["message"], "jwt updated");
    let unknown = Account::new("B");
    let skipped = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", unknown.key());
    assert_eq!(ask(&mut system, &skipped, &house.token(&unknown)).json()["data"]["message"], "jwt update skipped");
    house.present(&unknown.user(|_| {})).expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn under_a_strict_operator_identities_sign_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
    let account_signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let mut account = Account::new("A");
    let key = account_signer.public().try_into().unwrap();
    account.claims.nats.signing_keys.push(cordon_accounts::claims::SigningKey::Plain(key));
    let strict = |claims: &mut cordon_accounts::claims::OperatorClaims| {
        claims.nats.signing_keys.push(signer.public().try_into().unwrap());
        claims.nats.strict_signing_key_usage = true;
    };
    let house = House::strict(&account, &signer, strict, folder.path());
    house.present(&account.user(|_| {})).expect_end("-ERR 'Authorization Violation'\r\n");
    house.join_as(&account.user_signed_by(&account_signer, |_| {}));
    let mut system = house.join_as(&house.system_user());
    let by_identity = account.claims.encode(&house.operator, Clock::system().unix_seconds()).unwrap();
    let description = refusal(&mut system, "$SYS.REQ.CLAIMS.UPDATE", &by_identity);
    assert!(description.contains("operator requires issuer to be a signing key"), "{description}");
    let by_signer = account.claims.encode(&signer, Clock::system().unix_seconds()).unwrap();
    assert_eq!(ask(&mut system, "$SYS.REQ.CLAIMS.UPDATE", &by_signer).json()["data"]["code"], 200);
}
