//! Values of a configuration file, with their places.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A place in a file: lines and columns count from 1. On line 0, the file or whatever else is named there as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            // Not in a file: a flag, or a file that cannot be read.
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Something wrong at a place, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub text: String,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `true`, `yes`, `on` or the opposite.
    Bool(bool),
    /// A date in the form of RFC 3339, in UTC. No option takes one.
    Date(String),
    /// A number with a fraction.
    Float(f64),
    /// A whole number; with a size suffix, if that is how it was written.
    Int(i64, Option<String>),
    /// `[ .. ]`
    List(Vec<Node>),
    /// `{ .. }`
    Map(Vec<Entry>),
    /// Any text.
    Text(String),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key as written.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
    /// A variable refers to it, or it is known and not acted on: whoever does not know it may pass over it.
    pub used: Rc<Cell<bool>>,
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::Float(_) => "a number with a fraction",
            Self::Int(..) => "a whole number",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Text(_) => "text",
        }
    }
}

impl Node {
    /// A problem with this value.
    pub fn problem(&self, text: impl Into<String>) -> Problem {
        Problem { place: self.place.clone(), text: text.into() }
    }

    fn expected(&self, wanted: &str) -> Problem {
        let hint = match (&self.value, wanted) {
            (Value::Int(..) | Value::Bool(_) | Value::Float(_), "text") => ": put it in quotes",
            (Value::Text(_), "a whole number" | "true or false") => ": write it without quotes",
            _ => "",
        };
        self.problem(format!("expected {wanted}, found {}{hint}", self.value.kind()))
    }

    /// The value as text.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn text(&self) -> Result<&str, Problem> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("text")),
        }
    }

    /// The value as a switch.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn switch(&self) -> Result<bool, Problem> {
        match self.value {
            Value::Bool(on) => Ok(on),
            _ => Err(self.expected("true or false")),
        }
    }

    /// The value as a whole number.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn integer(&self) -> Result<i64, Problem> {
        match self.value {
            Value::Int(number, _) => Ok(number),
            _ => Err(self.expected("a whole number")),
        }
    }

    /// The value as a whole number that is not negative.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn size(&self) -> Result<usize, Problem> {
        let number = self.integer()?;
        usize::try_from(number)
            .map_err(|_| self.problem(format!("`{number}` is out of range: it must not be negative")))
    }

    /// The entries of a map.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn entries(&self) -> Result<&[Entry], Problem> {
        match &self.value {
            Value::Map(entries) => Ok(entries),
            _ => Err(self.expected("a map in braces")),
        }
    }

    /// Hands every entry to `option` under its key in lower case. An entry that `option` does not
    /// know (`Ok(false)`), and no variable refers to, is a problem, and so is what it refuses.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn read(&self, problems: &mut Vec<Problem>, mut option: impl FnMut(&str, &Self) -> Result<bool, Problem>) {
        let entries = match self.entries() {
            Ok(entries) => entries,
            Err(problem) => return problems.push(problem),
        };
        for entry in entries {
            match option(&entry.key.to_ascii_lowercase(), &entry.node) {
                Ok(true) => {}
                Ok(false) if entry.used.get() => {}
                Ok(false) => {
                    let text = format!("unknown option `{}`: correct or remove it", entry.key);
                    problems.push(Problem { place: entry.place.clone(), text });
                }
                Err(problem) => problems.push(problem),
            }
        }
    }

    /// The items of a list; a value alone is a list of one.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Texts; a text alone is a list of one.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn texts(&self) -> Result<Vec<&str>, Problem> {
        self.items().iter().map(Node::text).collect()
    }

    /// A duration that is text.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn duration_text(&self) -> Result<Duration, Problem> {
        match &self.value {
            Value::Text(_) => self.duration(),
            Value::Int(..) => Err(self.problem("expected a duration with its unit, like \"40s\"")),
            _ => Err(self.expected("a duration")),
        }
    }

    /// `2m` without quotes: two million for nats-server, which nobody means where a duration is asked for.
    pub(super) fn minutes(&self) -> Option<Duration> {
        match &self.value {
            Value::Int(millions, Some(written)) if written.ends_with('m') => {
                u64::try_from(millions / 1_000_000).ok().map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
            }
            _ => None,
        }
    }

    /// A duration like `"1m30s"`, or whole seconds; `2m` without quotes is two minutes.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is nothing of that kind.
    pub fn duration(&self) -> Result<Duration, Problem> {
        match &self.value {
            Value::Text(text) => duration(text)
                .ok_or_else(|| self.problem(format!("`{text}` is no duration: write one like \"2m\" or \"500ms\""))),
            Value::Int(seconds, None) => u64::try_from(*seconds)
                .map(Duration::from_secs)
                .map_err(|_| self.problem("a duration must not be negative")),
            Value::Int(_, Some(_)) if self.minutes().is_some() => Ok(self.minutes().unwrap_or_default()),
            Value::Int(_, Some(written)) => {
                Err(self.problem(format!("`{written}` is a size, not a duration: write \"{written}\" in quotes")))
            }
            Value::Float(seconds) => Duration::try_from_secs_f64(*seconds)
                .map_err(|_| self.problem(format!("`{seconds}` is out of range for a duration"))),
            _ => Err(self.expected("a duration")),
        }
    }
}

/// Reads a duration in Go's form.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(unit_end)?;
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    Duration::try_from_secs_f64(sum).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_gos_form() {
        for (text, ms) in [("2m", 120_000), ("1m30s", 90_000), ("500ms", 500), ("1.5h", 5_400_000), ("1.9s", 1900)] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "m", "-1s", "1x", "1s2", "1..2s", " "] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
