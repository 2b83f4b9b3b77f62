//! Destination tokens: how each is written, read once into a [`Function`], and evaluated.

use crate::subject::matching;

use super::TransformError;

/// Most wildcards a source may have; what the source matched is kept on the stack.
pub const WILDCARDS_MAX: usize = 32;

/// What one token of a destination stands for. Wildcards count from 0 here, from 1 as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// The token itself.
    Literal(Box<[u8]>),
    /// A whole token of the source.
    Wildcard(usize),
    /// A hash of some of the source's tokens (none: of the whole subject), modulo `buckets`.
    Partition { buckets: u32, of: Box<[usize]> },
    /// A token with each delimiter made a separator.
    Split { of: usize, delimiter: Box<[u8]> },
    /// A token cut once, `at` bytes from one side.
    Cut { of: usize, at: usize, side: Side },
    /// A token cut every `size` bytes, counted from one side.
    Slice { of: usize, size: usize, side: Side },
    /// The first or last `length` bytes of a token.
    Edge { of: usize, length: usize, side: Side },
    /// A random number below the bound.
    Random(u32),
}

/// From which end of a token bytes are counted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// From its first byte.
    Left,
    /// From its last byte.
    Right,
}

/// What the source's wildcards stand for in one subject.
#[derive(Copy, Clone, Debug)]
pub(super) struct Captures<'a> {
    pub(super) whole: &'a [u8],
    pub(super) tokens: [&'a [u8]; WILDCARDS_MAX],
}

impl<'a> Captures<'a> {
    /// The text of wildcard `index`; the index was checked when the destination was read.
    fn token(&self, index: usize) -> &'a [u8] {
        self.tokens.get(index).copied().unwrap_or_default()
    }
}

impl Function {
    /// Reads one destination token; `wildcards` is how many the source has.
    ///
    /// `$n` with digits only, and `{{name(arguments)}}`, are functions; all else is literal.
    pub(super) fn parse(token: &str, wildcards: usize) -> Result<Self, TransformError> {
        if let Some(number) = reference(token) {
            return Ok(Self::Wildcard(wildcard_index(number, token, wildcards)?));
        }
        let Some(inner) = token.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
            if token.contains("{{") || token.contains("}}") {
                return Err(TransformError::UnknownFunction(token.to_owned()));
            }
            return Ok(Self::Literal(token.as_bytes().into()));
        };
        let call = inner.trim().strip_suffix(')').and_then(|call| call.split_once('('));
        let (name, arguments) = call.ok_or_else(|| TransformError::UnknownFunction(token.to_owned()))?;
        Call { token, wildcards, arguments: split_arguments(arguments) }.read(name.trim_end())
    }

    /// Appends what it stands for in the captured subject.
    pub(super) fn evaluate(&self, captured: &Captures<'_>, draw: &mut impl FnMut(u32) -> u32, out: &mut Vec<u8>) {
        match self {
            Self::Literal(text) => out.extend_from_slice(text),
            Self::Wildcard(of) => out.extend_from_slice(captured.token(*of)),
            Self::Partition { buckets, of } => push_number(partition(captured, *buckets, of), out),
            Self::Split { of, delimiter } => split(captured.token(*of), delimiter, out),
            Self::Cut { of, at, side } => cut(captured.token(*of), *at, *side, out),
            Self::Slice { of, size, side } => slice(captured.token(*of), *size, *side, out),
            Self::Edge { of, length, side } => edge(captured.token(*of), *length, *side, out),
            Self::Random(0) => out.push(b'0'),
            Self::Random(bound) => push_number(draw(*bound) % *bound, out),
        }
    }
}

/// The digits of a token `$digits`.
pub(super) fn reference(token: &str) -> Option<&str> {
    let digits = token.strip_prefix('$')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// The words of a function that takes a wildcard and a number of bytes, and what it makes of them.
type Sided = (&'static [&'static str], fn(usize, usize) -> Function);

/// A function call as written, while it is read.
struct Call<'t> {
    token: &'t str,
    wildcards: usize,
    arguments: Vec<&'t str>,
}

