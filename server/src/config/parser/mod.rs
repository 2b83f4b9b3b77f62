//! The configuration language of nats-server: text to values (config-and-flags.md section 1).
//!
//! ```text
//! mod       maps, lists, includes, variables
//! cursor    characters with their places; quoted texts, blocks, bare words
//! scalar    a bare word: switch, number, date or text
//! ```
//!
//! One pass over characters; the first error ends it. Variables are resolved on the way: from the
//! enclosing maps, inner to outer, then from the environment.

mod cursor;
mod scalar;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::cursor::Cursor;
use super::value::{Entry, Node, Place, Problem, Value};

/// Maps and lists within each other.
const DEPTH: usize = 32;
/// Files that include each other.
const INCLUDES: usize = 16;
/// Bytes of one file.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of all files and of what variables copy: a short text could ask for any amount.
const BYTES_IN_ALL: usize = 64 * 1024 * 1024;
/// What a value counts for besides its text.
const VALUE_BYTES: usize = 64;

/// Parses `text`; `name` is for places, `folder` for what it includes.
///
/// # Errors
///
/// The first [`Problem`].
pub fn parse(text: &str, name: &str, folder: &Path) -> Result<Node, Problem> {
    parse_within(text, name, folder, &mut Bounds::default())
}

/// Reads and parses a file.
///
/// # Errors
///
/// The first [`Problem`]; a file that cannot be read is one.
pub fn parse_file(path: &Path) -> Result<Node, Problem> {
    let name = path.display().to_string();
    let place = Place { file: name.as_str().into(), line: 0, column: 0 };
    let mut bounds = Bounds::default();
    let text = bounds.enter(path).map_err(|text| Problem { place, text })?;
    parse_within(&text, &name, folder_of(path), &mut bounds)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn parse_within(text: &str, name: &str, folder: &Path, bounds: &mut Bounds) -> Result<Node, Problem> {
    let mut parser = Parser {
        cursor: Cursor::new(text, name),
        folder: folder.to_owned(),
        scopes: vec![Scope::default()],
        depth: 0,
        bounds,
    };
    let place = parser.cursor.place();
    parser.file()?;
    let entries = parser.scopes.pop().unwrap_or_default().into_entries();
    Ok(Node { place, value: Value::Map(entries) })
}

/// What keeps a text from costing more than it may, over all files and variables.
#[derive(Default)]
struct Bounds {
    /// The files that are being read, outermost first.
    files: Vec<PathBuf>,
    /// The environment variables that are being read.
    variables: Vec<String>,
    bytes: usize,
}

impl Bounds {
    /// Reads a file that is not being read already; [`Bounds::files`] then ends with it.
    fn enter(&mut self, path: &Path) -> Result<String, String> {
        let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
        let known = fs::canonicalize(path).map_err(unreadable)?;
        if self.files.contains(&known) {
            return Err(format!("`{}` includes itself: this include is part of a loop", path.display()));
        }
        if self.files.len() > INCLUDES {
            return Err(format!("`{}` is included more than {INCLUDES} files deep: flatten them", path.display()));
        }
        let size = fs::metadata(&known).map_err(unreadable)?.len();
        if size > FILE_BYTES {
            return Err(format!("`{}` has {size} bytes, more than {FILE_BYTES}", path.display()));
        }
        let text = fs::read_to_string(&known).map_err(unreadable)?;
        self.charge(text.len())?;
        self.files.push(known);
        Ok(text)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > BYTES_IN_ALL {
            return Err(format!("the files and what their variables copy are more than {BYTES_IN_ALL} bytes"));
        }
        Ok(())
    }
}

/// One map that is open.
#[derive(Default)]
struct Scope {
    /// In the order of the file; those that a later one of the same key replaced are `None`.
    entries: Vec<Option<Entry>>,
    places: HashMap<String, usize>,
}

impl Scope {
    /// The last of several entries with one key counts.
    fn put(&mut self, entry: Entry) {
        let place = self.entries.len();
        if let Some(old) = self.places.insert(entry.key.clone(), place).and_then(|old| self.entries.get_mut(old)) {
            *old = None;
        }
        self.entries.push(Some(entry));
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        self.places.get(key).and_then(|place| self.entries.get(*place)).and_then(Option::as_ref)
    }

    fn into_entries(self) -> Vec<Entry> {
        self.entries.into_iter().flatten().collect()
    }
}

struct Parser<'b> {
    cursor: Cursor,
    folder: PathBuf,
    /// The maps that are open, outermost first.
    scopes: Vec<Scope>,
    depth: usize,
    bounds: &'b mut Bounds,
}

