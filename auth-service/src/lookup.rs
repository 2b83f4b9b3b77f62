//! Where the authenticator finds accounts: verified records, kept ready.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use cordon_accounts::key::AccountKey;
use cordon_accounts::reason::Reason;
use parking_lot::RwLock;

use crate::account_record::AccountRecord;
use crate::remote::{Elsewhere, Found, Remote, RemoteOptions};
use crate::resolver::{Resolver, ResolverError, StorePolicy};
use crate::trust::{AccountError, Trust};

/// Seconds that must pass before an expired account is fetched again.
const REFETCH_AFTER_S: i64 = 1;
/// How long the resolver may take: less than a peer has to authenticate, as upstream.
const ANSWER_WITHIN: Duration = Duration::from_millis(1900);
/// How often an account is fetched anew because some account was deleted meanwhile.
const FETCHES: usize = 8;

/// A look-up under way.
pub type LookupFuture<'a> = Pin<Box<dyn Future<Output = Result<Arc<AccountRecord>, LookupError>> + Send + 'a>>;

/// Finds the verified record of an account.
pub trait AccountLookup: fmt::Debug + Send + Sync {
    /// Finds the account that is in force at `now` (Unix seconds). The record may be expired: the caller
    /// checks, since what expiry means differs.
    ///
    /// # Errors
    ///
    /// [`LookupError`], which the future yields.
    fn account<'a>(&'a self, key: &'a AccountKey, now: i64) -> LookupFuture<'a>;
}

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The resolver could not be asked; others may still be served.
    #[error("the resolver cannot be asked now: {0}")]
    Unavailable(String),
    /// Nobody has such an account.
    #[error("no account `{0}` is known: push its JWT first")]
    Unknown(AccountKey),
    /// There is a JWT, but it is not believed.
    #[error(transparent)]
    Untrusted(#[from] AccountError),
}

impl LookupError {
    /// The stable reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unavailable(_) => Reason::AccountUnavailable,
            Self::Unknown(_) => Reason::AccountUnknown,
            Self::Untrusted(error) => error.reason(),
        }
    }
}

/// Accounts verified once and kept, with a resolver behind them.
///
/// Grows by accounts that a trusted operator signed and the resolver holds, so outsiders cannot fill it.
#[derive(Debug)]
pub struct CachedAccounts {
    trust: ArcSwap<Trust>,
    resolver: Arc<dyn Resolver>,
    records: RwLock<HashMap<AccountKey, Entry>>,
    /// Where accounts are asked for that the resolver does not hold.
    elsewhere: OnceLock<Elsewhere>,
    /// How often what was fetched before must not be kept: an account was forgotten, or others are trusted.
    forgotten: AtomicU64,
}

/// What other operators mean for the accounts in force.
#[derive(Debug, Default)]
pub struct Retrusted {
    /// Still believed, but by other rules: these records replace those in force.
    pub changed: Vec<Arc<AccountRecord>>,
    /// Not believed any more, and forgotten.
    pub lost: Vec<(AccountKey, AccountError)>,
}

#[derive(Clone, Debug)]
struct Entry {
    record: Arc<AccountRecord>,
    fetched_at: i64,
}

impl CachedAccounts {
    /// Accounts of `resolver`, as far as `trust` believes them.
    pub fn new(trust: Arc<Trust>, resolver: Arc<dyn Resolver>) -> Self {
        Self {
            trust: ArcSwap::new(trust),
            resolver,
            records: RwLock::default(),
            elsewhere: OnceLock::new(),
            forgotten: AtomicU64::new(0),
        }
    }

    /// Has accounts asked for elsewhere that the resolver does not hold; only the first call counts.
    pub fn look_elsewhere(&self, remote: Arc<dyn Remote>, options: RemoteOptions) {
        // Another one would need another resolver, too.
        let _first = self.elsewhere.set(Elsewhere::new(remote, options));
    }

