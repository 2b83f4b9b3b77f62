//! Leaf nodes: remotes and the listener change while others stay joined.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use cordon_accounts::key::{Role, Seed};
use cordon_server::connection::Connection;
use cordon_server::monitoring::leafz;
use serde_json::{Value, json};

use crate::site::{OPEN, Site};
use crate::support::PATIENCE;
use crate::support::leaf::RawLeaf;

/// A hub that asks nobody who they are; `more` is of its `leafnodes` block.
fn hub(more: &str) -> String {
    format!("{OPEN}leafnodes {{ listen: \"127.0.0.1:-1\"\n{more}\n}}\n")
}

/// A spoke with these remotes.
fn spoke(remotes: &[String]) -> String {
    format!("{OPEN}server_name: spoke\nleafnodes {{ reconnect: \"20ms\", remotes: [\n{}\n] }}\n", remotes.join("\n"))
}

/// A remote of a spoke; `more` are further options.
fn remote(hub: &Site, more: &str) -> String {
    format!("{{ url: \"nats-leaf://{}\"\n{more} }}", address(hub))
}

fn address(hub: &Site) -> SocketAddr {
    hub.broker.running.broker.leafs.address().unwrap()
}

/// The leaf nodes that are joined, when there are so many.
fn joined(site: &Site, count: usize) -> Vec<Arc<Connection>> {
    site.broker.until("so many are joined", |broker| leafz::joined(broker).len() == count);
    leafz::joined(&site.broker.running.broker)
}

fn cids(site: &Site, count: usize) -> Vec<u64> {
    joined(site, count).iter().map(|connection| connection.cid).collect()
}

/// Waits until the one leaf node that is joined is another than `before`.
fn rejoined(site: &Site, before: u64) -> Arc<Connection> {
    site.broker.until("it is joined anew", |broker| {
        let all = leafz::joined(broker);
        all.len() == 1 && all.iter().all(|connection| connection.cid != before)
    });
    joined(site, 1).remove(0)
}

/// A message of a client at `from` is heard by one at `to`.
fn passes(from: &Site, to: &Site, subject: &str) {
    let (mut publisher, mut subscriber) = (from.broker.peer(), to.broker.peer());
    subscriber.exchange_only(format!("SUB {subject} 1\r\n"), "");
    from.broker.until("the interest has come over", |broker| {
        let mut set = cordon_server::routing::match_set::MatchSet::default();
        broker.tenants.global().interest.matches(subject.as_bytes(), &mut set);
        set.far.is_some()
    });
    publisher.exchange_only(format!("PUB {subject} 2\r\nhi\r\n"), "");
    subscriber.expect(format!("MSG {subject} 1 2\r\nhi\r\n"));
}

#[test]
fn remotes_come_and_go_and_those_that_stay_do_not_notice() {
    let hubs = ["server_name: one\n", "server_name: two\n"].map(|name| Site::start(&format!("{name}{}", hub(""))));
    let [one, two] = [0, 1].map(|at| remote(&hubs[at], ""));
    let site = Site::start(&spoke(std::slice::from_ref(&one)));
    let first = cids(&site, 1);
    let (there, here) = (cids(&hubs[0], 1), hubs[0].broker.peer());
    let told = site.reloaded(&spoke(&[two.clone(), one.clone()]));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with(&format!("leafnodes remote `nats-leaf://{}` of $G: added", address(&hubs[1]))),
        "{told:?}"
    );
    let both = cids(&site, 2);
    assert_eq!((both[0], cids(&hubs[0], 1)), (first[0], there.clone()));
    passes(&site, &hubs[1], "up");
    passes(&hubs[1], &site, "down");
    passes(&hubs[0], &site, "other");

    // Nothing changes: nobody notices, whatever the order.
    assert_eq!(site.reloaded(&spoke(&[one, two.clone()])), Vec::<String>::new());
    assert_eq!((cids(&site, 2), cids(&hubs[0], 1)), (both.clone(), there));

    let told = site.reloaded(&spoke(std::slice::from_ref(&two)));
    assert!(told.len() == 1 && told[0].ends_with(": removed"), "{told:?}");
    joined(&hubs[0], 0);
    assert_eq!(cids(&site, 1), both[1..]);
    // A remote that is disabled is one that is not there, until it is enabled.
    let disabled = remote(&hubs[1], "disabled: true");
    site.reloaded(&spoke(std::slice::from_ref(&disabled)));
    joined(&hubs[1], 0);
    joined(&site, 0);
    site.reloaded(&spoke(&[two]));
    joined(&hubs[1], 1);
    passes(&site, &hubs[1], "again");
    // The whole block goes.
    site.reloaded(&format!("{OPEN}server_name: spoke\n"));
    joined(&hubs[1], 0);
    drop(here);
}

