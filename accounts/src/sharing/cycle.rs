//! Cycles: whether what enters an import can come back to it.
//!
//! Messages that enter an import arrive in the exporter, where they may enter the exporter's own imports, and so on.
//! The sets of subjects that get that far are followed as patterns, which is exact: a crossing rewrites one to one,
//! and the subjects common to two patterns are the subjects of one pattern. Streams flow the other way, but what is
//! *subscribed to* flows this way too, so one walk serves both kinds.
//!
//! Refused is the import that can be reached from itself, wherever it stands on the cycle. So each cycle loses all
//! its members, whatever the order in which accounts are loaded. The border keeps a guard of its own besides.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use super::import::Naming;
use super::resolve::authorize;
use super::{AccountSharing, ExportKind};
use crate::name::AccountName;
use crate::subject::{Pattern, matching};

/// Most accounts that a message may pass through.
pub(super) const DEPTH_MAX: usize = 1024;
/// Most sets of subjects that are followed for the imports of one account.
const STATES_MAX: usize = 32_768;
/// Most comparisons between sets of subjects; it bounds a hostile account's cost to a fraction of a second.
const COMPARISONS_MAX: usize = 2_000_000;
/// Most looks at an import, which mostly end at its first token: 4096 imports from an account with as many, twice.
const LOOKS_MAX: usize = 32 * 1024 * 1024;

/// Why an import may not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CycleError {
    #[error("import forms a cycle: {0}")]
    Cycle(String),
    #[error("messages could pass through more than 1024 accounts")]
    TooDeep,
    #[error("the imports behind it branch too far to be followed")]
    TooWide,
}

/// The walk, with a budget for all imports of one account.
pub(super) struct Walk<'a> {
    importer: &'a AccountSharing,
    lookup: &'a dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
    now: i64,
    states: usize,
    comparisons: usize,
    looks: usize,
}

/// An account on the way: the importer itself is not looked up, since its own new claims count.
pub(super) enum Node<'a> {
    Importer(&'a AccountSharing),
    Other(Arc<AccountSharing>),
}

impl Deref for Node<'_> {
    type Target = AccountSharing;

    fn deref(&self) -> &AccountSharing {
        match self {
            Self::Importer(account) => account,
            Self::Other(account) => account,
        }
    }
}

/// Subjects that get as far as an account.
struct State<'a> {
    account: Arc<Node<'a>>,
    pattern: Pattern,
    depth: usize,
    /// Where they came from, for the report.
    from: Option<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        importer: &'a AccountSharing,
        lookup: &'a dyn Fn(&AccountName) -> Option<Arc<AccountSharing>>,
        now: i64,
    ) -> Self {
        Self { importer, lookup, now, states: 0, comparisons: 0, looks: 0 }
    }

    /// The account of that name as it is now.
    pub(super) fn account(&self, name: &AccountName) -> Option<Node<'a>> {
        if *name == self.importer.name {
            return Some(Node::Importer(self.importer));
        }
        (self.lookup)(name).map(Node::Other)
    }

    /// Follows what enters the importer's import `index`.
    ///
    /// Breadth first, each set of subjects once: a harmless branch never ends the search for another (CVE-2022-42709).
    pub(super) fn check(&mut self, index: usize, kind: ExportKind) -> Result<(), CycleError> {
        let Some(import) = self.importer.imports.get(index) else {
            return Ok(());
        };
        // Nothing can come back into an account that offers nothing.
        if !self.importer.exports.iter().any(|export| export.kind == kind) {
            return Ok(());
        }
        let (Ok(naming), Some(exporter)) = (import.naming(), self.account(&import.exporter)) else {
            return Ok(());
        };
        let first = State { account: Arc::new(exporter), pattern: naming.remote.clone(), depth: 1, from: None };
        let mut seen: HashMap<AccountName, Vec<Pattern>> = HashMap::new();
        let mut states = vec![first];
        let mut at = 0;
        while let Some(state) = states.get(at) {
            for (entered, next) in self.steps(state, at, kind)? {
                if entered == index && states.get(at).is_some_and(|state| state.account.name == self.importer.name) {
                    return Err(CycleError::Cycle(self.describe(&states, at)));
                }
                if next.depth > DEPTH_MAX {
                    return Err(CycleError::TooDeep);
                }
                // What a wider set was followed for need not be followed again.
                let known = seen.entry(next.account.name.clone()).or_default();
                self.comparisons += known.len();
                if known.iter().any(|wider| wider.contains(&next.pattern)) {
                    continue;
                }
                known.push(next.pattern.clone());
                self.states += 1;
                if self.states > STATES_MAX {
                    return Err(CycleError::TooWide);
                }
                states.push(next);
            }
            at += 1;
        }
        Ok(())
    }

    /// The imports that some subjects of a state enter, each with the state behind it.
    ///
    /// Only imports that hold are followed: an account cannot break a stranger's import by listing one it may not have.
    fn steps(&mut self, state: &State<'a>, at: usize, kind: ExportKind) -> Result<Vec<(usize, State<'a>)>, CycleError> {
        let account = &state.account;
        self.looks += account.imports.len();
        if self.looks > LOOKS_MAX || self.comparisons > COMPARISONS_MAX {
            return Err(CycleError::TooWide);
        }
        let mut steps = Vec::new();
        for (index, import) in account.imports.iter().enumerate() {
            let Some(naming) = import.naming().ok().filter(|_| import.kind == kind) else {
                continue;
            };
            let Some(common) = matching::intersection(naming.local.as_bytes(), state.pattern.as_bytes()) else {
                continue;
            };
            let Some(exporter) = self.account(&import.exporter) else {
                continue;
            };
            if authorize(import, account, &exporter, self.now).is_err() {
                continue;
            }
            let Some(pattern) = rewritten(naming, &common) else {
                continue;
            };
            let next = State { account: Arc::new(exporter), pattern, depth: state.depth + 1, from: Some(at) };
            steps.push((index, next));
        }
        Ok(steps)
    }

    /// The accounts on the way to a state, and back to the importer.
    fn describe(&self, states: &[State<'a>], at: usize) -> String {
        let mut names = Vec::new();
        let mut state = states.get(at);
        while let Some(current) = state {
            names.push(format!("`{}` ({})", current.account.name, current.pattern));
            state = current.from.and_then(|from| states.get(from));
        }
        names.push(format!("`{}`", self.importer.name));
        names.reverse();
        names.join(" -> ")
    }
}

fn rewritten(naming: &Naming, common: &[u8]) -> Option<Pattern> {
    let rewritten = naming.outward.apply_to_pattern(common)?;
    Pattern::parse(std::str::from_utf8(&rewritten).ok()?).ok()
}
