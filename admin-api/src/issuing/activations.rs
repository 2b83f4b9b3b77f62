//! Activations: tokens that let one account import one private export.

use cordon_accounts::claims::ActivationClaims;
use cordon_accounts::key::AccountKey;
use cordon_accounts::subject::Pattern;

use super::draft::{Draft, next_issue_time};
use super::edit::{AccountEdit, live_account};
use super::exports::position;
use super::{Act, IssueError, Issuer};
use crate::ledger::Reference;
use crate::limits::LIST_ITEMS_MAX;
use crate::model::{Activation, IssuedActivation, NewActivation, Time, expiry, export_id};

impl Issuer {
    /// Issues an activation. An earlier one of the same importer and export stays good until it expires
    /// or is taken back.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_activation(
        &self,
        act: &Act,
        account: &AccountKey,
        new: &NewActivation,
    ) -> Result<IssuedActivation, IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "activation.create").await?;
        let now = edit.now;
        let expires = expiry(new.expires_at, new.expires_in_seconds, now).map_err(IssueError::at)?;
        let place = position(&edit.draft, &new.export)
            .ok_or_else(|| IssueError::invalid("export", "the account has no such export"))?;
        let export = edit.draft.nats.exports.get(place).cloned();
        let Some(export) = export else { return Err(IssueError::not_found("export", &new.export)) };
        if new.importer == *account {
            return Err(IssueError::invalid("importer", "an account needs no activation from itself"));
        }
        let subject = narrowed(&export.subject, new.subject.as_deref())?;
        let mut claims = ActivationClaims::new(new.importer, export.kind, subject.clone());
        claims.name.clone_from(&export.name);
        claims.expires = expires.unwrap_or_default();
        let claims_of_account = edit.draft.claims(&edit.row);
        let signer = self.account_signer(&mut edit.unit, &edit.row, &claims_of_account, edit.strict, None).await?;
        if signer.public() != account.public() {
            claims.nats.issuer_account = Some(*account);
        }
        claims.validate(now).require_valid()?;
        let revoked_at = export
            .revocations
            .iter()
            .filter(|(key, _)| *key == "*" || *key == new.importer.to_string())
            .map(|(_, at)| at)
            .max();
        let last = edit
            .draft
            .activations
            .iter()
            .filter(|one| one.importer == new.importer.to_string())
            .map(|one| one.issued_at.0)
            .max();
        let issue_at = next_issue_time(now, revoked_at.max(last).unwrap_or_default());
        let signed = claims.sign(&signer, issue_at)?;
        let id = format!("{}.{}", new.importer, new.export);
        edit.draft.activations.retain(|one| one.id != id);
        if edit.draft.activations.len() >= LIST_ITEMS_MAX {
            return Err(IssueError::Conflict("the account has issued too many activations; take some back".to_owned()));
        }
        let activation = Activation {
            id,
            exporter: account.to_string(),
            importer: new.importer.to_string(),
            export: new.export.clone(),
            kind: export.kind.into(),
            subject,
            jti: signed.id.clone(),
            issued_at: Time(signed.issued_at),
            expires_at: expires.map(Time),
            revoked: false,
            account_version: 0,
        };
        edit.draft.activations.push(activation.clone());
        let edit = edit.apply().await?;
        let activation = Activation { account_version: edit.row.version, ..activation };
        let answer = IssuedActivation { activation, token: Some(signed.token().to_owned()) };
        let (object, jti) = (answer.activation.id.clone(), signed.id.clone());
        edit.save(|entry| entry.on_object(object).referring_to(Reference::Issued(jti)), &answer).await?;
        Ok(answer)
    }

    /// Takes an activation back: every token of this importer for this export that was issued until now.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such activation.
    pub async fn delete_activation(&self, act: &Act, account: &AccountKey, id: &str) -> Result<(), IssueError> {
        let mut edit = AccountEdit::open(self, act, account, "activation.delete").await?;
        let missing = || IssueError::not_found("activation", id);
        let (importer, export) = id.split_once('.').ok_or_else(missing)?;
        let importer = AccountKey::parse(importer).map_err(|_| missing())?;
        let place = position(&edit.draft, export).ok_or_else(missing)?;
        let found = edit.draft.activations.iter_mut().find(|one| one.id == id).ok_or_else(missing)?;
        found.revoked = true;
        let (at, jti) = (found.issued_at.0.max(edit.now), found.jti.clone());
        if let Some(export) = edit.draft.nats.exports.get_mut(place) {
            export.revocations.revoke(importer.public(), at);
        }
        let edit = edit.apply().await?;
        edit.save_silently(|entry| entry.on_object(id).referring_to(Reference::Claims(jti))).await
    }

    /// The activations that an account issued.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn activations(&self, account: &AccountKey) -> Result<Vec<Activation>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        let draft = Draft::of(&row)?;
        let live = |one: &Activation| {
            draft.nats.exports.iter().any(|export| export_id(export.kind, &export.subject) == one.export)
        };
        let activations = draft.activations.iter().filter(|one| live(one)).cloned();
        Ok(activations.map(|one| Activation { account_version: row.version, ..one }).collect())
    }
}

/// The subject of the activation: the export's, or a part of it.
fn narrowed(export: &str, wanted: Option<&str>) -> Result<String, IssueError> {
    let Some(wanted) = wanted else { return Ok(export.to_owned()) };
    let outer = Pattern::parse(export).map_err(|error| IssueError::Stored(error.to_string()))?;
    let inner = Pattern::parse(wanted).map_err(|error| IssueError::invalid("subject", error.to_string()))?;
    if outer.contains(&inner) {
        Ok(wanted.to_owned())
    } else {
        Err(IssueError::invalid("subject", format!("it is not contained in the export's `{export}`")))
    }
}
