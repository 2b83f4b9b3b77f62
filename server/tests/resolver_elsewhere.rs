//! Account JWTs that the broker does not hold: from a server of account JWTs, and from others of the system account.

#![expect(clippy::unwrap_used, reason = "tests")]

mod house;
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use cordon_accounts::claims::{OperatorClaims, SigningKey, UserClaims};
use cordon_accounts::key::{OperatorKey, Role, Seed};
use cordon_auth::clock::Clock;
use cordon_server::config;
use house::{Account, Got, TestUser, ask, connect_of};
use support::Peer;
use support::tenant::seed;

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

/// An operator, and a runtime for what it starts.
struct Office {
    operator: Seed,
    runtime: tokio::runtime::Runtime,
}

/// What a server of account JWTs has.
type Tokens = Arc<Mutex<HashMap<String, String>>>;

impl Office {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { operator: seed(Role::Operator), runtime }
    }

    fn jwt(&self, change: impl FnOnce(&mut OperatorClaims)) -> String {
        let mut claims = OperatorClaims::new(OperatorKey::try_from(self.operator.public()).unwrap());
        change(&mut claims);
        claims.encode(&self.operator, Clock::system().unix_seconds() - 100).unwrap()
    }

    fn sign(&self, account: &Account) -> String {
        account.claims.encode(&self.operator, Clock::system().unix_seconds() - 50).unwrap()
    }

    /// A server of account JWTs, at this address.
    fn server(&self, tokens: &Tokens) -> String {
        let answer = async |State(tokens): State<Tokens>, Path(key): Path<String>| {
            tokens.lock().unwrap().get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
        };
        let router = Router::new()
            .route("/jwt/v1/accounts/", get(async || "ok"))
            .route("/jwt/v1/accounts/{key}", get(answer))
            .with_state(tokens.clone());
        let listener = self.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self.runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}/jwt/v1")
    }

    fn start(&self, text: &str) -> Result<cordon_server::RunningBroker, String> {
        let loaded = config::load_text(text, "test").map_err(|error| error.to_string())?;
        self.runtime.block_on(config::start(loaded, Clock::system())).map_err(|error| error.to_string())
    }
}

fn present(broker: &cordon_server::RunningBroker, account: &Account) -> Peer {
    present_user(broker, &account.user(|_| {}))
}

