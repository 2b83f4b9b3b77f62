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
    let Identities::Configured(Configured { users, accounts, .. }) = loaded.identities else {
        panic!("not operator mode")
    };
    assert!(users.is_required() && users.has_nkeys());
    assert_eq!(accounts.system().unwrap().as_str(), "$SYS");
    let alice = users.user("alice").unwrap();
    assert!(alice.permissions.may_publish(b"x").is_ok() && alice.permissions.may_publish(b"a.b").is_err());
    assert_eq!(users.user("admin").unwrap().account.as_str(), "$SYS");
    assert!(loaded.warnings.iter().any(|warning| warning.contains("(2 passwords)")));
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
fn what_is_insecure_is_warned_of_and_refused_when_strict() {
    for (text, insecure) in [
        ("", 2),
        ("port: 4222", 2),
        ("listen: 127.0.0.1:4222\nauthorization { token: \"s3cret\" }", 1),
        ("port: 4222\ninsecure_no_auth: true\ninsecure_no_tls: true", 2),
    ] {
        let loaded = load(text).unwrap();
        assert_eq!(loaded.warnings.iter().filter(|warning| warning.contains("INSECURE")).count(), insecure, "{text}");
    }
    for (text, part) in [
        ("strict: true\nlisten: 127.0.0.1:4222", "insecure_no_auth: true"),
        ("insecure_no_auth: false", "nobody would be asked who they are"),
        ("strict: true\nauthorization { token: \"s3cret\" }", "insecure_no_tls: true"),
        ("insecure_no_tls: false", "0.0.0.0:4222"),
        // Nothing loosens what is strict.
        ("strict: true\ninsecure_no_auth: true\nlisten: 127.0.0.1:4222", "nobody would be asked"),
    ] {
        let problem = refused(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
    assert!(load("strict: true\nlisten: \"127.0.0.1:-1\"\nauthorization { token: \"s3cret\" }").is_ok());
}

#[test]
fn what_is_known_and_not_acted_on_is_one_warning_with_its_place() {
    let loaded = load(
        "jetstream { store_dir: x, max_mem: \"1G\" }\ncluster {\n  name: c\n  routes: [\"nats://a:1\"]\n}\nproxy_protocol: false\n\
         JetStream: disabled\ndisable_sublist_cache: true\nlame_duck_duration: \"40s\"",
    );
    let warnings = loaded.unwrap().warnings;
    let told: Vec<_> = warnings.iter().filter(|warning| warning.contains("not acted on")).collect();
    assert_eq!(told.len(), 1, "{warnings:?}");
    assert!(told[0].contains("t.conf:2:1: `cluster` is known") && told[0].contains("serves alone"), "{told:?}");
}

#[test]
fn what_is_not_acted_on_is_checked_all_the_same() {
    for (text, part) in [
        (
            "jetstream { max_mem: \"1GB\" }",
            "t.conf:1:22: `1GB` is no size: write one like \"1G\", or 1GB without quotes",
        ),
        ("jetstream { cipher: rot13 }", "one of chacha, chachapoly, aes"),
        ("jetstream { domian: x }", "unknown option `domian`: correct or remove it; did you mean `domain`?"),
        ("jetstream: maybe", "or one of enabled, disabled, or a map"),
        ("jetstream { limits { batch { timeout: 5 } } }", "a duration with its unit"),
        ("mqtt { port: \"1883\" }", "expected a whole number"),
        ("cluster { tls { cert: x } }", "unknown option `cert`: correct or remove it; did you mean `certs`?"),
        ("cluster { listen: \"0.0.0.0\" }", "expected a port, or host and port"),
        ("gateway { gateways: { name: a } }", "expected a list, each a map"),
        ("server_metadata: 5", "a map in braces"),
        ("syslog: 1", "true or false"),
    ] {
        let problem = refused(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn an_unknown_option_is_told_with_the_name_that_is_nearest() {
    for (text, part) in [
        ("max_paylod: 5", "did you mean `max_payload`?"),
        ("MAX_CONECTIONS: 5", "unknown option `MAX_CONECTIONS`: correct or remove it; did you mean `max_connections`?"),
        ("tls { cert_fil: x, key_file: y }", "did you mean `cert_file`?"),
        ("authorization { usres: [] }", "did you mean `users`?"),
        ("authorization { users: [{user: a, pasword: b}] }", "did you mean `password`?"),
        ("server_metadata{a x}", "unknown option `server_metadata{a`"),
        ("nonsense: 1", "t.conf:1:1: unknown option `nonsense`: correct or remove it"),
    ] {
        let problem = refused(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
    assert!(!refused("nonsense: 1").contains("did you mean"));
}

#[test]
fn an_option_under_two_names_counts_once_and_is_warned_of() {
    let loaded = load("max_conn: 5\nmax_connections: 7").unwrap();
    assert_eq!(loaded.broker.max_connections, 7);
    assert!(loaded.warnings.iter().any(|warning| warning.contains("`max_connections` and `max_conn` (line 1)")));
}

#[test]
fn what_nats_server_doubts_is_told_apart() {
    for (text, part) in [
        ("ping_interval: 5", "\"5s\""),
        ("ping_interval: 2m", "`2m` without quotes is taken for 2 minutes"),
        ("write_deadline: 0", "\"0s\""),
        ("authorization { token: a, timeout: 2m }", "`2m` without quotes is taken for 2 minutes"),
        ("authorization { token: a, timeout: 61 }", "is 61s"),
        ("mqtt { ack_wait: 5 }", "\"5s\""),
        ("", "has no values"),
        ("# c\n{}", "has no values"),
    ] {
        let loaded = load(text).unwrap();
        assert!(loaded.doubts.iter().any(|doubt| doubt.text.contains(part)), "{text}: {:?}", loaded.doubts);
        assert_eq!(loaded.broker.ping_interval.as_secs(), if text == "ping_interval: 5" { 5 } else { 120 }, "{text}");
    }
    for text in ["ping_interval: \"5s\"\nwrite_deadline: 10s", "authorization { token: a, timeout: 60 }"] {
        assert!(load(text).unwrap().doubts.is_empty(), "{text}");
    }
}

#[test]
fn every_problem_is_named_with_its_place() {
    let text = "listen: 127.0.0.1:4222\ninsecure_no_auth: true\n";
    for (line, part) in [
        ("nonsense: 1", "t.conf:3:1: unknown option `nonsense`"),
        ("max_payload: \"1MB\"", "t.conf:3:14: expected a whole number"),
        ("max_payload: 3GB", "out of range"),
        ("max_pending: -1", "out of range"),
        ("max_sub_tokens: 0", "from 1 to 255"),
        ("max_sub_tokens: 256", "from 1 to 255"),
        ("lame_duck_duration: 5s", "30s is the least"),
        ("lame_duck_duration: 40", "with its unit"),
        ("port: \"4222\"", "t.conf:3:7: expected a whole number"),
        ("max_payload: 128MB", "cannot be higher than `max_pending`"),
        ("debug: \"true\"", "without quotes"),
        ("server_name: \"a b\"", "without blanks"),
        ("ping_interval: 2k", "\"2k\" in quotes"),
        ("ping_interval: 1.5", "expected a duration"),
        ("ping_interval: \"-1s\"", "no duration"),
        ("ping_interval: \"soon\"", "no duration"),
        ("port: 70000", "no port"),
        ("http: \"nowhere\"", "no address"),
        ("lame_duck_grace_period: \"5m\"", "must be shorter"),
        ("resolver: MEMORY", "needs an `operator`"),
        ("resolver: URL(x)", "cannot be read"),
        ("operator: no-such-file.jwt", "neither a JWT nor a file"),
        ("operator: eyJhbGciOiJ", "need a resolver"),
        ("resolver { type: full }", "needs `dir`"),
        ("resolver { type: half, dir: x }", "`half` is no type"),
        ("resolver { type: full, dir: x, hard_delete: true }", "allow_delete"),
        ("resolver { type: full, dir: x, typo: 1 }", "unknown option `typo`"),
        ("resolver_preload { X: eyJ }", "no account key"),
        ("authorization { user: a, password: 1234 }", "put it in quotes"),
        ("authorization { user: a, token: b }", "Cannot have a user/pass and token"),
        ("authorization { password: \"b\" }", "without `user`"),
        ("authorization { users: [{user: a}, {user: a}] }", "Duplicate user"),
        ("authorization { users: [{password: \"a\"}] }", "either"),
        ("authorization { users: [{nkey: UABC}] }", "no user key"),
        ("authorization { users: {user: a} }", "must be a list"),
        ("authorization { users: [{user: a, password: \"b\", permissions: {publish: \"a..b\"}}] }", "a..b"),
        (
            "authorization { users: [{user: a, password: \"b\", permissions: {pubish: \"a\"}}] }",
            "unknown option `pubish`",
        ),
        ("authorization { token: \"\" }", "empty"),
        ("accounts { $G {} }", "Reserved"),
        ("accounts { A { exports: {} } }", "must be a list"),
        ("authorization { user: a, password: \"b\" }\nno_auth_user: c", "\"c\" not present"),
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

#[test]
fn addresses_are_read_in_every_form() {
    for (text, expected) in [
        ("listen: 4333", "0.0.0.0:4333"),
        ("listen: \":4333\"", "0.0.0.0:4333"),
        ("listen: localhost:4333", "127.0.0.1:4333"),
        ("listen: \"[::1]:4333\"", "[::1]:4333"),
        ("listen: \"[::]:-1\"", "[::]:0"),
        ("listen: -1", "0.0.0.0:0"),
        ("port: -1", "0.0.0.0:0"),
        ("port: 0", "0.0.0.0:4222"),
        ("listen: 127.0.0.1:0", "127.0.0.1:4222"),
        ("host: \"::\"", "[::]:4222"),
        ("net: localhost\nport: 5", "127.0.0.1:5"),
        // Whichever comes first.
        ("port: 5\nlisten: 127.0.0.1:6", "127.0.0.1:5"),
        ("listen: 127.0.0.1:6\nhost: 127.0.0.2", "127.0.0.2:6"),
    ] {
        assert_eq!(load(text).unwrap().broker.listen.to_string(), expected, "{text}");
    }
    // No name can have so long a part: nobody is asked for it.
    let nowhere = "x".repeat(70);
    assert!(refused(&format!("host: {nowhere}")).contains("has no address"));
    assert!(refused(&format!("listen: {nowhere}:1")).contains("has no address"));
    for text in [
        "listen: 0.0.0.0",
        "listen: \"h\"",
        "listen: ::1:4222",
        "listen: \"[::1:4222\"",
        "listen: \"127.0.0.1:x\"",
        "listen: \"127.0.0.1:70000\"",
        "listen: \"127.0.0.1:-2\"",
        "port: -2",
        "port: 65536",
        "http: h",
    ] {
        let problem = refused(text);
        assert!(
            problem.contains("t.conf:1:") && (problem.contains("address") || problem.contains("port")),
            "{text}: {problem}"
        );
    }
}

#[test]
fn monitoring_is_where_the_clients_are_unless_it_says_otherwise() {
    for (text, expected) in [
        ("http: 8222", "0.0.0.0:8222"),
        ("host: 127.0.0.1\nhttp_port: 8222", "127.0.0.1:8222"),
        ("http: \"127.0.0.1:-1\"", "127.0.0.1:0"),
        ("monitor_port: -1", "0.0.0.0:0"),
        ("http: 127.0.0.1:1\nhttp_port: 2", "127.0.0.1:2"),
    ] {
        let loaded = load(text).unwrap();
        let monitor = loaded.broker.monitor.unwrap();
        assert_eq!(monitor.to_string(), expected, "{text}");
        let told = loaded.warnings.iter().any(|warning| warning.contains("INSECURE: monitoring"));
        assert_eq!(told, !monitor.ip().is_loopback(), "{text}");
    }
    let strict =
        load("strict: true\ninsecure_no_auth: true\nlisten: 127.0.0.1:1\nauthorization { token: \"x\" }\nhttp: 8222");
    assert_eq!(strict.unwrap().broker.monitor.unwrap().to_string(), "127.0.0.1:8222");
    assert_eq!(load("http_port: 0").unwrap().broker.monitor, None);
    assert!(refused("http: 1\nhttps: 2").contains("either on `http` or on `https`"));
    assert!(refused("https: 2").contains("needs the certificate"));
}

#[test]
fn what_the_broker_is_told_about_itself_is_taken() {
    let loaded = load(
        "server_tags: [\" a \", b, a]\nserver_metadata { zone: z1, Rack: \"7\" }\nclient_advertise: \"nats.example:4222\"\n\
         no_header_support: true\nmax_closed_clients: 5\nhttp_base_path: /a/b/\nserver_name: \"\"",
    );
    let broker = loaded.unwrap().broker;
    assert_eq!(broker.tags, ["a", "b"]);
    assert_eq!(
        broker.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        ["Rack=7", "zone=z1"]
    );
    let told = broker.advertised.unwrap();
    assert_eq!((&*told.host, told.port), ("nats.example", Some(4222)));
    assert!(
        !broker.headers && broker.max_closed == 5 && broker.monitor_base == "/a/b" && broker.server_name.is_empty()
    );
    for (text, host, port) in [
        ("client_advertise: h", "h", None),
        ("client_advertise: \"[::1]:5\"", "::1", Some(5)),
        ("client_advertise: \"::1\"", "::1", None),
        ("client_advertise: h:0", "h", None),
    ] {
        let told = load(text).unwrap().broker.advertised.unwrap();
        assert_eq!((&*told.host, told.port), (host, port), "{text}");
    }
    for text in [
        "client_advertise: \"a b:1\"",
        "client_advertise: h:x",
        "client_advertise: \":5\"",
        "client_advertise: 5",
        "http_base_path: \"a/{b}\"",
        "http_base_path: \"../x\"",
        "server_metadata { a: 5 }",
        "server_metadata: x",
        "server_tags: [1]",
        "server_tags: 5",
        "trusted_keys: OABC",
    ] {
        refused(text);
    }
}

#[test]
fn limits_of_zero_or_less_are_what_they_are_in_nats_server() {
    let broker = load("max_payload: 0\nmax_control_line: 0\nmax_pending: 0\nping_max: 0\nmax_subs: -1").unwrap().broker;
    let usual = BrokerOptions::default();
    assert_eq!(
        (broker.max_payload, broker.max_control_line, broker.max_pending, broker.ping_max, broker.max_subscriptions),
        (usual.max_payload, usual.max_control_line, usual.max_pending, usual.ping_max, None)
    );
    let log = load("max_traced_msg_len: -1\nlog_max_num: -1\nlog_size_limit: -1").unwrap().log;
    assert_eq!((log.max_traced, log.files_max, log.size_limit), (0, 0, 0));
    for (text, told) in [
        ("max_payload: -1", "`max_payload` is that of `max_pending`: 67108864 bytes"),
        ("max_connections: -5", "nobody can connect"),
        ("max_control_line: 1MB", "`max_control_line` is 131071"),
        ("no_fast_producer_stall: true", "drops messages"),
        ("max_payload: 9MB", "above"),
    ] {
        let loaded = load(text).unwrap();
        assert!(loaded.warnings.iter().any(|warning| warning.contains(told)), "{text}: {:?}", loaded.warnings);
    }
}

/// Files in the shapes in which clients' test suites, charts and tutorials write them; nats-server takes each.
#[test]
fn files_of_nats_server_are_taken_as_they_are() {
    for text in [
        // A suite that writes everything into one file.
        "http: 127.0.0.1:-1\nleafnodes {\n  listen: 127.0.0.1:-1\n}\nwebsocket {\n  port: -1\n  no_tls: true\n}\nport: -1\nhost: 127.0.0.1\n\
         ports_file_dir: /tmp\nserver_tags: [\"a:b\"\n\"c\"]\njetstream {\n  store_dir: /tmp/x\n  max_file_store: 256MiB\n}\n",
        // JSON, as a chart makes it.
        "{\n  \"cluster\": { \"name\": \"nats\", \"no_advertise\": true, \"port\": 6222, \"routes\": [\"nats://nats-0:6222\", \"nats://nats-1:6222\"] },\n  \
         \"http_port\": 8222,\n  \"jetstream\": { \"max_file_store\": 10Gi, \"max_memory_store\": 0, \"store_dir\": \"/data\" },\n  \
         \"lame_duck_duration\": \"30s\",\n  \"lame_duck_grace_period\": \"10s\",\n  \"pid_file\": \"/var/run/nats/nats.pid\",\n  \
         \"port\": 4222,\n  \"SERVER\": \"nats-0\",\n  \"server_name\": $SERVER\n}\n",
        "{ \"jetstream\": true }",
        "jetstream: enabled\nlisten: localhost:4222\n",
        "jetstream = { max_mem_store: 64MB; max_file_store: 1Gb; domain = hub }\n",
        // Users with all there is to them.
        "PASS: abc\nnet = \"0.0.0.0\"\nport = 4333\nAuthorization {\n  timeout: 0.5\n  USER_PERMISSION = {\n    publish = { allow: [\"a.>\", b], deny = \"a.x\" }\n    \
         subscribe: \"q >\"\n  }\n  users = [\n    {user: alice, pass: $PASS, permission: $USER_PERMISSION}\n    \
         {username: \"bob\", password: '$2a$11$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab'} # c\n  ]\n}\n",
        "max_connections: 100 // few\nmax_control_line: 4kb\nmax_payload: 1MB\nping_interval: \"2m\"\nping_max: 3\nwrite_deadline: 10s\n\
         max_subscriptions: 0\nmax_traced_msg_len: 100\nlogtime: true\nlogfile_size_limit: 100MB\nlogfile_max_num: 3\nlog_file: \"/tmp/x.log\"\n\
         debug: false\ntrace: no\nsyslog: off\nprof_port: 0\ndisable_sublist_cache: yes\nconnect_error_reports: 1\n\
         reconnect_error_reports: 1\nmax_closed_clients: 100\nmonitor_port: 8222\nhttp_base_path: \"/\"\n",
        "gateway {\n  name: A\n  listen: \"localhost:7222\"\n  gateways: [\n    {name: B, urls: [\"nats://b:7222\"]}\n  ]\n}\nmqtt {\n  port: 1883\n  ack_wait: \"1m\"\n}\n",
    ] {
        if let Err(error) = load(text) {
            panic!("{text}\n{error}");
        }
    }
}

#[test]
fn a_log_that_will_hold_messages_is_warned_of() {
    for (text, warned) in [
        ("trace: true", true),
        ("trace_verbose: true", true),
        ("trace: true\ntrace_headers: true", false),
        ("trace: false", false),
        ("debug: true", false),
    ] {
        let warnings = load(text).unwrap().warnings;
        assert_eq!(warnings.iter().any(|warning| warning.contains("writes the messages")), warned, "{text}");
    }
}