impl Call<'_> {
    fn read(&self, name: &str) -> Result<Function, TransformError> {
        use Side::{Left, Right};
        let is = |words: &[&str]| is_named(name, words);
        if is(&["wildcard"]) {
            self.arity(1, 1)?;
            return Ok(Function::Wildcard(self.index(0)?));
        }
        if is(&["partition"]) {
            return self.partition();
        }
        if is(&["random"]) {
            self.arity(1, 1)?;
            return Ok(Function::Random(self.modulus(0)?));
        }
        if is(&["split"]) {
            return self.split();
        }
        let sided: [Sided; 6] = [
            (&["split", "from", "left"], |of, at| Function::Cut { of, at, side: Left }),
            (&["split", "from", "right"], |of, at| Function::Cut { of, at, side: Right }),
            (&["slice", "from", "left"], |of, size| Function::Slice { of, size, side: Left }),
            (&["slice", "from", "right"], |of, size| Function::Slice { of, size, side: Right }),
            (&["left"], |of, length| Function::Edge { of, length, side: Left }),
            (&["right"], |of, length| Function::Edge { of, length, side: Right }),
        ];
        for (words, make) in sided {
            if is(words) {
                self.arity(2, 2)?;
                return Ok(make(self.index(0)?, self.count(1)?));
            }
        }
        Err(TransformError::UnknownFunction(self.token.to_owned()))
    }

    fn partition(&self) -> Result<Function, TransformError> {
        self.arity(1, WILDCARDS_MAX + 1)?;
        let of = (1..self.arguments.len()).map(|at| self.index(at)).collect::<Result<_, _>>()?;
        Ok(Function::Partition { buckets: self.modulus(0)?, of })
    }

    fn split(&self) -> Result<Function, TransformError> {
        self.arity(2, 2)?;
        let delimiter = self.argument(1);
        if delimiter.is_empty() || delimiter.contains([' ', '.']) {
            return Err(TransformError::InvalidArgument(self.token.to_owned()));
        }
        Ok(Function::Split { of: self.index(0)?, delimiter: delimiter.as_bytes().into() })
    }

    fn argument(&self, at: usize) -> &str {
        self.arguments.get(at).copied().unwrap_or_default()
    }

    fn arity(&self, least: usize, most: usize) -> Result<(), TransformError> {
        let given = self.arguments.iter().filter(|argument| !argument.is_empty()).count();
        if given < least {
            return Err(TransformError::TooFewArguments(self.token.to_owned()));
        }
        if self.arguments.len() > most {
            return Err(TransformError::TooManyArguments(self.token.to_owned()));
        }
        Ok(())
    }

    /// A wildcard of the source, written from 1.
    fn index(&self, at: usize) -> Result<usize, TransformError> {
        wildcard_index(self.argument(at), self.token, self.wildcards)
    }

    /// A number of bytes; zero and less mean "leave the token whole", which 0 then says.
    fn count(&self, at: usize) -> Result<usize, TransformError> {
        let number: i32 = self.number(at)?;
        Ok(usize::try_from(number).unwrap_or(0))
    }

    /// A modulus: not negative, 0 gives 0 when evaluated.
    fn modulus(&self, at: usize) -> Result<u32, TransformError> {
        let number: i32 = self.number(at)?;
        u32::try_from(number).map_err(|_| TransformError::InvalidArgument(self.token.to_owned()))
    }

    fn number(&self, at: usize) -> Result<i32, TransformError> {
        self.argument(at).parse().map_err(|_| TransformError::InvalidArgument(self.token.to_owned()))
    }
}

fn split_arguments(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}

/// Reads a wildcard's number as written in `token`, counting from 1, into one counting from 0.
fn wildcard_index(number: &str, token: &str, wildcards: usize) -> Result<usize, TransformError> {
    let number: i64 = number.parse().map_err(|_| TransformError::InvalidArgument(token.to_owned()))?;
    usize::try_from(number)
        .ok()
        .and_then(|number| number.checked_sub(1))
        .filter(|index| *index < wildcards)
        .ok_or_else(|| TransformError::IndexOutOfRange { token: token.to_owned(), wildcards })
}

/// True if `name` is the words run together, where only the first letter of each may be of either case.
fn is_named(name: &str, words: &[&str]) -> bool {
    let mut rest = name.as_bytes();
    for word in words {
        let Some((head, tail)) = rest.split_at_checked(word.len()) else {
            return false;
        };
        let same_initial = head.iter().zip(word.bytes()).take(1).all(|(have, want)| have.to_ascii_lowercase() == want);
        if !same_initial || !head.iter().zip(word.bytes()).skip(1).all(|(have, want)| *have == want) {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// FNV-1a, 32 bits, of the chosen tokens without a separator between them, modulo `buckets`.
fn partition(captured: &Captures<'_>, buckets: u32, of: &[usize]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut feed = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    };
    if of.is_empty() {
        feed(captured.whole);
    }
    for &index in of {
        feed(captured.token(index));
    }
    hash.checked_rem(buckets).unwrap_or(0)
}

/// Appends the parts between delimiters, empty ones dropped; a token of delimiters alone stays whole, for an
/// empty token would make the message match nothing.
fn split(token: &[u8], delimiter: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = token;
    while !rest.is_empty() {
        let found = rest.windows(delimiter.len()).position(|window| window == delimiter);
        let (part, tail) = match found.and_then(|at| rest.split_at_checked(at)) {
            Some((part, tail)) => (part, tail.get(delimiter.len()..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        if !part.is_empty() {
            if out.len() > start {
                out.push(matching::SEPARATOR);
            }
            out.extend_from_slice(part);
        }
        rest = tail;
    }
    if out.len() == start {
        out.extend_from_slice(token);
    }
}

fn cut(token: &[u8], at: usize, side: Side, out: &mut Vec<u8>) {
    let at = match side {
        Side::Left => at,
        Side::Right => token.len().saturating_sub(at),
    };
    match token.split_at_checked(at) {
        Some((head, tail)) if !head.is_empty() && !tail.is_empty() => {
            out.extend_from_slice(head);
            out.push(matching::SEPARATOR);
            out.extend_from_slice(tail);
        }
        _ => out.extend_from_slice(token),
    }
}

fn slice(token: &[u8], size: usize, side: Side, out: &mut Vec<u8>) {
    if size == 0 || size >= token.len() {
        out.extend_from_slice(token);
        return;
    }
    let short = match side {
        Side::Left => 0,
        Side::Right => token.len().checked_rem(size).unwrap_or(0),
    };
    let (head, tail) = token.split_at_checked(short).unwrap_or((&[], token));
    out.extend_from_slice(head);
    for (number, piece) in tail.chunks(size).enumerate() {
        if number > 0 || !head.is_empty() {
            out.push(matching::SEPARATOR);
        }
        out.extend_from_slice(piece);
    }
}

fn edge(token: &[u8], length: usize, side: Side, out: &mut Vec<u8>) {
    let part = match side {
        _ if length == 0 => None,
        Side::Left => token.get(..length),
        Side::Right => token.len().checked_sub(length).and_then(|from| token.get(from..)),
    };
    out.extend_from_slice(part.unwrap_or(token));
}

fn push_number(number: u32, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 10];
    let mut rest = number;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
