//! Auth callout and leaf nodes: leaf nodes that a service decides about, and services beyond leaf connections.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::UserClaims;
use cordon_accounts::key::{AccountKey, CurveKey, Role, Seed, UserKey};
use cordon_accounts::name::AccountName;
use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::callout::CalloutSettings;
use cordon_auth::clock::Clock;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::BrokerOptions;
use cordon_server::leaf::options::{LeafOptions, RemoteOptions, RemoteUrl};
use cordon_server::tenant::directory::Tenants;
use data_encoding::BASE64URL_NOPAD;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::house::{Account, House, TestUser};
use crate::listening;
use crate::remote::{joined, joined_to};
use crate::service::{SUBJECT, Service, user};
use crate::support::leaf::RawLeaf;
use crate::support::log::Log;
use crate::support::tenant::seed;
use crate::support::{Peer, TestBroker};

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

/// A broker whose account AUTH has a service, or will have.
struct Door {
    broker: TestBroker,
    issuer: Seed,
    curve: Option<Seed>,
}

impl Door {
    /// A user of AUTH is `auth`, whose word counts; one of APP is `guest`.
    fn new(curve: Option<Seed>, options: BrokerOptions) -> Self {
        let issuer = seed(Role::Account);
        let of = |name: &str, account: &str| {
            let credential = Credential::Password(name.to_owned().into());
            ConfiguredUser::new(name, credential, AccountName::new(account))
        };
        let settings = CalloutSettings {
            issuer: AccountKey::try_from(issuer.public()).unwrap(),
            account: AccountName::new("AUTH"),
            users: ["auth".to_owned()].into(),
            xkey: curve.as_ref().map(|curve| CurveKey::try_from(curve.public()).unwrap()),
            allowed_accounts: Vec::new(),
        };
        let users = ConfiguredUsers::builder()
            .user(of("auth", "AUTH"))
            .user(of("guest", "APP"))
            .callout(settings)
            .build()
            .unwrap();
        let authenticator = Authenticator::new(Mode::Configured(users), Clock::system());
        let tenants = Tenants::new(None, Some(AccountName::system()));
        Self { broker: TestBroker::start(options, authenticator, tenants), issuer, curve }
    }

    fn here(&self) -> Service {
        Service::new(self.broker.peer_as("auth"), &self.issuer, self.curve.as_ref())
    }

    /// The service at another broker, which lets anybody be it.
    fn at(&self, broker: &TestBroker) -> Service {
        let service = Service::new(broker.peer(), &self.issuer, self.curve.as_ref());
        self.broker.until("the question finds its way", |broker| {
            let mut set = cordon_server::routing::match_set::MatchSet::default();
            let tenant = broker.tenants.find(&AccountName::new("AUTH"));
            tenant.is_some_and(|tenant| {
                tenant.interest.matches(SUBJECT.as_bytes(), &mut set);
                set.far.is_some()
            })
        });
        service
    }

    fn knock(&self) -> Peer {
        let mut peer = self.broker.raw();
        peer.send("CONNECT {\"verbose\":false,\"user\":\"dlc\",\"pass\":\"canary\"}\r\nPING\r\n");
        peer
    }
}

fn curves() -> [Option<Seed>; 2] {
    [None, Some(seed(Role::Curve))]
}

/// A leaf node that has said who it is.
fn knocking(broker: &TestBroker, who: serde_json::Value) -> RawLeaf {
    let mut leaf = RawLeaf::dial(broker);
    leaf.connect("far", who);
    leaf
}

