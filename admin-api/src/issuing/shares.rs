//! Shares: streams, buckets and object stores between accounts, each in one act.
//!
//! An offer gives the exporter the exports of `cordon_accounts::share`; taking it up gives the importer the imports, with
//! activations. Taking it back removes both. What brokers learn of it is the claims of the two accounts and nothing else.

use cordon_accounts::claims::{ActivationClaims, Export, Import};
use cordon_accounts::key::AccountKey;
use cordon_accounts::share::compile::Naming;
use cordon_accounts::share::{ShareError, ShareId};
use rand::RngCore as _;
use rand::rngs::OsRng;

use super::draft::Draft;
use super::edit::{AccountEdit, live_account};
use super::{Act, IssueError, Issuer};
use crate::ledger::Entry;
use crate::limits::SHARES_MAX;
use crate::model::{Acceptance, GivenShare, NewShare, Share, TakenShare, expiry, plain_text};
use crate::store::{AccountRow, AccountState, Page, Reader};

const DESCRIPTION_BYTES_MAX: usize = 1024;

impl Issuer {
    /// Offers a share, and takes it up for the importer if that is asked for.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn offer_share(&self, act: &Act, exporter: &AccountKey, new: &NewShare) -> Result<Share, IssueError> {
        let mut edit = AccountEdit::open(self, act, exporter, "share.offer").await?;
        if new.importer == *exporter {
            return Err(IssueError::invalid("importer", "an account has its own streams already"));
        }
        live_account(&mut edit.unit, &new.importer)
            .await
            .map_err(|_| IssueError::invalid("importer", "there is no such account"))?;
        if edit.draft.given.len() >= SHARES_MAX {
            return Err(IssueError::Conflict(format!("the account shares {SHARES_MAX} things already")));
        }
        plain_text(&new.description, DESCRIPTION_BYTES_MAX)
            .map_err(|detail| IssueError::invalid("description", detail))?;
        let given =
            given(new, expiry(new.expires_at, new.expires_in_seconds, edit.now).map_err(IssueError::at)?, edit.now);
        let offer = given.offer().map_err(refused)?;
        edit.draft.nats.exports.extend(offer.exports());
        edit.draft.given.push(given.clone());
        let edit = edit.apply().await?;
        let Some(acceptance) = &new.accept else {
            let share = Share::of(&given, None, exporter, (exporter, edit.row.version));
            edit.save(|entry| about(entry, &given), &share).await?;
            return Ok(share);
        };
        let version = edit.row.version;
        let row = (*edit.row).clone();
        let mut edit = edit.then(|entry| about(entry, &given), &new.importer, "share.accept").await?;
        let taken = self.take(&mut edit, &row, &given, acceptance).await?;
        let edit = edit.apply().await?;
        let share = Share::of(&given, Some(&taken), exporter, (exporter, version));
        edit.save(|entry| about(entry, &given), &share).await?;
        Ok(share)
    }

    /// Takes up what another account offers.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when nobody offers it to this account.
    pub async fn accept_share(
        &self,
        act: &Act,
        importer: &AccountKey,
        id: &str,
        acceptance: &Acceptance,
    ) -> Result<Share, IssueError> {
        let mut edit = AccountEdit::open(self, act, importer, "share.accept").await?;
        let offers = offers_to(&mut edit.unit, importer).await?;
        let (row, given) =
            offers.into_iter().find(|(_, given)| given.id == id).ok_or_else(|| IssueError::not_found("share", id))?;
        let taken = self.take(&mut edit, &row, &given, acceptance).await?;
        let edit = edit.apply().await?;
        let share = Share::of(&given, Some(&taken), &row.key, (importer, edit.row.version));
        edit.save(|entry| about(entry, &given), &share).await?;
        Ok(share)
    }

    /// Gives the account that is edited the imports of a share of `exporter`.
    async fn take(
        &self,
        edit: &mut AccountEdit<'_>,
        exporter: &AccountRow,
        given: &GivenShare,
        acceptance: &Acceptance,
    ) -> Result<TakenShare, IssueError> {
        if edit.draft.taken.iter().any(|taken| taken.id == given.id) {
            return Err(IssueError::Conflict("the account has taken this share up already".to_owned()));
        }
        let prefix = acceptance.prefix.clone().unwrap_or_else(|| format!("$JS.{}.API", given.name));
        let inbox = acceptance.inbox.clone().unwrap_or_else(|| "_INBOX".to_owned());
        let naming = Naming::new(&prefix, &inbox).map_err(|error| IssueError::invalid("accept", error.to_string()))?;
        let below =
            |one: &str, other: &str| one == other || one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        if let Some(other) =
            edit.draft.taken.iter().find(|taken| below(&taken.prefix, &prefix) || below(&prefix, &taken.prefix))
        {
            return Err(IssueError::Conflict(format!(
                "the prefix `{prefix}` is in use for the share `{}` as `{}`; choose another one",
                other.id, other.prefix
            )));
        }
        let offer = given.offer().map_err(|error| IssueError::Stored(error.to_string()))?;
        let (exports, mut imports) = (offer.exports(), offer.imports(exporter.key, &naming));
        self.activate(edit, exporter, given, &exports, &mut imports).await?;
        edit.draft.nats.imports.extend(imports);
        let taken = TakenShare { id: given.id.clone(), exporter: exporter.key, prefix, inbox, accepted_at: edit.now };
        edit.draft.taken.push(taken.clone());
        Ok(taken)
    }

    /// Activations in the exporter's name: it has offered the share.
    async fn activate(
        &self,
        edit: &mut AccountEdit<'_>,
        exporter: &AccountRow,
        given: &GivenShare,
        exports: &[Export],
        imports: &mut [Import],
    ) -> Result<(), IssueError> {
        let claims = Draft::of(exporter)?.claims(exporter);
        let strict = Self::is_strict(&mut edit.unit, &exporter.operator).await?;
        let signer = self.account_signer(&mut edit.unit, exporter, &claims, strict, None).await?;
        for (export, import) in exports.iter().zip(imports) {
            let mut activation = ActivationClaims::new(given.importer, export.kind, export.subject.clone());
            // Apart in name, they are apart in `jti`.
            activation.name.clone_from(&export.subject);
            activation.expires = given.expires_at.unwrap_or_default();
            if signer.public() != exporter.key.public() {
                activation.nats.issuer_account = Some(exporter.key);
            }
            activation.sign(&signer, edit.now)?.token().clone_into(&mut import.token);
        }
        Ok(())
    }

    /// Takes a share back, with its imports in the other account; or gives up one that was taken.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when the account has no such share.
    pub async fn end_share(&self, act: &Act, account: &AccountKey, id: &str) -> Result<(), IssueError> {
        let edit = AccountEdit::open(self, act, account, "share.end").await?;
        if edit.draft.taken.iter().any(|taken| taken.id == id) {
            return Self::leave(edit, id).await?.save_silently(|entry| entry.on_object(format!("share {id}"))).await;
        }
        let mut edit = edit;
        let place = edit.draft.given.iter().position(|given| given.id == id);
        let given = edit.draft.given.remove(place.ok_or_else(|| IssueError::not_found("share", id))?);
        edit.draft.nats.exports.retain(|export| !is_of_share(&export.subject, id));
        let mut edit = edit.apply().await?;
        let uses = match edit.unit.accounts().lookup(&given.importer).await? {
            Some(row) if row.state != AccountState::Deleted => Draft::of(&row)?.taken.iter().any(|one| one.id == id),
            _ => false,
        };
        if uses {
            let next = edit.then(|entry| about(entry, &given), &given.importer, "share.end").await?;
            edit = Self::leave(next, id).await?;
        }
        edit.save_silently(|entry| about(entry, &given)).await
    }

    async fn leave<'i>(mut edit: AccountEdit<'i>, id: &str) -> Result<AccountEdit<'i>, IssueError> {
        edit.draft.taken.retain(|taken| taken.id != id);
        edit.draft.nats.imports.retain(|import| !is_of_share(&import.subject, id));
        edit.apply().await
    }

    /// What the account shares with others, and what others offer to it.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn shares(&self, account: &AccountKey) -> Result<Vec<Share>, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, account).await?;
        let draft = Draft::of(&row)?;
        let mut shares = Vec::new();
        for given in &draft.given {
            let taken = match reader.accounts().lookup(&given.importer).await? {
                Some(importer) if importer.state != AccountState::Deleted => Draft::of(&importer)?.taken,
                _ => Vec::new(),
            };
            let taken = taken.iter().find(|taken| taken.id == given.id);
            shares.push(Share::of(given, taken, account, (account, row.version)));
        }
        for (exporter, given) in offers_to(&mut reader, account).await? {
            let taken = draft.taken.iter().find(|taken| taken.id == given.id);
            shares.push(Share::of(&given, taken, &exporter.key, (account, row.version)));
        }
        Ok(shares)
    }
}

