//! Configurations as people write them: what is loaded, and what is refused with which advice.

use std::time::Duration;

use cordon_accounts::claims::{AccountClaims, OperatorClaims};
use cordon_accounts::key::{OperatorKey, Role, Seed};
use cordon_auth::clock::Clock;

use super::*;
use crate::options::HandshakeFirst;

fn load(text: &str) -> Result<LoadedConfig, ConfigError> {
    load_text(text, "t.conf")
}

fn refused(text: &str) -> String {
    load(text).err().unwrap_or_else(|| panic!("this was taken: {text}")).to_string()
}

fn seed(role: Role) -> Seed {
    Seed::generate(role, &mut rand::rngs::OsRng)
}

/// An operator JWT, and a system account of it with its JWT.
fn operator() -> (String, AccountKey, String) {
    let (operator, account) = (seed(Role::Operator), seed(Role::Account));
    let key = AccountKey::try_from(account.public()).unwrap();
    let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
    claims.nats.system_account = Some(key);
    let token = AccountClaims::new(key).encode(&operator, 1_600_000_000).unwrap();
    (claims.encode(&operator, 1_600_000_000).unwrap(), key, token)
}

/// What `nsc generate config --nats-resolver` writes, and the line that says where to listen.
fn generated(folder: &str) -> (String, AccountKey) {
    let (operator, key, account) = operator();
    let text = format!(
        "# Operator named O\noperator: {operator}\n# System Account named SYS\nsystem_account: {key}\n\n\
         # configuration of the nats based resolver\nresolver {{\n    type: full\n    # Directory in which the account jwt will be stored\n    \
         dir: '{folder}'\n    allow_delete: false\n    interval: \"2m\"\n    timeout: \"1.9s\"\n}}\n\n\
         resolver_preload: {{\n\t{key}: {account},\n}}\n\nlisten: \"127.0.0.1:-1\"\nhttp: \"127.0.0.1:-1\"\n"
    );
    (text, key)
}

#[tokio::test]
async fn what_nsc_generates_starts_a_broker_with_the_system_account_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (text, key) = generated(folder.path().to_str().unwrap());
    let running = start(load(&text).unwrap(), Clock::system()).await.unwrap();
    assert!(running.client_address.ip().is_loopback() && running.client_address.port() > 0);
    assert!(running.monitor_address.is_some_and(|address| address.port() > 0));
    let system = running.broker.tenants.system().unwrap();
    assert_eq!(system.name.as_str(), key.to_string());
    assert!(system.record().is_some());
    assert!(folder.path().join(format!("{key}.jwt")).exists());
    running.shutdown().await;
}

#[test]
fn operators_do_not_go_with_users_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (text, _) = generated(folder.path().to_str().unwrap());
    load(&text).unwrap();
    for line in [
        "authorization { user: a, password: \"b\" }",
        "authorization { users: [{user: a, password: \"b\"}] }",
        "accounts { A { users: [{user: a, password: \"b\"}] } }",
        "no_auth_user: a",
    ] {
        let problem = refused(&format!("{text}{line}\n"));
        assert!(problem.contains("operators do not go with"), "{line}: {problem}");
    }
}

#[test]
fn limits_and_timers_are_taken() {
    let loaded = load(
        "listen: 127.0.0.1:4333\ninsecure_no_auth: true\nserver_name: n1\nmax_payload: 2MB\nmax_connections: 10\nmax_subs: 7\n\
         max_control_line: 1kb\nping_interval: \"20s\"\nping_max: 3\nwrite_deadline: 2\nlame_duck_duration: \"40s\"\nDEBUG: true\npid_file: p.pid",
    );
    let loaded = loaded.unwrap();
    let broker = &loaded.broker;
    assert_eq!(broker.listen.to_string(), "127.0.0.1:4333");
    assert_eq!((broker.max_payload, broker.max_connections, broker.max_subscriptions), (2 << 20, 10, Some(7)));
    assert_eq!((broker.max_control_line, broker.ping_max), (1024, 3));
    assert_eq!((broker.ping_interval, broker.write_deadline), (Duration::from_secs(20), Duration::from_secs(2)));
    assert!(loaded.log.debug && loaded.pid_file.is_some());
    assert!(loaded.warnings.iter().any(|warning| warning.contains("plain text")));
}

