//! Revocations: user JWTs taken back.

use cordon_accounts::claims::revocation::Revoked;
use cordon_accounts::key::{AccountKey, UserKey};

use super::draft::Draft;
use super::edit::{AccountEdit, live_account};
use super::{Act, IssueError, Issuer, views};
use crate::ledger::Reference;
use crate::model::{NewRevocation, Revocation, Time};
use crate::store::UserState;

impl Issuer {
    /// Revokes a user, or all users, of an account: JWTs issued at or before the given time are good no
    /// more, and their connections end.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_revocation(
        &self,
        act: &Act,
        account: &AccountKey,
        new: &NewRevocation,
    ) -> Result<Revocation, IssueError> {
        let (what, user) = read_user(&new.user)?;
        let mut edit = AccountEdit::open(self, act, account, "revocation.create").await?;
        let row = match user {
            Some(user) => edit.unit.users().lookup(account, &user).await?,
            None => None,
        };
        let at = match new.at {
            Some(Time(at)) if at <= edit.now => at,
            Some(at) => {
                return Err(IssueError::invalid("at", format!("`{at}` lies ahead: new users would be born revoked")));
            }
            // JWTs issued in quick succession are dated a little ahead.
            None => row.as_ref().map_or(edit.now, |row| row.issued_at.max(edit.now)),
        };
        edit.draft.nats.revocations.revoke(what, at);
        // What `*` covers needs no entry of its own: each push carries the whole list.
        edit.draft.nats.revocations.compact();
        let mut edit = edit.apply().await?;
        let mut jti = None;
        if let Some(mut row) = row
            && row.state == UserState::Active
            && row.issued_at <= at
        {
            jti = Some(row.jti.clone());
            row.state = UserState::Revoked;
            row.updated_at = edit.now;
            edit.unit.users().update(&mut row).await?;
        }
        let view = Revocation {
            user: new.user.clone(),
            before: Time(at),
            account: account.to_string(),
            account_version: edit.row.version,
        };
        let object = new.user.clone();
        edit.save(
            |entry| {
                let entry = entry.on_object(object);
                jti.into_iter().fold(entry, |entry, jti| entry.referring_to(Reference::Claims(jti)))
            },
            &view,
        )
        .await?;
        Ok(view)
    }

    /// Takes a revocation back: JWTs that it covered are good again if nothing else is against them.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none for this user.
    pub async fn delete_revocation(&self, act: &Act, account: &AccountKey, user: &str) -> Result<(), IssueError> {
        let (what, key) = read_user(user).map_err(|_| IssueError::not_found("revocation", user))?;
        let mut edit = AccountEdit::open(self, act, account, "revocation.delete").await?;
        if !edit.draft.nats.revocations.clear(what) {
            return Err(IssueError::not_found("revocation", user));
        }
        let mut edit = edit.apply().await?;
        if let Some(key) = key
            && let Some(mut row) = edit.unit.users().lookup(account, &key).await?
            && row.state == UserState::Revoked
        {
            row.state = UserState::Active;
            row.updated_at = edit.now;
            edit.unit.users().update(&mut row).await?;
        }
        edit.save_silently(|entry| entry.on_object(user)).await
    }

    /// The revocations of an account.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn revocations(&self, account: &AccountKey) -> Result<Vec<Revocation>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        Ok(views::revocations(&row, &Draft::of(&row)?))
    }
}

fn read_user(text: &str) -> Result<(Revoked, Option<UserKey>), IssueError> {
    if text == "*" {
        return Ok((Revoked::All, None));
    }
    let key = UserKey::parse(text)
        .map_err(|error| IssueError::invalid("user", format!("give a user key or `*`: {error}")))?;
    Ok((Revoked::Key(key.public()), Some(key)))
}
