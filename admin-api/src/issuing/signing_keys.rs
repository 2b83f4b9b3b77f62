//! Signing keys of accounts, plain and scoped.

use cordon_accounts::claims::SigningKey as SigningKeyClaim;
use cordon_accounts::key::{AccountKey, Role, Seed};
use rand::rngs::OsRng;

use super::draft::Draft;
use super::edit::{AccountEdit, live_account};
use super::{Act, IssueError, Issuer, views};
use crate::limits::LIST_ITEMS_MAX;
use crate::model::{NewSigningKey, Scope, SigningKey};
use crate::store::{SigningKeyRow, SigningKeyState};

impl Issuer {
    /// Adds a signing key to an account: a new one into the vault, or a public key whose owner keeps the
    /// seed.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn add_signing_key(
        &self,
        act: &Act,
        account: &AccountKey,
        new: NewSigningKey,
    ) -> Result<SigningKey, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "signing_key.create").await?;
        let seed = Seed::generate(Role::Account, &mut OsRng);
        let key = match new.key {
            Some(key) => key,
            None => AccountKey::try_from(seed.public()).map_err(|error| IssueError::Stored(error.to_string()))?,
        };
        if key == *account || edit.draft.nats.signing_keys.iter().any(|listed| listed.key() == key) {
            return Err(IssueError::Conflict("the account has this key already".to_owned()));
        }
        if edit.draft.nats.signing_keys.len() >= LIST_ITEMS_MAX {
            return Err(IssueError::Conflict("the account has too many signing keys".to_owned()));
        }
        edit.draft.nats.signing_keys.push(claim(key, new.scope.as_ref())?);
        let mut edit = edit.apply().await?;
        let mut row = self.signing_key_row(&seed, account.public(), edit.now)?;
        if new.key.is_some() {
            row = SigningKeyRow { key: key.public(), seed_sealed: None, ..row };
        }
        describe(&mut row, new.scope.as_ref())?;
        edit.unit.signing_keys().insert(&mut row).await?;
        let view = views::signing_key(&account.public(), edit.row.version, &key.public(), new.scope, Some(&row));
        edit.save(|entry| entry.on_object(key.to_string()), &view).await?;
        Ok(view)
    }

    /// Gives a signing key another scope, or none. Connected users of it are made to connect anew.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such key.
    pub async fn set_scope(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &AccountKey,
        scope: Option<Scope>,
    ) -> Result<SigningKey, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "signing_key.change").await?;
        let replacement = claim(*key, scope.as_ref())?;
        let place = edit.draft.nats.signing_keys.iter_mut().find(|listed| listed.key() == *key);
        *place.ok_or_else(|| IssueError::not_found("signing key", key))? = replacement;
        let mut edit = edit.apply().await?;
        let mut row = edit.unit.signing_keys().lookup(&key.public()).await?;
        if let Some(row) = &mut row {
            describe(row, scope.as_ref())?;
            row.updated_at = edit.now;
            edit.unit.signing_keys().update(row).await?;
        }
        let view = views::signing_key(&account.public(), edit.row.version, &key.public(), scope, row.as_ref());
        edit.save(|entry| entry.on_object(key.to_string()), &view).await?;
        Ok(view)
    }

    /// Takes a signing key from an account: users and activations that it signed are good no more.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such key.
    pub async fn remove_signing_key(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &AccountKey,
    ) -> Result<(), IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "signing_key.delete").await?;
        let count = edit.draft.nats.signing_keys.len();
        edit.draft.nats.signing_keys.retain(|listed| listed.key() != *key);
        if edit.draft.nats.signing_keys.len() == count {
            return Err(IssueError::not_found("signing key", key));
        }
        let mut edit = edit.apply().await?;
        if let Some(mut row) = edit.unit.signing_keys().lookup(&key.public()).await? {
            row.state = SigningKeyState::Removed;
            row.seed_sealed = None;
            row.updated_at = edit.now;
            edit.unit.signing_keys().update(&mut row).await?;
        }
        edit.save_silently(|entry| entry.on_object(key.to_string())).await
    }

    /// The signing keys of an account, and the account's version.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn signing_keys(&self, account: &AccountKey) -> Result<Vec<SigningKey>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        views::account_signing_keys(&mut reader, &row, &Draft::of(&row)?).await
    }
}

fn claim(key: AccountKey, scope: Option<&Scope>) -> Result<SigningKeyClaim, IssueError> {
    match scope {
        None => Ok(SigningKeyClaim::Plain(key)),
        Some(scope) => {
            crate::model::plain_text(&scope.description, 8192)
                .map_err(|detail| IssueError::invalid("scope.description", detail))?;
            Ok(SigningKeyClaim::Scoped(Box::new(scope.to_claim(key).map_err(IssueError::at)?)))
        }
    }
}

fn describe(row: &mut SigningKeyRow, scope: Option<&Scope>) -> Result<(), IssueError> {
    row.role = scope.map(|scope| scope.role.clone());
    row.description = scope.map(|scope| scope.description.clone()).unwrap_or_default();
    row.template = match scope {
        Some(scope) => Some(serde_json::to_value(&scope.template)?),
        None => None,
    };
    Ok(())
}