    /// The operators that accounts are believed by.
    pub fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    /// Believes the accounts of these operators from now on, and forgets those of others.
    ///
    /// Signatures are not verified again: those that were are still good, and only who signed counts.
    pub fn retrust(&self, trust: Arc<Trust>, now: i64) -> Retrusted {
        let mut records = self.records.write();
        // Under the lock: whoever puts a record later asks the new operators.
        self.trust.store(Arc::clone(&trust));
        self.forgotten.fetch_add(1, Ordering::Release);
        let mut outcome = Retrusted::default();
        records.retain(|key, entry| {
            let record = &entry.record;
            let renewed = match trust.strictness_under(&record.claims.issuer) {
                _ if record.stands_in && trust.may_stand_in() => return true,
                Ok(strict) if strict == record.strict => return true,
                Ok(_) => trust.admit_account(record.token(), Some(key), now),
                Err(error) => Err(error),
            };
            match renewed {
                Ok(renewed) => {
                    entry.record = Arc::clone(&renewed);
                    outcome.changed.push(renewed);
                    true
                }
                Err(error) => {
                    outcome.lost.push((*key, error));
                    false
                }
            }
        });
        outcome
    }

    /// Where account JWTs are kept.
    pub fn resolver(&self) -> &Arc<dyn Resolver> {
        &self.resolver
    }

    /// Puts a verified record in place of the one in force; the older of the two is dropped. Returns the
    /// record in force afterwards.
    ///
    /// # Errors
    ///
    /// When the operator that signed it is not trusted any more.
    pub fn put(&self, record: Arc<AccountRecord>, now: i64) -> Result<Arc<AccountRecord>, AccountError> {
        let mut records = self.records.write();
        self.trust.load().strictness_under(&record.claims.issuer)?;
        Ok(Self::put_among(&mut records, record, now))
    }

    /// As [`Self::put`], unless an account was forgotten, or others are trusted, since that count.
    fn put_unless_forgotten(&self, record: Arc<AccountRecord>, now: i64, count: u64) -> Option<Arc<AccountRecord>> {
        let mut records = self.records.write();
        (self.forgotten.load(Ordering::Acquire) == count).then(|| Self::put_among(&mut records, record, now))
    }

    fn put_among(records: &mut HashMap<AccountKey, Entry>, record: Arc<AccountRecord>, now: i64) -> Arc<AccountRecord> {
        // Concurrent fetches converge on one record: the first, unless a newer one arrives.
        if let Some(entry) = records.get_mut(&record.key) {
            entry.fetched_at = now;
            if entry.record.claims.issued_at > record.claims.issued_at || entry.record.token() == record.token() {
                return Arc::clone(&entry.record);
            }
        }
        records.insert(record.key, Entry { record: Arc::clone(&record), fetched_at: now });
        record
    }

    /// Has something stand in for the system account until its JWT is there, unless it is there by now. `None` where
    /// nothing can: the operator is strict, or nothing that is pushed would be kept.
    pub fn stand_in(&self, now: i64) -> Option<Arc<AccountRecord>> {
        if !self.resolver.is_durable() && !self.is_refreshed() {
            return None;
        }
        let mut records = self.records.write();
        let record = self.trust.load().stand_in()?;
        Some(Self::put_among(&mut records, record, now))
    }

    /// Looks for the account that something stands in for; once it is found, it is in force here.
    pub async fn replace_stand_in(&self, key: AccountKey, now: i64) -> Option<Arc<AccountRecord>> {
        let known = self.loaded(&key).filter(|record| record.stands_in)?;
        let count = self.forgotten.load(Ordering::Acquire);
        let record = self.fetch(key, now, Some(&known)).await.ok()?;
        self.put_unless_forgotten(record, now, count)
    }

    /// Forgets an account, so that the next look-up asks the resolver.
    pub fn forget(&self, key: &AccountKey) -> Option<Arc<AccountRecord>> {
        let mut records = self.records.write();
        self.forgotten.fetch_add(1, Ordering::Release);
        records.remove(key).map(|entry| entry.record)
    }

