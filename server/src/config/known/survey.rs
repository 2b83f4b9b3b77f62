//! Walks a file along the tables of what is known.

use std::collections::BTreeMap;

use super::{Block, Kind, Known, State, TOP};
use crate::config::value::{Entry, Node, Place, Problem, Value, duration};

/// What a walk found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Unknown options and wrong kinds inside of what no reader looks at.
    pub problems: Vec<Problem>,
    /// Options that are not acted on, and options given by two names.
    pub warnings: Vec<Problem>,
    /// What nats-server takes, and warns of when it checks a file.
    pub doubts: Vec<Problem>,
    /// Names that were perhaps meant, by the places of unknown options.
    nearest: BTreeMap<(usize, usize), (Place, &'static str)>,
}

impl Survey {
    /// Adds to a problem with an unknown option the name that was perhaps meant.
    pub fn advise(&self, problem: &mut Problem) {
        let found = self.nearest.get(&(problem.place.line, problem.place.column));
        if let Some((_, name)) = found.filter(|(place, _)| *place == problem.place)
            && problem.text.starts_with("unknown option")
        {
            problem.text = format!("{}; did you mean `{name}`?", problem.text);
        }
    }
}

/// Walks a file. Options that are known and not acted on are excused from then on: readers pass over them.
pub fn survey(root: &Node) -> Survey {
    let mut survey = Survey::default();
    if let Ok(entries) = root.entries() {
        survey.block(&TOP, entries, false);
    }
    survey
}

impl Survey {
    /// `unread`: no reader looks at this block, so that what is wrong in it is found here or not at all.
    fn block(&mut self, block: &'static Block, entries: &[Entry], unread: bool) {
        let mut seen: Vec<(&'static Known, &Entry)> = Vec::new();
        for entry in entries {
            let Some(known) = block.find(&entry.key.to_ascii_lowercase()) else {
                self.unknown(block, entry, unread);
                continue;
            };
            if let Some((_, other)) = seen.iter().find(|(before, _)| std::ptr::eq(*before, known)) {
                let text = format!(
                    "`{}` and `{}` (line {}) are one option: this one counts; nats-server takes either",
                    entry.key, other.key, other.place.line
                );
                self.warnings.push(Problem { place: entry.place.clone(), text });
            }
            seen.push((known, entry));
            let ignored = match known.state {
                State::Applied => false,
                State::Moot(_) => true,
                State::Ignored(effect) => {
                    if !unread && !matches!(entry.node.value, Value::Bool(false)) && !is_off(&entry.node) {
                        let text = format!("`{}` is known but not acted on: it would {effect}", entry.key);
                        self.warnings.push(Problem { place: entry.place.clone(), text });
                    }
                    true
                }
            };
            if ignored {
                entry.used.set(true);
            }
            self.value(&known.kind, &entry.node, unread || ignored);
        }
    }

    fn unknown(&mut self, block: &Block, entry: &Entry, unread: bool) {
        let place = &entry.place;
        if let Some(name) = block.nearest(&entry.key.to_ascii_lowercase()) {
            self.nearest.insert((place.line, place.column), (place.clone(), name));
        }
        if unread && !entry.used.get() {
            let mut problem =
                Problem { place: place.clone(), text: format!("unknown option `{}`: correct or remove it", entry.key) };
            self.advise(&mut problem);
            self.problems.push(problem);
        }
    }

    fn value(&mut self, kind: &Kind, node: &Node, unread: bool) {
        let Some(kind) = suitable(kind, node) else {
            if unread {
                self.problems.push(node.problem(format!("expected {}", expected(kind))));
            }
            return;
        };
        match (kind, &node.value) {
            (Kind::Duration | Kind::Seconds, Value::Int(_, Some(written))) => {
                let minutes = node.minutes().map(|minutes| minutes.as_secs() / 60);
                self.doubts.extend(minutes.map(|minutes| {
                    node.problem(format!(
                        "`{written}` without quotes is taken for {minutes} minutes: write \"{written}\""
                    ))
                }));
            }
            (Kind::Duration, Value::Int(seconds, None)) => {
                self.doubts.push(node.problem(format!("`{seconds}` is taken for seconds: write \"{seconds}s\"")));
            }
            (Kind::Block(block), Value::Map(entries)) => self.block(block, entries, unread),
            (Kind::Named(of), Value::Map(entries)) => {
                for entry in entries {
                    self.value(of, &entry.node, unread);
                }
            }
            (Kind::List(of), Value::List(items)) => {
                for item in items {
                    self.value(of, item, unread);
                }
            }
            _ => {}
        }
    }
}

/// `disabled` says what nothing says, too.
fn is_off(node: &Node) -> bool {
    node.text().is_ok_and(|text| text.eq_ignore_ascii_case("disabled"))
}

/// The kind, out of several, that a value is of.
fn suitable<'k>(kind: &'k Kind, node: &Node) -> Option<&'k Kind> {
    let fits = match (kind, &node.value) {
        (Kind::OneOf(kinds), _) => return kinds.iter().find_map(|kind| suitable(kind, node)),
        (Kind::Any, _)
        | (Kind::Block(_) | Kind::Named(_), Value::Map(_))
        | (Kind::List(_), Value::List(_))
        | (Kind::Switch, Value::Bool(_))
        | (Kind::Text, Value::Text(_))
        | (Kind::Duration | Kind::Integer | Kind::Seconds | Kind::Storage, Value::Int(..))
        | (Kind::Seconds, Value::Float(_)) => true,
        (Kind::Listen, Value::Int(number, _)) => (-1..=i64::from(u16::MAX)).contains(number),
        (Kind::Listen, Value::Text(text)) => {
            text.rsplit_once(':').is_some_and(|(_, port)| port == "-1" || port.parse::<u16>().is_ok())
        }
        (Kind::Duration | Kind::DurationText | Kind::Seconds, Value::Text(text)) => duration(text).is_some(),
        (Kind::Percent, Value::Int(percent, _)) => (0..=100).contains(percent),
        (Kind::Percent, Value::Text(text)) => {
            text.trim_end_matches('%').parse::<u8>().is_ok_and(|percent| percent <= 100)
        }
        (Kind::Storage, Value::Text(text)) => {
            let digits = text.strip_suffix(['K', 'M', 'G', 'T']);
            text.is_empty() || digits.is_some_and(|digits| digits.parse::<i64>().is_ok())
        }
        (Kind::Word(words), Value::Text(text)) => words.iter().any(|word| text.eq_ignore_ascii_case(word)),
        _ => false,
    };
    fits.then_some(kind)
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Any => "a value".to_owned(),
        Kind::Block(_) | Kind::Named(_) => "a map in braces".to_owned(),
        Kind::Duration => "a duration like \"2m\", or whole seconds".to_owned(),
        Kind::DurationText => "a duration like \"2m\"".to_owned(),
        Kind::Integer => "a whole number".to_owned(),
        Kind::Listen => "a port, or host and port like \"127.0.0.1:4222\"".to_owned(),
        Kind::List(of) => format!("a list, each {}", expected(of)),
        Kind::OneOf(kinds) => kinds.iter().map(expected).collect::<Vec<_>>().join(", or "),
        Kind::Percent => "a number from 0 to 100".to_owned(),
        Kind::Seconds => "seconds, or a duration like \"2m\"".to_owned(),
        Kind::Storage => "a size like 1GB or \"1G\"".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Word(words) => format!("one of {}", words.join(", ")),
    }
}