#[test]
fn a_remote_that_changes_is_joined_anew_as_it_is_now() {
    let far = Site::start(&format!("server_name: far\n{}", hub("")));
    let site = Site::start(&spoke(&[remote(&far, "")]));
    let mut before = joined(&site, 1).remove(0);
    passes(&site, &far, "closed.x");
    for (more, is) in [
        ("deny_exports: \"closed.>\"", false),
        ("deny_exports: \"closed.>\", hub: true", true),
        ("compression: off", false),
        ("compression: s2_fast", false),
    ] {
        let told = site.reloaded(&spoke(&[remote(&far, more)]));
        assert_eq!(told.len(), 1, "{told:?}");
        let now = rejoined(&site, before.cid);
        assert_eq!(now.leaf().unwrap().is_hub, is, "{more}");
        before = now;
    }
    assert_eq!(before.leaf().unwrap().level.read().name(), "s2_fast");
    let mut listener = far.broker.peer();
    site.reloaded(&spoke(&[remote(&far, "deny_exports: \"closed.>\"")]));
    rejoined(&site, before.cid);
    listener.exchange_only("SUB closed.x 1\r\nSUB open.x 2\r\n", "");
    let mut client = site.broker.peer();
    site.broker.until("the interest has come over", |broker| {
        let mut set = cordon_server::routing::match_set::MatchSet::default();
        broker.tenants.global().interest.matches(b"open.x", &mut set);
        set.far.is_some()
    });
    client.exchange_only("PUB closed.x 1\r\n1\r\nPUB open.x 1\r\n2\r\n", "");
    listener.expect("MSG open.x 2 1\r\n2\r\n");
}

/// A hub whose leaf nodes are known by these keys, each in its account.
fn hub_of(users: &[(&Seed, &str)]) -> String {
    let users: Vec<String> =
        users.iter().map(|(seed, account)| format!("{{ nkey: {}, account: {account} }}", seed.public())).collect();
    format!(
        "{OPEN}accounts {{ A {{}}, B {{}} }}\nserver_name: far\nleafnodes {{ listen: \"127.0.0.1:-1\"\nauthorization {{ users: [ {} ] }} }}\n",
        users.join(", ")
    )
}

fn write_seed(path: &Path, seed: &Seed) {
    std::fs::write(path, seed.to_text().as_bytes()).unwrap();
}

#[test]
fn another_seed_in_the_same_file_is_used_and_one_that_is_broken_changes_nothing() {
    let [one, other] = [0, 1].map(|_| Seed::generate(Role::User, &mut rand::rngs::OsRng));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leaf.nk");
    write_seed(&file, &one);
    let far = Site::start(&hub_of(&[(&one, "A"), (&other, "B")]));
    let text = spoke(&[remote(&far, &format!("nkey: \"{}\"", file.display()))]);
    let site = Site::start(&text);
    let account = |site: &Site| joined(site, 1)[0].tenant().name.to_string();
    assert_eq!(account(&far), "A");
    let before = cids(&site, 1)[0];
    std::fs::write(&file, "no seed").unwrap();
    let told = site.reload(&format!("{text}max_payload: 9\n")).unwrap_err().to_string();
    assert!(told.starts_with("the remote `127.0.0.1:") && told.contains("could not be joined"), "{told}");
    assert_eq!((cids(&site, 1)[0], site.broker.raw().info()["max_payload"].as_u64()), (before, Some(1_048_576)));
    write_seed(&file, &other);
    let told = site.reloaded(&text);
    assert!(told.len() == 1 && told[0].contains(": changed, "), "{told:?}");
    rejoined(&site, before);
    far.broker.until("it is joined to the other account", |broker| {
        let all = leafz::joined(broker);
        all.len() == 1 && all[0].tenant().name.as_str() == "B"
    });

    // The hub forgets the key: the connection ends, and the next is refused.
    let told = far.reloaded(&hub_of(&[(&one, "A")]));
    assert_eq!(told, [format!("leafnodes user `{}`: removed", other.public())]);
    joined(&far, 0);
    joined(&site, 0);
}

fn with_users(users: &str) -> String {
    format!(
        "{OPEN}accounts {{ A {{}}, B {{}} }}\nleafnodes {{ listen: \"127.0.0.1:-1\"\nauthorization {{ users: [ {users} ] }} }}\n"
    )
}

fn join(site: &Site, name: &str) -> RawLeaf {
    RawLeaf::join(&site.broker, name, json!({"user": name, "pass": name}))
}

#[test]
fn users_of_the_listener_come_go_and_change_and_nobody_else_notices() {
    let one = |name: &str, password: &str, account: &str| {
        format!("{{ user: {name}, password: {password}, account: {account} }}")
    };
    let all = [one("a", "a", "A"), one("b", "b", "A"), one("c", "c", "A"), one("d", "d", "A")];
    let site = Site::start(&with_users(&all.join(",")));
    let [mut a, mut b, mut c, mut d] = ["a", "b", "c", "d"].map(|name| join(&site, name));
    a.interest();
    let told = site.reloaded(&with_users(
        &[&all[0], &one("c", "x", "A"), &one("d", "d", "B"), &one("e", "e", "B")].map(String::as_str).join(","),
    ));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(!told.concat().contains("pass"), "{told:?}");
    b.fenced_end("");
    c.fenced_end("-ERR 'Authorization Violation'\r\n");
    d.fenced_end("");
    assert_eq!(join(&site, "e").joined["remote_account"], "B");
    a.expect_nothing();
    assert_eq!(
        site.reloaded(&with_users(
            &[&all[0], &one("c", "x", "A"), &one("d", "d", "B"), &one("e", "e", "B")].map(String::as_str).join(",")
        )),
        Vec::<String>::new()
    );
    a.expect_nothing();
    // Without users of its own, leaf nodes are what clients are: nobody knows this one there.
    site.reloaded(&format!("{OPEN}accounts {{ A {{}}, B {{}} }}\nleafnodes {{ listen: \"127.0.0.1:-1\" }}\n"));
    a.fenced_end("");
}