#[test]
fn a_service_decides_which_account_a_leaf_node_joins_and_what_it_may() {
    for curve in curves() {
        let door = Door::new(curve, listening(|_| {}));
        let mut service = door.here();
        let mut leaf = knocking(&door.broker, json!({"user": "dlc", "pass": "canary", "auth_token": "tok"}));
        let asked = service.next();
        let nats = &asked.request.nats;
        assert_eq!((nats.client_info.kind.as_str(), nats.client_info.client_type.as_str()), ("Leafnode", ""));
        assert_eq!((nats.client_info.name.as_str(), nats.client_info.host.as_str()), ("far", "127.0.0.1"));
        let sent = &nats.connect_opts;
        assert_eq!((sent.user.as_str(), sent.name.as_str(), sent.version.as_str()), ("dlc", "far", "2.15.0"));
        assert_eq!(sent.pass.as_ref().unwrap().expose_secret(), "canary");
        assert_eq!((sent.auth_token.as_ref().unwrap().expose_secret(), sent.protocol), ("tok", 3));
        service.accept(&asked, |user| {
            "APP".clone_into(&mut user.audience);
            user.nats.template.permissions.publish.allow = vec!["up".to_owned()];
        });
        leaf.read_joined();
        assert_eq!(
            (&leaf.joined["remote_account"], &leaf.joined["export"]),
            (&json!("APP"), &json!({"allow": ["up"]}))
        );
        leaf.fenced();
        leaf.send("LMSG down 1\r\nx\r\n");
        leaf.expect_refused("Permissions Violation for Publish to \"down\"");
    }
}

#[test]
fn a_leaf_node_that_is_refused_or_may_not_be_one_is_told_nothing_else() {
    let door = Door::new(None, listening(|_| {}));
    let mut service = door.here();
    for case in ["refused", "standard", "unsigned", "account"] {
        let mut leaf = knocking(&door.broker, json!({"user": "dlc", "pass": "canary"}));
        let asked = service.next();
        match case {
            "refused" => service.refuse(&asked, "nobody"),
            "standard" => service.accept(&asked, |user| {
                "APP".clone_into(&mut user.audience);
                user.nats.template.allowed_connection_types = vec!["STANDARD".to_owned()];
            }),
            "unsigned" => {
                let jwt = user(asked.key(), &seed(Role::Account), |user| "APP".clone_into(&mut user.audience));
                service.answer(&asked, |response| response.nats.jwt = jwt);
            }
            _ => service.accept(&asked, |user| "NOWHERE".clone_into(&mut user.audience)),
        }
        assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), VIOLATION, "{case}");
    }
    let mut leaf = knocking(&door.broker, json!({"user": "auth", "pass": "wrong"}));
    assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), VIOLATION);
    assert_eq!(
        String::from_utf8_lossy(&service.peer.fenced()).matches(SUBJECT).count(),
        0,
        "its own users prove themselves"
    );
}

#[test]
fn without_an_answer_a_leaf_node_is_refused() {
    let options = BrokerOptions { auth_timeout: Duration::from_millis(300), ..listening(|_| {}) };
    let door = Door::new(None, options);
    let mut service = door.here();
    let mut leaf = knocking(&door.broker, json!({"user": "dlc", "pass": "canary"}));
    let asked = service.next();
    assert_eq!(String::from_utf8_lossy(&leaf.peer.rest()), VIOLATION);
    service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
    assert!(cordon_server::monitoring::leafz::joined(&door.broker.running.broker).is_empty());
}

/// An account of an operator with a service, and the service's own user.
fn hall(curve: Option<&Seed>) -> (Account, Seed) {
    let (mut account, service) = (Account::new("CALLOUT"), seed(Role::User));
    let authorization = &mut account.claims.nats.authorization;
    authorization.auth_users = vec![UserKey::try_from(service.public()).unwrap()];
    authorization.xkey = curve.map(|curve| CurveKey::try_from(curve.public()).unwrap());
    (account, service)
}

/// What the service's own user, or a sentinel, proves itself with.
fn proof(leaf: &RawLeaf, user: &TestUser) -> serde_json::Value {
    let nonce = leaf.info["nonce"].as_str().unwrap();
    json!({"jwt": user.jwt, "sig": BASE64URL_NOPAD.encode(&user.seed.sign(nonce.as_bytes()).unwrap())})
}

fn service_user(account: &Account, service: &Seed) -> TestUser {
    let claims = UserClaims::new(UserKey::try_from(service.public()).unwrap());
    let jwt = claims.encode(&account.seed, Clock::system().unix_seconds() - 10).unwrap();
    TestUser { seed: service.duplicate(), jwt }
}

