//! What a leaf node may do, and how that changes while it is connected.

use cordon_accounts::claims::{SubjectsClaim, UserClaims};
use cordon_accounts::key::{Role, UserKey};
use cordon_accounts::limits::Limit;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::house::{Account, House, TestUser};
use crate::listening;
use crate::support::leaf::RawLeaf;
use crate::support::tenant::seed;

fn house(accounts: &[&Account]) -> House {
    House::build(accounts, listening(|_| {}), |_| {}, None, None)
}

fn proof(leaf: &RawLeaf, user: &TestUser) -> Value {
    let nonce = leaf.info["nonce"].as_str().unwrap();
    json!({"jwt": user.jwt, "sig": BASE64URL_NOPAD.encode(&user.seed.sign(nonce.as_bytes()).unwrap())})
}

fn connect(house: &House, user: &TestUser, more: Value) -> RawLeaf {
    let mut leaf = RawLeaf::dial(&house.broker);
    let mut fields = proof(&leaf, user);
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    leaf.connect("far", fields);
    leaf
}

fn join(house: &House, user: &TestUser) -> RawLeaf {
    let mut leaf = connect(house, user, json!({}));
    leaf.read_joined();
    leaf
}

fn list(allow: &[&str], deny: &[&str]) -> SubjectsClaim {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    SubjectsClaim { allow: texts(allow), deny: texts(deny) }
}

fn limited(claims: &mut UserClaims) {
    claims.nats.template.permissions.publish = list(&["up.>"], &["up.secret"]);
    claims.nats.template.permissions.subscribe = list(&["down.>"], &["down.secret"]);
}

#[test]
fn permissions_are_told_and_interest_is_told_as_far_as_they_reach() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut client = house.join(&account);
    client.exchange_only("SUB up.x 1\r\nSUB up.secret 2\r\nSUB other 3\r\nSUB > 4\r\nSUB down.x 5\r\n", "");
    let mut leaf = join(&house, &account.user(limited));
    assert_eq!(leaf.joined["export"], json!({"allow": ["up.>"], "deny": ["up.secret"]}));
    assert_eq!(leaf.joined["import"], json!({"allow": ["down.>"], "deny": ["down.secret"]}));
    assert_eq!(leaf.interest(), ["up.x", ">"].map(String::from).into());
    let mut free = join(&house, &account.user(|_| {}));
    assert!(free.joined.get("import").is_none() && free.joined.get("export").is_none());
    assert_eq!(free.interest().len(), 5);
}

#[test]
fn forbidden_literals_end_the_connection_and_wildcards_are_filtered() {
    let account = Account::new("a");
    let house = house(&[&account]);
    for subject in ["other", "down.secret"] {
        let mut leaf = join(&house, &account.user(limited));
        leaf.fenced();
        leaf.send(format!("LS+ {subject}\r\n"));
        leaf.expect_refused(&format!("Permissions Violation for Subscription to \"{subject}\""));
    }
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    leaf.send("LS+ >\r\nLS+ down.> q 1\r\nLS+ $LDS.other\r\n");
    leaf.expect_nothing();
    let mut client = house.join(&account);
    client.exchange_only("PUB down.x 0\r\n\r\nPUB down.secret 0\r\n\r\nPUB other 0\r\n\r\nPUB down.y 0\r\n\r\n", "");
    leaf.expect(&["LMSG down.x | q 0", "", "LMSG down.y | q 0", ""]);
    leaf.expect_nothing();
}

#[test]
fn forbidden_messages_end_the_connection() {
    let account = Account::new("a");
    let house = house(&[&account]);
    for subject in ["other", "up.secret", "down.x", "$JS.API.INFO", "$KV.b.k", "$OBJ.b", "_GR_.x", "$NRG.x"] {
        let mut leaf = join(&house, &account.user(limited));
        leaf.fenced();
        leaf.send(format!("LMSG {subject} 0\r\n\r\n"));
        leaf.expect_refused(&format!("Permissions Violation for Publish to \"{subject}\""));
    }
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    leaf.send("LMSG up.x 0\r\n\r\nLMSG _R_.nobody.knows 0\r\n\r\n");
    leaf.expect_nothing();
}