impl Parser<'_> {
    /// Entries up to the end; braces around them make no difference, and one may be too many.
    fn file(&mut self) -> Result<(), Problem> {
        let (mut open, mut stray) = (0_usize, false);
        loop {
            self.cursor.skip_separators();
            match self.cursor.peek() {
                None => return Ok(()),
                Some('{') => {
                    open += 1;
                    self.cursor.next();
                }
                Some('}') if open > 0 || !stray => {
                    stray |= open == 0;
                    open = open.saturating_sub(1);
                    self.cursor.next();
                }
                Some('}') => return Err(self.fault("unexpected `}`: it closes nothing")),
                Some(_) if stray => {
                    return Err(self.fault("expected the end of the file: remove what follows the closing brace"));
                }
                Some(_) => self.entry()?,
            }
        }
    }

    fn entry(&mut self) -> Result<(), Problem> {
        let place = self.cursor.place();
        let key = self.cursor.key()?;
        let spaced = self.cursor.skip_space(false);
        let separated = matches!(self.cursor.peek(), Some('=' | ':'));
        if key.eq_ignore_ascii_case("include") && spaced && !separated && self.cursor.peek() != Some('\n') {
            return self.include();
        }
        if separated {
            self.cursor.next();
            self.cursor.skip_space(false);
            if matches!(self.cursor.peek(), None | Some('\n')) {
                return Err(self.fault(format!("expected a value for `{key}` on the same line")));
            }
        } else {
            self.cursor.skip_space(true);
            if self.cursor.peek().is_none() {
                return Err(Problem { place, text: format!("`{key}` has no value: write `{key}: VALUE`") });
            }
        }
        let node = self.value()?;
        self.ended(&key)?;
        self.put(Entry { key, place, node, used: Rc::default() });
        Ok(())
    }

    fn ended(&mut self, key: &str) -> Result<(), Problem> {
        self.cursor.skip_space(false);
        if matches!(self.cursor.peek(), None | Some('\n' | ',' | ';' | '}')) {
            return Ok(());
        }
        Err(self.fault(format!("unexpected text after the value of `{key}`: put texts with blanks in quotes")))
    }

    fn put(&mut self, entry: Entry) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.put(entry);
        }
    }

    /// The path is beside the including file; one from the root is taken as such if nothing is there.
    fn include(&mut self) -> Result<(), Problem> {
        let place = self.cursor.place();
        let named = self.cursor.path()?;
        self.ended("include")?;
        let beside = self.folder.join(Path::new(&named).strip_prefix("/").unwrap_or(Path::new(&named)));
        let path = if beside.exists() { beside } else { self.folder.join(&named) };
        let fault = |text: String| Problem { place, text };
        let text = self.bounds.enter(&path).map_err(|text| fault(format!("cannot include: {text}")))?;
        let included = parse_within(&text, &path.display().to_string(), folder_of(&path), self.bounds)?;
        self.bounds.files.pop();
        if let Value::Map(entries) = included.value {
            for entry in entries {
                self.put(entry);
            }
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Node, Problem> {
        let place = self.cursor.place();
        let value = match self.cursor.peek() {
            Some('{') => self.nested(Self::map)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Value::Text(self.cursor.quoted()?),
            Some('\'') => Value::Text(self.cursor.literal()?),
            Some('(') => Value::Text(self.cursor.block()?),
            _ => {
                let word = self.cursor.bare()?;
                match word.strip_prefix('$').filter(|name| !scalar::is_bcrypt(name)) {
                    Some(name) => self.variable(name, &place)?,
                    None => scalar::classify(word, &place)?,
                }
            }
        };
        Ok(Node { place, value })
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Value, Problem>) -> Result<Value, Problem> {
        if self.depth >= DEPTH {
            return Err(self.fault("values are nested too deeply"));
        }
        self.depth += 1;
        self.cursor.next();
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn map(&mut self) -> Result<Value, Problem> {
        self.scopes.push(Scope::default());
        let outcome = self.entries();
        let entries = self.scopes.pop().unwrap_or_default().into_entries();
        outcome.map(|()| Value::Map(entries))
    }

    /// Entries up to the closing brace.
    fn entries(&mut self) -> Result<(), Problem> {
        loop {
            self.cursor.skip_separators();
            match self.cursor.peek() {
                None => return Err(self.fault("a map does not end: add `}`")),
                Some('}') => {
                    self.cursor.next();
                    return Ok(());
                }
                Some(_) => self.entry()?,
            }
        }
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            self.cursor.skip_space(true);
            match self.cursor.peek() {
                Some(']') => {
                    self.cursor.next();
                    return Ok(Value::List(items));
                }
                None => return Err(self.fault("a list does not end: add `]`")),
                Some(',') => return Err(self.fault("expected a value before `,`")),
                Some(_) => items.push(self.value()?),
            }
            let newline = self.cursor.skip_newline();
            match self.cursor.peek() {
                Some(',') => {
                    self.cursor.next();
                }
                Some(']') | None => {}
                Some(_) if newline => {}
                Some(_) => return Err(self.fault("expected `,` or `]` in a list")),
            }
        }
    }

    fn variable(&mut self, name: &str, place: &Place) -> Result<Value, Problem> {
        let fault = |text: String| Problem { place: place.clone(), text };
        if let Some(entry) = self.scopes.iter().rev().find_map(|scope| scope.find(name)) {
            entry.used.set(true);
            self.bounds.charge(weight(&entry.node.value)).map_err(fault)?;
            return Ok(entry.node.value.clone());
        }
        let Ok(text) = std::env::var(name) else {
            return Err(fault(format!("the variable `{name}` is neither set above nor in the environment")));
        };
        if text.is_empty() {
            return Ok(Value::Text(text));
        }
        if self.bounds.variables.iter().any(|open| open == name) {
            return Err(fault(format!("the environment variable `{name}` refers to itself")));
        }
        self.bounds.charge(text.len()).map_err(fault)?;
        self.bounds.variables.push(name.to_owned());
        let origin = format!("environment variable {name}");
        let parsed = parse_within(&format!("value: {text}\n"), &origin, &self.folder, self.bounds);
        self.bounds.variables.pop();
        let Value::Map(mut entries) = parsed.map_err(|problem| fault(format!("in the {problem}")))?.value else {
            return Err(fault(format!("the {origin} is no value")));
        };
        match entries.pop() {
            Some(entry) if entries.is_empty() && entry.key == "value" => Ok(entry.node.value),
            _ => Err(fault(format!("the {origin} is no single value"))),
        }
    }

    fn fault(&self, text: impl Into<String>) -> Problem {
        self.cursor.fault(text)
    }
}

/// Roughly the memory that a copy takes.
fn weight(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::Text(text) | Value::Date(text) => text.len(),
            Value::List(items) => items.iter().map(|item| weight(&item.value)).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + weight(&entry.node.value)).sum(),
            Value::Bool(_) | Value::Float(_) | Value::Int(..) => 0,
        }
}

#[cfg(test)]
mod tests;
