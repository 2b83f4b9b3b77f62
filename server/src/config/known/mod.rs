//! What nats-server's configuration knows, and what becomes of it here: the one source of truth.
//!
//! ```text
//! top, tls, accounts, listeners, jetstream, links    tables of options, a block each
//! survey    walks a file along the tables: unknown options, wrong kinds, what is not acted on
//! ```
//!
//! An option is in one of three states. [`State::Applied`]: a reader takes it. [`State::Ignored`]: it is
//! read, checked for its kind, and named in a warning at start, with what it would have done.
//! [`State::Moot`]: nothing is lost without it, and nothing is said. To begin to act on an option, make it
//! `applied` in its table and add it to the reader of its block; `docs/compatibility.md` lists all of them
//! and a test compares the two.

mod accounts;
mod jetstream;
mod links;
mod listeners;
mod survey;
mod tls;
mod top;

pub use survey::{Survey, survey};
pub use top::TOP;

/// A map of options.
#[derive(Debug)]
pub struct Block {
    /// How it is called in texts: its path.
    pub path: &'static str,
    /// What stands in it.
    pub options: &'static [Known],
}

/// An option of nats-server, or one of Cordon's own.
#[derive(Debug)]
pub struct Known {
    /// Its names with blanks between them, the usual one first.
    pub names: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What becomes of it.
    pub state: State,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is acted on.
    Applied,
    /// It is not acted on; the text says what it would have done, after "it would ..".
    Ignored(&'static str),
    /// Nothing is lost without it; the text says why.
    Moot(&'static str),
}

/// What an option takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Anything; its reader says what.
    Any,
    /// A map of options.
    Block(&'static Block),
    /// Whole number, or text in Go's form such as `"2m"`.
    Duration,
    /// Text in Go's form, such as `"2m"`.
    DurationText,
    /// Whole number.
    Integer,
    /// A port, or host and port.
    Listen,
    /// A list of values of a kind.
    List(&'static Kind),
    /// A map from names to values of a kind.
    Named(&'static Kind),
    /// Any of several kinds.
    OneOf(&'static [Kind]),
    /// Whole number from 0 to 100, or text such as `"50%"`.
    Percent,
    /// Seconds with or without fraction, or text in Go's form.
    Seconds,
    /// Whole number, or text with one of `K M G T` at its end.
    Storage,
    /// `true` or `false`.
    Switch,
    /// Text.
    Text,
    /// Text out of a few.
    Word(&'static [&'static str]),
}

/// One text or several.
const TEXTS: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]);
/// How server links compress.
const COMPRESSION: Kind = Kind::OneOf(&[
    Kind::Switch,
    Kind::Word(&["off", "accept", "on", "s2_auto", "s2_uncompressed", "s2_fast", "s2_better", "s2_best"]),
    Kind::Block(&Block {
        path: "compression",
        options: &[applied("mode", Kind::Text), applied("rtt_thresholds thresholds rtts rtt", Kind::List(&Kind::Text))],
    }),
]);
/// What becomes of a write that takes too long.
const WRITE_TIMEOUT: Kind = Kind::Word(&["default", "close", "retry"]);

const fn applied(names: &'static str, kind: Kind) -> Known {
    Known { names, kind, state: State::Applied }
}

const fn ignored(names: &'static str, kind: Kind, effect: &'static str) -> Known {
    Known { names, kind, state: State::Ignored(effect) }
}

const fn moot(names: &'static str, kind: Kind, reason: &'static str) -> Known {
    Known { names, kind, state: State::Moot(reason) }
}

impl Block {
    /// The option of a name, in lower case.
    pub fn find(&self, name: &str) -> Option<&'static Known> {
        self.options.iter().find(|option| option.names.split(' ').any(|known| known == name))
    }

    /// The known name that is most like `name`, if any is.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        let names = self.options.iter().flat_map(|option| option.names.split(' '));
        let near = names.map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
        near.filter(|(distance, known)| *distance <= 1 + known.len().min(name.len()) / 4).map(|(_, known)| known)
    }
}

impl Known {
    /// The name that texts use.
    pub fn name(&self) -> &'static str {
        self.names.split(' ').next().unwrap_or(self.names)
    }
}

#[cfg(test)]
mod tests;
