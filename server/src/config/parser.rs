//! The configuration language of nats-server: text to values (config-and-flags.md section 1).
//!
//! One pass over characters; the first error ends it. Variables are resolved on the way: from the
//! enclosing maps, inner to outer, then from the environment.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::value::{Entry, Node, Place, Problem, Value};

/// Maps, lists and includes within each other.
const DEPTH: usize = 32;
/// Bytes of one file.
const FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Parses `text`; `name` is for places, `folder` for what it includes.
///
/// # Errors
///
/// The first [`Problem`].
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Node, Problem> {
    parse_at(text, name, folder, 0)
}

fn parse_at(text: &str, name: &str, folder: &Path, depth: usize) -> Result<Node, Problem> {
    let mut parser = Parser {
        text: text.chars().collect(),
        at: 0,
        line: 1,
        column: 1,
        file: name.into(),
        folder: folder.to_owned(),
        scopes: vec![Vec::new()],
        depth,
    };
    let place = parser.place();
    parser.skip_space(true);
    let mut braces = 0;
    while parser.peek() == Some('{') {
        parser.next();
        braces += 1;
        parser.skip_space(true);
    }
    parser.entries(braces > 0)?;
    // One stray closing brace is tolerated, as nats-server does.
    for _ in 0..=braces {
        parser.skip_space(true);
        if parser.peek() == Some('}') {
            parser.next();
        }
    }
    parser.skip_space(true);
    if parser.peek().is_some() {
        return Err(parser.fault("expected the end of the file: remove what follows the closing brace"));
    }
    let entries = parser.scopes.pop().unwrap_or_default();
    Ok(Node { place, value: Value::Map(entries) })
}

/// Reads and parses a file.
///
/// # Errors
///
/// The first [`Problem`]; a file that cannot be read is one.
pub fn parse_file(path: &Path) -> Result<Node, Problem> {
    parse_file_at(path, 0)
}