    /// The record in force, without asking the resolver.
    pub fn loaded(&self, key: &AccountKey) -> Option<Arc<AccountRecord>> {
        self.records.read().get(key).map(|entry| Arc::clone(&entry.record))
    }

    /// Every record in force.
    pub fn all_loaded(&self) -> Vec<Arc<AccountRecord>> {
        self.records.read().values().map(|entry| Arc::clone(&entry.record)).collect()
    }

    async fn find(&self, key: AccountKey, now: i64) -> Result<Arc<AccountRecord>, LookupError> {
        let known = self.records.read().get(&key).cloned();
        if let Some(entry) = &known {
            let age = now.saturating_sub(entry.fetched_at);
            let refresh_after = self.elsewhere.get().and_then(|elsewhere| elsewhere.options.refresh_after_s);
            let is_old = refresh_after.is_some_and(|seconds| age > seconds);
            if age <= REFETCH_AFTER_S || !(is_old || entry.record.is_expired(now)) {
                return Ok(Arc::clone(&entry.record));
            }
            // Whoever comes meanwhile, or after a failure, does not ask as well.
            if let Some(entry) = self.records.write().get_mut(&key) {
                entry.fetched_at = now;
            }
        }
        for _ in 0..FETCHES {
            let count = self.forgotten.load(Ordering::Acquire);
            match self.fetch(key, now, known.as_ref().map(|entry| &entry.record)).await {
                // What was fetched before an account was deleted, or its operator removed, must not bring it back.
                Ok(record) => {
                    if let Some(record) = self.put_unless_forgotten(record, now, count) {
                        return Ok(record);
                    }
                }
                // It was there when it was asked for before, and is so no more.
                Err(error @ LookupError::Unknown(_))
                    if self.is_refreshed() && known.as_ref().is_none_or(|entry| !entry.record.stands_in) =>
                {
                    self.forget(&key);
                    return Err(error);
                }
                // What is known to be expired says more than that nothing newer could be had.
                Err(error) => return known.map(|entry| entry.record).ok_or(error),
            }
        }
        Err(LookupError::Unavailable("accounts are being deleted; try again".to_owned()))
    }

    async fn fetch(
        &self,
        key: AccountKey,
        now: i64,
        known: Option<&Arc<AccountRecord>>,
    ) -> Result<Arc<AccountRecord>, LookupError> {
        let resolver = Arc::clone(&self.resolver);
        let answer = tokio::task::spawn_blocking(move || resolver.lookup(&key));
        let Ok(answer) = tokio::time::timeout(ANSWER_WITHIN, answer).await else {
            return Err(LookupError::Unavailable("the resolver did not answer in time".to_owned()));
        };
        let token = match answer {
            Ok(Ok(Some(token))) => token,
            Ok(Ok(None)) => return self.fetch_elsewhere(key, now, known).await,
            Ok(Err(error)) => return Err(LookupError::Unavailable(error.to_string())),
            Err(_) => {
                return Err(LookupError::Unavailable("the look-up was broken off".to_owned()));
            }
        };
        Ok(self.trust.load_full().admit_account(&token, Some(&key), now)?)
    }

    /// Whether accounts in force are asked for again from time to time.
    fn is_refreshed(&self) -> bool {
        self.elsewhere.get().is_some_and(|elsewhere| elsewhere.options.refresh_after_s.is_some())
    }

