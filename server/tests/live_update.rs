//! A changed account JWT takes effect on connections that are open (auth.md section 7).

mod house;
mod support;

use cordon_accounts::claims::{PermissionsClaim, Scope, SigningKey, SubjectsClaim};
use cordon_accounts::key::{AccountKey, Role, Seed};
use cordon_accounts::limits::Limit;
use cordon_auth::clock::Clock;
use house::{Account, House};

#[test]
fn a_revoked_user_is_told_and_disconnected_and_stays_out() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let user = account.user(|_| {});
    let (mut gone, mut other) = (house.join_as(&user), house.join(&account));
    account.claims.nats.revocations.revoke(user.seed.public(), Clock::system().unix_seconds());
    house.push(&account);
    gone.expect_end("-ERR 'User Authentication Revoked'\r\n");
    other.expect_nothing();
    house.present(&user).expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn the_newest_connections_go_when_the_limit_shrinks() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peers: Vec<_> = (0..3).map(|_| house.join(&account)).collect();
    account.claims.nats.limits.conn = Limit(2);
    house.push(&account);
    peers.pop().unwrap().expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    for peer in &mut peers {
        peer.expect_nothing();
    }
    house.present(&account.user(|_| {})).expect_end("-ERR 'maximum account active connections exceeded'\r\n");
    drop(peers.pop());
    // The place is free again once the broker has seen the end.
    while house.broker.running.broker.tenants.find(&account.key().into()).unwrap().connection_count() > 1 {
        std::thread::yield_now();
    }
    house.join(&account);
}

