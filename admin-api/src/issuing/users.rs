//! Users: issued, changed, renewed, deleted.

use cordon_accounts::claims::{
    AccountClaims, Signer, User as UserStatement, UserClaims, UserTemplate, Verified, decode,
};
use cordon_accounts::creds::Creds;
use cordon_accounts::key::{AccountKey, Role, Seed, UserKey};
use cordon_accounts::permissions::template;
use cordon_accounts::reason::Reason;
use rand::rngs::OsRng;

use super::draft::{Draft, next_issue_time};
use super::edit::{AccountEdit, live_account};
use super::{Act, IssueError, Issuer, check_name, check_tags, effect, views};
use crate::ledger::{Entry, Reference};
use crate::model::{IssuedUser, NewUser, Renewal, Template, TimeWindow, User, UserPatch, expiry};
use crate::store::{AccountRow, AccountState, Page, Reader, Unit, UserRow, UserState};

/// Longest `connection_types`, `source_networks` and `times` lists.
const CONDITIONS_MAX: usize = 256;

impl Issuer {
    /// Issues a user. Its creds, when the key is made here, are in the answer and nowhere else.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_user(&self, act: &Act, account: &AccountKey, new: NewUser) -> Result<IssuedUser, IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "user.create").await?;
        let account = live_account(&mut unit, account).await?;
        check_name("name", &new.name)?;
        check_tags(&new.tags)?;
        let expires = expiry(new.expires_at, new.expires_in_seconds, now).map_err(IssueError::at)?;
        let seed = match new.key {
            Some(_) => None,
            None => Some(Seed::generate(Role::User, &mut OsRng)),
        };
        let key = user_key(new.key, seed.as_ref())?;
        let wishes = Wishes::of_new(&new);
        let signed = self.sign_user(&mut unit, &account, key, &new.name, &new.tags, expires, wishes, now).await?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let mut row = user_row(&account, key, &signed, now);
        unit.users().insert(&mut row).await?;
        let entry = user_entry(act, "user.create", &row, None, now);
        let answer = issued(&row, &signed, seed, &Draft::of(&account)?.claims(&account))?;
        self.save(act, unit, vec![entry], &answer).await?;
        Ok(answer)
    }

    /// Makes and signs the claims of a user.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a field of the claims; a struct would be built for this one call"
    )]
    async fn sign_user(
        &self,
        unit: &mut Unit,
        account: &AccountRow,
        key: UserKey,
        name: &str,
        tags: &[String],
        expires: Option<i64>,
        wishes: Wishes<'_>,
        issue_at: i64,
    ) -> Result<Verified<UserStatement>, IssueError> {
        if account.state == AccountState::Suspended {
            return Err(IssueError::Conflict("the account is suspended; resume it first".to_owned()));
        }
        let claims_of_account = Draft::of(account)?.claims(account);
        let strict = Self::is_strict(unit, &account.operator).await?;
        let signer = self.account_signer(unit, account, &claims_of_account, strict, wishes.signing_key).await?;
        let scoped = matches!(claims_of_account.signer(&signer.public(), strict), Some(Signer::Scoped(_)));
        let mut claims = if scoped { UserClaims::scoped(key) } else { UserClaims::new(key) };
        name.clone_into(&mut claims.name);
        claims.nats.tags = tags.to_vec();
        claims.expires = expires.unwrap_or_default();
        if signer.public() != account.key.public() {
            claims.nats.issuer_account = Some(account.key);
        }
        if scoped {
            wishes.refuse_any()?;
        } else {
            claims.nats.template = wishes.template()?.to_claim().map_err(IssueError::at)?;
        }
        self.check_user(&claims, &claims_of_account, &signer, strict)?;
        Ok(claims.sign(&signer, issue_at)?)
    }

    /// Whether the account would let such a user in.
    fn check_user(
        &self,
        claims: &UserClaims,
        account: &AccountClaims,
        signer: &Seed,
        strict: bool,
    ) -> Result<(), IssueError> {
        claims.validate(self.now()).require_valid()?;
        let scope = match account.signer(&signer.public(), strict) {
            Some(Signer::Scoped(scope)) => Some(scope),
            _ => None,
        };
        if let Some(scope) = scope {
            let filled = template::expand(&scope.template, claims, account).map_err(|error| {
                IssueError::invalid(
                    "signing_key",
                    format!("the scope's template cannot be filled in for this user: {error}"),
                )
            })?;
            refuse_emptied(&scope.template, &filled)?;
        }
        let bearer = scope.map_or(claims.nats.template.bearer_token, |scope| scope.template.bearer_token);
        if bearer && account.nats.limits.disallow_bearer {
            return Err(IssueError::invalid("bearer", "the account does not allow bearer users"));
        }
        Ok(())
    }

    /// Changes a user: a new JWT for the same key, and all earlier ones revoked.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn change_user(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &UserKey,
        patch: UserPatch,
    ) -> Result<IssuedUser, IssueError> {
        let account_act = Act { precondition: crate::http::etag::Precondition::Any, ..act.clone() };
        let mut edit = AccountEdit::open(self, &account_act, account, "user.change").await?;
        let now = edit.now;
        let mut row = live_user(&mut edit.unit, account, key).await?;
        act.precondition.check(row.version)?;
        if row.state == UserState::Revoked {
            return Err(IssueError::Conflict("the user is revoked; renew its creds with a new key instead".to_owned()));
        }
        let old = decode::<UserStatement>(&row.claims_jwt)?;
        let name = patch.name.clone().unwrap_or_else(|| row.name.clone());
        check_name("name", &name)?;
        let tags = patch.tags.clone().unwrap_or_else(|| old.nats.tags.clone());
        check_tags(&tags)?;
        let expires = match (patch.expires_at, patch.expires_in_seconds) {
            (None, None) => row.expires,
            (Some(None), None) => None,
            (at, seconds) => expiry(at.flatten(), seconds, now).map_err(IssueError::at)?,
        };
        let before = Template::from(&old.nats.template);
        let signing_key = row.signing_key.to_string();
        let wishes = Wishes::of_patch(&patch, &before, &signing_key, edit.before.scope(&row.signing_key).is_some());
        edit.draft.nats.revocations.revoke(key.public(), row.issued_at);
        let issue_at = next_issue_time(now, row.issued_at);
        let signed = self.sign_user(&mut edit.unit, &edit.row, *key, &name, &tags, expires, wishes, issue_at).await?;
        let mut edit = edit.apply().await?;
        let jti_before = std::mem::replace(&mut row.jti, signed.id.clone());
        update_row(&mut row, &signed, now);
        edit.unit.users().update(&mut row).await?;
        let answer = issued(&row, &signed, None, &edit.draft.claims(&edit.row))?;
        edit.unit.note(user_entry(act, "user.change", &row, Some(jti_before), now));
        edit.save(|entry| Entry { kind: "revocation.create".to_owned(), ..entry.on_object(key.to_string()) }, &answer)
            .await?;
        Ok(answer)
    }

    /// Renews a user's credentials: a new JWT for the same key, or a new key and the old one revoked.
    ///
    /// # Errors
    ///
    /// [`IssueError::Conflict`] when the user is revoked and keeps its key.
    pub async fn renew_user(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &UserKey,
        renewal: &Renewal,
    ) -> Result<IssuedUser, IssueError> {
        if renewal.rotate_key {
            Box::pin(self.rotate_user(act, account, key, renewal)).await
        } else {
            Box::pin(self.extend_user(act, account, key, renewal)).await
        }
    }

    async fn extend_user(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &UserKey,
        renewal: &Renewal,
    ) -> Result<IssuedUser, IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "user.renew").await?;
        let account = live_account(&mut unit, account).await?;
        let mut row = live_user(&mut unit, &account.key, key).await?;
        act.precondition.check(row.version)?;
        if row.state == UserState::Revoked {
            return Err(IssueError::Conflict("the user is revoked; send `rotate_key` to give it a new key".to_owned()));
        }
        let old = decode::<UserStatement>(&row.claims_jwt)?;
        let expires = renewed_expiry(renewal, &row, now)?;
        let template = Template::from(&old.nats.template);
        let signing_key = row.signing_key.to_string();
        let claims_of_account = Draft::of(&account)?.claims(&account);
        let wishes = Wishes::of_old(&template, &signing_key, claims_of_account.scope(&row.signing_key).is_some());
        let issue_at = next_issue_time(now, row.issued_at);
        let signed =
            self.sign_user(&mut unit, &account, *key, &row.name, &old.nats.tags, expires, wishes, issue_at).await?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let jti_before = std::mem::replace(&mut row.jti, signed.id.clone());
        update_row(&mut row, &signed, now);
        unit.users().update(&mut row).await?;
        let entry = user_entry(act, "user.renew", &row, Some(jti_before), now);
        let answer = issued(&row, &signed, None, &claims_of_account)?;
        self.save(act, unit, vec![entry], &answer).await?;
        Ok(answer)
    }

    async fn rotate_user(
        &self,
        act: &Act,
        account: &AccountKey,
        key: &UserKey,
        renewal: &Renewal,
    ) -> Result<IssuedUser, IssueError> {
        let account_act = Act { precondition: crate::http::etag::Precondition::Any, ..act.clone() };
        let mut edit = AccountEdit::open(self, &account_act, account, "user.rotate").await?;
        let now = edit.now;
        let mut old_row = live_user(&mut edit.unit, account, key).await?;
        act.precondition.check(old_row.version)?;
        let old = decode::<UserStatement>(&old_row.claims_jwt)?;
        let expires = renewed_expiry(renewal, &old_row, now)?;
        let template = Template::from(&old.nats.template);
        let signing_key = old_row.signing_key.to_string();
        let wishes = Wishes::of_old(&template, &signing_key, edit.before.scope(&old_row.signing_key).is_some());
        let seed = Seed::generate(Role::User, &mut OsRng);
        let new_key = user_key(None, Some(&seed))?;
        edit.draft.nats.revocations.revoke(key.public(), old_row.issued_at.max(now));
        let signed = self
            .sign_user(&mut edit.unit, &edit.row, new_key, &old_row.name, &old.nats.tags, expires, wishes, now)
            .await?;
        let mut edit = edit.apply().await?;
        old_row.state = UserState::Deleted;
        old_row.updated_at = now;
        edit.unit.users().update(&mut old_row).await?;
        let mut row = user_row(&edit.row, new_key, &signed, now);
        edit.unit.users().insert(&mut row).await?;
        let answer = issued(&row, &signed, Some(seed), &edit.draft.claims(&edit.row))?;
        edit.unit.note(user_entry(act, "user.rotate", &row, Some(old_row.jti.clone()), now));
        edit.save(|entry| Entry { kind: "revocation.create".to_owned(), ..entry.on_object(key.to_string()) }, &answer)
            .await?;
        Ok(answer)
    }

    /// Deletes a user: its key is revoked, so that no JWT issued until now is good any more.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none.
    pub async fn delete_user(&self, act: &Act, account: &AccountKey, key: &UserKey) -> Result<(), IssueError> {
        let account_act = Act { precondition: crate::http::etag::Precondition::Any, ..act.clone() };
        let mut edit = AccountEdit::open(self, &account_act, account, "user.delete").await?;
        let mut row = live_user(&mut edit.unit, account, key).await?;
        act.precondition.check(row.version)?;
        edit.draft.nats.revocations.revoke(key.public(), row.issued_at.max(edit.now));
        let mut edit = edit.apply().await?;
        row.state = UserState::Deleted;
        row.updated_at = edit.now;
        edit.unit.users().update(&mut row).await?;
        let jti = row.jti.clone();
        edit.save_silently(|entry| entry.on_object(key.to_string()).referring_to(Reference::Claims(jti))).await
    }

    /// Users of an account that are not deleted, one page of them.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is no such account.
    pub async fn users(&self, account: &AccountKey, page: &Page) -> Result<Vec<User>, IssueError> {
        let mut reader = self.store().read().await?;
        let account = live_account(&mut reader, account).await?;
        let claims = Draft::of(&account)?.claims(&account);
        let rows = reader.users().list_of_account(&account.key, page).await?;
        rows.iter().map(|row| views::user(row, &claims)).collect()
    }

    /// One user.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none of this key.
    pub async fn user(&self, account: &AccountKey, key: &UserKey) -> Result<User, IssueError> {
        let mut reader = self.store().read().await?;
        let account = live_account(&mut reader, account).await?;
        let row = live_user(&mut reader, &account.key, key).await?;
        views::user(&row, &Draft::of(&account)?.claims(&account))
    }

    /// Whose connections a deletion would end; for callers that only ask about one user.
    ///
    /// # Errors
    ///
    /// Never fails; without a broker the effect says that nothing is known.
    pub async fn user_effect(&self, account: &AccountKey, key: &UserKey) -> crate::model::Effect {
        effect::ending(self, account, key, Reason::Revoked).await
    }
}