    /// Asks elsewhere, and stores what is believed where that is wanted.
    async fn fetch_elsewhere(
        &self,
        key: AccountKey,
        now: i64,
        known: Option<&Arc<AccountRecord>>,
    ) -> Result<Arc<AccountRecord>, LookupError> {
        let Some(elsewhere) = self.elsewhere.get() else { return Err(LookupError::Unknown(key)) };
        // Another who asked for the same has put it in force while this one waited for its turn.
        let meanwhile = || {
            let loaded = self.loaded(&key)?;
            known.is_none_or(|known| !Arc::ptr_eq(known, &loaded)).then_some(loaded)
        };
        let count = self.forgotten.load(Ordering::Acquire);
        let (token, _turn) = match elsewhere.fetch(key, now, meanwhile).await {
            Ok(Found::Token(token, turn)) => (token, turn),
            Ok(Found::Known(record)) => return Ok(record),
            Ok(Found::Missing) => return Err(LookupError::Unknown(key)),
            Err(error) => return Err(LookupError::Unavailable(error.to_string())),
        };
        let record = self.trust.load_full().admit_account(&token, Some(&key), now)?;
        // Before the turn is over, so that nobody asks again; the caller looks whether it counts.
        self.put_unless_forgotten(Arc::clone(&record), now, count);
        if elsewhere.options.stores {
            let (resolver, offered) = (Arc::clone(&self.resolver), Arc::clone(&record));
            let stored = tokio::task::spawn_blocking(move || resolver.store(&offered, StorePolicy::Merge, now)).await;
            // It serves for now, and is asked for again after a restart.
            if let Ok(Err(error)) = stored {
                return if matches!(error, ResolverError::Full) {
                    Ok(record)
                } else {
                    Err(LookupError::Unavailable(error.to_string()))
                };
            }
        }
        Ok(record)
    }
}

impl AccountLookup for CachedAccounts {
    fn account<'a>(&'a self, key: &'a AccountKey, now: i64) -> LookupFuture<'a> {
        Box::pin(self.find(*key, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{FakeResolver, House, NOW, account_key};

    fn accounts(house: &House) -> (Arc<FakeResolver>, CachedAccounts) {
        let resolver = Arc::new(FakeResolver::default());
        let accounts = CachedAccounts::new(Arc::new(house.trust()), Arc::clone(&resolver) as Arc<dyn Resolver>);
        (resolver, accounts)
    }

    #[tokio::test]
    async fn an_account_is_fetched_once_and_shared() {
        let house = House::new();
        let (resolver, accounts) = accounts(&house);
        let key = account_key(&house.account);
        let error = accounts.account(&key, NOW).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUnknown);
        resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        let (one, other) = tokio::join!(accounts.account(&key, NOW), accounts.account(&key, NOW));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()), "concurrent fetches converge");
        let before = resolver.lookups.load(Ordering::SeqCst);
        accounts.account(&key, NOW + 100).await.unwrap();
        assert_eq!(resolver.lookups.load(Ordering::SeqCst), before);
        assert_eq!(accounts.all_loaded().len(), 1);
        assert!(accounts.forget(&key).is_some());
        assert!(accounts.loaded(&key).is_none());
    }

