//! Account JWTs that the resolver does not hold: asked for elsewhere, a bounded number at a time.
//!
//! Outsiders make the broker ask, with user JWTs of accounts that nobody has. So each account is asked for once at a
//! time, what is missing is remembered for a moment, and few questions are under way in all; who finds no room waits
//! within the time that a look-up may take.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::AccountKey;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::rooms::{Place, Rooms};

/// Questions under way.
const AT_ONCE: usize = 32;
/// Seconds for which an account that was not found is not asked for again.
const MISSING_S: i64 = 1;
/// Accounts remembered as missing.
const MISSING_MAX: usize = 4096;

/// A question under way.
pub type RemoteFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, RemoteError>> + Send + 'a>>;

/// Somewhere else where account JWTs are.
pub trait Remote: fmt::Debug + Send + Sync {
    /// The JWT of an account, unverified; `None` if it is said that there is none.
    ///
    /// # Errors
    ///
    /// [`RemoteError`], when nothing is known about the account. The caller bounds the time.
    fn fetch(&self, key: AccountKey) -> RemoteFuture<'_>;
}

/// Nobody could be asked, or the answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RemoteError(pub String);

/// How what comes from elsewhere is used.
#[derive(Clone, Copy, Debug)]
pub struct RemoteOptions {
    /// Whether it is stored in the resolver.
    pub stores: bool,
    /// How long a look-up may take. Less than a peer has to authenticate.
    pub within: Duration,
    /// Seconds after which an account in force is asked for again when it is needed; never when `None`.
    pub refresh_after_s: Option<i64>,
}

/// Asks elsewhere, within bounds.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    remote: Arc<dyn Remote>,
    pub(crate) options: RemoteOptions,
    at_once: Semaphore,
    accounts: Rooms<AccountKey>,
    /// Until when an account need not be asked for, Unix seconds.
    missing: Mutex<HashMap<AccountKey, i64>>,
}

impl Elsewhere {
    pub(crate) fn new(remote: Arc<dyn Remote>, options: RemoteOptions) -> Self {
        Self { remote, options, at_once: Semaphore::new(AT_ONCE), accounts: Rooms::new(1), missing: Mutex::default() }
    }

    /// Asks for an account. `known` is asked once it is this one's turn: another may have found it meanwhile.
    pub(crate) async fn fetch<T>(
        &self,
        key: AccountKey,
        now: i64,
        known: impl FnOnce() -> Option<T>,
    ) -> Result<Found<'_, T>, RemoteError> {
        match tokio::time::timeout(self.options.within, self.ask(key, now, known)).await {
            Ok(answer) => answer,
            Err(_) => Err(RemoteError("nobody answered in time".to_owned())),
        }
    }

    async fn ask<T>(
        &self,
        key: AccountKey,
        now: i64,
        known: impl FnOnce() -> Option<T>,
    ) -> Result<Found<'_, T>, RemoteError> {
        let closed = |_| RemoteError("the broker is stopping".to_owned());
        let turn = self.accounts.enter(key).await.map_err(closed)?;
        if let Some(known) = known() {
            return Ok(Found::Known(known));
        }
        if self.missing.lock().get(&key).is_some_and(|until| *until >= now) {
            return Ok(Found::Missing);
        }
        let _one_of_few = self.at_once.acquire().await.map_err(closed)?;
        if let Some(token) = self.remote.fetch(key).await? {
            return Ok(Found::Token(token, Turn(turn)));
        }
        self.remember_missing(key, now);
        Ok(Found::Missing)
    }

    fn remember_missing(&self, key: AccountKey, now: i64) {
        let mut missing = self.missing.lock();
        if missing.len() >= MISSING_MAX {
            missing.retain(|_, until| *until >= now);
        }
        if missing.len() < MISSING_MAX {
            missing.insert(key, now.saturating_add(MISSING_S));
        }
    }
}

/// What came of asking.
pub(crate) enum Found<'a, T> {
    /// Somebody else has asked meanwhile.
    Known(T),
    /// There is no such account.
    Missing,
    /// Its JWT, unverified; others who need it wait until the turn is over.
    Token(String, Turn<'a>),
}

