//! Rewriting one subject into another: read once into a short program, then run on bytes.
//!
//! A source is a pattern. A destination is tokens, of which some are functions of what the source's wildcards stood
//! for. Three users differ in what they allow: streams (everything), account mappings (no `left`, `right`) and
//! imports (each wildcard exactly once and nothing else, so that there is a true inverse).

mod function;

use std::sync::Arc;

use super::matching;
use super::pattern::{Pattern, SubjectError};
use function::{Captures, Function, Side, reference};

pub use function::WILDCARDS_MAX;

/// A rule that rewrites the subjects of one pattern. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    rule: Arc<Rule>,
}

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    source: Pattern,
    destination: String,
    steps: Vec<Step>,
    identity: bool,
}

/// One step of the program; separators between literal tokens are part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Append a function's value.
    Call(Function),
    /// Append what the source's `>` stood for.
    Tail,
}

/// Why a source and a destination make no transform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// The source is no pattern.
    #[error("invalid mapping source: {0}")]
    Source(SubjectError),
    /// The destination is malformed.
    #[error("invalid mapping destination: `{0}` is not a subject of tokens and functions")]
    Destination(String),
    /// A `*` in the destination.
    #[error("invalid mapping destination: `{0}` contains `*`; name the source's wildcards as `$1`, `$2`")]
    WildcardInDestination(String),
    /// `>` ends one side only.
    #[error("invalid mapping destination: `>` must end both `{from}` and `{to}` or neither")]
    TailMismatch {
        /// The source.
        from: String,
        /// The destination.
        to: String,
    },
    /// A function that there is not, or not here.
    #[error("invalid mapping destination: unknown function in `{0}`")]
    UnknownFunction(String),
    /// A wildcard's number is not one of the source's.
    #[error("invalid mapping destination: `{token}` names a wildcard that the source, which has {wildcards}, has not")]
    IndexOutOfRange {
        /// The token that names it.
        token: String,
        /// How many the source has.
        wildcards: usize,
    },
    /// An argument is missing.
    #[error("invalid mapping destination: too few arguments in `{0}`")]
    TooFewArguments(String),
    /// An argument is too many.
    #[error("invalid mapping destination: too many arguments in `{0}`")]
    TooManyArguments(String),
    /// An argument that is no number, negative where that means nothing, or a delimiter that is no delimiter.
    #[error("invalid mapping destination: invalid argument in `{0}`")]
    InvalidArgument(String),
    /// More wildcards than [`WILDCARDS_MAX`].
    #[error("invalid mapping source: `{0}` has more than 32 wildcards")]
    TooManyWildcards(String),
    /// An import's local subject that does not use each wildcard exactly once.
    #[error("`{local}` must use each of the {wildcards} wildcards of `{remote}` exactly once, and no other function")]
    NotInvertible {
        /// The subject in the importing account.
        local: String,
        /// The subject in the exporting account.
        remote: String,
        /// How many wildcards the remote subject has.
        wildcards: usize,
    },
}

impl Transform {
    /// Reads a transform with every function, as streams allow it.
    ///
    /// # Errors
    /// [`TransformError`] names the token at fault.
    pub fn new(source: &str, destination: &str) -> Result<Self, TransformError> {
        Self::compile(Pattern::parse(source).map_err(TransformError::Source)?, destination)
    }

    /// Reads an account mapping: `left` and `right` are no functions there.
    ///
    /// # Errors
    /// [`TransformError`] names the token at fault.
    pub fn mapping(source: &str, destination: &str) -> Result<Self, TransformError> {
        let transform = Self::new(source, destination)?;
        for step in &transform.rule.steps {
            if let Step::Call(Function::Edge { side, .. }) = step {
                let name = if *side == Side::Left { "left" } else { "right" };
                return Err(TransformError::UnknownFunction(name.to_owned()));
            }
        }
        Ok(transform)
    }

    /// Reads an import's naming: from the exporter's subject `remote` to the `local` one, in which `$n` or
    /// `{{wildcard(n)}}` is the n-th `*` of `remote`, and the n-th `*` is so too.
    ///
    /// Each wildcard is used exactly once, so [`Transform::inverse`] of the result is never `None`.
    ///
    /// # Errors
    /// [`TransformError`] names what is wrong with the pair.
    pub fn import(remote: &str, local: &str) -> Result<Self, TransformError> {
        let source = Pattern::parse(remote).map_err(TransformError::Source)?;
        if remote == local {
            return Self::identity(&source);
        }
        let transform = Self::compile(source, &number_wildcards(local))?;
        if transform.wildcard_order().is_none() {
            let wildcards = transform.rule.source.wildcard_count();
            return Err(TransformError::NotInvertible {
                local: local.to_owned(),
                remote: remote.to_owned(),
                wildcards,
            });
        }
        Ok(transform)
    }