#[test]
fn users_with_permissions_are_taken() {
    let user = seed(Role::User).public();
    let loaded = load(&format!(
        "listen: 127.0.0.1:4222\nauthorization {{ timeout: 1.5\n default_permissions {{ publish: \"a.>\" }}\n users: [\n\
         {{user: alice, password: \"secret\", permissions: {{publish: {{allow: [\"x\"], deny: \"x.y\"}}, subscribe: [\"s\"], allow_responses: true}}}}\n\
         {{nkey: {user}}}\n ] }}\naccounts {{ $SYS {{ users: [{{user: admin, password: \"p\"}}] }} }}\nno_auth_user: alice"
    ));
    let loaded = loaded.unwrap();
    assert_eq!(loaded.broker.auth_timeout, Duration::from_millis(1500));
    let Identities::Configured(users, system) = loaded.identities else { panic!("not operator mode") };
    assert!(users.is_required() && users.has_nkeys() && system.as_str() == "$SYS");
    let alice = users.user("alice").unwrap();
    assert!(alice.permissions.may_publish(b"x").is_ok() && alice.permissions.may_publish(b"a.b").is_err());
    assert_eq!(users.user("admin").unwrap().account.as_str(), "$SYS");
    assert!(loaded.warnings.iter().any(|warning| warning.contains("2 passwords")));
}

#[test]
fn tls_is_made_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let block = |more: &str| {
        format!(
            "insecure_no_auth: true\ntls {{ cert_file: \"{}\", key_file: \"{}\", {more} }}",
            certificate.display(),
            key.display()
        )
    };
    let loaded = load(&block("timeout: 3, handshake_first: \"200ms\"")).unwrap();
    let tls = loaded.broker.tls.unwrap();
    assert_eq!(
        (tls.verify, tls.first, tls.timeout),
        (false, HandshakeFirst::Within(Duration::from_millis(200)), Duration::from_secs(3))
    );
    assert_eq!(
        (loaded.broker.auth_timeout, loaded.broker.listen.to_string()),
        (Duration::from_secs(4), "0.0.0.0:4222".to_owned())
    );
    let mapped = load(&block(&format!("ca_file: \"{}\", verify_and_map: true", certificate.display()))).unwrap();
    assert!(mapped.broker.map_certificates && mapped.broker.tls.unwrap().verify);
    assert!(refused(&block("verify: true")).contains("ca_file"));
    assert!(refused(&block("ca_file: \"nowhere.pem\", verify: true")).contains("nowhere.pem"));
    assert!(refused(&block("min_version: \"1.1\"")).contains("1.1"));
    assert!(refused("insecure_no_auth: true\ntls { cert_file: \"x.pem\" }").contains("missing `key_file`"));
}

#[test]
fn what_is_insecure_must_be_asked_for() {
    assert!(refused("listen: 127.0.0.1:4222").contains("insecure_no_auth: true"));
    assert!(refused("").contains("nobody would be asked who they are"));
    let open = refused("port: 4222\ninsecure_no_auth: true");
    assert!(open.contains("insecure_no_tls: true") && open.contains("0.0.0.0:4222"), "{open}");
    let loaded = load("port: 4222\ninsecure_no_auth: true\ninsecure_no_tls: true").unwrap();
    assert_eq!(loaded.warnings.iter().filter(|warning| warning.contains("INSECURE")).count(), 2);
    assert!(load("listen: \"127.0.0.1:-1\"\nauthorization { token: \"s3cret\" }").is_ok());
}