/// The turn of one of those who need the same account.
pub(crate) struct Turn<'a>(#[expect(dead_code, reason = "held, not looked at")] Place<'a, AccountKey>);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use cordon_accounts::key::Role;

    use super::*;
    use crate::lookup::{AccountLookup as _, CachedAccounts, LookupError};
    use crate::resolver::{MemoryResolver, NoResolver, Resolver};
    use crate::testing::{House, NOW, account_key, seed};

    /// Answers from a table; what is not there hangs while `stuck` says so.
    #[derive(Debug, Default)]
    struct Table {
        tokens: Mutex<HashMap<AccountKey, Result<Option<String>, RemoteError>>>,
        asked: AtomicUsize,
        stuck: bool,
    }

    impl Remote for Table {
        fn fetch(&self, key: AccountKey) -> RemoteFuture<'_> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.tokens.lock().get(&key).cloned();
            let stuck = self.stuck;
            Box::pin(async move {
                match answer {
                    Some(answer) => answer,
                    None if stuck => std::future::pending().await,
                    None => Ok(None),
                }
            })
        }
    }

    const OPTIONS: RemoteOptions =
        RemoteOptions { stores: true, within: Duration::from_millis(200), refresh_after_s: None };

    fn accounts(house: &House, table: &Arc<Table>, options: RemoteOptions) -> CachedAccounts {
        let resolver: Arc<dyn Resolver> =
            if options.stores { Arc::new(MemoryResolver::default()) } else { Arc::new(NoResolver) };
        let accounts = CachedAccounts::new(Arc::new(house.trust()), resolver);
        accounts.look_elsewhere(table.clone(), options);
        accounts
    }

    #[tokio::test]
    async fn what_is_found_elsewhere_is_verified_stored_and_asked_for_once() {
        let house = House::new();
        let key = account_key(&house.account);
        let table = Arc::new(Table::default());
        table.tokens.lock().insert(key, Ok(Some(house.account_token())));
        let accounts = accounts(&house, &table, OPTIONS);
        let (one, other) = tokio::join!(accounts.account(&key, NOW), accounts.account(&key, NOW));
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(table.asked.load(Ordering::SeqCst), 1, "two who need it at the same time ask once");
        assert_eq!(accounts.resolver().lookup(&key).unwrap(), Some(house.account_token()));
        accounts.account(&key, NOW + 10_000).await.unwrap();
        assert_eq!(table.asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_is_not_believed_is_neither_stored_nor_used() {
        let (house, stranger) = (House::new(), House::new());
        let key = account_key(&stranger.account);
        let own = account_key(&house.account);
        let table = Arc::new(Table::default());
        for (asked, token) in [
            (key, stranger.account_token()),
            (own, stranger.account_token()),
            (own, "eyJ0".to_owned()),
            (own, String::new()),
        ] {
            table.tokens.lock().insert(asked, Ok(Some(token)));
            let accounts = accounts(&house, &table, OPTIONS);
            let error = accounts.account(&asked, NOW).await.unwrap_err();
            assert!(matches!(error, LookupError::Untrusted(_)), "{error}");
            assert_eq!(accounts.resolver().lookup(&asked).unwrap(), None);
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_not_asked_for_again_at_once() {
        let house = House::new();
        let table = Arc::new(Table::default());
        let accounts = accounts(&house, &table, OPTIONS);
        let key = account_key(&house.account);
        for (now, asked) in [(NOW, 1), (NOW, 1), (NOW + 1, 1), (NOW + 2, 2)] {
            let error = accounts.account(&key, now).await.unwrap_err();
            assert!(matches!(error, LookupError::Unknown(_)));
            assert_eq!(table.asked.load(Ordering::SeqCst), asked, "{now}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_those_who_do_not_answer_longer_than_a_look_up_may_take() {
        let house = House::new();
        let table = Arc::new(Table { stuck: true, ..Table::default() });
        let accounts = Arc::new(accounts(&house, &table, OPTIONS));
        let all: Vec<_> = (0..3 * AT_ONCE)
            .map(|_| {
                let accounts = accounts.clone();
                let key = account_key(&seed(Role::Account));
                tokio::spawn(async move { accounts.account(&key, NOW).await.unwrap_err().to_string() })
            })
            .collect();
        for one in all {
            assert!(one.await.unwrap().contains("in time"));
        }
        assert!(table.asked.load(Ordering::SeqCst) >= AT_ONCE);
        let known = account_key(&house.account);
        table.tokens.lock().insert(known, Ok(Some(house.account_token())));
        accounts.account(&known, NOW).await.expect("there is room again");
    }

    #[tokio::test]
    async fn an_account_in_force_is_asked_for_again_and_outlives_a_failure_but_not_its_end() {
        let house = House::new();
        let key = account_key(&house.account);
        let table = Arc::new(Table::default());
        table.tokens.lock().insert(key, Ok(Some(house.account_token())));
        let options = RemoteOptions { stores: false, refresh_after_s: Some(60), ..OPTIONS };
        let accounts = accounts(&house, &table, options);
        let first = accounts.account(&key, NOW).await.unwrap();
        assert_eq!(accounts.resolver().lookup(&key).unwrap(), None, "nothing is stored");
        let newer = house.account_token_at(NOW - 100);
        table.tokens.lock().insert(key, Ok(Some(newer.clone())));
        assert_eq!(accounts.account(&key, NOW + 60).await.unwrap().token(), first.token());
        assert_eq!(accounts.account(&key, NOW + 61).await.unwrap().token(), newer);
        // An older one, given out by mistake, replaces nothing.
        table.tokens.lock().insert(key, Ok(Some(house.account_token())));
        assert_eq!(accounts.account(&key, NOW + 200).await.unwrap().token(), newer);
        table.tokens.lock().insert(key, Err(RemoteError("down".to_owned())));
        assert_eq!(accounts.account(&key, NOW + 300).await.unwrap().token(), newer);
        let asked = table.asked.load(Ordering::SeqCst);
        accounts.account(&key, NOW + 301).await.unwrap();
        assert_eq!(table.asked.load(Ordering::SeqCst), asked, "a failure is not repeated for everyone");
        table.tokens.lock().insert(key, Ok(None));
        assert!(matches!(accounts.account(&key, NOW + 400).await, Err(LookupError::Unknown(_))));
        assert!(accounts.loaded(&key).is_none());
    }
}
