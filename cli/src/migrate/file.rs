//! A configuration file of nats-server: what would not start, what is not acted on, what is stricter.

use std::path::Path;

use cordon_accounts::subject::matching;
use cordon_server::config::resolver::ResolverConfig;
use cordon_server::config::value::{Entry, Node, Value};
use cordon_server::config::{self, Identities, OperatorConfig, parser};

use super::jwt::Authorities;
use super::report::{Report, Weight};

/// Blocks that turn something on which this version does not serve.
const NOT_SERVED: &[(&[&str], &str)] = &[
    (&["mqtt"], "MQTT clients are not served by this version"),
    (&["cluster"], "this version runs as one broker: a cluster of them cannot be formed; it joins others as a leaf"),
    (&["gateway"], "this version runs as one broker: gateways to other clusters cannot be formed"),
];

/// Checks a file as nats-server would be started with it.
pub(super) fn check(path: &Path, now: i64, report: &mut Report) {
    let root = match parser::parse_file(path) {
        Ok(root) => root,
        Err(problem) => return report.add(Weight::Blocks, &problem.place, problem.text),
    };
    for entry in entries(&root) {
        options(entry, report);
    }
    match config::load(path) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                // Those about an option begin with its place.
                match warning.split_once(": ").filter(|(place, _)| place.starts_with(&path.display().to_string())) {
                    // What blocks was said already, with more words.
                    Some((place, _)) if report.blocks_at(place) => {}
                    Some((place, text)) => report.add(Weight::Differs, place, text),
                    None => report.add(Weight::Note, path.display(), warning),
                }
            }
            if let Identities::Operator(operator) = &loaded.identities {
                operators(path, operator, now, report);
            }
        }
        Err(error) => {
            for problem in error.0 {
                report.add(Weight::Blocks, &problem.place, problem.text);
            }
        }
    }
}

fn entries(node: &Node) -> &[Entry] {
    if let Value::Map(entries) = &node.value { entries } else { &[] }
}

fn child<'a>(node: &'a Node, names: &[&str]) -> Option<&'a Entry> {
    entries(node).iter().rfind(|entry| names.contains(&entry.key.to_ascii_lowercase().as_str()))
}

/// Whether a block turns its feature on: anything but `false` and its likes.
fn is_on(node: &Node) -> bool {
    match &node.value {
        Value::Bool(on) => *on,
        Value::Text(text) => !["disabled", "disable", "false"].contains(&text.to_ascii_lowercase().as_str()),
        Value::Map(_) => {
            !child(node, &["enabled", "enable"]).is_some_and(|entry| matches!(entry.node.value, Value::Bool(false)))
        }
        _ => true,
    }
}

fn options(entry: &Entry, report: &mut Report) {
    let name = entry.key.to_ascii_lowercase();
    for (names, text) in NOT_SERVED {
        if names.contains(&name.as_str()) && is_on(&entry.node) {
            report.add(Weight::Blocks, &entry.place, format!("`{name}`: {text}"));
        }
    }
    match name.as_str() {
        "jetstream" if is_on(&entry.node) => report.add(
            Weight::Note,
            &entry.place,
            "files of streams are of another form: take streams over with `nats stream backup` and `nats stream restore`",
        ),
        "accounts" => accounts(entry, report),
        "authorization" => authorization(entry, report),
        "no_auth_user" => report.add(
            Weight::Note,
            &entry.place,
            "INFO says `auth_required` nowhere while a `no_auth_user` stands in; nats-server says it in some",
        ),
        "mappings" | "maps" => mappings(entry, report),
        _ => {}
    }
}

fn accounts(entry: &Entry, report: &mut Report) {
    let mut users = 0;
    for account in entries(&entry.node) {
        if let Some(list) = child(&account.node, &["users"]) {
            users += list.node.items().len();
            list.node.items().iter().for_each(|user| permissions(user, report));
        }
        if let Some(defaults) = child(&account.node, &["default_permissions"]) {
            patterns(&defaults.node, report);
        }
        if let Some(maps) = child(&account.node, &["mappings", "maps"]) {
            mappings(maps, report);
        }
    }
    if users == 0 {
        report.add(
            Weight::Note,
            &entry.place,
            "accounts without a user: nats-server lets everybody into the global account; see whether clients count on it",
        );
    }
}

fn authorization(entry: &Entry, report: &mut Report) {
    let named = ["user", "username", "token", "users", "auth_callout", "auth_hook"];
    let asks = child(&entry.node, &named)
        .is_some_and(|entry| !matches!(&entry.node.value, Value::List(list) if list.is_empty()));
    if !asks {
        report.add(
            Weight::Note,
            &entry.place,
            "`authorization` names nobody: nats-server then lets everybody in; see whether clients count on it",
        );
    }
    if let Some(users) = child(&entry.node, &["users"]) {
        users.node.items().iter().for_each(|user| permissions(user, report));
    }
    if let Some(defaults) = child(&entry.node, &["default_permissions", "permissions", "default_permission"]) {
        patterns(&defaults.node, report);
    }
}

fn permissions(user: &Node, report: &mut Report) {
    if let Some(entry) = child(user, &["permissions", "permission", "authorization"]) {
        patterns(&entry.node, report);
    }
}