#[test]
fn a_smaller_payload_limit_counts_from_the_next_message_on() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join(&account);
    peer.exchange("SUB a 1\r\nPUB a 9\r\n123456789\r\n", "MSG a 1 9\r\n123456789\r\n");
    account.claims.nats.limits.payload = Limit(8);
    house.push(&account);
    peer.expect_nothing();
    peer.send("PUB a 9\r\n");
    peer.expect_end("-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn too_many_subscriptions_for_a_lowered_limit_end_the_connection() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join(&account);
    peer.send("SUB a 1\r\nSUB b 2\r\n");
    peer.expect_nothing();
    account.claims.nats.limits.subs = Limit(1);
    house.push(&account);
    peer.expect_end("-ERR 'maximum subscriptions exceeded'\r\n");
    let mut next = house.join(&account);
    next.exchange("SUB a 1\r\nSUB b 2\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    next.expect_nothing();
}

#[test]
fn bearer_users_go_when_the_account_forbids_them() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join_as(&account.user(|claims| claims.nats.template.bearer_token = true));
    account.claims.nats.limits.disallow_bearer = true;
    house.push(&account);
    peer.expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn users_of_a_removed_signing_key_go_silently() {
    let mut account = Account::new("A");
    let signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let key = AccountKey::try_from(signer.public()).unwrap();
    account.claims.nats.signing_keys.push(SigningKey::Plain(key));
    let house = House::new(&[&account]);
    let user = account.user_signed_by(&signer, |_| {});
    let mut peer = house.join_as(&user);
    account.claims.nats.signing_keys.clear();
    house.push(&account);
    peer.expect_end("");
    house.present(&user).expect_end("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn a_changed_scope_ends_its_users_and_binds_them_on_return() {
    let mut account = Account::new("A");
    let signer = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    let key = AccountKey::try_from(signer.public()).unwrap();
    let mut scope = Scope::new(key, "worker");
    scope.template.permissions.publish.allow = vec!["in.{{name()}}".to_owned()];
    account.claims.nats.signing_keys.push(SigningKey::Scoped(Box::new(scope.clone())));
    let house = House::new(&[&account]);
    let user = account.user_signed_by(&signer, |claims| {
        claims.nats.template = cordon_accounts::claims::UserTemplate::default();
    });
    let mut peer = house.join_as(&user);
    peer.send("PUB in.user 0\r\n\r\n");
    peer.expect_nothing();
    peer.exchange("PUB in.other 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"in.other\"'\r\n");
    scope.template.permissions.publish.allow = vec!["in.other".to_owned()];
    account.claims.nats.signing_keys = vec![SigningKey::Scoped(Box::new(scope))];
    house.push(&account);
    peer.expect_end("");
    let mut peer = house.join_as(&user);
    peer.exchange("PUB in.user 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"in.user\"'\r\n");
}

#[test]
fn narrowed_default_permissions_end_subscriptions_and_clear_what_was_cached() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join(&account);
    peer.exchange("SUB a 1\r\nSUB b.> q 2\r\nPUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
    let deny = |subject: &str| SubjectsClaim { deny: vec![subject.to_owned()], ..SubjectsClaim::default() };
    account.claims.nats.default_permissions =
        PermissionsClaim { publish: deny("a"), subscribe: deny("b.>"), response: None };
    house.push(&account);
    peer.expect("-ERR 'Permissions Violation for Subscription to \"b.>\" using queue \"q\" (sid \"2\")'\r\n");
    peer.exchange("PUB a 1\r\nx\r\n", "-ERR 'Permissions Violation for Publish to \"a\"'\r\n");
    account.claims.nats.default_permissions = PermissionsClaim::default();
    house.push(&account);
    peer.exchange("PUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
}

#[test]
fn an_expired_user_is_told_and_disconnected() {
    let account = Account::new("A");
    let house = House::new(&[&account]);
    let soon = Clock::system().unix_seconds() + 2;
    let mut peer = house.join_as(&account.user(|claims| claims.expires = soon));
    peer.expect_end("-ERR 'User Authentication Expired'\r\n");
}

#[test]
fn an_expired_account_ends_all_its_connections_until_a_newer_one_arrives() {
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let mut peer = house.join(&account);
    account.claims.expires = Clock::system().unix_seconds() + 2;
    house.push(&account);
    peer.expect_end("-ERR 'Account Authentication Expired'\r\n");
    house.present(&account.user(|_| {})).expect_end("-ERR 'Authorization Violation'\r\n");
    account.claims.expires = 0;
    house.push(&account);
    house.join(&account);
}

#[test]
fn mappings_come_and_go_with_the_claims_and_permissions_see_the_mapped_subject() {
    use cordon_accounts::claims::Mapping;
    let mut account = Account::new("A");
    let to = |subject: &str| vec![Mapping { subject: subject.to_owned(), ..Mapping::default() }];
    account.claims.nats.mappings.insert("foo".to_owned(), to("bar"));
    let house = House::new(&[&account]);
    let allowed = |subject: &'static str| {
        account.user(move |claims| claims.nats.template.permissions.publish.allow = vec![subject.to_owned()])
    };
    let mut only_foo = house.join_as(&allowed("foo"));
    only_foo.exchange("PUB foo 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"bar\"'\r\n");
    let mut only_bar = house.join_as(&allowed("bar"));
    only_bar.exchange("SUB bar 1\r\nPUB foo 0\r\n\r\n", "MSG bar 1 0\r\n\r\n");
    account.claims.nats.mappings.clear();
    house.push(&account);
    only_foo.send("SUB foo 1\r\n");
    only_foo.exchange("PUB foo 0\r\n\r\n", "MSG foo 1 0\r\n\r\n");
}

#[test]
fn what_goes_from_the_claims_goes_live() {
    let mut account = Account::new("A");
    account.claims.nats.limits.subs = Limit(1);
    account.claims.nats.limits.payload = Limit(4);
    account.claims.nats.default_permissions.publish.deny = vec!["secret".to_owned()];
    let house = House::new(&[&account]);
    let mut peer = house.join(&account);
    peer.exchange_only("SUB a 1\r\nSUB b 2\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    peer.exchange_only("PUB secret 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"secret\"'\r\n");
    account.claims.nats.limits.subs = Limit(-1);
    account.claims.nats.limits.payload = Limit(-1);
    account.claims.nats.default_permissions = PermissionsClaim::default();
    house.push(&account);
    peer.exchange_only("SUB secret 2\r\nPUB secret 9\r\n123456789\r\n", "MSG secret 2 9\r\n123456789\r\n");
}

#[test]
fn a_revocation_of_everyone_spares_those_who_are_issued_later() {
    use cordon_accounts::claims::revocation::Revoked;
    let mut account = Account::new("A");
    let house = House::new(&[&account]);
    let now = Clock::system().unix_seconds();
    let users = [account.user(|_| {}), account.user(|_| {})];
    let mut peers = users.each_ref().map(|user| house.join_as(user));
    // They were issued ten seconds ago.
    account.claims.nats.revocations.revoke(Revoked::All, now - 15);
    house.push(&account);
    peers.iter_mut().for_each(support::Peer::expect_nothing);
    account.claims.nats.revocations.revoke(Revoked::All, now - 5);
    house.push(&account);
    for peer in &mut peers {
        peer.expect_end("-ERR 'User Authentication Revoked'\r\n");
    }
    house.present(&users[0]).expect_end("-ERR 'Authorization Violation'\r\n");
    let mut later = cordon_accounts::claims::UserClaims::new(users[0].seed.public().try_into().unwrap());
    later.name = "again".to_owned();
    let jwt = later.encode(&account.seed, now - 4).unwrap();
    house.join_as(&house::TestUser { seed: users[0].seed.duplicate(), jwt });
}
