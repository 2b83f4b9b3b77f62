//! Exports: what an account offers.

use cordon_accounts::claims;
use cordon_accounts::key::AccountKey;

use super::draft::Draft;
use super::edit::{AccountEdit, live_account};
use super::{Act, IssueError, Issuer, views};
use crate::model::{Export, NewExport, export_id};

impl Issuer {
    /// Adds an export to an account.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_export(&self, act: &Act, account: &AccountKey, new: &NewExport) -> Result<Export, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "export.create").await?;
        let claim = new.to_claim().map_err(IssueError::at)?;
        check_subject(&claim)?;
        let id = export_id(claim.kind, &claim.subject);
        if position(&edit.draft, &id).is_some() {
            return Err(IssueError::Conflict(format!(
                "the account exports {} `{}` already",
                claim.kind, claim.subject
            )));
        }
        edit.draft.nats.exports.push(claim.clone());
        let edit = edit.apply().await?;
        let view = Export::of(account, edit.row.version, &claim);
        edit.save(|entry| entry.on_object(format!("{} {}", claim.kind, claim.subject)), &view).await?;
        Ok(view)
    }

    /// Replaces an export. Activations that were taken back stay so.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such export.
    pub async fn change_export(
        &self,
        act: &Act,
        account: &AccountKey,
        id: &str,
        new: &NewExport,
    ) -> Result<Export, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "export.change").await?;
        let mut claim = new.to_claim().map_err(IssueError::at)?;
        check_subject(&claim)?;
        let place = position(&edit.draft, id).ok_or_else(|| IssueError::not_found("export", id))?;
        let new_id = export_id(claim.kind, &claim.subject);
        if new_id != id && position(&edit.draft, &new_id).is_some() {
            return Err(IssueError::Conflict(format!(
                "the account exports {} `{}` already",
                claim.kind, claim.subject
            )));
        }
        if let Some(old) = edit.draft.nats.exports.get_mut(place) {
            claim.revocations = old.revocations.clone();
            *old = claim.clone();
        }
        let edit = edit.apply().await?;
        let view = Export::of(account, edit.row.version, &claim);
        edit.save(|entry| entry.on_object(format!("{} {}", claim.kind, claim.subject)), &view).await?;
        Ok(view)
    }

    /// Removes an export: imports of it stop to work.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such export.
    pub async fn delete_export(&self, act: &Act, account: &AccountKey, id: &str) -> Result<(), IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "export.delete").await?;
        let place = position(&edit.draft, id).ok_or_else(|| IssueError::not_found("export", id))?;
        let gone = edit.draft.nats.exports.remove(place);
        edit.draft.activations.retain(|activation| activation.export != id);
        let edit = edit.apply().await?;
        edit.save_silently(|entry| entry.on_object(format!("{} {}", gone.kind, gone.subject))).await
    }

    /// The exports of an account.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn exports(&self, account: &AccountKey) -> Result<Vec<Export>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        Ok(views::exports(&row, &Draft::of(&row)?))
    }
}

pub(crate) fn position(draft: &Draft, id: &str) -> Option<usize> {
    draft.nats.exports.iter().position(|export| export_id(export.kind, &export.subject) == id)
}

/// A subject that is none is named by its field, before the claims are judged as a whole.
fn check_subject(claim: &claims::Export) -> Result<(), IssueError> {
    cordon_accounts::subject::Pattern::parse(&claim.subject)
        .map(drop)
        .map_err(|error| IssueError::invalid("subject", error.to_string()))
}