fn parse_file_at(path: &Path, depth: usize) -> Result<Node, Problem> {
    let name = path.display().to_string();
    let fault = |text: String| Problem { place: Place { file: name.as_str().into(), line: 1, column: 1 }, text };
    let size = std::fs::metadata(path).map_err(|error| fault(format!("the file cannot be read: {error}")))?.len();
    if size > FILE_BYTES {
        return Err(fault(format!("the file has {size} bytes, more than {FILE_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fault(format!("the file cannot be read: {error}")))?;
    parse_at(&text, &name, path.parent().unwrap_or(Path::new(".")), depth)
}

struct Parser {
    text: Vec<char>,
    at: usize,
    line: usize,
    column: usize,
    file: Arc<str>,
    folder: PathBuf,
    /// The maps that are open, outermost first.
    scopes: Vec<Vec<Entry>>,
    depth: usize,
}

impl Parser {
    /// Entries up to the end of the file, or to a closing brace, which stays.
    fn entries(&mut self, braced: bool) -> Result<(), Problem> {
        loop {
            self.skip_separators();
            match self.peek() {
                None => return Ok(()),
                Some('}') if braced || self.scopes.len() == 1 => return Ok(()),
                Some('}') => return Err(self.fault("unexpected `}`")),
                Some(_) => self.entry()?,
            }
        }
    }

    fn entry(&mut self) -> Result<(), Problem> {
        let place = self.place();
        let key = self.key()?;
        let spaced = self.skip_space(false);
        if key == "include" && spaced && !matches!(self.peek(), Some('=' | ':')) {
            return self.include();
        }
        if matches!(self.peek(), Some('=' | ':')) {
            self.next();
            self.skip_space(false);
            if matches!(self.peek(), None | Some('\n')) {
                return Err(self.fault(format!("expected a value for `{key}` on the same line")));
            }
        } else {
            self.skip_space(true);
            if self.peek().is_none() {
                return Err(Problem { place, text: format!("`{key}` has no value: write `{key}: VALUE`") });
            }
        }
        let node = self.value()?;
        self.skip_space(false);
        if !matches!(self.peek(), None | Some('\n' | ',' | ';' | '}')) {
            return Err(
                self.fault(format!("unexpected text after the value of `{key}`: put texts with blanks in quotes"))
            );
        }
        self.put(Entry { key, place, node, used: Rc::default() });
        Ok(())
    }

    /// The last of several entries with one key counts.
    fn put(&mut self, entry: Entry) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.retain(|old| old.key != entry.key);
            scope.push(entry);
        }
    }

    fn include(&mut self) -> Result<(), Problem> {
        let place = self.place();
        let node = self.value()?;
        let path = self.folder.join(node.text()?);
        if self.depth + 1 >= DEPTH {
            return Err(Problem { place, text: "includes are nested too deeply: is there a loop?".to_owned() });
        }
        let included = parse_file_at(&path, self.depth + 1)?;
        if let Value::Map(entries) = included.value {
            for entry in entries {
                self.put(entry);
            }
        }
        Ok(())
    }

    fn key(&mut self) -> Result<String, Problem> {
        if let Some(quote @ ('"' | '\'')) = self.peek() {
            self.next();
            let mut key = String::new();
            loop {
                match self.next() {
                    None | Some('\n') => return Err(self.fault("the quoted key does not end")),
                    Some(c) if c == quote => return Ok(key),
                    Some(c) => key.push(c),
                }
            }
        }
        let mut key = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !matches!(c, '=' | ':')) {
            key.push(c);
            self.next();
        }
        if key.is_empty() { Err(self.fault("expected a key")) } else { Ok(key) }
    }

    fn value(&mut self) -> Result<Node, Problem> {
        let place = self.place();
        let value = match self.peek() {
            Some('{') => self.nested(Self::map)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Value::Text(self.quoted()?),
            Some('\'') => Value::Text(self.literal()?),
            Some('(') => Value::Text(self.block()?),
            _ => return self.bare(place),
        };
        Ok(Node { place, value })
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Value, Problem>) -> Result<Value, Problem> {
        if self.depth >= DEPTH {
            return Err(self.fault("values are nested too deeply"));
        }
        self.depth += 1;
        self.next();
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn map(&mut self) -> Result<Value, Problem> {
        self.scopes.push(Vec::new());
        let outcome = self.entries(true);
        let entries = self.scopes.pop().unwrap_or_default();
        outcome?;
        match self.next() {
            Some('}') => Ok(Value::Map(entries)),
            _ => Err(self.fault("a map does not end: add `}`")),
        }
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            self.skip_space(true);
            match self.peek() {
                Some(']') => {
                    self.next();
                    return Ok(Value::List(items));
                }
                None => return Err(self.fault("a list does not end: add `]`")),
                Some(',') => return Err(self.fault("expected a value before `,`")),
                Some(_) => items.push(self.value()?),
            }
            let newline = self.skip_newline();
            match self.peek() {
                Some(',') => {
                    self.next();
                }
                Some(']') | None => {}
                Some(_) if newline => {}
                Some(_) => return Err(self.fault("expected `,` or `]` in a list")),
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Problem> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.fault("the quoted text does not end")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        match self.next() {
            Some('t') => Ok('\t'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some(c @ ('"' | '\\')) => Ok(c),
            Some('x') => {
                let digits: String = [self.next(), self.next()].into_iter().flatten().collect();
                let code = u8::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 2);
                code.map(char::from).ok_or_else(|| self.fault("`\\x` needs two hexadecimal digits"))
            }
            _ => Err(self.fault("unknown escape: only \\t \\n \\r \\\" \\\\ and \\xHH exist")),
        }
    }

    fn literal(&mut self) -> Result<String, Problem> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.fault("the quoted text does not end")),
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    /// `(` to a line that is `)` alone.
    fn block(&mut self) -> Result<String, Problem> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.fault("the block does not end: it needs a line with `)` alone")),
                Some('\n')
                    if self.peek() == Some(')') && matches!(self.text.get(self.at + 1), None | Some('\n' | '\r')) =>
                {
                    self.next();
                    text.push('\n');
                    return Ok(text);
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn bare(&mut self, place: Place) -> Result<Node, Problem> {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !matches!(c, ',' | ';' | ']' | '}')) {
            if c == '\'' {
                return Err(self.fault("a text with a quote in it must be in double quotes"));
            }
            self.next();
            text.push(if c == '\\' { self.escape()? } else { c });
        }
        if text.is_empty() {
            return Err(Problem { place, text: "expected a value".to_owned() });
        }
        match text.strip_prefix('$').filter(|name| !is_bcrypt(name)) {
            Some(name) => self.variable(name, place),
            None => Ok(Node { value: classify(text, &place)?, place }),
        }
    }

    fn variable(&mut self, name: &str, place: Place) -> Result<Node, Problem> {
        let found = self.scopes.iter().rev().find_map(|scope| scope.iter().rev().find(|entry| entry.key == name));
        if let Some(entry) = found {
            entry.used.set(true);
            return Ok(Node { place, value: entry.node.value.clone() });
        }
        let Ok(text) = std::env::var(name) else {
            let text = format!("the variable `{name}` is neither set above nor in the environment");
            return Err(Problem { place, text });
        };
        if text.is_empty() {
            return Ok(Node { place, value: Value::Text(text) });
        }
        if self.depth >= DEPTH {
            return Err(Problem { place, text: format!("the variable `{name}` refers to itself") });
        }
        let wrapped = format!("value: {text}\n");
        let origin = format!("environment variable {name}");
        let parsed = parse_at(&wrapped, &origin, &self.folder, self.depth + 1)?;
        match parsed.value {
            Value::Map(entries) if entries.len() == 1 => {
                let value = entries.into_iter().next().map(|entry| entry.node.value);
                value.map(|value| Node { place: place.clone(), value }).ok_or(Problem { place, text: origin })
            }
            _ => Err(Problem { place, text: format!("the {origin} is no single value") }),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    /// Skips blanks and comments, and line ends too if asked for; says whether it skipped any.
    fn skip_space(&mut self, lines: bool) -> bool {
        let start = self.at;
        loop {
            match self.peek() {
                Some('\n') if !lines => break,
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some('#') => self.skip_line(),
                Some('/') if self.text.get(self.at + 1) == Some(&'/') => self.skip_line(),
                _ => break,
            }
        }
        self.at > start
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.next();
        }
    }

    fn skip_newline(&mut self) -> bool {
        let before = self.line;
        self.skip_space(true);
        self.line > before
    }

    fn skip_separators(&mut self) {
        loop {
            self.skip_space(true);
            if !matches!(self.peek(), Some(',' | ';')) {
                return;
            }
            self.next();
        }
    }

    fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line, column: self.column }
    }

    fn fault(&self, text: impl Into<String>) -> Problem {
        Problem { place: self.place(), text: text.into() }
    }
}

