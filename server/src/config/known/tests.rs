//! The tables against themselves and against the page that lists them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Every block that is reached from the top, once.
fn blocks() -> Vec<&'static Block> {
    fn of_kind(kind: &'static Kind, found: &mut Vec<&'static Block>) {
        match kind {
            Kind::Block(block) if !found.iter().any(|known| std::ptr::eq(*known, *block)) => {
                found.push(block);
                for option in block.options {
                    of_kind(&option.kind, found);
                }
            }
            Kind::List(of) | Kind::Named(of) => of_kind(of, found),
            Kind::OneOf(kinds) => kinds.iter().for_each(|kind| of_kind(kind, found)),
            _ => {}
        }
    }
    let mut found = vec![&TOP];
    for option in TOP.options {
        of_kind(&option.kind, &mut found);
    }
    found
}

/// The lines of the page: every option that is not acted on, but for those inside of such.
fn lines() -> String {
    let mut page = "\n| option | what becomes of it |\n|---|---|\n".to_owned();
    for block in blocks() {
        let path = if block.path.is_empty() { String::new() } else { format!("{}.", block.path) };
        for option in block.options {
            let names = option.names.replace(' ', "`, `");
            let told = match option.state {
                State::Applied => continue,
                State::Ignored(effect) => format!("not acted on: it would {effect}"),
                State::Moot(reason) => format!("needs nothing: {reason}"),
            };
            writeln!(page, "| `{path}{names}` | {told} |").unwrap();
        }
    }
    page.push('\n');
    page
}

#[test]
fn the_page_lists_what_is_not_acted_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- options -->", "<!-- /options -->");
    let (before, rest) = page.split_once(start).unwrap();
    let (listed, after) = rest.split_once(end).unwrap();
    if std::env::var_os("CORDON_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{start}\n{}\n{end}{after}", lines().trim_end_matches('\n'))).unwrap();
        return;
    }
    assert_eq!(listed.trim(), lines().trim(), "write the page anew: CORDON_WRITE_DOCS=1");
}

#[test]
fn no_block_has_a_name_twice() {
    for block in blocks() {
        let mut seen = BTreeSet::new();
        for name in block.options.iter().flat_map(|option| option.names.split(' ')) {
            assert!(seen.insert(name), "`{name}` stands twice in `{}`", block.path);
            assert_eq!(name, name.to_ascii_lowercase(), "names are compared in lower case");
        }
    }
}

#[test]
fn unlike_names_are_not_offered() {
    for (name, expected) in [
        ("max_paylod", Some("max_payload")),
        ("autorization", Some("authorization")),
        ("prot", Some("port")),
        ("x", None),
        ("", None),
        ("entirely_else", None),
    ] {
        assert_eq!(TOP.nearest(name), expected, "{name}");
    }
}

/// A value of a kind, as it is written in a file.
fn sample(kind: &Kind) -> String {
    match kind {
        // Nothing that would be looked up by name.
        Kind::Any | Kind::Text => "127.0.0.1".to_owned(),
        Kind::Block(block) => {
            let entries: Vec<_> =
                block.options.iter().map(|option| format!("{}: {}", option.name(), sample(&option.kind))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Kind::Duration | Kind::DurationText | Kind::Seconds => "\"2s\"".to_owned(),
        Kind::Integer | Kind::Listen | Kind::Percent => "50".to_owned(),
        Kind::List(of) => format!("[{}]", sample(of)),
        Kind::Named(of) => format!("{{ n: {} }}", sample(of)),
        Kind::OneOf(kinds) => kinds.last().map(sample).unwrap_or_default(),
        Kind::Storage => "\"1G\"".to_owned(),
        Kind::Switch => "false".to_owned(),
        Kind::Word(words) => words[0].to_owned(),
    }
}

/// Whatever else is wrong with the sample: no reader says that it does not know a name of its own table.
#[test]
fn every_name_of_every_table_is_known_to_its_reader() {
    let mut unknown = Vec::new();
    for option in TOP.options {
        for name in option.names.split(' ') {
            for written in [name.to_owned(), name.to_uppercase()] {
                let text = format!("{written}: {}\n", sample(&option.kind));
                let told = crate::config::load_text(&text, "t.conf").err().map(|error| error.to_string());
                let lines = told.iter().flat_map(|told| told.lines());
                unknown
                    .extend(lines.filter(|line| line.contains("unknown option")).map(|line| format!("{text}{line}")));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// Options with values of their own kind and of others.
fn any_option() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("127.0.0.1".to_owned()),
        Just("\"2s\"".to_owned()),
        Just("[]".to_owned()),
        Just("[{}]".to_owned()),
        Just("{}".to_owned()),
        Just("{ a: { b: c } }".to_owned()),
        Just("true".to_owned()),
        Just("1.5".to_owned()),
        Just("2m".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
    ];
    (0..TOP.options.len(), any::<prop::sample::Index>(), value, any::<bool>()).prop_map(|(at, name, value, own)| {
        let option = &TOP.options[at];
        let names: Vec<_> = option.names.split(' ').collect();
        format!("{}: {}\n", name.get(&names), if own { sample(&option.kind) } else { value })
    })
}

proptest! {
    #[test]
    fn whatever_options_say_problems_have_their_place_and_nothing_panics(
        options in prop::collection::vec(any_option(), 0..6)
    ) {
        let text = options.concat();
        match crate::config::load_text(&text, "t.conf") {
            Ok(loaded) => prop_assert!(loaded.warnings.iter().all(|warning| !warning.is_empty())),
            Err(error) => {
                prop_assert!(!error.0.is_empty());
                for problem in &error.0 {
                    prop_assert!(!problem.text.is_empty() && problem.place.line <= options.len().max(1), "{}", problem);
                }
            }
        }
    }
}