#[test]
fn a_leaf_node_shows_no_subject_that_it_may_not_publish() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut client = house.join(&account);
    client.exchange_only("SUB up.x 1\r\n", "");
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    for (shown, seen) in [("up.y", "up.y"), ("up.secret", "up.x"), ("other", "up.x"), ("down.x", "up.x")] {
        leaf.send(format!("LMSG up.x $JS.ACK.S.c.1.1.1.1.0@{shown} 0\r\n\r\n"));
        client.expect(format!("MSG {seen} 1 $JS.ACK.S.c.1.1.1.1.0 0\r\n\r\n"));
    }
}

#[test]
fn what_the_wire_says_is_checked_and_not_what_a_mapping_makes_of_it() {
    let mut account = Account::new("a");
    account.claims.nats.mappings.insert(
        "other".parse().unwrap(),
        vec![serde_json::from_value(json!({"subject": "up.x", "weight": 100})).unwrap()],
    );
    let house = house(&[&account]);
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    leaf.send("LMSG other 0\r\n\r\n");
    leaf.expect_refused("Permissions Violation for Publish to \"other\"");
}

#[test]
fn mapped_subjects_are_told_and_mapped_where_they_arrive() {
    let mut account = Account::new("a");
    account.claims.nats.mappings.insert(
        "orders.in".parse().unwrap(),
        vec![serde_json::from_value(json!({"subject": "orders.v2", "weight": 100})).unwrap()],
    );
    let house = house(&[&account]);
    let mut leaf = join(&house, &account.user(|_| {}));
    assert_eq!(leaf.interest(), ["orders.in"].map(String::from).into());
    let mut client = house.join(&account);
    client.exchange_only("SUB orders.v2 q 1\r\n", "");
    leaf.send("LMSG orders.in 2\r\nhi\r\n");
    client.expect("MSG orders.v2 1 2\r\nhi\r\n");
    account.claims.nats.mappings.clear();
    house.push(&account);
    let mut lines = leaf.fenced();
    lines.retain(|line| !line.starts_with("INFO"));
    assert_eq!(lines, ["LS+ orders.v2 q 1", "LS- orders.in"]);
}

#[test]
fn what_the_leaf_asked_not_to_get_is_not_sent() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut leaf = connect(&house, &account.user(|_| {}), json!({"deny_pub": ["local.>", "not..valid"]}));
    leaf.read_joined();
    leaf.fenced();
    leaf.send("LS+ >\r\n");
    leaf.expect_nothing();
    house.join(&account).exchange_only("PUB local.x 0\r\n\r\nPUB x 0\r\n\r\n", "");
    leaf.expect(&["LMSG x 0", ""]);
}

#[test]
fn info_of_a_leaf_changes_nothing() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    leaf.send("INFO {\"import\":{\"allow\":[\">\"]},\"export\":{\"allow\":[\">\"]},\"connect_info\":true}\r\nLMSG other 0\r\n\r\n");
    leaf.expect_refused("Permissions Violation for Publish to \"other\"");
}

#[test]
fn changed_permissions_are_told_and_take_effect_without_reconnect() {
    let mut account = Account::new("a");
    account.claims.nats.default_permissions.publish = list(&["one"], &[]);
    let house = house(&[&account]);
    let mut client =
        house.join_as(&account.user(|claims| claims.nats.template.permissions.publish = list(&[">"], &[])));
    client.exchange_only("SUB one 1\r\nSUB two 2\r\n", "");
    let mut leaf = join(&house, &account.user(|_| {}));
    assert_eq!(leaf.interest(), ["one"].map(String::from).into());
    account.claims.nats.default_permissions.publish = list(&["two"], &[]);
    account.claims.nats.default_permissions.subscribe = list(&["down"], &[]);
    house.push(&account);
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(leaf.line());
    }
    let info: Value = serde_json::from_str(told.iter().find_map(|line| line.strip_prefix("INFO ")).unwrap()).unwrap();
    assert_eq!((&info["export"]["allow"], &info["import"]["allow"]), (&json!(["two"]), &json!(["down"])));
    assert!(told.contains(&"LS+ two".to_owned()) && told.contains(&"LS- one".to_owned()), "{told:?}");
    leaf.send("LMSG two 0\r\n\r\n");
    client.expect("MSG two 2 0\r\n\r\n");
    leaf.send("LMSG one 0\r\n\r\n");
    leaf.expect_refused("Permissions Violation for Publish to \"one\"");
}

