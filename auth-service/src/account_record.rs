//! A verified account: its claims, and what the broker needs of them compiled once.

use std::collections::HashMap;
use std::sync::Arc;

use cordon_accounts::claims::{self, Account, Scope, Verified};
use cordon_accounts::key::{AccountKey, PublicKey};
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::{Permissions, PermissionsError};
use cordon_accounts::sharing::AccountSharing;
use cordon_accounts::subject::Mappings;
use sha2::{Digest as _, Sha256};

use crate::principal::ScopeDigest;

/// An account whose claims a trusted operator key signed, or one that stands in for the system account
/// ([`crate::stand_in`]). Made only by [`Trust`](crate::trust::Trust).
#[derive(Debug)]
#[non_exhaustive]
pub struct AccountRecord {
    /// What the broker calls the account: the text of its key.
    pub name: AccountName,
    /// The account's identity key.
    pub key: AccountKey,
    /// The claims, with the token they came in.
    pub claims: Verified<Account>,
    /// Exports, imports and the keys that may sign activations.
    pub sharing: Arc<AccountSharing>,
    /// Compiled subject mappings.
    pub mappings: Arc<Mappings>,
    /// For users that carry no permissions of their own.
    pub default_permissions: Arc<Permissions>,
    /// What bounds each connection of the account.
    pub limits: ConnectionLimits,
    /// Whether the identity key may not sign users (`auth.md` 2.11).
    pub strict: bool,
    /// It stands in for the system account until that is known, so that its JWT can be pushed.
    pub stands_in: bool,
    /// Mappings and exports that could not be compiled and are left out, as prose for the log.
    pub warnings: Vec<String>,
    /// By scoped signing key.
    scopes: HashMap<PublicKey, ScopeDigest>,
}

/// A key that may sign users of the account.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// The account's own key.
    Identity,
    /// A signing key without a template.
    Plain,
    /// A signing key whose users get its template and nothing else.
    Scoped(&'a Scope, ScopeDigest),
}

impl AccountRecord {
    /// Compiles verified claims; `strict` takes the identity key out of the signers.
    pub(crate) fn compile(
        claims: Verified<Account>,
        key: AccountKey,
        strict: bool,
        cluster: Option<&str>,
    ) -> Result<Self, PermissionsError> {
        let default_permissions = Permissions::compile(&claims.nats.default_permissions)?;
        let (mappings, problems) = Mappings::compile(&claims.nats.mappings, cluster);
        let sharing = AccountSharing::from_claims(&claims, strict);
        let unread = sharing.problems.iter().map(ToString::to_string);
        let warnings = problems.iter().map(ToString::to_string).chain(unread).collect();
        Ok(Self {
            name: AccountName::from(key),
            key,
            mappings: Arc::new(mappings),
            default_permissions: Arc::new(default_permissions),
            limits: claims.nats.limits.connection(),
            strict,
            stands_in: false,
            warnings,
            sharing: Arc::new(sharing),
            scopes: scopes_of(&claims),
            claims,
        })
    }

    /// The account's JWT.
    pub fn token(&self) -> &str {
        self.claims.token()
    }

    /// Whether `key` may sign users of this account, and under which template.
    pub fn signer_of(&self, key: &PublicKey) -> Option<Signer<'_>> {
        match self.claims.signer(key, self.strict)? {
            claims::Signer::Identity => Some(Signer::Identity),
            claims::Signer::Plain => Some(Signer::Plain),
            claims::Signer::Scoped(scope) => Some(Signer::Scoped(scope, *self.scopes.get(key)?)),
        }
    }

    /// Whether the account's claims are past their `exp`. At `exp` itself they still hold.
    pub fn is_expired(&self, now: i64) -> bool {
        self.claims.expires > 0 && now > self.claims.expires
    }

    /// Whether the account's claims are before their `nbf`.
    pub fn is_not_yet_valid(&self, now: i64) -> bool {
        self.claims.not_before > now
    }

    /// Whether user claims of `user` issued at `issued_at` were revoked. Claims that do not say when they
    /// were issued could never be revoked, and so count as revoked.
    pub fn revokes(&self, user: &PublicKey, issued_at: i64) -> bool {
        issued_at <= 0 || self.claims.nats.revocations.is_revoked(user, issued_at)
    }
}

fn scopes_of(account: &Verified<Account>) -> HashMap<PublicKey, ScopeDigest> {
    let keys = account.nats.signing_keys.iter().map(|listed| listed.key().public());
    keys.filter_map(|key| Some((key, digest_of(account.scope(&key)?)))).collect()
}

/// Digest of everything that a scope says: any change of it changes what its users are.
fn digest_of(scope: &Scope) -> ScopeDigest {
    let canonical = serde_json::to_vec(scope).unwrap_or_default();
    ScopeDigest(Sha256::digest(canonical).into())
}