fn present_user(broker: &cordon_server::RunningBroker, user: &TestUser) -> Peer {
    let stream = std::net::TcpStream::connect(broker.client_address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let mut peer = Peer::new(stream);
    peer.read_info();
    let connect = connect_of(&peer, user);
    peer.send(format!("{connect}PING\r\n"));
    peer
}

#[test]
fn accounts_come_from_a_server_of_account_jwts() {
    let office = Office::new();
    let (known, unknown, system) = (Account::new("known"), Account::new("unknown"), Account::new("SYS"));
    let tokens = Tokens::default();
    for account in [&known, &system] {
        tokens.lock().unwrap().insert(account.key().to_string(), office.sign(account));
    }
    let base = office.server(&tokens);
    let listen = "listen: \"127.0.0.1:-1\"";
    let by_configuration = format!("{listen}\noperator: {}\nresolver: URL({base}/accounts/)\n", office.jwt(|_| {}));
    let quoted = format!("{listen}\noperator: {}\nresolver: URL(\"{base}/accounts\")\n", office.jwt(|_| {}));
    let server = base.clone();
    let by_operator = format!("{listen}\noperator: {}\n", office.jwt(|claims| claims.nats.account_server_url = server));
    for text in [by_configuration, quoted, by_operator] {
        let text = format!("{text}system_account: {}\n", system.key());
        let broker = office.start(&text).unwrap();
        assert!(broker.broker.tenants.system().unwrap().record().is_some());
        present(&broker, &known).expect("PONG\r\n");
        present(&broker, &unknown).expect_end(VIOLATION);
        present(&broker, &known).expect("PONG\r\n");
        office.runtime.block_on(broker.shutdown());
    }
}

#[test]
fn an_account_that_the_server_makes_up_is_refused() {
    let (office, stranger) = (Office::new(), Office::new());
    let account = Account::new("A");
    let tokens = Tokens::default();
    tokens.lock().unwrap().insert(account.key().to_string(), stranger.sign(&account));
    let base = office.server(&tokens);
    let text = format!("listen: \"127.0.0.1:-1\"\noperator: {}\nresolver: URL({base}/accounts/)\n", office.jwt(|_| {}));
    let broker = office.start(&text).unwrap();
    present(&broker, &account).expect_end(VIOLATION);
    office.runtime.block_on(broker.shutdown());
}

#[test]
fn a_server_that_is_not_there_or_elsewhere_stops_the_start() {
    let office = Office::new();
    let base = office.server(&Tokens::default());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let operator = office.jwt(|_| {});
    for (resolver, part) in [
        (format!("URL(http://{closed}/)"), "does not answer as it should"),
        (format!("URL({base}/elsewhere/)"), "404"),
        ("URL(ftp://h/)".to_owned(), "one of http or https"),
        ("URL()".to_owned(), "cannot be read"),
        (format!("URL({base}/accounts/)\nresolver_preload {{ A: eyJ }}"), "account key"),
    ] {
        let text = format!("listen: \"127.0.0.1:-1\"\noperator: {operator}\nresolver: {resolver}\n");
        let problem = office.start(&text).err().unwrap();
        assert!(problem.contains(part), "{resolver}: {problem}");
    }
}

#[test]
fn a_cache_and_a_store_ask_others_of_the_system_account() {
    for kind in ["cache", "full"] {
        let office = Office::new();
        let (known, unknown, system) = (Account::new("known"), Account::new("unknown"), Account::new("SYS"));
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "listen: \"127.0.0.1:-1\"\noperator: {}\nsystem_account: {}\n\
             resolver {{ type: {kind}, dir: '{}', timeout: \"1.5s\" }}\nresolver_preload: {{ {}: {}, }}\n",
            office.jwt(|_| {}),
            system.key(),
            folder.path().display(),
            system.key(),
            office.sign(&system),
        );
        let broker = office.start(&text).unwrap();
        // Nobody is there to ask.
        present(&broker, &Account::new("nobody's")).expect_end(VIOLATION);
        let mut other = present(&broker, &system);
        other.expect("PONG\r\n");
        other.exchange("SUB $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP 1\r\nPING\r\n", "PONG\r\n");
        // The first answer that is one counts; that there is none, only if everybody says so.
        for (account, answer) in [(&unknown, String::new()), (&known, office.sign(&known))] {
            let mut peer = present(&broker, account);
            let asked = Got::next(&mut other);
            assert_eq!(asked.subject, format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.key()));
            other.send(format!("PUB {} {}\r\n{answer}\r\n", asked.reply, answer.len()));
            if answer.is_empty() {
                peer.expect_end(VIOLATION);
            } else {
                peer.expect("PONG\r\n");
            }
        }
        let file = folder.path().join(format!("{}.jwt", known.key()));
        assert!(file.exists(), "{kind}");
        present(&broker, &known).expect("PONG\r\n");
        assert!(!String::from_utf8_lossy(&other.fenced()).contains("MSG"), "what is known is not asked for");
        office.runtime.block_on(broker.shutdown());
    }
}

/// A folder that is empty, and the configuration of a broker that keeps account JWTs there.
fn empty_store(office: &Office, system: &Account, strict: bool) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "listen: \"127.0.0.1:-1\"\noperator: {}\nsystem_account: {}\nresolver {{ type: full, dir: '{}' }}\n",
        office.jwt(|claims| claims.nats.strict_signing_key_usage = strict),
        system.key(),
        folder.path().display(),
    );
    (folder, text)
}

/// Waits until the system account's own claims are in force.
fn until_known(broker: &cordon_server::RunningBroker) {
    let until = std::time::Instant::now() + support::PATIENCE;
    let stands_in = || broker.broker.tenants.system().unwrap().record().is_none_or(|record| record.stands_in);
    while stands_in() {
        assert!(std::time::Instant::now() < until, "the system account never came");
        std::thread::yield_now();
    }
}