#[test]
fn in_operator_mode_a_leaf_nodes_sentinel_becomes_what_the_service_says() {
    for curve in curves() {
        let (mut account, own) = hall(curve.as_ref());
        let target = Account::new("TARGET");
        account.claims.nats.authorization.allowed_accounts = vec![target.key().to_string()];
        let house = House::build(&[&account, &target], listening(|_| {}), |_| {}, None, None);
        let mut service = Service::new(house.join_as(&service_user(&account, &own)), &account.seed, curve.as_ref());
        let sentinel = account.user(|user| user.nats.template.permissions.publish.deny = vec![">".to_owned()]);
        let mut leaf = RawLeaf::dial(&house.broker);
        let fields = proof(&leaf, &sentinel);
        leaf.connect("far", fields);
        let asked = service.next();
        let nats = &asked.request.nats;
        assert_eq!(
            (nats.client_info.kind.as_str(), nats.connect_opts.jwt.as_str()),
            ("Leafnode", sentinel.jwt.as_str())
        );
        assert_eq!(nats.client_info.nonce, leaf.info["nonce"].as_str().unwrap());
        let jwt = user(asked.key(), &target.seed, |user| user.nats.issuer_account = Some(target.key()));
        service.answer(&asked, |response| response.nats.jwt = jwt);
        leaf.read_joined();
        assert_eq!(leaf.joined["remote_account"], target.key().to_string());
        assert!(leaf.joined.get("export").is_none(), "{}", leaf.joined);
    }
}

#[test]
fn a_service_beyond_a_leaf_connection_of_its_user_answers() {
    for curve in curves() {
        let door = Door::new(curve, listening(|_| {}));
        let spoke = joined_to(&door.broker, |remote| {
            remote.urls = remote.urls.iter().map(|url| with_user(url, "auth")).collect();
        });
        let mut bystander = spoke.peer();
        bystander.exchange_only("SUB > 1\r\nSUB $SYS.> 2\r\n", "");
        let mut service = door.at(&spoke);
        for case in ["client", "leaf"] {
            let mut peer = door.knock();
            let asked = service.next();
            assert_eq!(asked.request.nats.connect_opts.user, "dlc", "{case}");
            service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
            peer.expect("PONG\r\n");
            let mut leaf = knocking(&door.broker, json!({"user": "dlc", "pass": "canary"}));
            let asked = service.next();
            assert_eq!(asked.request.nats.client_info.kind, "Leafnode");
            service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
            leaf.read_joined();
            assert_eq!(leaf.joined["remote_account"], "APP");
        }
        let mut peer = door.knock();
        let asked = service.next();
        service.refuse(&asked, "nobody");
        peer.expect_end(VIOLATION);
    }
}

fn with_user(url: &RemoteUrl, name: &str) -> RemoteUrl {
    RemoteUrl { user: Some(name.to_owned()), password: Some(name.to_owned().into()), ..url.clone() }
}

#[test]
fn in_operator_mode_a_service_beyond_a_leaf_connection_of_its_user_answers() {
    let curve = seed(Role::Curve);
    let (account, own) = hall(Some(&curve));
    let house = House::build(&[&account], listening(|_| {}), |_| {}, None, None);
    let mut leaf = RawLeaf::dial(&house.broker);
    let fields = proof(&leaf, &service_user(&account, &own));
    leaf.connect("far", fields);
    leaf.read_joined();
    assert_eq!(leaf.joined["export"], json!({"deny": [SUBJECT]}), "who asks is the broker alone");
    leaf.send(format!("LS+ {SUBJECT} q 1\r\n"));
    leaf.fenced();
    let mut peer = house.present(&account.user(|_| {}));
    let told = leaf.line();
    let inbox = told.strip_prefix("LS+ ").unwrap();
    assert!(inbox.starts_with("$SYS._INBOX."), "{told}");
    let line = leaf.line();
    assert!(line.starts_with(&format!("HMSG {SUBJECT} + {inbox} q ")), "{line}");
    leaf.expect(&["NATS/1.0"]);
    assert!(leaf.line().starts_with("Nats-Server-Xkey: X"));
    leaf.expect(&[""]);
    leaf.send(format!("LMSG {inbox} 3\r\nbad\r\n"));
    peer.expect_end(VIOLATION);
}