/// `$2a$..` is a password hash, not a variable.
fn is_bcrypt(name: &str) -> bool {
    ["2a$", "2b$", "2x$", "2y$"].iter().any(|kind| name.starts_with(kind))
}

fn classify(text: String, place: &Place) -> Result<Value, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => return Ok(Value::Bool(true)),
        "false" | "no" | "off" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, suffix) = digits.split_at_checked(end).unwrap_or((digits, ""));
    if number.is_empty() {
        return Ok(Value::Text(text));
    }
    let factor = match suffix.to_ascii_lowercase().as_str() {
        "" => Some(1),
        suffix => factor(suffix),
    };
    if let Some(factor) = factor {
        let range = || Problem { place: place.clone(), text: format!("the number `{text}` is out of range") };
        let value = number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(range)?;
        let value = if text.starts_with('-') { -value } else { value };
        let written = (!suffix.is_empty()).then(|| text.clone());
        return Ok(Value::Int(value, written));
    }
    let is_fraction =
        suffix.strip_prefix('.').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    match text.parse::<f64>() {
        Ok(value) if is_fraction => Ok(Value::Float(value)),
        _ => Ok(Value::Text(text)),
    }
}

fn factor(suffix: &str) -> Option<i64> {
    let mut letters = suffix.chars();
    let power = "kmgtpe".find(letters.next()?)? + 1;
    let power = u32::try_from(power).ok()?;
    match letters.as_str() {
        "" => Some(1000_i64.pow(power)),
        "b" | "i" | "ib" => Some(1024_i64.pow(power)),
        _ => None,
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