/// The account's user of this key, unless it is deleted.
pub(crate) async fn live_user(reader: &mut Reader, account: &AccountKey, key: &UserKey) -> Result<UserRow, IssueError> {
    match reader.users().lookup(account, key).await? {
        Some(row) if row.state != UserState::Deleted => Ok(row),
        _ => Err(IssueError::not_found("user", key)),
    }
}

/// A template whose every allowed subject falls away for this name and these tags denies everything: the
/// user would be good for nothing, and nobody would know why.
fn refuse_emptied(template: &UserTemplate, filled: &UserTemplate) -> Result<(), IssueError> {
    let lists = [
        ("publish", &template.permissions.publish, &filled.permissions.publish),
        ("subscribe", &template.permissions.subscribe, &filled.permissions.subscribe),
    ];
    match lists.into_iter().find(|(_, asked, left)| !asked.allow.is_empty() && left.allow.is_empty()) {
        None => Ok(()),
        Some((verb, ..)) => Err(IssueError::invalid(
            "name",
            format!(
                "with this name and these tags the scope's template leaves no subject to {verb}; values of placeholders must be plain tokens, and every tag that it uses must be there"
            ),
        )),
    }
}

/// What is asked for a user besides its name.
struct Wishes<'a> {
    signing_key: Option<&'a str>,
    template: Template,
    /// The first field that was given and that a scoped key does not allow.
    own: Option<&'static str>,
}

