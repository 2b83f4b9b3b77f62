//! Auth callout in operator mode: the account of the JWT presented has a service (auth.md 9).

#![expect(clippy::unwrap_used, reason = "a test states what it expects")]

mod callout;
mod house;
mod support;

use cordon_accounts::claims::ExportKind;
use cordon_accounts::claims::revocation::Revoked;
use cordon_accounts::key::{CurveKey, Role, Seed, UserKey};
use cordon_auth::clock::Clock;

use callout::{SUBJECT, Service};
use house::{Account, House, TestUser, connect_of};
use support::Peer;
use support::tenant::seed;

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

/// An account with a service, and the service's own user.
struct Hall {
    account: Account,
    service: Seed,
    curve: Option<Seed>,
}

impl Hall {
    fn new(curve: Option<Seed>) -> Self {
        let (mut account, service) = (Account::new("CALLOUT"), seed(Role::User));
        let authorization = &mut account.claims.nats.authorization;
        authorization.auth_users = vec![UserKey::try_from(service.public()).unwrap()];
        authorization.xkey = curve.as_ref().map(|curve| CurveKey::try_from(curve.public()).unwrap());
        Self { account, service, curve }
    }

    fn service(&self, house: &House) -> Service {
        let mut claims = cordon_accounts::claims::UserClaims::new(UserKey::try_from(self.service.public()).unwrap());
        "service".clone_into(&mut claims.name);
        let jwt = claims.encode(&self.account.seed, Clock::system().unix_seconds() - 10).unwrap();
        let peer = house.join_as(&TestUser { seed: self.service.duplicate(), jwt });
        Service::new(peer, &self.account.seed, self.curve.as_ref())
    }

    /// A sentinel: a bearer token that may do nothing.
    fn sentinel(&self) -> TestUser {
        self.account.user(|user| {
            user.nats.template.bearer_token = true;
            user.nats.template.permissions.publish.deny = vec![">".to_owned()];
            user.nats.template.permissions.subscribe.deny = vec![">".to_owned()];
        })
    }
}

fn admitted(house: &House, hall: &Hall, service: &mut Service) -> (Peer, UserKey) {
    let mut peer = house.present(&hall.sentinel());
    let asked = service.next();
    service.accept(&asked, |_| {});
    peer.expect("PONG\r\n");
    (peer, asked.key())
}

#[test]
fn a_sentinel_becomes_what_the_service_says_in_its_own_or_an_allowed_account() {
    for curve in [None, Some(seed(Role::Curve))] {
        let (mut hall, target) = (Hall::new(curve), Account::new("TARGET"));
        hall.account.claims.nats.authorization.allowed_accounts = vec![target.key().to_string()];
        let house = House::new(&[&hall.account, &target]);
        let mut service = hall.service(&house);
        for own in [true, false] {
            let mut peer = house.present(&hall.sentinel());
            let asked = service.next();
            assert_eq!(asked.request.subject, hall.account.key().public());
            assert!(!asked.request.nats.connect_opts.jwt.is_empty());
            let (signer, account) = if own { (&hall.account, None) } else { (&target, Some(target.key())) };
            let jwt = callout::user(asked.key(), &signer.seed, |user| user.nats.issuer_account = account);
            service.answer(&asked, |response| response.nats.jwt = jwt);
            peer.expect("PONG\r\n");
            let inside = house.tenant(signer).connection_count();
            assert_eq!(inside, if own { 2 } else { 1 }, "{own}");
            peer.exchange("SUB a 1\r\nPUB a 2\r\nhi\r\n", "MSG a 1 2\r\nhi\r\n");
        }
    }
}

#[test]
fn an_account_that_is_not_allowed_is_not_entered() {
    let (hall, target) = (Hall::new(None), Account::new("TARGET"));
    let house = House::new(&[&hall.account, &target]);
    let mut service = hall.service(&house);
    let mut peer = house.present(&hall.sentinel());
    let asked = service.next();
    let jwt = callout::user(asked.key(), &target.seed, |_| {});
    service.answer(&asked, |response| response.nats.jwt = jwt);
    peer.expect_end(VIOLATION);
}

#[test]
fn auth_users_in_name_only_are_asked_about() {
    let hall = Hall::new(None);
    let house = House::new(&[&hall.account]);
    let mut service = hall.service(&house);
    let sentinel = hall.sentinel();
    for field in ["user", "nkey"] {
        let mut peer = house.broker.raw();
        let connect = connect_of(&peer, &sentinel);
        let claim = format!("CONNECT {{\"{field}\":\"{}\",", hall.service.public());
        peer.send(connect.replace("CONNECT {", &claim) + "PING\r\n");
        let asked = service.next();
        service.refuse(&asked, "not me");
        peer.expect_end(VIOLATION);
    }
}

#[test]
fn a_service_can_be_told_to_end_its_users() {
    let mut hall = Hall::new(None);
    let house = House::new(&[&hall.account]);
    let mut service = hall.service(&house);
    let (mut one, key) = admitted(&house, &hall, &mut service);
    let (mut other, _) = admitted(&house, &hall, &mut service);
    hall.account.claims.nats.revocations.revoke(key, Clock::system().unix_seconds());
    house.push(&hall.account);
    one.expect_end("-ERR 'User Authentication Revoked'\r\n");
    other.expect_nothing();
    hall.account.claims.nats.revocations.revoke(Revoked::All, Clock::system().unix_seconds());
    house.push(&hall.account);
    other.expect_end("-ERR 'User Authentication Revoked'\r\n");
}

#[test]
fn a_callout_comes_and_goes_with_the_claims() {
    let mut hall = Hall::new(None);
    let authorization = std::mem::take(&mut hall.account.claims.nats.authorization);
    let house = House::new(&[&hall.account]);
    let mut inside = house.join(&hall.account);
    inside.exchange(format!("SUB {SUBJECT} 1\r\nPUB {SUBJECT} 2\r\nhi\r\n"), format!("MSG {SUBJECT} 1 2\r\nhi\r\n"));
    hall.account.claims.nats.authorization = authorization;
    house.push(&hall.account);
    // What was allowed, and remembered as such, is the broker's own now.
    let refused = format!("-ERR 'Permissions Violation for Publish to \"{SUBJECT}\"'\r\n");
    inside.exchange(format!("PUB {SUBJECT} 2\r\nhi\r\n"), refused);
    let mut service = hall.service(&house);
    let (mut peer, _) = admitted(&house, &hall, &mut service);
    peer.expect_nothing();
    hall.account.claims.nats.authorization.auth_users.clear();
    house.push(&hall.account);
    let mut plain = house.join(&hall.account);
    plain.exchange(format!("PUB {SUBJECT} 2\r\nhi\r\nPING\r\n"), "PONG\r\n");
}

#[test]
fn no_other_account_reaches_the_service_by_an_import() {
    let hall = Hall::new(None);
    let account = hall.account;
    let account = account.exporting(ExportKind::Service, SUBJECT);
    let importer = Account::new("IMPORTER").importing(ExportKind::Service, &account, SUBJECT, "ask");
    let hall = Hall { account, ..hall };
    let house = House::new(&[&hall.account, &importer]);
    let mut service = hall.service(&house);
    let mut peer = house.join(&importer);
    let answer = house::ask(&mut peer, "ask", "a question of nobody");
    assert!(house::is_nobody(&answer), "{:?}", answer.header);
    assert_eq!(String::from_utf8_lossy(&service.peer.fenced()), "");
}