    /// The transform that changes nothing about the subjects of `pattern`.
    ///
    /// # Errors
    /// [`TransformError::TooManyWildcards`].
    pub fn identity(pattern: &Pattern) -> Result<Self, TransformError> {
        let mut wildcards = 0;
        let mut calls = Vec::new();
        for token in pattern.as_str().split('.') {
            calls.push(match token {
                ">" => Step::Tail,
                "*" => {
                    wildcards += 1;
                    Step::Call(Function::Wildcard(wildcards - 1))
                }
                literal => Step::Call(Function::Literal(literal.as_bytes().into())),
            });
        }
        if wildcards > WILDCARDS_MAX {
            return Err(TransformError::TooManyWildcards(pattern.to_string()));
        }
        Ok(Self::from_calls(pattern.clone(), pattern.to_string(), calls))
    }

    /// Rewrites `subject`; `None` if the source does not match it.
    ///
    /// `draw(n)` gives a uniform number below `n`; only `random` asks for one.
    pub fn apply(&self, subject: &[u8], draw: impl FnMut(u32) -> u32) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(subject.len() + self.rule.destination.len());
        self.apply_into(subject, &mut out, draw).then_some(out)
    }

    /// As [`Transform::apply`], appending to a buffer; false, and nothing appended, if the source does not match.
    #[must_use]
    pub fn apply_into(&self, subject: &[u8], out: &mut Vec<u8>, mut draw: impl FnMut(u32) -> u32) -> bool {
        let rule = &*self.rule;
        if rule.identity {
            let matches = rule.source.matches(subject);
            if matches {
                out.extend_from_slice(subject);
            }
            return matches;
        }
        let Some((captured, tail)) = capture(rule.source.as_bytes(), subject) else {
            return false;
        };
        for step in &rule.steps {
            match step {
                Step::Call(function) => function.evaluate(&captured, &mut draw, out),
                Step::Tail => out.extend_from_slice(tail),
            }
        }
        true
    }

    /// Rewrites a pattern that is contained in the source, wildcard for wildcard; `None` if it is not contained.
    ///
    /// Meaningful for transforms that have an inverse: the result then matches exactly the rewritten subjects.
    pub fn apply_to_pattern(&self, pattern: &[u8]) -> Option<Vec<u8>> {
        if !matching::contains(self.rule.source.as_bytes(), pattern) {
            return None;
        }
        self.apply(pattern, |_| 0)
    }

    /// The transform that undoes this one; `None` unless each wildcard is used exactly once and nothing else is.
    pub fn inverse(&self) -> Option<Self> {
        let order = self.wildcard_order()?;
        let source = self.target()?;
        // Wildcard `order[k]` of our source stands k-th in our destination, so it is the k-th wildcard of the inverse.
        let mut position = vec![0; order.len()];
        for (at, wildcard) in order.iter().enumerate() {
            *position.get_mut(*wildcard)? = at;
        }
        let mut seen = position.iter();
        let mut calls = Vec::new();
        let mut tokens = Vec::new();
        for token in self.rule.source.as_str().split('.') {
            let (call, text) = match token {
                ">" => (Step::Tail, ">".to_owned()),
                "*" => {
                    let at = *seen.next()?;
                    (Step::Call(Function::Wildcard(at)), format!("${}", at + 1))
                }
                literal => (Step::Call(Function::Literal(literal.as_bytes().into())), literal.to_owned()),
            };
            calls.push(call);
            tokens.push(text);
        }
        Some(Self::from_calls(source, tokens.join("."), calls))
    }

    /// The pattern it rewrites.
    pub fn source(&self) -> &Pattern {
        &self.rule.source
    }

    /// The destination as text, wildcards numbered.
    pub fn destination(&self) -> &str {
        &self.rule.destination
    }

    /// The pattern of the rewritten subjects; `None` if functions other than plain wildcards decide that.
    pub fn target(&self) -> Option<Pattern> {
        let mut text: Vec<u8> = Vec::new();
        for step in &self.rule.steps {
            match step {
                Step::Call(Function::Literal(literal)) => text.extend_from_slice(literal),
                Step::Call(Function::Wildcard(_)) => text.extend_from_slice(matching::ANY_TOKEN),
                Step::Call(_) => return None,
                Step::Tail => text.extend_from_slice(matching::ANY_TAIL),
            }
        }
        Pattern::parse(std::str::from_utf8(&text).ok()?).ok()
    }

    /// True if every subject stays as it is, so that callers need not run it.
    pub fn is_identity(&self) -> bool {
        self.rule.identity
    }

    fn compile(source: Pattern, destination: &str) -> Result<Self, TransformError> {
        let wildcards = source.wildcard_count();
        if wildcards > WILDCARDS_MAX {
            return Err(TransformError::TooManyWildcards(source.to_string()));
        }
        let malformed = || TransformError::Destination(destination.to_owned());
        if destination.is_empty() || destination.len() > super::PATTERN_BYTES_MAX {
            return Err(malformed());
        }
        let mut calls = Vec::new();
        for token in destination.split('.') {
            let function = token.starts_with("{{");
            if calls.last() == Some(&Step::Tail) || token.is_empty() || token.contains(['\t', '\n', '\r', '\x0c']) {
                return Err(malformed());
            }
            if token == "*" {
                return Err(TransformError::WildcardInDestination(destination.to_owned()));
            }
            if token.contains(' ') && !function {
                return Err(malformed());
            }
            calls.push(if token == ">" { Step::Tail } else { Step::Call(Function::parse(token, wildcards)?) });
        }
        if source.has_tail() != (calls.last() == Some(&Step::Tail)) {
            return Err(TransformError::TailMismatch { from: source.to_string(), to: destination.to_owned() });
        }
        Ok(Self::from_calls(source, destination.to_owned(), calls))
    }

    /// Joins one call for each destination token into the program.
    fn from_calls(source: Pattern, destination: String, calls: Vec<Step>) -> Self {
        let identity = is_identity(&source, &calls);
        let mut steps: Vec<Step> = Vec::new();
        let mut literal: Vec<u8> = Vec::new();
        for (at, call) in calls.into_iter().enumerate() {
            if at > 0 {
                literal.push(matching::SEPARATOR);
            }
            if let Step::Call(Function::Literal(text)) = call {
                literal.extend_from_slice(&text);
                continue;
            }
            if !literal.is_empty() {
                steps.push(Step::Call(Function::Literal(std::mem::take(&mut literal).into())));
            }
            steps.push(call);
        }
        if !literal.is_empty() {
            steps.push(Step::Call(Function::Literal(literal.into())));
        }
        Self { rule: Arc::new(Rule { source, destination, steps, identity }) }
    }

    /// Which of the source's wildcards the destination's wildcards are, if they are a permutation and no other
    /// function is used.
    fn wildcard_order(&self) -> Option<Vec<usize>> {
        let mut order = Vec::new();
        for step in &self.rule.steps {
            match step {
                Step::Call(Function::Wildcard(of)) if order.contains(of) => return None,
                Step::Call(Function::Wildcard(of)) => order.push(*of),
                Step::Call(Function::Literal(_)) | Step::Tail => {}
                Step::Call(_) => return None,
            }
        }
        (order.len() == self.rule.source.wildcard_count()).then_some(order)
    }
}