#[test]
fn every_problem_is_named_with_its_place() {
    let text = "listen: 127.0.0.1:4222\ninsecure_no_auth: true\n";
    for (line, part) in [
        ("nonsense: 1", "t.conf:3:1: unknown option `nonsense`"),
        ("max_payload: \"1MB\"", "t.conf:3:14: expected a whole number"),
        ("max_payload: 0", "out of range"),
        ("max_payload: -1", "out of range"),
        ("max_payload: 128MB", "cannot be higher than `max_pending`"),
        ("debug: \"true\"", "without quotes"),
        ("server_name: \"a b\"", "without blanks"),
        ("ping_interval: 2m", "\"2m\" in quotes"),
        ("ping_interval: \"soon\"", "no duration"),
        ("write_deadline: 0", "duration of zero"),
        ("port: 70000", "no port"),
        ("http: \"nowhere\"", "no address"),
        ("lame_duck_grace_period: \"5m\"", "must be shorter"),
        ("jetstream {}", "not supported"),
        ("cluster { name: x }", "not supported"),
        ("resolver: MEMORY", "needs an `operator`"),
        ("resolver: URL(http://x)", "no resolver that is supported"),
        ("operator: no-such-file.jwt", "neither a JWT nor a file"),
        ("operator: eyJhbGciOiJ", "need a resolver"),
        ("resolver { type: full }", "needs `dir`"),
        ("resolver { type: half, dir: x }", "`half` is no type"),
        ("resolver { type: full, dir: x, hard_delete: true }", "allow_delete"),
        ("resolver { type: full, dir: x, typo: 1 }", "unknown option `typo`"),
        ("resolver_preload { X: eyJ }", "no account key"),
        ("authorization { user: a, password: 1234 }", "put it in quotes"),
        ("authorization { user: a, token: b }", "excludes"),
        ("authorization { password: \"b\" }", "without `user`"),
        ("authorization { users: [{user: a}, {user: a}] }", "twice"),
        ("authorization { users: [{password: \"a\"}] }", "either"),
        ("authorization { users: [{nkey: UABC}] }", "no user key"),
        ("authorization { users: {user: a} }", "must be a list"),
        ("authorization { users: [{user: a, password: \"b\", permissions: {publish: \"a..b\"}}] }", "a..b"),
        (
            "authorization { users: [{user: a, password: \"b\", permissions: {pubish: \"a\"}}] }",
            "unknown option `pubish`",
        ),
        ("authorization { token: \"\" }", "empty"),
        ("accounts { $G {} }", "reserved"),
        ("accounts { A { exports: [] } }", "not supported"),
        ("authorization { user: a, password: \"b\" }\nno_auth_user: c", "`c` is not configured"),
    ] {
        let problem = refused(&format!("{text}{line}"));
        assert!(problem.contains(part), "{line}: {problem}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let problems = load("a: 1\nb: 2\nlisten: 127.0.0.1:1\ninsecure_no_auth: true").unwrap_err();
    assert_eq!(problems.0.len(), 2);
    assert_eq!(problems.to_string().lines().count(), 2);
}

#[test]
fn a_key_that_only_variables_use_is_no_unknown_option() {
    assert!(load("place: \"127.0.0.1:4222\"\nlisten: $place\ninsecure_no_auth: true").is_ok());
}

#[tokio::test]
async fn a_strangers_account_is_not_preloaded() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, ..) = operator();
    let (_, key, token) = operator();
    let text = format!(
        "operator: {mine}\nresolver {{ type: full, dir: \"{}\" }}\nresolver_preload {{ {key}: {token} }}\nlisten: \"127.0.0.1:-1\"",
        folder.path().display()
    );
    let failure = start(load(&text).unwrap(), Clock::system()).await.err().unwrap();
    assert!(failure.to_string().contains(&key.to_string()), "{failure}");
    assert!(!folder.path().join(format!("{key}.jwt")).exists());
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!("listen: \"{}\"\ninsecure_no_auth: true", taken.local_addr().unwrap());
    let failure = start(load(&text).unwrap(), Clock::system()).await.err().unwrap().to_string();
    assert!(failure.contains("cannot listen on") && failure.contains("another address"), "{failure}");
}