/// A raw leaf node at wherever the listener is now.
fn dial(site: &Site) -> RawLeaf {
    let stream = TcpStream::connect(address(site)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    RawLeaf::over(stream)
}

fn urls(info: &Value) -> Value {
    info["leafnode_urls"].clone()
}

#[test]
fn the_listener_moves_comes_and_goes_and_those_who_are_joined_are_told() {
    let site = Site::start(OPEN);
    assert_eq!(site.broker.running.broker.leafs.address(), None);
    site.reloaded(&hub(""));
    let first = address(&site);
    let mut leaf = dial(&site);
    leaf.connect("far", json!({}));
    leaf.read_joined();
    assert_eq!(urls(&leaf.joined), json!([first.to_string()]));
    leaf.interest();

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |place: SocketAddr| format!("{OPEN}leafnodes {{ listen: \"{place}\" }}\n");
    let told = site.reload(&at(taken.local_addr().unwrap())).unwrap_err().to_string();
    assert!(told.contains("cannot listen on") && told.contains("leaf nodes"), "{told}");
    assert_eq!(address(&site), first);
    let free = taken.local_addr().unwrap();
    drop(taken);
    let told = site.reloaded(&at(free));
    assert_eq!(told, [format!("leafnodes listen: 127.0.0.1:0 -> {free}")]);
    assert_eq!(address(&site), free);
    leaf.read_joined();
    assert_eq!(urls(&leaf.joined), json!([free.to_string()]));
    until_left(first);
    assert_eq!(urls(&dial(&site).info), json!([free.to_string()]));

    let advertised = at(free).replace(" }", ", advertise: \"hub.example:7000\" }");
    site.reloaded(&advertised);
    leaf.read_joined();
    assert_eq!(urls(&leaf.joined), json!(["hub.example:7000"]));
    leaf.expect_nothing();
    site.reloaded(OPEN);
    leaf.fenced_end("");
    until_left(free);
}

/// Waits until nobody listens there.
fn until_left(address: SocketAddr) {
    let until = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(std::time::Instant::now() < until, "it listens still");
        std::thread::yield_now();
    }
}

#[test]
fn who_would_not_be_accepted_as_it_is_ends_and_others_stay() {
    let cases = [
        (
            "min_version: \"2.14.0\"",
            "2.13.9",
            "-ERR 'connection rejected since minimum version required is \"2.14.0\"'\r\n",
        ),
        ("isolate_leafnode_interest: true", "2.15.0", ""),
        ("compression: s2_fast", "2.15.0", ""),
    ];
    for (option, version, word) in cases {
        let site = Site::start(&hub(""));
        let mut leaf = RawLeaf::join(&site.broker, "far", json!({"version": version}));
        leaf.interest();
        let mut client = site.broker.peer();
        let told = site.reloaded(&hub(option));
        assert_eq!(told.len(), 1, "{told:?}");
        leaf.fenced_end(word);
        client.expect_nothing();
    }
    let site = Site::start(&hub(""));
    let mut leaf = RawLeaf::join(&site.broker, "far", json!({"version": "2.15.0", "isolate": true}));
    leaf.interest();
    for option in ["min_version: \"2.14.0\"", "isolate_leafnode_interest: true", "authorization { timeout: 7 }"] {
        site.reloaded(&hub(option));
        leaf.expect_nothing();
    }
}

#[test]
fn the_system_account_is_left_when_it_may_not_be_joined_any_more() {
    let text = |more: &str| {
        format!(
            "accounts {{ SYS {{ users: [{{user: s, password: s}}] }}, A {{ users: [{{user: a, password: a}}] }} }}\nsystem_account: SYS\nleafnodes {{ listen: \"127.0.0.1:-1\"\n{more}\n}}\n"
        )
    };
    let site = Site::start(&text("allow_system_account: true"));
    let [mut system, mut tenant] = ["s", "a"].map(|name| join(&site, name));
    tenant.interest();
    site.reloaded(&text(""));
    system.fenced_end("-ERR 'Authorization Violation'\r\n");
    tenant.expect_nothing();
    // A user of the clients that goes takes its leaf nodes along.
    site.reloaded(&text("").replace("A { users: [{user: a, password: a}] }", "A { users: [{user: b, password: b}] }"));
    tenant.fenced_end("");
}
