//! What a tenant may ask the system account, and that nothing else of it can be reached.

mod house;
mod support;

use std::collections::BTreeSet;

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::{Export, ExportKind, Import, ResponseType};
use house::{Account, House, ask, is_nobody};

/// The system account as `nsc` makes it: services and streams of each account for that account.
fn nsc_exports(house: &House) -> Account {
    let mut system = Account { seed: house.system.seed.duplicate(), claims: house.system.claims.clone() };
    let mut services = Export::new(Service, "$SYS.REQ.ACCOUNT.*.*");
    services.account_token_position = 4;
    services.response_type = ResponseType::Stream;
    let mut streams = Export::new(Stream, "$SYS.ACCOUNT.*.>");
    streams.account_token_position = 3;
    system.claims.nats.exports = vec![services, streams];
    system
}

#[test]
fn a_user_is_told_who_it_is_and_what_it_may_do() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let user = account.user(|claims| {
        claims.nats.template.permissions.publish.allow = vec!["$SYS.REQ.USER.INFO".to_owned(), "a".to_owned()];
        claims.nats.template.permissions.subscribe.deny = vec!["b".to_owned()];
    });
    let mut peer = house.join_as(&user);
    let info = ask(&mut peer, "$SYS.REQ.USER.INFO", "").json();
    assert_eq!(info["data"]["user"], user.seed.public().to_string(), "{info}");
    assert_eq!(info["data"]["account"], account.key().to_string());
    assert_eq!(info["data"]["account_name"], "A");
    assert_eq!(info["data"]["permissions"]["publish"]["allow"][1], "a");
    assert_eq!(info["data"]["permissions"]["subscribe"]["deny"][0], "b");
    assert!(info["server"]["name"].is_string());
}

#[test]
fn a_forged_identity_does_not_change_who_is_described() {
    let (account, other) = (Account::new("A"), Account::new("B"));
    let house = House::new(&[&account, &other]);
    let (mut peer, victim) = (house.join(&account), house.join(&other));
    let (id, key) = (victim.info()["client_id"].as_u64().unwrap(), other.key());
    let forged = format!("NATS/1.0\r\nNats-Request-Info: {{\"acc\":\"{key}\",\"id\":{id}}}\r\n\r\n");
    peer.send(format!("SUB in 1\r\nHPUB $SYS.REQ.USER.INFO in {} {}\r\n{forged}\r\n", forged.len(), forged.len()));
    let info = house::Got::next(&mut peer).json();
    assert_eq!(info["data"]["account"], account.key().to_string(), "{info}");
}

#[test]
fn connections_of_others_are_never_shown_whatever_is_asked() {
    let (account, other) = (Account::new("A"), Account::new("B"));
    let house = House::new(&[&account, &other]);
    house.push(&nsc_exports(&house));
    let (mut peer, mate) = (house.join(&account), house.join(&account));
    let (victim, root) = (house.join(&other), house.join(&house.system));
    let id = |peer: &support::Peer| peer.info()["client_id"].as_u64().unwrap();
    let own: BTreeSet<u64> = [id(&peer), id(&mate)].into();
    let bodies = [
        String::new(),
        "{}".to_owned(),
        format!("{{\"acc\":\"{}\"}}", other.key()),
        format!("{{\"acc\":\"{}\",\"auth\":true,\"subscriptions\":true}}", house.system.key()),
        format!("{{\"cid\":{},\"auth\":true}}", id(&victim)),
        format!("{{\"cid\":{},\"state\":2}}", id(&root)),
        "{\"state\":2,\"auth\":true,\"sort\":\"start\"}".to_owned(),
        "{\"user\":\"*\",\"auth\":true}".to_owned(),
        "{\"filter_subject\":\">\",\"offset\":0,\"limit\":100000}".to_owned(),
        "{\"server_name\":\"\",\"domain\":\"\"}".to_owned(),
    ];
    for subject in ["$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.CONNZ"] {
        for body in &bodies {
            let answer = ask(&mut peer, subject, body);
            let text = &answer.body;
            for hidden in [other.key().to_string(), house.system.key().to_string()] {
                // An account that the asker named itself may come back in an error, connections never.
                assert!(!text.contains(&hidden) || body.contains(&hidden), "{subject} {body}: {text}");
            }
            let rows = answer.json()["data"]["connections"].as_array().cloned().unwrap_or_default();
            let seen: BTreeSet<u64> = rows.iter().map(|row| row["cid"].as_u64().unwrap()).collect();
            assert!(seen.is_subset(&own), "{subject} {body}: {text}");
        }
        let all = ask(&mut peer, subject, "").json();
        assert_eq!(all["data"]["connections"].as_array().unwrap().len(), own.len(), "{all}");
    }
    let statz =
        ask(&mut peer, "$SYS.REQ.ACCOUNT.PING.STATZ", &format!("{{\"accounts\":[\"{}\"]}}", other.key())).json();
    assert_eq!(statz["data"]["account_statz"].as_array().unwrap().len(), 1, "{statz}");
    assert_eq!(statz["data"]["account_statz"][0]["acc"], account.key().to_string());
    drop((mate, victim, root));
}

/// An import that a tenant would like: kind, the system account's subject, its own.
type Wish = (ExportKind, String, String);

