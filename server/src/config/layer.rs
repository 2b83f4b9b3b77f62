//! What wins over the file: options that the command line gives, laid over what was parsed.
//!
//! A layer is kept for as long as the broker runs, and laid over the file again whenever that is read again.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use zeroize::Zeroizing;

use super::value::{Entry, Node, Place, Value};

/// Names of one option; of a map's entries that an option is laid over, all of them go.
const ALIASES: &[&[&str]] = &[
    &["host", "net"],
    &["http_port", "monitor_port"],
    &["log_file", "logfile"],
    &["log_size_limit", "logfile_size_limit"],
    &["pid_file", "pidfile"],
    &["store_dir", "storedir"],
    &["user", "username"],
    &["pass", "password"],
];

/// A value that a layer gives.
#[derive(Clone)]
pub enum Given {
    /// A switch.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text, which may be a secret.
    Text(Zeroizing<String>),
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => write!(f, "{on}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(_) => f.write_str("[text]"),
        }
    }
}

impl From<bool> for Given {
    fn from(on: bool) -> Self {
        Self::Bool(on)
    }
}

impl From<i64> for Given {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Given {
    fn from(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }
}

impl Given {
    fn value(&self) -> Value {
        match self {
            Self::Bool(on) => Value::Bool(*on),
            Self::Int(number) => Value::Int(*number, None),
            Self::Text(text) => Value::Text(text.as_str().to_owned()),
        }
    }
}

/// Options that win over those of the file, and options for a file that says nothing.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Set { source: String, path: Vec<&'static str>, given: Given },
    Default { source: String, option: &'static str, given: Given },
    Remove { option: &'static str },
}

impl Layer {
    /// Gives an option, or one within blocks; `source` says in problems where it was given.
    pub fn set(&mut self, source: &str, path: &[&'static str], given: impl Into<Given>) {
        self.steps.push(Step::Set { source: source.to_owned(), path: path.to_vec(), given: given.into() });
    }

    /// Gives an option that counts unless the file has it.
    pub fn set_default(&mut self, source: &str, option: &'static str, given: impl Into<Given>) {
        self.steps.push(Step::Default { source: source.to_owned(), option, given: given.into() });
    }

    /// Takes an option or a block away.
    pub fn remove(&mut self, option: &'static str) {
        self.steps.push(Step::Remove { option });
    }

    /// Lays the options over those of a file.
    pub fn apply(&self, root: &mut Node) {
        for step in &self.steps {
            let Value::Map(entries) = &mut root.value else { return };
            match step {
                Step::Set { source, path, given } => set(entries, source, path, given),
                Step::Default { source, option, given } => {
                    if !entries.iter().any(|entry| is_alias(&entry.key, option)) {
                        set(entries, source, &[option], given);
                    }
                }
                Step::Remove { option } => entries.retain(|entry| !is_alias(&entry.key, option)),
            }
        }
    }
}

fn set(entries: &mut Vec<Entry>, source: &str, path: &[&'static str], given: &Given) {
    let Some((option, inner)) = path.split_first() else { return };
    // Line 0: there is no line to point at.
    let place = Place { file: source.into(), line: 0, column: 0 };
    let mut last = None;
    if inner.is_empty() {
        entries.retain(|entry| !is_alias(&entry.key, option));
    } else {
        // Of the same block twice, the last one counts.
        let at = entries.iter().rposition(|entry| is_alias(&entry.key, option));
        last = at.map(|at| entries.swap_remove(at).node);
        entries.retain(|entry| !is_alias(&entry.key, option));
    }
    let node = match inner {
        [] => Node { place: place.clone(), value: given.value() },
        inner => {
            let mut block = last.unwrap_or_else(|| Node { place: place.clone(), value: Value::Map(Vec::new()) });
            if let Value::Map(entries) = &mut block.value {
                set(entries, source, inner, given);
            }
            block
        }
    };
    entries.push(Entry { key: (*option).to_owned(), place, node, used: Rc::new(Cell::new(false)) });
}

fn is_alias(key: &str, option: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == option || ALIASES.iter().any(|names| names.contains(&key.as_str()) && names.contains(&option))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parser;

    /// The options of a map, as `name=value` in order of their names.
    fn shown(node: &Node) -> String {
        let Value::Map(entries) = &node.value else {
            return match &node.value {
                Value::Text(text) => text.clone(),
                Value::Int(number, _) => number.to_string(),
                Value::Bool(on) => on.to_string(),
                other => format!("{other:?}"),
            };
        };
        let mut parts: Vec<_> = entries.iter().map(|entry| format!("{}={}", entry.key, shown(&entry.node))).collect();
        parts.sort();
        format!("{{{}}}", parts.join(" "))
    }

    fn laid_over(text: &str, fill: impl FnOnce(&mut Layer)) -> String {
        let mut root = parser::parse(text, "file", Path::new(".")).unwrap();
        let mut layer = Layer::default();
        fill(&mut layer);
        layer.apply(&mut root);
        shown(&root)
    }

    #[test]
    fn what_is_given_replaces_every_name_of_the_option() {
        for (file, expected) in [
            ("", "{host=b}"),
            ("host: a", "{host=b}"),
            ("net: a\nNET: c\nport: 1", "{host=b port=1}"),
            ("host { x: 1 }", "{host=b}"),
        ] {
            assert_eq!(laid_over(file, |layer| layer.set("-a", &["host"], "b")), expected, "{file}");
        }
    }

    #[test]
    fn what_is_given_within_a_block_leaves_the_rest_of_it() {
        for (file, expected) in [
            ("", "{authorization={user=u}}"),
            ("authorization { username: a, password: p }", "{authorization={password=p user=u}}"),
            ("Authorization { timeout: 1 }", "{authorization={timeout=1 user=u}}"),
            ("authorization { user: a }\nauthorization { timeout: 2 }", "{authorization={timeout=2 user=u}}"),
            ("authorization: 5", "{authorization=5}"),
        ] {
            let given = laid_over(file, |layer| layer.set("--user", &["authorization", "user"], "u"));
            assert_eq!(given, expected, "{file}");
        }
    }

    #[test]
    fn defaults_give_way_and_removed_blocks_are_gone() {
        let fill = |layer: &mut Layer| {
            layer.set_default("nats-server", "insecure_no_tls", true);
            layer.remove("tls");
        };
        assert_eq!(laid_over("insecure_no_tls: false\ntls { verify: true }", fill), "{insecure_no_tls=false}");
        assert_eq!(laid_over("TLS {}", fill), "{insecure_no_tls=true}");
    }

    #[test]
    fn given_text_is_not_shown() {
        let mut layer = Layer::default();
        layer.set("--pass", &["authorization", "pass"], "hunter2");
        assert!(!format!("{layer:?}").contains("hunter2"));
    }
}