impl<'a> Wishes<'a> {
    fn of_new(new: &'a NewUser) -> Self {
        let own = [
            ("permissions", new.permissions.is_some()),
            ("limits", new.limits.is_some()),
            ("bearer", new.bearer.is_some()),
            ("proxy_required", new.proxy_required.is_some()),
            ("connection_types", new.connection_types.is_some()),
            ("source_networks", new.source_networks.is_some()),
            ("times", new.times.is_some()),
            ("time_zone", new.time_zone.is_some()),
        ];
        let template = Template {
            permissions: new.permissions.clone().unwrap_or_default(),
            limits: new.limits.unwrap_or_default(),
            bearer: new.bearer.unwrap_or_default(),
            proxy_required: new.proxy_required.unwrap_or_default(),
            connection_types: new.connection_types.clone().unwrap_or_default(),
            source_networks: new.source_networks.clone().unwrap_or_default(),
            times: new.times.clone().unwrap_or_default(),
            time_zone: new.time_zone.clone().unwrap_or_default(),
        };
        Self { signing_key: new.signing_key.as_deref(), template, own: first_given(&own) }
    }

    fn of_patch(patch: &'a UserPatch, before: &Template, signing_key: &'a str, was_scoped: bool) -> Self {
        let own = [
            ("permissions", patch.permissions.is_some()),
            ("limits", patch.limits.is_some()),
            ("bearer", patch.bearer.is_some()),
            ("proxy_required", patch.proxy_required.is_some()),
            ("connection_types", patch.connection_types.is_some()),
            ("source_networks", patch.source_networks.is_some()),
            ("times", patch.times.is_some()),
            ("time_zone", patch.time_zone.is_some()),
        ];
        // A scoped user has none of its own: what it gets when it leaves the scope must be said.
        let base = if was_scoped { Template::default() } else { before.clone() };
        let template = Template {
            permissions: patch.permissions.clone().unwrap_or(base.permissions),
            limits: patch.limits.unwrap_or(base.limits),
            bearer: patch.bearer.unwrap_or(base.bearer),
            proxy_required: patch.proxy_required.unwrap_or(base.proxy_required),
            connection_types: patch.connection_types.clone().unwrap_or(base.connection_types),
            source_networks: patch.source_networks.clone().unwrap_or(base.source_networks),
            times: patch.times.clone().unwrap_or(base.times),
            time_zone: patch.time_zone.clone().unwrap_or(base.time_zone),
        };
        Self {
            signing_key: Some(patch.signing_key.as_deref().unwrap_or(signing_key)),
            template,
            own: first_given(&own),
        }
    }