fn wishes(victim: &Account) -> Vec<Wish> {
    let key = victim.key();
    let services = [
        ">",
        "$SYS.>",
        "$SYS.REQ.>",
        "$SYS.REQ.ACCOUNT.*.*",
        "$SYS.REQ.ACCOUNT.*.CONNZ",
        "$SYS.REQ.CLAIMS.UPDATE",
        "$SYS.REQ.CLAIMS.LIST",
        "$SYS.REQ.CLAIMS.DELETE",
        "$SYS.REQ.CLAIMS.PACK",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.SERVER.PING.*",
        "$SYS.REQ.SERVER.*.KICK",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.ACCOUNT.PING.STATZ",
        "$SYS.REQ.USER.*.INFO",
        "$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE",
    ];
    let streams = [
        ">",
        "$SYS.>",
        "$SYS.ACCOUNT.>",
        "$SYS.ACCOUNT.*.>",
        "$SYS.ACCOUNT.*.CONNECT",
        "$SYS.SERVER.>",
        "_R_.>",
        "_INBOX.>",
    ];
    let same = |kind| move |subject: &str| (kind, subject.to_owned(), String::new());
    let mut wishes: Vec<Wish> =
        services.into_iter().map(same(Service)).chain(streams.into_iter().map(same(Stream))).collect();
    wishes.push((Service, format!("$SYS.REQ.ACCOUNT.{key}.CONNZ"), String::new()));
    wishes.push((Service, format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE"), "mine".to_owned()));
    wishes.push((Service, "$SYS.REQ.ACCOUNT.*.CONNZ".to_owned(), "of.$1".to_owned()));
    wishes.push((Stream, format!("$SYS.ACCOUNT.{key}.>"), String::new()));
    wishes.push((Stream, format!("$SYS.ACCOUNT.{key}.CONNECT"), "events".to_owned()));
    wishes
}

#[test]
fn no_import_that_a_tenant_writes_lets_it_into_the_system_account() {
    let victim = Account::new("victim");
    for as_nsc_makes_it in [false, true] {
        let house = House::new(&[&victim]);
        let system = if as_nsc_makes_it {
            nsc_exports(&house)
        } else {
            Account { seed: house.system.seed.duplicate(), claims: house.system.claims.clone() }
        };
        house.push(&system);
        // One account for each wish: what is wrong with one must not hide another.
        for (kind, subject, local) in wishes(&victim) {
            let mut tenant = Account::new("tenant");
            let mut import = Import::new(kind, system.key(), &subject);
            import.local_subject = local;
            tenant.claims.nats.imports.push(import);
            house.push(&tenant);
            let mut peer = house.join(&tenant);
            let loaded = house.tenant(&tenant);
            assert!(loaded.crossings.list().is_empty(), "{kind} {subject}: {:?}", loaded.crossings.list());
            assert_eq!(loaded.crossings.refused().len(), 1, "{kind} {subject}");
            peer.exchange_only("SUB > 1\r\n", "");
            drop(house.join(&victim));
            peer.expect_nothing();
        }
        let mut tenant = house.join(&victim);
        for subject in
            ["$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.ACCOUNT.PING.INFO"]
        {
            assert!(is_nobody(&ask(&mut tenant, subject, "")), "{subject}");
        }
    }
}

#[test]
fn an_account_may_import_what_the_system_account_offers_for_it() {
    let mut tenant = Account::new("tenant");
    let house = House::new(&[&tenant]);
    let system = nsc_exports(&house);
    house.push(&system);
    let own = tenant.key();
    tenant.claims.nats.imports.push(Import::new(Stream, system.key(), format!("$SYS.ACCOUNT.{own}.>")));
    house.push(&tenant);
    let mut peer = house.join(&tenant);
    peer.exchange_only(format!("SUB $SYS.ACCOUNT.{own}.CONNECT 1\r\n"), "");
    house.join(&tenant);
    assert_eq!(house::Got::next(&mut peer).subject, format!("$SYS.ACCOUNT.{own}.CONNECT"));
}

#[test]
fn an_account_may_import_its_own_figures_though_the_system_account_exports_nothing() {
    for as_nsc_makes_it in [false, true] {
        let mut tenant = Account::new("tenant");
        let house = House::new(&[&tenant]);
        if as_nsc_makes_it {
            house.push(&nsc_exports(&house));
        }
        for figure in ["CONNZ", "STATZ"] {
            let subject = format!("$SYS.REQ.ACCOUNT.{}.{figure}", tenant.key());
            let mut import = Import::new(Service, house.system.key(), subject);
            import.local_subject = format!("my.{figure}");
            tenant.claims.nats.imports.push(import);
        }
        house.push(&tenant);
        let (mut peer, _other) = (house.join(&tenant), house.join(&house.system));
        let connections = ask(&mut peer, "my.CONNZ", "").json();
        assert_eq!(connections["data"]["connections"].as_array().unwrap().len(), 1, "{connections}");
        let figures = ask(&mut peer, "my.STATZ", "").json();
        assert_eq!(figures["data"]["account_statz"][0]["acc"], tenant.key().to_string(), "{figures}");
    }
}

#[test]
fn services_of_the_broker_outlast_a_limit_of_connections() {
    use cordon_accounts::limits::Limit;
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let (mut oldest, mut newest) = (house.join(&account), house.join(&account));
    account.claims.nats.limits.conn = Limit(1);
    house.push(&account);
    newest.expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    let info = ask(&mut oldest, "$SYS.REQ.USER.INFO", "").json();
    assert_eq!(info["data"]["account"], account.key().to_string());
}
