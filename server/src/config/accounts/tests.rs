//! Users and accounts of configuration files: what is read, and everything that is refused.

use cordon_accounts::key::{Role, Seed};
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::sharing::{Access, ExportKind, ResponseType, Sampling};
use cordon_accounts::subject::MapOutcome;
use cordon_auth::configured::Credential;

use super::*;
use crate::config::{ConfigError, Identities, LoadedConfig, load_text};

/// Where it listens, so that only the rest of a text can be at fault. It is line 1.
const LISTEN: &str = "listen: \"127.0.0.1:-1\"\n";

fn load(text: &str) -> Result<LoadedConfig, ConfigError> {
    load_text(&format!("{LISTEN}{text}"), "t.conf")
}

fn configured(text: &str) -> (Configured, Vec<String>) {
    let loaded = load(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Identities::Configured(configured) = loaded.identities else { panic!("no operators here") };
    (configured, loaded.warnings)
}

fn account(text: &str, name: &str) -> Arc<Terms> {
    configured(text).0.accounts.get(&name.into()).unwrap_or_else(|| panic!("no {name}: {text}")).clone()
}

#[test]
fn both_forms_of_accounts_are_read_and_the_brokers_own_are_always_there() {
    for text in ["accounts: [A, \"B\"]", "accounts { A {}, B { users: [] } }", "\"accounts\": {\"A\": {}, \"B\": {}}"] {
        let (configured, warnings) = configured(text);
        let names: Vec<_> = configured.accounts.all().map(|terms| terms.name.to_string()).collect();
        assert_eq!(names, ["$G", "$SYS", "A", "B"], "{text}");
        assert!(configured.users.is_required(), "nobody gets in where accounts have no users");
        assert!(warnings.iter().any(|warning| warning.contains("nobody can connect")), "{warnings:?}");
    }
}

#[test]
fn the_system_account_is_the_named_one_or_the_one_of_its_name() {
    let cases = [
        ("accounts { $SYS { users: [{user: s, password: p}] }, A { users: [{user: a, password: p}] } }", Some("$SYS")),
        ("accounts { R { users: [{user: s, password: p}] }, A {} }\nsystem_account: R", Some("R")),
        ("accounts { A { users: [{user: s, password: p}] } }", Some("$SYS")),
        ("accounts { A { users: [{user: s, password: p}] } }\nno_system_account: true", None),
    ];
    for (text, expected) in cases {
        let system = configured(text).0.accounts.system().map(ToString::to_string);
        assert_eq!(system.as_deref(), expected, "{text}");
    }
}

#[test]
fn users_are_read_in_every_spelling_with_the_defaults_of_their_block() {
    let key = Seed::generate(Role::User, &mut rand::rngs::OsRng).public();
    let (configured, _) = configured(&format!(
        "authorization {{ default_permissions {{ pub: g }}\n users [ {{ username: one, pass: x }} ] }}\n\
         accounts {{ A {{ default_permissions: {{ sub: \"d.>\" }}, users: [\n\
         {{ user: two, password: y, permission: {{ import: [a, b], export: \"c\" }} }}\n\
         {{ nkey: {key}, connection_types: [standard, WEBSOCKET], proxy_required: true }}\n\
         {{ user: \"CN=three\" }} ] }} }}"
    ));
    let one = configured.users.user("one").unwrap();
    assert_eq!(one.account, AccountName::global());
    assert!(one.permissions.may_publish(b"g").is_ok() && one.permissions.may_publish(b"h").is_err());
    let two = configured.users.user("two").unwrap();
    assert_eq!(two.account.as_str(), "A");
    assert!(two.permissions.may_publish(b"b").is_ok() && two.permissions.may_subscribe(b"c", None).is_ok());
    assert!(two.permissions.may_subscribe(b"d.x", None).is_err(), "own permissions replace the defaults");
    let nkey = configured.users.nkey(&key.try_into().unwrap()).unwrap();
    assert!(
        nkey.permissions.may_subscribe(b"d.x", None).is_ok() && nkey.permissions.may_subscribe(b"e", None).is_err()
    );
    assert_eq!(nkey.connection_types, ["STANDARD", "WEBSOCKET"]);
    assert!(nkey.proxy_required);
    assert!(matches!(configured.users.user("CN=three").unwrap().credential, Credential::Certificate));
}

#[test]
fn permissions_are_read_in_every_spelling() {
    let allowed = |permissions: &str, subject: &[u8]| {
        let text = format!("authorization {{ users: [{{user: a, password: b, permissions: {permissions}}}] }}");
        let (configured, _) = configured(&text);
        configured.users.user("a").unwrap().permissions.may_publish(subject).is_ok()
    };
    for (permissions, good, bad) in [
        ("{ publish: a }", "a", "b"),
        ("{ pub: [a, \"b.*\"] }", "b.c", "c"),
        ("{ import: { allow: \"a.>\", deny: [\"a.b\"] } }", "a.c", "a.b"),
        ("{ publish: { deny: x } }", "y", "x"),
        ("{ publish: { allow: [] } , subscribe: z }", "", "a"),
        ("{ publish: [] }", "", "a"),
        ("{ allow_responses: true }", "", "a"),
        ("{ allow_responses: { max: 2, expires: \"1m\" }, publish: a }", "a", "b"),
        ("{ publish_allow_responses: { max_msgs: -1, ttl: \"-1s\" } }", "", "b"),
        ("{ subscribe: [\"s q.*\"] }", "a", ""),
    ] {
        assert!(good.is_empty() || allowed(permissions, good.as_bytes()), "{permissions} allows {good}");
        assert!(bad.is_empty() || !allowed(permissions, bad.as_bytes()), "{permissions} refuses {bad}");
    }
}

#[test]
fn exports_and_imports_are_read_in_every_spelling() {
    let terms = account(
        "accounts { A { users: [{user: a, password: b}], exports: [\n\
         { stream: \"s.>\", accounts: [B, \"$G\"] }\n\
         { service: \"q.*.*\", accounts: B, response_type: Stream, response_threshold: \"3s\", allow_trace: true }\n\
         { service: \"p.*\", account_token_position: 2 }\n\
         { service: \"o.*\", account_token_position: 2, accounts: [B] }\n\
         { service: l, response: single, threshold: \"1m\", latency: { sampling: \"20%\", subject: lat } }\n\
         { service: h, latency: { sampling: headers, subject: lat } }\n\
         { service: m, latency: lat, response_type: singleton } ] }\n\
         B { imports: [\n\
         { stream: { account: A, subject: \"s.>\" }, prefix: in, allow_trace: true }\n\
         { service: { account: A, subject: \"q.*.*\" }, to: \"my.$2.$1\", share: true }\n\
         { service: { account: A, subject: \"p.B\" } } ] } }",
        "A",
    );
    let by = |subject: &str| terms.sharing.exports.iter().find(|export| export.subject.as_str() == subject).unwrap();
    assert_eq!(by("s.>").kind, ExportKind::Stream);
    assert_eq!(by("s.>").access, Access::Approved(["$G".into(), "B".into()].into()));
    assert_eq!((by("q.*.*").response, by("q.*.*").threshold_ns), (ResponseType::Stream, 3_000_000_000));
    assert!(by("q.*.*").allow_trace);
    assert_eq!(by("p.*").access, Access::Position(2));
    assert_eq!(by("o.*").access, Access::ApprovedPosition(["B".into()].into(), 2));
    let sampling = |subject: &str| by(subject).latency.as_ref().unwrap().sampling;
    assert_eq!((sampling("l"), sampling("h")), (Sampling::Percent(20), Sampling::Headers));
    assert_eq!((sampling("m"), by("m").access.clone()), (Sampling::Percent(100), Access::Public));
}

#[test]
fn mappings_are_read_in_every_spelling_for_accounts_and_for_the_top() {
    let text = "mappings { a: b, w { destination: x, weight: \"30%\" } }\n\
                authorization { user: u, password: p }\n\
                accounts { A { maps { \"c.*\": \"d.{{partition(4,1)}}\", e: [{dest: f, weight: 50}, {dest: e, weight: 20%}] } } }";
    let mapped =
        |name: &str, subject: &str, drawn: u32| account(text, name).mappings.map(subject.as_bytes(), |_| drawn);
    assert_eq!(mapped("$G", "a", 0), MapOutcome::Mapped(b"b".to_vec()));
    assert_eq!(mapped("$G", "w", 29), MapOutcome::Mapped(b"x".to_vec()));
    assert_eq!(mapped("$G", "w", 30), MapOutcome::Unchanged);
    assert!(matches!(mapped("A", "c.x", 0), MapOutcome::Mapped(subject) if subject.starts_with(b"d.")));
    assert_eq!(mapped("A", "e", 49), MapOutcome::Mapped(b"f".to_vec()));
    assert_eq!(mapped("A", "e", 69), MapOutcome::Unchanged);
    assert_eq!(mapped("A", "e", 70), MapOutcome::Dropped);
    assert_eq!(mapped("A", "a", 0), MapOutcome::Unchanged, "each account has its own");
}

#[test]
fn the_name_of_the_cluster_chooses_among_destinations() {
    let text = |cluster: &str| {
        format!(
            "{cluster}\nauthorization {{ token: t }}\nmappings {{ a: [{{dest: b, weight: 100}}, {{dest: c, weight: 100, cluster: east}}] }}"
        )
    };
    for (cluster, expected) in [("", "b"), ("cluster { name: west }", "b"), ("cluster { name: east }", "c")] {
        let outcome = account(&text(cluster), "$G").mappings.map(b"a", |_| 0);
        assert_eq!(outcome, MapOutcome::Mapped(expected.into()), "{cluster}");
    }
}

#[test]
fn limits_traces_and_streams_of_an_account_are_read() {
    let terms = account(
        "accounts { A { limits { max_conn: 3, max_subs: 4, max_pay: 1KB, max_leafs: -1 }, users: [{user: a, password: b}]\n\
         msg_trace { dest: t.a, sampling: 10% }, jetstream: { max_mem: 1G, max_file: \"2G\", max_streams: -1 } }\n\
         B { jetstream: enabled, trace_dest: t.b }, C { jetstream: true } }",
        "A",
    );
    assert_eq!((terms.max_connections, terms.max_leafnodes), (Some(3), None));
    assert_eq!(terms.limits, ConnectionLimits { subscriptions: Some(4), payload: Some(1024) });
    let trace = terms.trace.as_ref().unwrap();
    assert_eq!((trace.destination.as_str(), trace.sampling), ("t.a", 10));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one bad file after the other")]
fn what_is_wrong_is_told_with_its_place() {
    let user = "users: [{user: a, password: b}]";
    for (text, line, part) in [
        ("authorization { user: a, password: b, token: c }", 2, "Cannot have a user/pass and token"),
        ("authorization { user: a, password: b, users: [] }", 2, "Can not have a single user/pass and a users array"),
        ("authorization { token: a, users: [] }", 2, "Can not have a token and a users array"),
        (
            "authorization { user: b, password: b }\naccounts { A { users: [{user: a, password: b}] } }",
            2,
            "single user/pass and accounts",
        ),
        ("authorization { token: b }\naccounts { A { users: [{user: a, password: b}] } }", 2, "a token and accounts"),
        ("authorization { password: b }", 2, "`password` without `user`"),
        ("authorization { token: \"\" }", 2, "must not be empty"),
        ("authorization { user: a, password: \"\" }", 2, "must not be empty"),
        ("authorization { user: \"\", password: b }", 2, "must not be empty"),
        ("authorization { user: a, password: 1234 }", 2, "put it in quotes"),
        ("authorization { users: {user: a} }", 2, "must be a list"),
        (
            "authorization { users: [\n{user: a, password: b}\n{user: a, password: c}\n] }",
            4,
            "Duplicate user \"a\" detected",
        ),
        (
            "authorization { users: [{user: a, password: b}] }\naccounts { A {\nusers: [{user: a, password: b}] } }",
            2,
            "Duplicate user \"a\"",
        ),
        ("authorization { users: [{password: b}] }", 2, "either"),
        ("authorization { users: [{user: a, nkey: UABC}] }", 2, "no user key"),
        (
            "authorization { users: [\n{user: a, password: b\n permissions {\n pubish: x } } ] }",
            5,
            "unknown option `pubish`",
        ),
        (
            "authorization { users: [{user: a, password: b\n permissions { publish {\n allow: [a,\n\"b..c\"] } } } ] }",
            5,
            "not a valid subject",
        ),
        (
            "authorization { users: [{user: a, password: b, permissions { publish: \"a q\" } } ] }",
            2,
            "only subscriptions have queue",
        ),
        (
            "authorization { users: [{user: a, password: b, permissions { subscribe: \"a q r\" } } ] }",
            2,
            "not a valid subject",
        ),
        (
            "authorization { users: [{user: a, password: b, permissions { subscribe: \" \" } } ] }",
            2,
            "not a valid subject",
        ),
        (
            "authorization { users: [{user: a, password: b, permissions { publish { allw: a } } } ] }",
            2,
            "unknown option `allw`",
        ),
        (
            "authorization { users: [{user: a, password: b, permissions { allow_responses { maxx: 1 } } } ] }",
            2,
            "unknown option `maxx`",
        ),
        (
            "authorization { users: [{user: a, password: b, clients: [TELEGRAPH]} ] }",
            2,
            "unknown connection type `TELEGRAPH`",
        ),
        ("authorization { users: [{user: a, password: b, clients: []} ] }", 2, "is empty"),
        ("authorization { user: a, password: b }\nno_auth_user: c", 3, "no_auth_user: \"c\" not present"),
        (
            "accounts { $SYS { users: [{user: a, password: b}] }, A {} }\nno_auth_user: a",
            3,
            "everybody would run the broker",
        ),
        ("accounts: 7", 2, "must be a map of accounts"),
        ("accounts { $G {} }", 2, "\"$G\" is a Reserved Account"),
        ("accounts: [\"$G\"]", 2, "Reserved Account"),
        ("accounts { \"A B\" {} }", 2, "must not contain blanks"),
        ("accounts { A { nkey: ABC } }", 2, "no account key"),
        ("accounts { A { typo: 1 } }", 2, "unknown option `typo`"),
        (
            "system_account: X\naccounts { A { users: [{user: a, password: b}] } }",
            2,
            "system account `X` is not defined",
        ),
        ("system_account: \"$G\"\nauthorization { token: b }", 2, "cannot be the system account"),
        ("system_account: A\nno_system_account: true\naccounts { A {} }", 2, "exclude each other"),
        ("accounts { A { limits { max_conn: -2 } } }", 2, "out of range"),
        ("accounts { A { limits { max_con: 2 } } }", 2, "unknown option `max_con`"),
        ("accounts { A { jetstream: sometimes } }", 2, "expected true, false"),
        ("accounts { A { jetstream { max_mem: \"1GB\" } } }", 2, "no size"),
        ("accounts { A { jetstream { max_memm: 1 } } }", 2, "unknown option `max_memm`"),
        ("accounts { A { msg_trace: \"a.*\" } }", 2, "no wildcards"),
        ("accounts { A { msg_trace { sampling: 10 } } }", 2, "needs `dest`"),
        ("accounts { A { msg_trace { dest: a, sampling: 101 } } }", 2, "percentage"),
    ] {
        refused(text, line, part);
    }
    refused(&format!("accounts {{ A {{ {user} }}\nB {{ {user} }} }}"), 3, "stands at line 2 already");
}

#[test]
fn what_is_wrong_with_exports_and_imports_is_told_with_its_place() {
    let exports = |exports: &str| format!("accounts {{ A {{ exports: [\n{exports}\n] }}, B {{}} }}");
    for (text, part) in [
        ("{ stream: a, service: b }", "either `stream` or `service`"),
        ("{ accounts: [B] }", "either `stream` or `service`"),
        ("{ stream: \"a..b\" }", "not a valid subject"),
        ("{ stream: a, acounts: [B] }", "unknown option `acounts`"),
        ("{ stream: a, accounts: [] }", "would export to everybody"),
        ("{ stream: a, accounts: [C] }", "account `C` is not defined"),
        ("{ stream: a, response_type: stream }", "for services only"),
        ("{ stream: a, latency: b }", "for services only"),
        ("{ stream: a, allow_trace: true }", "for services only"),
        ("{ service: a, response_type: twice }", "no response type"),
        ("{ service: a, threshold: 5 }", "expected text"),
        ("{ service: a, threshold: \"0s\" }", "more than nothing"),
        ("{ service: a, latency: \"b.*\" }", "no wildcards"),
        ("{ service: a, latency: a }", "which the service export `a` takes"),
        ("{ service: a, latency: { sampling: 0, subject: b } }", "from 1 to 100"),
        ("{ service: a, latency: { sampling: 101, subject: b } }", "from 1 to 100"),
        ("{ service: a, latency: { sampling: 10 } }", "needs `subject`"),
        ("{ service: a, latency: b, response_type: stream }", "one response only"),
        ("{ service: \"a.b\", account_token_position: 2 }", "is no `*`"),
        ("{ service: \"a.*\", account_token_position: 3 }", "is no `*`"),
        ("{ service: \"a.*\", account_token_position: -1 }", "no position"),
        ("{ service: a }, { service: a }", "there twice"),
    ] {
        refused(&exports(text), 3, part);
    }
    let imports = |imports: &str| {
        format!(
            "accounts {{ A {{ exports: [{{service: \"q.*.*\"}}, {{stream: \"s.>\", accounts: [C]}}, {{service: \"p.*\", account_token_position: 2}}] }}\n\
             B {{ imports: [\n{imports}\n] }}\nC {{}} }}"
        )
    };
    for (text, part) in [
        ("{ to: x }", "either `stream` or `service`"),
        ("{ service: { account: A } }", "needs `account` and `subject`"),
        ("{ service: { account: X, subject: q } }", "account `X` is not defined"),
        ("{ service: { account: A, subject: \"q..\" } }", "not a valid subject"),
        ("{ service: { account: A, subjct: q } }", "unknown option `subjct`"),
        ("{ service: { account: A, subject: \"q.*.*\" }, prefix: x }", "`prefix` is for streams"),
        ("{ stream: { account: A, subject: s.a }, prefix: x, to: y }", "exclude each other"),
        ("{ stream: { account: A, subject: s.a }, share: true }", "imports of a service only"),
        ("{ service: { account: A, subject: q.a.b }, allow_trace: true }", "imports of a stream only"),
        ("{ service: { account: A, subject: \"q.*.*\" }, to: \"x.$1\" }", "exactly once"),
        ("{ service: { account: A, subject: \"q.*.*\" }, to: \"x.$1.$3\" }", "names a wildcard"),
        ("{ stream: { account: A, subject: s.a }, prefix: \"x.*\" }", "prefix"),
        ("{ service: { account: A, subject: other } }", "exports no service"),
        ("{ stream: { account: A, subject: q.a.b } }", "exports no stream"),
        ("{ stream: { account: A, subject: \"s.>\" } }", "not among those approved"),
        ("{ service: { account: A, subject: p.A } }", "must be `B`"),
        ("{ service: { account: A, subject: \"p.*\" } }", "must be `B`"),
        (
            "{ service: { account: A, subject: q.a.b } }, { service: { account: A, subject: q.a.b } }",
            "already has an import",
        ),
    ] {
        refused(&imports(text), 4, part);
    }
}

#[test]
fn cycles_of_imports_are_refused_at_their_places() {
    let cycle =
        |kind: &str, length: usize| {
            let accounts: Vec<String> = (0..length).map(|at| {
            let next = (at + 1) % length;
            format!("A{at} {{ exports: [{{{kind}: x}}]\nimports: [{{{kind}: {{account: A{next}, subject: x}}}}] }}\n")
        }).collect();
            format!("accounts {{ {} }}", accounts.concat())
        };
    for kind in ["service", "stream"] {
        for length in 1..5 {
            refused(&cycle(kind, length), 3, "import forms a cycle");
        }
    }
}

#[test]
fn mappings_that_do_not_hold_are_refused_at_their_places() {
    for (mapping, part) in [
        ("a: [{dest: b, weight: 60}, {dest: c, weight: 50}]", "over 100"),
        ("a: [{dest: b, weight: 101}]", "percentage"),
        ("a: [{dest: b}]", "needs `weight`"),
        ("a: [{weight: 10}]", "needs `dest`"),
        ("a: [{dest: b, weight: 10}, {dest: b, weight: 10}]", "twice"),
        ("a: [{dest: b, weight: 60, cluster: x}, {dest: c, weight: 50, cluster: x}]", "over 100"),
        ("a: []", "needs a destination"),
        ("a: { dst: b }", "unknown option `dst`"),
        ("\"a..b\": c", "a..b"),
        ("\"a.*\": \"b.$2\"", "names a wildcard"),
        ("\"a.*\": \"b.*\"", "contains `*`"),
        ("\"a.*\": \"b.{{nonsense(1)}}\"", "unknown function"),
        ("\"a.*\": \"b.{{left(1,2)}}\"", "unknown function"),
        ("\"a.>\": \"b\"", "must end both"),
    ] {
        refused(&format!("authorization {{ token: x }}\nmappings {{\n{mapping} }}"), 4, part);
        refused(&format!("accounts {{ A {{ mappings {{\n{mapping} }} }} }}"), 3, part);
    }
}

fn refused(text: &str, line: usize, part: &str) {
    let error = load(text).err().unwrap_or_else(|| panic!("this was taken: {text}"));
    let found = error.0.iter().any(|problem| problem.place.line == line && problem.text.contains(part));
    assert!(found, "{text}\nwanted in line {line}: {part}\ngot: {error}");
}

#[test]
fn passwords_in_plain_text_and_users_that_cannot_connect_are_warned_of() {
    let hash = "$2a$04$abcdefghijklmnopqrstuuJ1lW1xP6xkZ3p0Jm5Z9V5vYxJ0W9l2e";
    let (_, warnings) = configured(&format!(
        "authorization {{ users: [{{user: a, password: plain}}, {{user: b, password: \"{hash}\"}}, {{user: c}}, {{user: d}}] }}\nno_auth_user: d"
    ));
    assert!(
        warnings.iter().any(|it| it == "Plaintext passwords detected, use nkeys or bcrypt (1 passwords)"),
        "{warnings:?}"
    );
    let passwordless: Vec<_> = warnings.iter().filter(|warning| warning.contains("has no password")).collect();
    assert!(passwordless.len() == 1 && passwordless[0].contains("`c`"), "{warnings:?}");
    let (_, warnings) = configured("authorization { token: plain }");
    assert!(warnings.iter().any(|it| it.contains("Plaintext passwords detected")), "{warnings:?}");
}

#[test]
fn an_empty_allow_list_allows_nothing_and_is_warned_of() {
    for list in ["publish: []", "publish: { allow: [] }", "subscribe: { allow: [], deny: [] }"] {
        let (_, warnings) =
            configured(&format!("authorization {{ users: [{{user: a, password: b, permissions: {{ {list} }} }}] }}"));
        assert!(
            warnings.iter().any(|it| it.starts_with("t.conf:2:") && it.contains("allows nothing")),
            "{list}: {warnings:?}"
        );
    }
    let (_, warnings) =
        configured("authorization { users: [{user: a, password: b, permissions: { publish: { deny: [] } } }] }");
    assert!(!warnings.iter().any(|it| it.contains("allows nothing")), "{warnings:?}");
}

#[test]
fn anonymous_clients_are_let_in_beside_the_system_account_only_where_nothing_else_is_said() {
    let system = "accounts { $SYS { users: [{user: s, password: p}] } }";
    for (more, open) in [
        ("", true),
        ("authorization {}", false),
        ("authorization { timeout: 1 }", false),
        ("authorization { users: [] }", false),
    ] {
        let (configured, warnings) = configured(&format!("insecure_no_auth: true\n{system}\n{more}"));
        assert_eq!(
            warnings.iter().any(|it| it.contains("INSECURE: only the system account")),
            open,
            "{more}: {warnings:?}"
        );
        assert!(configured.users.is_required() && !configured.users.has_no_auth_user(), "{more}");
    }
    refused(&format!("strict: true\n{system}"), 3, "nobody else would be asked");
    let both = "insecure_no_auth: true\naccounts { $SYS { users: [{user: s, password: p}] }, A {} }";
    assert!(!configured(both).1.iter().any(|it| it.contains("INSECURE: only")), "a second account closes it");
}

#[test]
fn equal_files_give_equal_values_and_others_do_not() {
    let text = |password: &str, subject: &str| {
        format!(
            "accounts {{ A {{ users: [{{user: a, password: {password}}}], exports: [{{service: {subject}}}], mappings {{ m: n }} }}\n\
             B {{ imports: [{{service: {{account: A, subject: {subject}}}, to: l}}] }} }}"
        )
    };
    let (first, _) = configured(&text("x", "s"));
    let (same, _) = configured(&text("x", "s"));
    assert!(first.users == same.users && first.accounts == same.accounts);
    let (password, _) = configured(&text("y", "s"));
    assert!(first.users != password.users && first.accounts == password.accounts);
    let (subject, _) = configured(&text("x", "t"));
    assert!(first.users == subject.users && first.accounts != subject.accounts);
}