/// What others offer to an account, with who does.
async fn offers_to(reader: &mut Reader, importer: &AccountKey) -> Result<Vec<(AccountRow, GivenShare)>, IssueError> {
    let mut offers = Vec::new();
    let mut after = None;
    loop {
        let rows = reader.accounts().list_offering_to(importer, &Page::new(after, crate::store::PAGE_MAX)).await?;
        let Some(last) = rows.last() else { return Ok(offers) };
        after = Some(last.key.to_string());
        for row in rows {
            let given = Draft::of(&row)?.given.into_iter().filter(|given| given.importer == *importer);
            offers.extend(given.map(|given| (row.clone(), given)));
        }
    }
}

fn given(new: &NewShare, expires_at: Option<i64>, now: i64) -> GivenShare {
    let mut random = [0; 10];
    OsRng.fill_bytes(&mut random);
    GivenShare {
        id: ShareId::from_random(random).to_string(),
        importer: new.importer,
        kind: new.kind,
        name: new.name.clone(),
        mode: new.mode,
        subjects: new.subjects.clone(),
        write_subjects: new.write_subjects.clone(),
        description: new.description.clone(),
        offered_at: now,
        expires_at,
    }
}

/// The field that an offer cannot be made for.
fn refused(error: ShareError) -> IssueError {
    let field = match error {
        ShareError::Name(_) => "name",
        ShareError::WritesUnnamed => "write_subjects",
        _ => "subjects",
    };
    IssueError::invalid(field, error.to_string())
}

/// An export or import that a share stands for.
fn is_of_share(subject: &str, id: &str) -> bool {
    [cordon_accounts::share::PREFIX, "$JS.ACK._.", "$JS.FC._."].iter().any(|space| {
        let rest = subject.strip_prefix(space).and_then(|rest| rest.strip_prefix(id));
        rest.is_some_and(|rest| rest.starts_with('.'))
    })
}

fn about(entry: Entry, given: &GivenShare) -> Entry {
    entry.on_object(format!("share {}", given.id)).with_detail(serde_json::json!({
        "importer": given.importer,
        "kind": given.kind,
        "name": given.name,
        "mode": given.mode,
        "subjects": given.subjects,
        "write_subjects": given.write_subjects,
    }))
}
