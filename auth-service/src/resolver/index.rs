//! What a resolver remembers of each token without reading it again.

use std::collections::HashMap;

use cordon_accounts::claims::{Account, Claims};
use cordon_accounts::key::AccountKey;
use sha2::{Digest as _, Sha256};

use super::{ResolverError, StoreOutcome, StorePolicy};

/// XOR of the SHA-256 of every stored token: equal exactly if two stores hold the same (dirstore of
/// nats-server, hash in PACK requests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreHash(pub [u8; 32]);

impl StoreHash {
    /// Reads the body of a PACK request: 32 raw bytes, anything else is no hash.
    pub fn from_request(body: &[u8]) -> Option<Self> {
        body.try_into().ok().map(Self)
    }

    pub(super) fn of_token(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn mix(mut self, other: &Self) -> Self {
        for (byte, with) in self.0.iter_mut().zip(other.0) {
            *byte ^= with;
        }
        self
    }
}

/// What is known of one stored token.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) issued_at: i64,
    /// Unix seconds, 0 for never.
    pub(super) expires: i64,
    pub(super) digest: StoreHash,
    /// When it was last stored or looked up, as a count of uses: the least is evicted first.
    pub(super) used: u64,
    /// Unix seconds.
    pub(super) stored_at: i64,
}

impl Known {
    pub(super) fn new(claims: &Claims<Account>, token: &str, now: i64) -> Self {
        Self {
            id: claims.id.clone(),
            issued_at: claims.issued_at,
            expires: claims.expires,
            digest: StoreHash::of_token(token),
            used: 0,
            stored_at: now,
        }
    }

    pub(super) fn is_expired(&self, now: i64) -> bool {
        self.expires > 0 && now > self.expires
    }

    /// Whether `offered` may replace this; `None` says yes.
    pub(super) fn yields_to(&self, offered: &Self, policy: StorePolicy) -> Result<Option<StoreOutcome>, ResolverError> {
        if self.digest == offered.digest {
            return Ok(Some(StoreOutcome::Unchanged));
        }
        let (stored, offered_at) = (self.issued_at, offered.issued_at);
        match policy {
            StorePolicy::Push if offered_at < stored => Err(ResolverError::Stale { stored, offered: offered_at }),
            StorePolicy::Push => Ok(None),
            StorePolicy::Merge => {
                let newer = (offered_at, offered.id.as_str()) > (stored, self.id.as_str());
                Ok(if newer { None } else { Some(StoreOutcome::Kept) })
            }
        }
    }
}

/// All tokens of a store.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) known: HashMap<AccountKey, Known>,
    uses: u64,
}

impl Index {
    pub(super) fn insert(&mut self, key: AccountKey, mut known: Known) {
        self.uses += 1;
        known.used = self.uses;
        self.known.insert(key, known);
    }

    pub(super) fn touch(&mut self, key: &AccountKey) {
        self.uses += 1;
        if let Some(known) = self.known.get_mut(key) {
            known.used = self.uses;
        }
    }

    pub(super) fn least_used(&self) -> Option<AccountKey> {
        self.known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| *key)
    }

    /// Keys of what is not expired, in order.
    pub(super) fn list(&self, now: i64) -> Vec<AccountKey> {
        let live = self.known.iter().filter(|(_, known)| !known.is_expired(now));
        let mut keys: Vec<AccountKey> = live.map(|(key, _)| *key).collect();
        keys.sort();
        keys
    }

    pub(super) fn expired(&self, now: i64) -> Vec<AccountKey> {
        let dead = self.known.iter().filter(|(_, known)| known.is_expired(now));
        dead.map(|(key, _)| *key).collect()
    }

    pub(super) fn hash(&self, now: i64) -> StoreHash {
        let live = self.known.values().filter(|known| !known.is_expired(now));
        live.fold(StoreHash::default(), |hash, known| hash.mix(&known.digest))
    }
}
