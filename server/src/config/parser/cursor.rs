//! Characters of a file with their places, and the texts that are made of them.

use std::sync::Arc;

use crate::config::value::{Place, Problem};

/// A place in a text, and what can be read from there.
pub(super) struct Cursor {
    text: Vec<char>,
    at: usize,
    line: usize,
    column: usize,
    file: Arc<str>,
}

impl Cursor {
    pub(super) fn new(text: &str, name: &str) -> Self {
        Self { text: text.chars().collect(), at: 0, line: 1, column: 1, file: name.into() }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
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

    pub(super) fn place(&self) -> Place {
        Place { file: self.file.clone(), line: self.line, column: self.column }
    }

    pub(super) fn fault(&self, text: impl Into<String>) -> Problem {
        Problem { place: self.place(), text: text.into() }
    }

    /// Skips blanks and comments, and line ends too if asked for; says whether it skipped any.
    pub(super) fn skip_space(&mut self, lines: bool) -> bool {
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

    /// Skips blanks, comments and line ends; says whether there was a line end.
    pub(super) fn skip_newline(&mut self) -> bool {
        let before = self.line;
        self.skip_space(true);
        self.line > before
    }

    /// Skips all that may stand between entries.
    pub(super) fn skip_separators(&mut self) {
        loop {
            self.skip_space(true);
            if !matches!(self.peek(), Some(',' | ';')) {
                return;
            }
            self.next();
        }
    }

    /// A key: quoted without escapes, or up to a blank or separator.
    pub(super) fn key(&mut self) -> Result<String, Problem> {
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

    /// What an include names: quoted, or up to a blank or `;`.
    pub(super) fn path(&mut self) -> Result<String, Problem> {
        match self.peek() {
            Some('"') => self.quoted(),
            Some('\'') => self.literal(),
            _ => {
                let mut path = String::new();
                while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !matches!(c, ';' | '}')) {
                    path.push(c);
                    self.next();
                }
                if path.is_empty() { Err(self.fault("expected the file to include")) } else { Ok(path) }
            }
        }
    }

    /// `"..."`, with escapes.
    pub(super) fn quoted(&mut self) -> Result<String, Problem> {
        self.next();
        let mut text = Bytes::default();
        loop {
            match self.next() {
                None => return Err(self.fault("the quoted text does not end")),
                Some('"') => return text.finish(self),
                Some('\\') => text.0.push(self.escape()?),
                Some(c) => text.push(c),
            }
        }
    }

    /// `'...'`, as it stands there.
    pub(super) fn literal(&mut self) -> Result<String, Problem> {
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
    pub(super) fn block(&mut self) -> Result<String, Problem> {
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

    /// A word without quotes, with escapes.
    pub(super) fn bare(&mut self) -> Result<String, Problem> {
        let place = self.place();
        let mut text = Bytes::default();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !matches!(c, ',' | ';' | ']' | '}')) {
            if c == '\'' {
                return Err(self.fault("a text with a quote in it must be in double quotes"));
            }
            self.next();
            if c == '\\' {
                text.0.push(self.escape()?);
            } else {
                text.push(c);
            }
        }
        if text.0.is_empty() {
            return Err(Problem { place, text: "expected a value".to_owned() });
        }
        text.finish(self)
    }

    /// What follows a backslash: one byte.
    fn escape(&mut self) -> Result<u8, Problem> {
        match self.next() {
            Some('t') => Ok(b'\t'),
            Some('n') => Ok(b'\n'),
            Some('r') => Ok(b'\r'),
            Some('"') => Ok(b'"'),
            Some('\\') => Ok(b'\\'),
            Some('x') => {
                let digits: String = [self.next(), self.next()].into_iter().flatten().collect();
                let hexadecimal = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = u8::from_str_radix(&digits, 16).ok().filter(|_| hexadecimal);
                code.ok_or_else(|| self.fault("`\\x` needs two hexadecimal digits"))
            }
            _ => Err(self.fault("unknown escape: only \\t \\n \\r \\\" \\\\ and \\xHH exist")),
        }
    }
}

/// A text in the making: `\xHH` gives bytes, and several of them a character.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn push(&mut self, c: char) {
        self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn finish(self, cursor: &Cursor) -> Result<String, Problem> {
        String::from_utf8(self.0).map_err(|_| cursor.fault("the bytes given by `\\xHH` are no UTF-8"))
    }
}