/// True if a literal token of `subject` would be read as a reference to a wildcard when written in a destination.
pub(crate) fn has_reference(subject: &str) -> bool {
    subject.split('.').any(|token| reference(token).is_some() || token.contains("{{"))
}

/// Writes the n-th `*` of `local` as `$n`, so that it can be read as a destination.
fn number_wildcards(local: &str) -> String {
    let mut seen = 0;
    let numbered: Vec<String> = local
        .split('.')
        .map(|token| {
            if token != "*" {
                return token.to_owned();
            }
            seen += 1;
            format!("${seen}")
        })
        .collect();
    numbered.join(".")
}

/// What the wildcards of `pattern` stand for in `subject`, and what its `>` does; `None` if it does not match.
fn capture<'a>(pattern: &[u8], subject: &'a [u8]) -> Option<(Captures<'a>, &'a [u8])> {
    let mut captured = Captures { whole: subject, tokens: [&[]; WILDCARDS_MAX] };
    let mut slots = captured.tokens.iter_mut();
    let mut wanted = matching::tokens(pattern);
    let mut given = matching::tokens(subject);
    loop {
        let remaining = given.rest();
        match (wanted.next(), given.next()) {
            (None, None) => return Some((captured, &[])),
            (Some(want), Some(have)) => {
                if want == matching::ANY_TAIL && wanted.is_at_end() {
                    let tail = remaining.filter(|tail| matching::is_publishable(tail))?;
                    return Some((captured, tail));
                }
                if have.is_empty() {
                    return None;
                }
                if want == matching::ANY_TOKEN {
                    *slots.next()? = have;
                } else if want != have {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

fn is_identity(source: &Pattern, calls: &[Step]) -> bool {
    let mut wildcards = 0..;
    let mut tokens = matching::tokens(source.as_bytes());
    calls.len() == tokens.clone().count()
        && calls.iter().all(|call| match (call, tokens.next()) {
            (Step::Tail, Some(token)) => token == matching::ANY_TAIL,
            (Step::Call(Function::Wildcard(of)), Some(token)) => {
                token == matching::ANY_TOKEN && wildcards.next() == Some(*of)
            }
            (Step::Call(Function::Literal(text)), Some(token)) => **text == *token && token != matching::ANY_TOKEN,
            _ => false,
        })
}

#[cfg(test)]
mod tests;