/// Subscriptions that are wider than an allowed pattern with `*` at its end.
fn patterns(permissions: &Node, report: &mut Report) {
    let Some(subscribe) = child(permissions, &["subscribe", "sub", "import"]) else { return };
    let allowed = child(&subscribe.node, &["allow"]).map_or(&subscribe.node, |entry| &entry.node);
    let subjects: Vec<&str> = allowed.items().iter().filter_map(|node| node.text().ok()).collect();
    for node in allowed.items() {
        if let Value::Text(text) = &node.value
            && let Some(wider) = text.strip_suffix(".*").map(|start| format!("{start}.>"))
            && !subjects.iter().any(|subject| matching::contains(subject.as_bytes(), wider.as_bytes()))
        {
            let text = format!(
                "`{text}` does not allow SUB {wider}, as nats-server does: what is asked must be inside one entry"
            );
            report.add(Weight::Note, &node.place, text);
        }
    }
}

fn mappings(entry: &Entry, report: &mut Report) {
    let sources: Vec<_> = entries(&entry.node).iter().collect();
    for (index, one) in sources.iter().enumerate() {
        for other in sources.iter().skip(index + 1) {
            let overlap = matching::overlaps(one.key.as_bytes(), other.key.as_bytes());
            if overlap && one.key != other.key {
                let text = format!(
                    "the mappings of `{}` and `{}` overlap: literal first, then the most specific one wins; nats-server chooses at random",
                    one.key, other.key
                );
                report.add(Weight::Differs, &other.place, text);
            }
        }
    }
}

/// The accounts that the configuration brings: preloaded, and kept by its resolver.
fn operators(path: &Path, operator: &OperatorConfig, now: i64, report: &mut Report) {
    let Some(mut authorities) = Authorities::of(&path.display().to_string(), &operator.operators, report) else {
        return;
    };
    for (account, token) in &operator.preload {
        authorities.account(&format!("resolver_preload {account}"), token, now, report);
    }
    let ResolverConfig::Directory(folder, ..) = &operator.resolver else { return };
    // Made at the first start where it is not there yet.
    let Ok(files) = std::fs::read_dir(folder) else { return };
    for file in files.filter_map(Result::ok).map(|entry| entry.path()) {
        if file.extension().is_some_and(|extension| extension == "jwt")
            && let Ok(token) = std::fs::read_to_string(&file)
        {
            authorities.account(&file.display().to_string(), token.trim(), now, report);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.conf");
        std::fs::write(&path, text).unwrap();
        crate::tls::install_provider();
        let mut report = Report::default();
        check(&path, 1_763_854_479, &mut report);
        report
    }

    #[test]
    fn what_is_not_served_blocks() {
        for (config, blocks) in [
            ("listen: \"127.0.0.1:4222\"\n", ""),
            ("port: 4222\nauthorization { user: a, password: b }\n", ""),
            ("jetstream: enabled\n", ""),
            ("mqtt { port: 1883 }\n", "mqtt"),
            ("cluster { name: c, port: 6222 }\n", "cluster"),
            ("gateway { name: g }\n", "gateway"),
            ("nonsense: 1\n", "nonsense"),
            ("port: 4222 {\n", ""),
        ] {
            let report = checked(config);
            let texts = report.texts(Weight::Blocks).join("\n");
            assert!(texts.contains(blocks), "{config}: {texts}");
            if blocks.is_empty() && !config.contains('{') || config.contains("authorization") {
                assert!(!report.blocks(), "{config}: {texts}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_blocks_at_its_place() {
        let texts = checked("port: 4222\nlisten {\n").texts(Weight::Blocks);
        assert!(!texts.is_empty() && texts.iter().all(|text| text.contains("nats.conf:")), "{texts:?}");
    }

    #[test]
    fn each_thing_is_said_once_and_only_where_it_bites() {
        let report = checked("mqtt { port: 1883 }\n");
        assert_eq!(report.texts(Weight::Blocks).len(), 1);
        assert!(!report.texts(Weight::Differs).iter().any(|text| text.contains("mqtt")), "{}", report.to_text());
        let streams = checked("jetstream { store_dir: x }\n").texts(Weight::Note).join("\n");
        assert!(streams.contains("nats stream restore"), "{streams}");
        let wide =
            "authorization { users: [ { user: a, password: b, permissions { subscribe: [\"foo.*\", \">\"] } } ] }\n";
        assert!(!checked(wide).to_text().contains("does not allow"));
    }

    #[test]
    fn stricter_rules_are_named_where_they_bite() {
        for (config, weight, told) in [
            (
                "authorization { users: [ { user: a, password: b, permissions { subscribe: [\"foo.*\"] } } ] }\n",
                Weight::Note,
                "`foo.*` does not allow SUB foo.>",
            ),
            ("mappings { \"a.*\": b, \"*.c\": d }\n", Weight::Differs, "overlap"),
            ("authorization { users: [] }\n", Weight::Note, "names nobody"),
            ("accounts { A { } }\n", Weight::Note, "without a user"),
        ] {
            let texts = checked(config).texts(weight).join("\n");
            assert!(texts.contains(told), "{config}: {texts}");
        }
    }
}
