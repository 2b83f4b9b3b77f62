//! Accounts: made, described, limited, suspended, resumed, deleted.

use cordon_accounts::claims::{AccountClaims, Export, GenericClaims, SigningKey as SigningKeyClaim};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed};
use rand::rngs::OsRng;
use serde_json::json;

use super::draft::{Draft, next_issue_time};
use super::edit::{AccountEdit, live_account};
use super::operators::live_operator;
use super::signer::operator_claims;
use super::{Act, IssueError, Issuer, check_name, check_tags, effect, views};
use crate::ledger::{Entry, Reference};
use crate::model::{Account, AccountPatch, Limits, NewAccount, Time, mappings_to_claim};
use crate::store::{AccountRow, AccountState, OperatorRow, Page, PushKind, Reader, Unit};

impl Issuer {
    /// Makes an account.
    ///
    /// When this returns, it is on disk and in the outbox.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_account(&self, act: &Act, new: NewAccount) -> Result<Account, IssueError> {
        let mut unit = self.begin(act, "account.create").await?;
        let operator = chosen_operator(&mut unit, new.operator.as_deref()).await?;
        let seed = match new.key {
            Some(_) => None,
            None => Some(Seed::generate(Role::Account, &mut OsRng)),
        };
        let (row, entry) = self.insert_account(act, &mut unit, &operator, &new, seed, Vec::new()).await?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let view = views::account(&mut unit, &row, self.now()).await?;
        self.save(act, unit, vec![entry], &view).await?;
        Ok(view)
    }

    /// Writes a new account into the unit. With a seed it is ours, otherwise the tenant brought its key.
    pub(crate) async fn insert_account(
        &self,
        act: &Act,
        unit: &mut Unit,
        operator: &OperatorRow,
        new: &NewAccount,
        seed: Option<Seed>,
        exports: Vec<Export>,
    ) -> Result<(AccountRow, Entry), IssueError> {
        let now = self.now();
        let key = match (&seed, new.key) {
            (Some(seed), _) => {
                AccountKey::try_from(seed.public()).map_err(|error| IssueError::Stored(error.to_string()))?
            }
            (None, Some(key)) => key,
            (None, None) => return Err(IssueError::invalid("key", "an account needs a key")),
        };
        let strict = operator_claims(operator)?.nats.strict_signing_key_usage;
        let mut claims = Self::first_claims(key, new, exports, now)?;
        if new.signing_key.unwrap_or(strict || seed.is_none()) {
            let signing = Seed::generate(Role::Account, &mut OsRng);
            let signing_key =
                AccountKey::try_from(signing.public()).map_err(|error| IssueError::Stored(error.to_string()))?;
            claims.nats.signing_keys.push(SigningKeyClaim::Plain(signing_key));
            let mut row = self.signing_key_row(&signing, key.public(), now)?;
            unit.signing_keys().insert(&mut row).await?;
        }
        claims.validate(now).require_valid()?;
        let signer = self.operator_signer(unit, operator).await?;
        let signed = claims.sign(&signer, now)?;
        let draft = Draft { nats: claims.nats, expires: claims.expires, activations: Vec::new(), ..Draft::default() };
        let mut row = AccountRow {
            key,
            operator: operator.key,
            name: new.name.clone(),
            state: AccountState::Active,
            claims: draft.to_value()?,
            claims_jwt: signed.token().to_owned(),
            jti: signed.id.clone(),
            pushed_jti: None,
            seed_sealed: match &seed {
                Some(seed) => Some(self.vault().seal(seed, &key.public())?),
                None => None,
            },
            created_at: now,
            updated_at: now,
            version: 0,
        };
        unit.accounts().insert(&mut row).await?;
        unit.pushes().enqueue(&key, &row.jti, PushKind::Update, &row.claims_jwt, now).await?;
        let entry = act
            .entry("account.create", now)
            .on_account(key)
            .on_object(key.to_string())
            .changing(None, Some(row.claims_jwt.as_bytes()))
            .referring_to(Reference::Issued(row.jti.clone()));
        Ok((row, entry))
    }

    fn first_claims(
        key: AccountKey,
        new: &NewAccount,
        exports: Vec<Export>,
        now: i64,
    ) -> Result<AccountClaims, IssueError> {
        check_name("name", &new.name)?;
        check_tags(&new.tags)?;
        let mut claims = AccountClaims::new(key);
        claims.name.clone_from(&new.name);
        if let Some(limits) = &new.limits {
            claims.nats.limits =
                limits.to_claim().map_err(|(field, detail)| IssueError::invalid(format!("limits.{field}"), detail))?;
        }
        claims.nats.description.clone_from(&new.description);
        claims.nats.info_url.clone_from(&new.info_url);
        claims.nats.tags.clone_from(&new.tags);
        claims.nats.mappings = mappings_to_claim(&new.mappings);
        if let Some(permissions) = &new.default_permissions {
            claims.nats.default_permissions = permissions.into();
        }
        claims.expires = match new.expires_at {
            Some(at) => crate::model::expiry(Some(at), None, now).map_err(IssueError::at)?.unwrap_or_default(),
            None => 0,
        };
        claims.nats.exports = exports;
        Ok(claims)
    }

    /// Changes what describes an account.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn change_account(
        &self,
        act: &Act,
        key: &AccountKey,
        patch: AccountPatch,
    ) -> Result<Account, IssueError> {
        let mut edit = AccountEdit::open(self, act, key, "account.change").await?;
        if let Some(name) = patch.name {
            check_name("name", &name)?;
            edit.row.name = name;
        }
        if let Some(tags) = patch.tags {
            check_tags(&tags)?;
            edit.draft.nats.tags = tags;
        }
        if let Some(description) = patch.description {
            edit.draft.nats.description = description;
        }
        if let Some(info_url) = patch.info_url {
            edit.draft.nats.info_url = info_url;
        }
        if let Some(permissions) = patch.default_permissions {
            edit.draft.nats.default_permissions = permissions.as_ref().map(Into::into).unwrap_or_default();
        }
        if let Some(mappings) = patch.mappings {
            edit.draft.nats.mappings = mappings_to_claim(&mappings);
        }
        match patch.expires_at {
            None => {}
            Some(None) => edit.draft.expires = 0,
            Some(Some(Time(at))) if at > edit.now => edit.draft.expires = at,
            Some(Some(at)) => return Err(IssueError::invalid("expires_at", format!("`{at}` is not in the future"))),
        }
        Self::finish(edit).await
    }

    /// Sets what an account may use.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn set_limits(&self, act: &Act, key: &AccountKey, limits: &Limits) -> Result<Account, IssueError> {
        let mut edit = AccountEdit::open(self, act, key, "account.limits").await?;
        edit.draft.nats.limits = limits.to_claim().map_err(IssueError::at)?;
        Self::finish(edit).await
    }

    /// Suspends an account: brokers end its connections and let nobody in. Nothing of it is lost. A
    /// suspended account stays as it is.
    ///
    /// # Errors
    ///
    /// [`IssueError::Conflict`] for the system account.
    pub async fn suspend(&self, act: &Act, key: &AccountKey) -> Result<Account, IssueError> {
        let mut edit = AccountEdit::open(self, act, key, "account.suspend").await?;
        if edit.operator.system_account == Some(*key) {
            return Err(IssueError::Conflict(
                "the system account cannot be suspended: brokers are managed through it".to_owned(),
            ));
        }
        if edit.row.state == AccountState::Suspended && !act.dry_run {
            return views::account(&mut edit.unit, &edit.row, edit.now).await;
        }
        edit.row.state = AccountState::Suspended;
        Self::finish(edit).await
    }

    /// Puts a suspended account back into use. An account in use stays as it is.
    ///
    /// # Errors
    ///
    /// [`IssueError`] when its claims are not valid any more.
    pub async fn resume(&self, act: &Act, key: &AccountKey) -> Result<Account, IssueError> {
        let mut edit = AccountEdit::open(self, act, key, "account.resume").await?;
        if edit.row.state == AccountState::Active && !act.dry_run {
            return views::account(&mut edit.unit, &edit.row, edit.now).await;
        }
        edit.row.state = AccountState::Active;
        Self::finish(edit).await
    }

    async fn finish(edit: AccountEdit<'_>) -> Result<Account, IssueError> {
        let now = edit.now;
        let mut edit = edit.apply().await?;
        let view = views::account(&mut edit.unit, &edit.row, now).await?;
        edit.save(|entry| entry, &view).await?;
        Ok(view)
    }

    /// Deletes an account. Brokers first get claims that let nobody in and share nothing, then the request
    /// to forget it, which a broker may be configured to refuse; the account stays closed then.
    ///
    /// # Errors
    ///
    /// [`IssueError::Conflict`] for the system account.
    pub async fn delete_account(&self, act: &Act, key: &AccountKey) -> Result<(), IssueError> {
        let mut edit = AccountEdit::open(self, act, key, "account.delete").await?;
        if edit.operator.system_account == Some(*key) {
            return Err(IssueError::Conflict(
                "the system account cannot be deleted: brokers are managed through it".to_owned(),
            ));
        }
        edit.row.state = AccountState::Deleted;
        let mut edit = edit.apply().await?;
        let request = self.delete_request(&mut edit).await?;
        edit.unit.pushes().enqueue(&edit.row.key, &request.0, PushKind::Delete, &request.1, edit.now).await?;
        edit.save_silently(|entry| entry).await
    }

    /// The signed request to forget the account (auth.md, 8.4): `jti` and token. It carries the closing
    /// claims too, so that one push does both in order.
    async fn delete_request(&self, edit: &mut AccountEdit<'_>) -> Result<(String, String), IssueError> {
        let signer = self.operator_signer(&mut edit.unit, &edit.operator).await?;
        let mut claims = GenericClaims::new(signer.public());
        claims.name = format!("delete {}", edit.row.key);
        claims.nats.members.insert("accounts".to_owned(), json!([edit.row.key]));
        claims.nats.members.insert("type".to_owned(), json!("generic"));
        let signed = claims.sign(&signer, next_issue_time(edit.now, 0))?;
        Ok((signed.id.clone(), signed.token().to_owned()))
    }

    /// Accounts that are not deleted, one page of them; of one operator, if one is named.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn accounts(&self, operator: Option<&OperatorKey>, page: &Page) -> Result<Vec<Account>, IssueError> {
        let mut reader = self.store().read().await?;
        let rows = match operator {
            Some(operator) => reader.accounts().list_of_operator(operator, page).await?,
            None => reader.accounts().list(page).await?,
        };
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            all.push(views::account(&mut reader, row, self.now()).await?);
        }
        Ok(all)
    }

    /// The key of the operator that is named, if one is.
    ///
    /// # Errors
    ///
    /// [`IssueError::Invalid`] when there is no such operator.
    pub async fn named_operator(&self, wanted: Option<&str>) -> Result<Option<OperatorKey>, IssueError> {
        if wanted.is_none() {
            return Ok(None);
        }
        let mut reader = self.store().read().await?;
        Ok(Some(chosen_operator(&mut reader, wanted).await?.key))
    }

    /// One account.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none of this key.
    pub async fn account(&self, key: &AccountKey) -> Result<Account, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_account(&mut reader, key).await?;
        views::account(&mut reader, &row, self.now()).await
    }
}

/// The operator that is meant: by key, by name, or the only one.
pub(crate) async fn chosen_operator(reader: &mut Reader, wanted: Option<&str>) -> Result<OperatorRow, IssueError> {
    let Some(wanted) = wanted else {
        let mut all = reader.operators().list(&Page::new(None, 2)).await?;
        return match (all.pop(), all.pop()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(IssueError::invalid("operator", "there are several operators; name one")),
            (None, _) => {
                Err(IssueError::Conflict("there is no operator yet; make one with POST /api/v1/operators".to_owned()))
            }
        };
    };
    if let Ok(key) = OperatorKey::parse(wanted) {
        return live_operator(reader, &key)
            .await
            .map_err(|_| IssueError::invalid("operator", "there is no operator of this key"));
    }
    let found = reader.operators().lookup_by_name(wanted).await?;
    found.ok_or_else(|| IssueError::invalid("operator", "there is no operator of this key or name"))
}