#[test]
fn the_accounts_limit_of_leaf_nodes_is_kept_and_clients_do_not_count() {
    let mut account = Account::new("a");
    account.claims.nats.limits.leaf = Limit(1);
    account.claims.nats.limits.conn = Limit(1);
    let house = house(&[&account]);
    let mut first = join(&house, &account.user(|_| {}));
    let _client = house.join(&account);
    let mut second = connect(&house, &account.user(|_| {}), json!({"cluster": "second"}));
    second.expect_refused("maximum account active connections exceeded");
    first.fenced();
    account.claims.nats.limits.leaf = Limit(0);
    house.push(&account);
    let last = String::from_utf8_lossy(&first.peer.rest()).into_owned();
    assert!(last.contains("-ERR 'maximum account active connections exceeded'"), "{last}");
}

#[test]
fn revoked_expired_and_deleted_end_leaf_connections_like_clients() {
    let mut account = Account::new("a");
    let house = house(&[&account]);
    let user = account.user(|_| {});
    let mut leaf = join(&house, &user);
    leaf.fenced();
    account.claims.nats.revocations.revoke(UserKey::try_from(user.seed.public()).unwrap(), i64::MAX - 1);
    house.push(&account);
    let last = String::from_utf8_lossy(&leaf.peer.rest()).into_owned();
    assert!(last.contains("-ERR 'User Authentication Revoked'"), "{last}");
}

#[test]
fn credentials_that_expire_end_the_connection() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let soon = cordon_auth::clock::Clock::system().unix_seconds() + 2;
    let mut leaf = join(&house, &account.user(|claims| claims.expires = soon));
    let last = String::from_utf8_lossy(&leaf.peer.rest()).into_owned();
    assert!(last.contains("-ERR 'User Authentication Expired'"), "{last}");
}

#[test]
fn an_unknown_accounts_user_is_refused() {
    let (account, stranger) = (Account::new("a"), Account::new("stranger"));
    let house = house(&[&account]);
    connect(&house, &stranger.user(|_| {}), json!({})).expect_refused("Authorization Violation");
    let user = TestUser { seed: seed(Role::User), jwt: account.user(|_| {}).jwt };
    connect(&house, &user, json!({})).expect_refused("Authorization Violation");
}

#[test]
fn a_trace_of_a_leaf_goes_nowhere_it_may_not_publish() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut client = house.join(&account);
    client.exchange_only("SUB up.x 1\r\nSUB stolen 2\r\n", "");
    let mut leaf = join(&house, &account.user(limited));
    leaf.fenced();
    let header = "NATS/1.0\r\nNats-Trace-Dest: stolen\r\n\r\n";
    leaf.send(format!("HMSG up.x {0} {0}\r\n{header}\r\n", header.len()));
    leaf.expect(&["-ERR 'Permissions Violation for Publish to \"stolen\"'"]);
    client.expect_nothing();
    // Any client of its side can do that: the others stay connected.
    leaf.expect_nothing();
}

#[test]
fn what_an_account_hears_of_refusals_goes_to_leaf_nodes_that_ask_for_just_that() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut here = house.join(&account);
    here.exchange_only("SUB $SYS.ACCOUNT.SECURITY 1\r\n", "");
    let mut everything = join(&house, &account.user(|_| {}));
    everything.fenced();
    everything.send("LS+ >\r\nLS+ *.ACCOUNT.*\r\nLS+ > q 1\r\n");
    everything.expect_nothing();
    let mut asks = connect(&house, &account.user(|_| {}), json!({"name": "other", "cluster": "other"}));
    asks.read_joined();
    asks.fenced();
    asks.send("LS+ $SYS.ACCOUNT.SECURITY\r\n");
    asks.expect_nothing();
    everything.fenced();
    house.join_as(&account.user(limited)).send("PUB up.secret 0\r\n\r\n");
    assert!(asks.line().starts_with("LMSG $SYS.ACCOUNT.SECURITY "));
    here.until("MSG $SYS.ACCOUNT.SECURITY 1 ");
    everything.expect_nothing();
}