#[test]
fn the_system_account_can_be_pushed_where_it_is_not_known_and_nothing_else_can_be_done() {
    let (office, mut system) = (Office::new(), Account::new("SYS"));
    let signer = seed(Role::Account);
    system.claims.nats.signing_keys.push(SigningKey::Plain(signer.public().try_into().unwrap()));
    let (folder, text) = empty_store(&office, &system, false);
    let broker = office.start(&text).unwrap();
    // What its claims would say of signing keys is not known, and users of others are nobody's.
    present_user(&broker, &system.user_signed_by(&signer, |_| {})).expect_end(VIOLATION);
    present_user(&broker, &Account::new("other").user(|_| {})).expect_end(VIOLATION);
    let everything = |claims: &mut UserClaims| claims.nats.template.permissions.publish.allow = vec![">".to_owned()];
    for change in [|_: &mut UserClaims| {}, everything] {
        let mut peer = present_user(&broker, &system.user(change));
        peer.expect("PONG\r\n");
        for operation in
            ["PUB $SYS.REQ.SERVER.PING.VARZ 0\r\n\r\n", "SUB $SYS.> 1\r\n", "SUB > 2\r\n", "SUB _R_.> 3\r\n"]
        {
            peer.send(operation);
            let refused = String::from_utf8(peer.fenced()).unwrap();
            assert!(refused.starts_with("-ERR 'Permissions Violation"), "{operation}: {refused}");
        }
    }
    let mut pusher = present_user(&broker, &system.user(|_| {}));
    pusher.expect("PONG\r\n");
    let stranger = Office::new().sign(&system);
    assert_eq!(ask(&mut pusher, "$SYS.REQ.CLAIMS.UPDATE", &stranger).json()["error"]["code"], 500);
    present_user(&broker, &system.user_signed_by(&signer, |_| {})).expect_end(VIOLATION);
    let answer = ask(&mut pusher, "$SYS.REQ.CLAIMS.UPDATE", &office.sign(&system)).json();
    assert_eq!(answer["data"]["code"], 200, "{answer}");
    assert!(folder.path().join(format!("{}.jwt", system.key())).exists());
    until_known(&broker);
    for user in [system.user(|_| {}), system.user_signed_by(&signer, |_| {})] {
        let mut peer = present_user(&broker, &user);
        peer.expect("PONG\r\n");
        assert!(ask(&mut peer, "$SYS.REQ.SERVER.PING.VARZ", "").json()["data"].is_object());
    }
    // Who was connected has the defaults of the account from now on.
    assert!(ask(&mut pusher, "$SYS.REQ.SERVER.PING.VARZ", "").json()["data"].is_object());
    office.runtime.block_on(broker.shutdown());
}

#[test]
fn the_system_account_is_found_once_the_server_of_account_jwts_has_it() {
    let (office, system) = (Office::new(), Account::new("SYS"));
    let tokens = Tokens::default();
    let base = office.server(&tokens);
    let text = format!(
        "listen: \"127.0.0.1:-1\"\noperator: {}\nsystem_account: {}\nresolver: URL({base}/accounts/)\n",
        office.jwt(|_| {}),
        system.key(),
    );
    let broker = office.start(&text).unwrap();
    assert!(broker.broker.tenants.system().unwrap().record().unwrap().stands_in);
    tokens.lock().unwrap().insert(system.key().to_string(), office.sign(&system));
    until_known(&broker);
    let mut peer = present(&broker, &system);
    peer.expect("PONG\r\n");
    assert!(ask(&mut peer, "$SYS.REQ.SERVER.PING.VARZ", "").json()["data"].is_object());
    office.runtime.block_on(broker.shutdown());
}

#[test]
fn nothing_stands_in_where_identities_sign_nothing_or_nothing_is_kept() {
    let (office, system) = (Office::new(), Account::new("SYS"));
    let (_folder, strict) = empty_store(&office, &system, true);
    let memory = format!(
        "listen: \"127.0.0.1:-1\"\noperator: {}\nsystem_account: {}\nresolver: MEMORY\n",
        office.jwt(|_| {}),
        system.key(),
    );
    for text in [strict, memory] {
        let broker = office.start(&text).unwrap();
        present(&broker, &system).expect_end(VIOLATION);
        office.runtime.block_on(broker.shutdown());
    }
}
