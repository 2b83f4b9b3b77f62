//! Auth callout in configured mode: an account's own service says who connections are (auth.md 9).

#![expect(clippy::unwrap_used, reason = "a test states what it expects")]

mod callout;
mod support;

use std::time::Duration;

use cordon_accounts::key::{AccountKey, CurveKey, Role, Seed, UserKey};
use cordon_accounts::name::AccountName;
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::callout::CalloutSettings;
use cordon_auth::clock::Clock;
use cordon_auth::configured::{ConfiguredAccount, ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::BrokerOptions;
use cordon_server::tenant::directory::Tenants;

use callout::{SUBJECT, Service};
use support::log::Log;
use support::tenant::seed;
use support::{Peer, TestBroker};

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

/// A broker whose AUTH account has a service, and the keys of that.
struct Door {
    broker: TestBroker,
    issuer: Seed,
    curve: Option<Seed>,
}

/// What a door is made with.
#[derive(Default)]
struct Plan {
    curve: Option<Seed>,
    auth_timeout: Option<Duration>,
    no_auth_user: bool,
}

impl Door {
    fn new() -> Self {
        Self::made(Plan::default())
    }

    fn made(plan: Plan) -> Self {
        let issuer = seed(Role::Account);
        let of = |name: &str, account: &str| {
            let credential = Credential::Password(name.to_owned().into());
            ConfiguredUser::new(name, credential, AccountName::new(account))
        };
        let settings = CalloutSettings {
            issuer: AccountKey::try_from(issuer.public()).unwrap(),
            account: AccountName::new("AUTH"),
            users: ["auth".to_owned()].into(),
            xkey: plan.curve.as_ref().map(|curve| CurveKey::try_from(curve.public()).unwrap()),
            allowed_accounts: Vec::new(),
        };
        let mut users = ConfiguredUsers::builder()
            .user(of("auth", "AUTH"))
            .user(of("guest", "APP"))
            .account(AccountName::new("OTHER"), ConfiguredAccount::default())
            .callout(settings);
        if plan.no_auth_user {
            users = users.no_auth_user("guest");
        }
        let authenticator = Authenticator::new(Mode::Configured(users.build().unwrap()), Clock::system());
        let auth_timeout = plan.auth_timeout.unwrap_or(Duration::from_secs(8));
        let options = BrokerOptions { auth_timeout, ..BrokerOptions::default() };
        let tenants = Tenants::new(None, Some(AccountName::system()));
        Self { broker: TestBroker::start(options, authenticator, tenants), issuer, curve: plan.curve }
    }

    fn service(&self) -> Service {
        Service::new(self.broker.peer_as("auth"), &self.issuer, self.curve.as_ref())
    }

    /// A connection that has sent CONNECT and PING.
    fn knock(&self, name: &str) -> Peer {
        let mut peer = self.broker.raw();
        peer.send(format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
             \"user\":\"{name}\",\"pass\":\"canary-{name}\"}}\r\nPING\r\n"
        ));
        peer
    }

    /// A connection that the service has put into an account.
    fn admitted(&self, service: &mut Service, account: &str) -> Peer {
        let mut peer = self.knock("dlc");
        let asked = service.next();
        service.accept(&asked, |user| account.clone_into(&mut user.audience));
        peer.expect("PONG\r\n");
        peer
    }
}

#[test]
fn the_service_decides_account_name_and_permissions() {
    for curve in [None, Some(seed(Role::Curve))] {
        let door = Door::made(Plan { curve, ..Plan::default() });
        let mut service = door.service();
        let mut peer = door.knock("dlc");
        let asked = service.next();
        let nats = &asked.request.nats;
        assert_eq!((nats.connect_opts.user.as_str(), nats.server_id.xkey), ("dlc", asked.xkey));
        assert_eq!(nats.server_id.id, peer.info()["server_id"].as_str().unwrap());
        if let Some(xkey) = asked.xkey {
            assert_eq!(xkey.to_string(), peer.info()["xkey"].as_str().unwrap());
        }
        service.accept(&asked, |user| {
            "alice".clone_into(&mut user.name);
            "APP".clone_into(&mut user.audience);
            user.nats.template.permissions.publish.allow = vec!["ok".to_owned(), "$SYS.REQ.USER.INFO".to_owned()];
            user.nats.template.limits.subs = 2.into();
        });
        peer.expect("PONG\r\n");
        peer.exchange("PUB no 0\r\n\r\n", "-ERR 'Permissions Violation for Publish to \"no\"'\r\n");
        peer.exchange("SUB _I 1\r\nPUB $SYS.REQ.USER.INFO _I 0\r\n\r\n", "MSG _I 1 ");
        peer.line();
        let info: serde_json::Value = serde_json::from_str(&peer.line()).unwrap();
        assert_eq!((info["data"]["user"].as_str(), info["data"]["account"].as_str()), (Some("alice"), Some("APP")));
        peer.exchange("SUB a 2\r\nSUB b 3\r\n", "-ERR 'maximum subscriptions exceeded'\r\n");
    }
}