    #[tokio::test]
    async fn a_resolver_that_is_down_does_not_take_loaded_accounts_away() {
        let mut house = House::new();
        house.account_claims.expires = NOW + 10;
        let (resolver, accounts) = accounts(&house);
        let key = account_key(&house.account);
        resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        accounts.account(&key, NOW).await.unwrap();
        resolver.down.store(true, Ordering::SeqCst);
        accounts.account(&key, NOW + 5).await.expect("loaded");
        let expired = accounts.account(&key, NOW + 11).await.expect("says that it is expired");
        assert!(expired.is_expired(NOW + 11));
        accounts.forget(&key);
        let error = accounts.account(&key, NOW + 5).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUnavailable);
    }

    #[tokio::test]
    async fn an_expired_account_is_asked_for_once_a_second_at_most() {
        let mut house = House::new();
        house.account_claims.expires = NOW - 10;
        let (resolver, accounts) = accounts(&house);
        let key = account_key(&house.account);
        resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        for _ in 0..50 {
            assert!(accounts.account(&key, NOW).await.unwrap().is_expired(NOW));
        }
        assert_eq!(resolver.lookups.load(Ordering::SeqCst), 1);
        accounts.account(&key, NOW + 2).await.unwrap();
        assert_eq!(resolver.lookups.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_older_record_never_replaces_a_newer_one() {
        let house = House::new();
        let (_, accounts) = accounts(&house);
        let record = |at| house.trust().admit_account(&house.account_token_at(at), None, NOW).unwrap();
        let (old, new) = (record(NOW - 20), record(NOW - 10));
        accounts.put(Arc::clone(&new), NOW).unwrap();
        assert!(Arc::ptr_eq(&accounts.put(old, NOW).unwrap(), &new));
        assert!(Arc::ptr_eq(&accounts.put(record(NOW - 10), NOW).unwrap(), &new), "the same token keeps its record");
    }
    #[tokio::test]
    async fn a_resolver_that_does_not_answer_costs_only_those_who_need_it() {
        let (house, other) = (House::new(), House::new());
        let (resolver, accounts) = accounts(&house);
        let key = account_key(&house.account);
        resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        accounts.account(&key, NOW).await.unwrap();
        resolver.stuck.store(true, Ordering::SeqCst);
        let unknown = account_key(&other.account);
        let waiting = accounts.account(&unknown, NOW);
        tokio::pin!(waiting);
        assert!(poll_once(&mut waiting).await.is_none());
        accounts.account(&key, NOW).await.expect("what is loaded is there while others wait");
        let error = waiting.await.unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUnavailable);
        resolver.stuck.store(false, Ordering::SeqCst);
        let error = accounts.account(&unknown, NOW).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUnknown, "it answers again");
    }

    /// Polls once.
    async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(done) => Some(done),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[test]
    fn what_was_fetched_before_a_deletion_does_not_come_back() {
        let house = House::new();
        let (_, accounts) = accounts(&house);
        let record = house.record();
        let count = accounts.forgotten.load(Ordering::Acquire);
        accounts.forget(&record.key);
        assert!(accounts.put_unless_forgotten(Arc::clone(&record), NOW, count).is_none());
        assert!(accounts.loaded(&record.key).is_none());
        let count = accounts.forgotten.load(Ordering::Acquire);
        assert!(accounts.put_unless_forgotten(record, NOW, count).is_some());
    }

    #[tokio::test]
    async fn accounts_of_an_operator_that_was_removed_are_forgotten() {
        let (house, other) = (House::new(), House::new());
        let resolver = Arc::new(FakeResolver::default());
        let both = Trust::new(
            [&house, &other].map(|house| house.operator_claims.sign(&house.operator, NOW - 1000).unwrap()).to_vec(),
        )
        .unwrap();
        let accounts = CachedAccounts::new(Arc::new(both), Arc::clone(&resolver) as Arc<dyn Resolver>);
        let keys = [&house, &other].map(|house| account_key(&house.account));
        for house in [&house, &other] {
            resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        }
        for key in &keys {
            accounts.account(key, NOW).await.unwrap();
        }
        let outcome = accounts.retrust(Arc::new(house.trust()), NOW);
        assert_eq!(outcome.lost.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [keys[1]]);
        assert!(outcome.changed.is_empty());
        assert!(accounts.loaded(&keys[0]).is_some() && accounts.loaded(&keys[1]).is_none());
        let error = accounts.account(&keys[1], NOW).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AccountUntrusted, "it is still stored, and not believed");
        accounts.put(other.record(), NOW).expect_err("nor is what was verified before");
        accounts.retrust(Arc::new(other.trust()), NOW);
        accounts.account(&keys[1], NOW).await.expect("believed again");
    }

    #[tokio::test]
    async fn an_operator_that_becomes_strict_changes_the_rules_of_its_accounts() {
        let mut house = House::new();
        let (resolver, accounts) = accounts(&house);
        let key = account_key(&house.account);
        resolver.store(&house.record(), StorePolicy::Push, NOW).unwrap();
        assert!(!accounts.account(&key, NOW).await.unwrap().strict);
        house.operator_claims.nats.strict_signing_key_usage = true;
        let outcome = accounts.retrust(Arc::new(house.trust()), NOW);
        assert!(outcome.lost.is_empty() && outcome.changed[0].strict);
        assert!(Arc::ptr_eq(&outcome.changed[0], &accounts.loaded(&key).unwrap()));
    }
}
