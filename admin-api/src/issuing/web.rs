//! The web of accounts that share with each other, read from the store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cordon_accounts::claims::AccountClaims;
use cordon_accounts::key::{AccountKey, OperatorKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::sharing::{AccountSharing, Resolution, resolve};

use super::draft::current;
use super::signer::operator_claims;
use super::{IssueError, Issuer};
use crate::limits::SHARING_ACCOUNTS_MAX;
use crate::store::{AccountRow, AccountState, Page, Reader};

/// Accounts by name, each with what it shares.
#[derive(Default)]
pub(crate) struct Web {
    accounts: HashMap<AccountName, Arc<AccountSharing>>,
    names: HashMap<AccountName, String>,
}

impl Web {
    /// Everything that can be reached from these claims by following imports.
    pub(crate) async fn around(reader: &mut Reader, claims: &AccountClaims, strict: bool) -> Result<Self, IssueError> {
        let mut web = Self::default();
        web.put(claims, strict);
        let mut stricts = Stricts::default();
        let mut waiting: Vec<AccountKey> = claims.nats.imports.iter().map(|import| import.account).collect();
        let mut seen: HashSet<AccountKey> = claims.key().into_iter().collect();
        while let Some(key) = waiting.pop() {
            if !seen.insert(key) {
                continue;
            }
            if seen.len() > SHARING_ACCOUNTS_MAX {
                return Err(IssueError::Conflict(format!(
                    "more than {SHARING_ACCOUNTS_MAX} accounts hang together by imports"
                )));
            }
            let Some(row) = reader.accounts().lookup(&key).await? else { continue };
            if row.state == AccountState::Deleted {
                continue;
            }
            let exporter = current(&row)?;
            waiting.extend(exporter.nats.imports.iter().map(|import| import.account));
            let strict = stricts.of(reader, &row.operator).await?;
            web.put(&exporter, strict);
        }
        Ok(web)
    }

    /// Every live account of the store.
    pub(crate) async fn whole(reader: &mut Reader) -> Result<Self, IssueError> {
        let mut web = Self::default();
        let mut stricts = Stricts::default();
        let mut after = None;
        loop {
            let rows = reader.accounts().list(&Page::new(after, crate::store::PAGE_MAX)).await?;
            let Some(last) = rows.last() else { return Ok(web) };
            after = Some(last.key.to_string());
            for row in &rows {
                let strict = stricts.of(reader, &row.operator).await?;
                web.put_row(row, strict)?;
            }
        }
    }

    pub(crate) fn put(&mut self, claims: &AccountClaims, strict: bool) {
        let sharing = AccountSharing::from_claims(claims, strict);
        self.names.insert(sharing.name.clone(), claims.name.clone());
        self.accounts.insert(sharing.name.clone(), Arc::new(sharing));
    }

    fn put_row(&mut self, row: &AccountRow, strict: bool) -> Result<(), IssueError> {
        self.put(&current(row)?, strict);
        Ok(())
    }

    pub(crate) fn get(&self, name: &AccountName) -> Option<&Arc<AccountSharing>> {
        self.accounts.get(name)
    }

    pub(crate) fn display_name(&self, name: &AccountName) -> String {
        self.names.get(name).cloned().unwrap_or_default()
    }

    /// The accounts that import from `exporter`.
    pub(crate) fn importers_of(&self, exporter: &AccountName) -> Vec<Arc<AccountSharing>> {
        let imports = |sharing: &AccountSharing| sharing.imports.iter().any(|import| import.exporter == *exporter);
        self.accounts.values().filter(|sharing| imports(sharing)).cloned().collect()
    }

    pub(crate) fn resolve(&self, importer: &AccountSharing, now: i64) -> Resolution {
        resolve(importer, &|name| self.accounts.get(name).cloned(), now)
    }
}

/// Which operators are strict, asked once each.
#[derive(Default)]
struct Stricts(HashMap<OperatorKey, bool>);

impl Stricts {
    async fn of(&mut self, reader: &mut Reader, operator: &OperatorKey) -> Result<bool, IssueError> {
        if let Some(strict) = self.0.get(operator) {
            return Ok(*strict);
        }
        let strict = match reader.operators().lookup(operator).await? {
            Some(row) => operator_claims(&row)?.nats.strict_signing_key_usage,
            None => false,
        };
        self.0.insert(*operator, strict);
        Ok(strict)
    }
}

impl Issuer {
    /// Whether the operator demands signing keys.
    pub(crate) async fn is_strict(reader: &mut Reader, operator: &OperatorKey) -> Result<bool, IssueError> {
        Stricts::default().of(reader, operator).await
    }
}