#[test]
fn a_refusal_tells_the_peer_nothing_and_the_services_account_why() {
    let log = Log::capture();
    let door = Door::new();
    let mut service = door.service();
    service.peer.exchange("SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 2\r\nPING\r\n", "PONG\r\n");
    let mut peer = door.knock("dlc");
    let asked = service.next();
    let body = service.response(&asked, |response| "not on the list".clone_into(&mut response.nats.error));
    service.peer.send([format!("PUB {} {}\r\n", asked.reply, body.len()).as_bytes(), &body, b"\r\n"].concat());
    peer.expect_end(VIOLATION);
    service.peer.expect("MSG $SYS.ACCOUNT.CLIENT.AUTH.ERR 2 ");
    service.peer.line();
    let event: serde_json::Value = serde_json::from_str(&service.peer.line()).unwrap();
    assert_eq!(event["reason"], "not on the list");
    assert!(log.has("not on the list"));
    assert!(!log.has("canary-dlc"), "no secret is logged");
}

#[test]
fn wrong_late_empty_and_second_answers_let_nobody_in() {
    let door = Door::new();
    let mut service = door.service();
    let mut peer = door.knock("dlc");
    let asked = service.next();
    service.send(&asked.reply, b"");
    peer.expect_end(VIOLATION);
    // The answer to a question that is over is nobody's.
    let late = service.response(&asked, |_| {});
    service.send(&asked.reply, &late);

    let mut peer = door.knock("dlc");
    let asked = service.next();
    service.answer(&asked, |response| response.audience = seed(Role::Server).public().to_string());
    service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
    peer.expect_end(VIOLATION);
}

#[test]
fn without_an_answer_the_time_to_authenticate_ends_it() {
    let door = Door::made(Plan { auth_timeout: Some(Duration::from_millis(300)), ..Plan::default() });
    let mut service = door.service();
    let mut peer = door.knock("dlc");
    let asked = service.next();
    assert!(asked.request.expires > asked.request.issued_at);
    peer.expect_end(VIOLATION);
    let mut alone = door.knock("auth");
    alone.expect_end(VIOLATION);
}

#[test]
fn a_service_that_comes_in_time_is_asked() {
    let door = Door::new();
    let mut peer = door.knock("dlc");
    // The question was put already, to nobody.
    door.broker.until("the account of the service", |_| true);
    let mut service = door.service();
    let asked = service.next();
    service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
    peer.expect("PONG\r\n");
}

#[test]
fn nobody_but_auth_users_sees_a_question_or_answers_it() {
    let door = Door::new();
    let mut service = door.service();
    // In the service's own account, and with the service's own name, but put there by it.
    let mut watcher = door.knock("dlc");
    let asked = service.next();
    service.accept(&asked, |user| {
        "auth".clone_into(&mut user.name);
        "AUTH".clone_into(&mut user.audience);
    });
    watcher.expect("PONG\r\n");
    watcher.exchange(
        format!("SUB > 1\r\nSUB {SUBJECT} 2\r\nSUB {SUBJECT} q 3\r\nSUB $SYS.REQ.> 4\r\nPING\r\n"),
        "PONG\r\n",
    );
    let mut peer = door.knock("mallory");
    let asked = service.next();
    assert!(!String::from_utf8_lossy(&watcher.fenced()).contains("MSG"));
    // Signed by the right key, about the right key, and from the wrong connection.
    let jwt = callout::user(asked.key(), &door.issuer, |user| "APP".clone_into(&mut user.audience));
    let forged = service.response(&asked, |response| response.nats.jwt = jwt);
    watcher.send([format!("PUB {} {}\r\n", asked.reply, forged.len()).as_bytes(), &forged, b"\r\n"].concat());
    watcher.fenced();
    service.refuse(&asked, "nobody");
    peer.expect_end(VIOLATION);
}

