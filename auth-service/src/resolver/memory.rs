//! A resolver that keeps what it was given, in memory only.

use std::collections::HashMap;

use cordon_accounts::key::AccountKey;
use parking_lot::RwLock;

use super::index::{Index, Known};
use super::{PackLine, Resolver, ResolverError, StoreHash, StoreOutcome, StorePolicy};
use crate::account_record::AccountRecord;

/// Accounts of the configuration (`resolver: MEMORY` with `resolver_preload`), and updates until the
/// next restart.
#[derive(Debug, Default)]
pub struct MemoryResolver {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    tokens: HashMap<AccountKey, String>,
    index: Index,
}

impl Resolver for MemoryResolver {
    fn lookup(&self, key: &AccountKey) -> Result<Option<String>, ResolverError> {
        Ok(self.held.read().tokens.get(key).cloned())
    }

    fn store(&self, record: &AccountRecord, policy: StorePolicy, now: i64) -> Result<StoreOutcome, ResolverError> {
        let offered = Known::new(&record.claims, record.token(), now);
        let mut held = self.held.write();
        if let Some(known) = held.index.known.get(&record.key)
            && let Some(outcome) = known.yields_to(&offered, policy)?
        {
            return Ok(outcome);
        }
        held.tokens.insert(record.key, record.token().to_owned());
        held.index.insert(record.key, offered);
        Ok(StoreOutcome::Stored)
    }

    fn remove(&self, _key: &AccountKey) -> Result<bool, ResolverError> {
        Err(ResolverError::DeleteNotAllowed)
    }

    fn forget(&self, key: &AccountKey) -> bool {
        let mut held = self.held.write();
        held.index.known.remove(key);
        held.tokens.remove(key).is_some()
    }

    fn list(&self, now: i64) -> Vec<AccountKey> {
        self.held.read().index.list(now)
    }

    fn hash(&self, now: i64) -> StoreHash {
        self.held.read().index.hash(now)
    }

    fn pack(&self, asker: Option<StoreHash>, now: i64, visit: &mut dyn FnMut(PackLine)) -> Result<(), ResolverError> {
        if asker == Some(self.hash(now)) {
            return Ok(());
        }
        for key in self.list(now) {
            if let Some(token) = self.lookup(&key)? {
                visit(PackLine { key, token });
            }
        }
        Ok(())
    }

    fn sweep(&self, now: i64) -> Result<Vec<AccountKey>, ResolverError> {
        let mut held = self.held.write();
        let expired = held.index.expired(now);
        for key in &expired {
            held.tokens.remove(key);
            held.index.known.remove(key);
        }
        Ok(expired)
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn allows_delete(&self) -> bool {
        false
    }
}
