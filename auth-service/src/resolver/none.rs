//! A resolver that keeps nothing: every account is asked for elsewhere.

use cordon_accounts::key::AccountKey;

use super::index::Index;
use super::{PackLine, Resolver, ResolverError, StoreHash, StoreOutcome, StorePolicy};
use crate::account_record::AccountRecord;

/// Keeps nothing. What is pushed counts for the account in force, until it is asked for again (`auth.md` 8.1, URL).
#[derive(Clone, Copy, Debug, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn lookup(&self, _: &AccountKey) -> Result<Option<String>, ResolverError> {
        Ok(None)
    }

    fn store(&self, _: &AccountRecord, _: StorePolicy, _: i64) -> Result<StoreOutcome, ResolverError> {
        Ok(StoreOutcome::Kept)
    }

    fn remove(&self, _: &AccountKey) -> Result<bool, ResolverError> {
        Err(ResolverError::DeleteNotAllowed)
    }

    fn list(&self, _: i64) -> Vec<AccountKey> {
        Vec::new()
    }

    fn hash(&self, now: i64) -> StoreHash {
        Index::default().hash(now)
    }

    fn pack(&self, _: Option<StoreHash>, _: i64, _: &mut dyn FnMut(PackLine)) -> Result<(), ResolverError> {
        Ok(())
    }

    fn sweep(&self, _: i64) -> Result<Vec<AccountKey>, ResolverError> {
        Ok(Vec::new())
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn allows_delete(&self) -> bool {
        false
    }
}
