//! The exchange between brokers that brings their stores together.
//!
//! A line is `<account key>|<token>`. Lines come from a peer and are believed no more than a stranger's
//! push: each token is verified against the operators before it is stored.

use std::fmt;
use std::sync::Arc;

use cordon_accounts::key::{AccountKey, KeyError};

use super::{Resolver, ResolverError, StoreOutcome, StorePolicy};
use crate::account_record::AccountRecord;
use crate::trust::{AccountError, Trust};

/// Lines looked at in one message.
const LINES_MAX: usize = 65_536;

/// One account of a store, as sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackLine {
    /// The account.
    pub key: AccountKey,
    /// Its JWT.
    pub token: String,
}

impl fmt::Display for PackLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.key, self.token)
    }
}

/// Why one line was not merged.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The token is not believed.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// What stands before the pipe is no account key.
    #[error("the line does not begin with an account key: {0}")]
    Key(#[from] KeyError),
    /// No pipe character, or bytes that are no text.
    #[error("the line is not of the form `<account key>|<token>`")]
    Malformed,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ResolverError),
    /// Too many lines in one message.
    #[error("the message has more than {LINES_MAX} lines")]
    TooMany,
}

/// What merging one message came to.
#[derive(Debug, Default)]
pub struct MergeReport {
    /// Accounts that were stored, to be applied to running ones.
    pub stored: Vec<Arc<AccountRecord>>,
    /// Lines that told nothing new.
    pub kept: usize,
    /// What was wrong with the other lines.
    pub refused: Vec<PackError>,
}

/// Merges the lines of one PACK answer into a store. A bad line costs only itself.
pub fn merge_pack(resolver: &dyn Resolver, trust: &Trust, body: &[u8], now: i64) -> MergeReport {
    let mut report = MergeReport::default();
    for (number, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if number >= LINES_MAX {
            report.refused.push(PackError::TooMany);
            break;
        }
        match merge_line(resolver, trust, line, now) {
            Ok(Some(record)) => report.stored.push(record),
            Ok(None) => report.kept += 1,
            Err(error) => report.refused.push(error),
        }
    }
    report
}

fn merge_line(
    resolver: &dyn Resolver,
    trust: &Trust,
    line: &[u8],
    now: i64,
) -> Result<Option<Arc<AccountRecord>>, PackError> {
    let line = std::str::from_utf8(line).map_err(|_| PackError::Malformed)?;
    let (key, token) = line.split_once('|').ok_or(PackError::Malformed)?;
    let key = AccountKey::parse(key)?;
    let record = trust.verify_account(token, Some(&key), now)?;
    match resolver.store(&record, StorePolicy::Merge, now)? {
        StoreOutcome::Stored => Ok(Some(record)),
        StoreOutcome::Kept | StoreOutcome::Unchanged => Ok(None),
    }
}