#[test]
fn leaf_nodes_of_other_users_are_not_asked_and_their_answers_do_not_count() {
    let (account, own) = hall(None);
    let house = House::build(&[&account], listening(|_| {}), |_| {}, None, None);
    let mut service = Service::new(house.join_as(&service_user(&account, &own)), &account.seed, None);
    // The service itself let this one in.
    let mut leaf = RawLeaf::dial(&house.broker);
    let fields = proof(&leaf, &account.user(|_| {}));
    leaf.connect("far", fields);
    let asked = service.next();
    service.accept(&asked, |_| {});
    leaf.read_joined();
    leaf.send(format!("LS+ {SUBJECT}\r\nLS+ >\r\n"));
    leaf.fenced();
    let mut peer = house.present(&account.user(|_| {}));
    let asked = service.next();
    leaf.expect(&[&format!("LS+ {}", asked.reply)]);
    let answer = String::from_utf8(service.response(&asked, |response| {
        response.nats.jwt = user(asked.key(), &account.seed, |_| {});
    }));
    let answer = answer.unwrap();
    leaf.send(format!("LMSG {} {}\r\n{answer}\r\n", asked.reply, answer.len()));
    leaf.expect_nothing();
    service.refuse(&asked, "not this one");
    peer.expect_end(VIOLATION);
}

#[test]
fn whoever_wants_everything_beyond_a_leaf_connection_is_not_asked() {
    let options = BrokerOptions { auth_timeout: Duration::from_millis(300), ..listening(|_| {}) };
    let door = Door::new(None, options);
    let mut leaf = knocking(&door.broker, json!({"user": "auth", "pass": "auth"}));
    leaf.read_joined();
    leaf.send("LS+ >\r\nLS+ *.REQ.USER.AUTH q 3\r\n");
    leaf.fenced();
    door.knock().expect_end(VIOLATION);
    // Not even a place for an answer was made.
    let lines = leaf.fenced();
    assert!(lines.iter().all(|line| !line.contains(SUBJECT) && !line.contains("_INBOX")), "{lines:?}");
}

#[test]
fn a_leaf_node_that_asks_questions_of_its_own_is_refused() {
    let door = Door::new(None, listening(|_| {}));
    let mut service = door.here();
    let mut leaf = knocking(&door.broker, json!({"user": "auth", "pass": "auth"}));
    leaf.read_joined();
    assert_eq!(leaf.joined["export"], json!({"deny": [SUBJECT]}));
    leaf.fenced();
    leaf.send(format!("LMSG {SUBJECT} inbox 2\r\nhi\r\n"));
    leaf.expect_refused(&format!("Permissions Violation for Publish to \"{SUBJECT}\""));
    assert_eq!(String::from_utf8_lossy(&service.peer.fenced()).matches("MSG").count(), 0);
}

#[test]
fn the_hub_of_a_dialled_connection_is_asked_what_is_sealed_and_nothing_else() {
    let log = Log::capture();
    for curve in curves() {
        let is_sealed = curve.is_some();
        let hub = crate::open();
        let address = hub.running.leaf_address.unwrap();
        let url = RemoteUrl::parse(&format!("nats-leaf://localhost:{}", address.port())).unwrap();
        let remote = RemoteOptions { account: AccountName::new("AUTH"), ..RemoteOptions::new(vec![url]) };
        let leaf =
            LeafOptions { listen: None, remotes: vec![Arc::new(remote)], write_deadline: None, write_timeout: None };
        let auth_timeout = if is_sealed { Duration::from_secs(8) } else { Duration::from_millis(300) };
        let options = BrokerOptions {
            leaf: Arc::new(leaf),
            server_name: "spoke".into(),
            auth_timeout,
            ..BrokerOptions::default()
        };
        let door = Door::new(curve, options);
        joined(&door.broker, 1);
        let mut service = door.at(&hub);
        let mut peer = door.knock();
        if is_sealed {
            let asked = service.next();
            service.accept(&asked, |user| "APP".clone_into(&mut user.audience));
            peer.expect("PONG\r\n");
        } else {
            peer.expect_end(VIOLATION);
            assert!(log.has("set `xkey`"));
            assert_eq!(String::from_utf8_lossy(&service.peer.fenced()).matches("MSG").count(), 0);
        }
    }
}