#[test]
fn nobody_publishes_where_questions_are_published() {
    let door = Door::new();
    let mut service = door.service();
    let refused = format!("-ERR 'Permissions Violation for Publish to \"{SUBJECT}\"'\r\n");
    service.peer.exchange(format!("PUB {SUBJECT} 2\r\nhi\r\n"), &refused);
    let traced = format!("NATS/1.0\r\nNats-Trace-Dest: {SUBJECT}\r\n\r\n");
    service.peer.exchange(format!("HPUB x {0} {0}\r\n{traced}\r\n", traced.len()), &refused);
    let mut inside = door.admitted(&mut service, "AUTH");
    inside.exchange(format!("PUB {SUBJECT} x 2\r\nhi\r\n"), &refused);
    // An answer of the broker itself is not carried there either.
    inside.exchange(format!("PUB $SYS.REQ.USER.INFO {SUBJECT} 0\r\n\r\nPING\r\n"), "PONG\r\n");
    assert!(!String::from_utf8_lossy(&service.peer.fenced()).contains("MSG"));
    // Elsewhere it is a subject like others.
    let mut outside = door.admitted(&mut service, "APP");
    outside.exchange(format!("SUB {SUBJECT} 1\r\nPUB {SUBJECT} 2\r\nhi\r\n"), format!("MSG {SUBJECT} 1 2\r\nhi\r\n"));
}

#[test]
fn who_left_before_the_answer_is_in_no_account() {
    let door = Door::new();
    let mut service = door.service();
    let peer = door.knock("dlc");
    let asked = service.next();
    drop(peer);
    service.accept(&asked, |user| "OTHER".clone_into(&mut user.audience));
    door.broker.until("the connection is gone", |broker| broker.connections.open().len() == 1);
    let other = door.broker.running.broker.tenants.find(&AccountName::new("OTHER"));
    assert!(other.is_none(), "nobody was ever bound to it");
}

#[test]
fn a_second_connect_is_asked_about_again() {
    let door = Door::new();
    let mut service = door.service();
    let mut peer = door.admitted(&mut service, "APP");
    peer.send("CONNECT {\"verbose\":false,\"user\":\"dlc\"}\r\nPING\r\n");
    let asked = service.next();
    assert!(asked.request.nats.connect_opts.pass.is_none());
    service.refuse(&asked, "no password");
    peer.expect_end(VIOLATION);
}

#[test]
fn the_no_auth_user_is_the_services_to_decide_about() {
    let door = Door::made(Plan { no_auth_user: true, ..Plan::default() });
    let mut service = door.service();
    for first in ["CONNECT {\"verbose\":false}\r\nPING\r\n", "PING\r\n"] {
        let mut peer = door.broker.raw();
        peer.send(first);
        let asked = service.next();
        assert_eq!(asked.request.nats.client_info.user, "");
        service.refuse(&asked, "somebody must be somebody");
        peer.expect_end(VIOLATION);
    }
}

#[test]
fn a_user_of_the_service_ends_with_its_claims() {
    let door = Door::new();
    let mut service = door.service();
    let mut peer = door.knock("dlc");
    let asked = service.next();
    service.accept(&asked, |user| {
        "APP".clone_into(&mut user.audience);
        user.expires = Clock::system().unix_seconds() + 1;
    });
    peer.expect("PONG\r\n");
    peer.expect_end("-ERR 'User Authentication Expired'\r\n");
}

#[test]
fn twenty_peers_are_asked_about_at_the_same_time() {
    let door = Door::new();
    let mut service = door.service();
    let mut peers: Vec<Peer> = (0..20).map(|number| door.knock(&format!("user{number}"))).collect();
    let asked: Vec<_> = (0..20).map(|_| service.next()).collect();
    let keys: std::collections::HashSet<UserKey> = asked.iter().map(callout::Asked::key).collect();
    assert_eq!(keys.len(), 20);
    for question in asked.iter().rev() {
        let own = question.request.nats.connect_opts.user.clone();
        service.accept(question, |user| {
            user.name = own;
            "APP".clone_into(&mut user.audience);
        });
    }
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.expect("PONG\r\n");
        peer.exchange("SUB _I 1\r\nPUB $SYS.REQ.USER.INFO _I 0\r\n\r\n", "MSG _I 1 ");
        peer.line();
        let info: serde_json::Value = serde_json::from_str(&peer.line()).unwrap();
        assert_eq!(info["data"]["user"], format!("user{number}"));
    }
}