    fn of_old(template: &Template, signing_key: &'a str, was_scoped: bool) -> Self {
        let template = if was_scoped { Template::default() } else { template.clone() };
        Self { signing_key: Some(signing_key), template, own: None }
    }

    /// A scoped key gives its users everything; they bring nothing.
    fn refuse_any(&self) -> Result<(), IssueError> {
        match self.own {
            None => Ok(()),
            Some(field) => Err(IssueError::invalid(
                field,
                "the signing key is scoped: what its users may do is said by its template alone",
            )),
        }
    }

    fn template(&self) -> Result<&Template, IssueError> {
        let lists = [
            ("connection_types", self.template.connection_types.len()),
            ("source_networks", self.template.source_networks.len()),
            ("times", self.template.times.len()),
        ];
        if let Some((field, _)) = lists.into_iter().find(|(_, length)| *length > CONDITIONS_MAX) {
            return Err(IssueError::invalid(field, format!("more than {CONDITIONS_MAX} entries are not taken")));
        }
        if let Some(TimeWindow { .. }) = self.template.times.iter().find(|window| window.start == window.end) {
            return Err(IssueError::invalid("times", "a window that ends when it begins says nothing"));
        }
        Ok(&self.template)
    }
}

fn first_given(fields: &[(&'static str, bool)]) -> Option<&'static str> {
    fields.iter().find(|(_, given)| *given).map(|(field, _)| *field)
}

fn user_key(brought: Option<UserKey>, seed: Option<&Seed>) -> Result<UserKey, IssueError> {
    match (brought, seed) {
        (Some(key), _) => Ok(key),
        (None, Some(seed)) => UserKey::try_from(seed.public()).map_err(|error| IssueError::Stored(error.to_string())),
        (None, None) => Err(IssueError::invalid("key", "a user needs a key")),
    }
}

/// As long as the present credentials lived, unless the caller says otherwise.
fn renewed_expiry(renewal: &Renewal, row: &UserRow, now: i64) -> Result<Option<i64>, IssueError> {
    if renewal.expires_at.is_some() || renewal.expires_in_seconds.is_some() {
        return expiry(renewal.expires_at, renewal.expires_in_seconds, now).map_err(IssueError::at);
    }
    Ok(row.expires.map(|expires| now + (expires - row.issued_at).max(1)))
}

fn user_row(account: &AccountRow, key: UserKey, signed: &Verified<UserStatement>, now: i64) -> UserRow {
    UserRow {
        account: account.key,
        key,
        name: signed.name.clone(),
        state: UserState::Active,
        claims_jwt: signed.token().to_owned(),
        jti: signed.id.clone(),
        signing_key: signed.issuer,
        seed_sealed: None,
        issued_at: signed.issued_at,
        expires: (signed.expires != 0).then_some(signed.expires),
        created_at: now,
        updated_at: now,
        version: 0,
    }
}

fn update_row(row: &mut UserRow, signed: &Verified<UserStatement>, now: i64) {
    row.name.clone_from(&signed.name);
    signed.token().clone_into(&mut row.claims_jwt);
    row.signing_key = signed.issuer;
    row.issued_at = signed.issued_at;
    row.expires = (signed.expires != 0).then_some(signed.expires);
    row.updated_at = now;
}

fn user_entry(act: &Act, kind: &str, row: &UserRow, jti_before: Option<String>, now: i64) -> Entry {
    let entry = act
        .entry(kind, now)
        .on_account(row.account)
        .on_object(row.key.to_string())
        .changing(None, Some(row.claims_jwt.as_bytes()))
        .referring_to(Reference::Issued(row.jti.clone()));
    match jti_before {
        Some(jti) => entry.referring_to(Reference::Claims(jti)),
        None => entry,
    }
}

fn issued(
    row: &UserRow,
    signed: &Verified<UserStatement>,
    seed: Option<Seed>,
    account: &AccountClaims,
) -> Result<IssuedUser, IssueError> {
    let jwt = signed.token().to_owned();
    let creds = seed.map(|seed| Creds { jwt: jwt.clone(), seed }.to_text().to_string());
    Ok(IssuedUser { user: views::user(row, account)?, jwt: Some(jwt), creds })
}
