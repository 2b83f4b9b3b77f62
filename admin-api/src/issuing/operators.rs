//! Operators: made here, or brought along.

use cordon_accounts::claims::{
    Export, ExportKind, Operator as OperatorStatement, OperatorClaims, ResponseType, Verified, decode,
};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed};
use rand::rngs::OsRng;

use super::draft::next_issue_time;
use super::signer::operator_claims;
use super::{Act, IssueError, Issuer, check_name, check_tags, effect, views};
use crate::ledger::{Entry, Reference};
use crate::model::{NewAccount, NewOperator, Operator, OperatorImport, OperatorPatch, SeedText};
use crate::store::{AccountState, OperatorRow, OperatorState, Page, Reader, SigningKeyRow, SigningKeyState, Unit};

/// Seeds and claims of an operator that is about to be stored.
struct Founding {
    claims: Verified<OperatorStatement>,
    identity: Option<Seed>,
    signing: Vec<Seed>,
}

impl Issuer {
    /// Makes an operator, or takes one over.
    ///
    /// A new one gets an identity, a signing key and a system account, unless told otherwise. When this
    /// returns, all of it is on disk.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong.
    pub async fn create_operator(&self, act: &Act, new: NewOperator) -> Result<Operator, IssueError> {
        check_tags(&new.tags)?;
        let now = self.now();
        let mut founding = match &new.import {
            Some(import) => taken_over(&new, import, now)?,
            None => founded(&new, now)?,
        };
        let system = match &new.import {
            None if new.system_account => Some(Seed::generate(Role::Account, &mut OsRng)),
            _ => None,
        };
        if let (Some(seed), Some(identity)) = (&system, &founding.identity) {
            let mut claims = founding.claims.into_claims();
            claims.nats.system_account = AccountKey::try_from(seed.public()).ok();
            founding.claims = claims.sign(identity, now)?;
        }
        let mut unit = self.begin(act, "operator.create").await?;
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        let row = self.insert_operator(&mut unit, &founding, now).await?;
        let mut entries = vec![
            act.entry(if new.import.is_some() { "operator.import" } else { "operator.create" }, now)
                .on_object(row.key.to_string())
                .changing(None, Some(row.claims_jwt.as_bytes()))
                .referring_to(Reference::Issued(founding.claims.id.clone())),
        ];
        if let Some(seed) = system {
            entries.push(self.insert_system_account(act, &mut unit, &row, seed).await?);
        }
        let view = views::operator(&mut unit, &row).await?;
        self.save(act, unit, entries, &view).await?;
        Ok(view)
    }

    async fn insert_operator(&self, unit: &mut Unit, founding: &Founding, now: i64) -> Result<OperatorRow, IssueError> {
        let claims = &founding.claims;
        let key = OperatorKey::try_from(claims.subject)
            .map_err(|error| IssueError::invalid("import.jwt", error.to_string()))?;
        let seed_sealed = match &founding.identity {
            Some(seed) => Some(self.vault().seal(seed, &key.public())?),
            None => None,
        };
        let mut row = OperatorRow {
            key,
            name: claims.name.clone(),
            claims: serde_json::to_value(&claims.nats)?,
            claims_jwt: claims.token().to_owned(),
            system_account: claims.nats.system_account,
            state: OperatorState::Active,
            seed_sealed,
            created_at: now,
            updated_at: now,
            version: 0,
        };
        unit.operators().insert(&mut row).await?;
        for seed in &founding.signing {
            let mut signing = self.signing_key_row(seed, key.public(), now)?;
            unit.signing_keys().insert(&mut signing).await?;
        }
        Ok(row)
    }

    /// A row for a plain signing key whose seed goes into the vault.
    pub(crate) fn signing_key_row(
        &self,
        seed: &Seed,
        owner: cordon_accounts::key::PublicKey,
        now: i64,
    ) -> Result<SigningKeyRow, IssueError> {
        Ok(SigningKeyRow {
            key: seed.public(),
            owner,
            state: SigningKeyState::Active,
            role: None,
            description: String::new(),
            template: None,
            seed_sealed: Some(self.vault().seal(seed, &seed.public())?),
            created_at: now,
            updated_at: now,
            version: 0,
        })
    }

    /// The account that brokers are managed through, with the exports that `nsc` gives it
    /// (auth.md, 6.8): every account may ask about itself.
    async fn insert_system_account(
        &self,
        act: &Act,
        unit: &mut Unit,
        operator: &OperatorRow,
        seed: Seed,
    ) -> Result<Entry, IssueError> {
        let new = NewAccount {
            name: "SYS".to_owned(),
            description: "the system account".to_owned(),
            ..NewAccount::default()
        };
        let mut services = Export::new(ExportKind::Service, "$SYS.REQ.ACCOUNT.*.*");
        "account-monitoring-services".clone_into(&mut services.name);
        services.response_type = ResponseType::Stream;
        services.account_token_position = 4;
        let mut streams = Export::new(ExportKind::Stream, "$SYS.ACCOUNT.*.>");
        "account-monitoring-streams".clone_into(&mut streams.name);
        streams.account_token_position = 3;
        let (_, entry) = self.insert_account(act, unit, operator, &new, Some(seed), vec![services, streams]).await?;
        Ok(entry)
    }

    /// Changes an operator.
    ///
    /// # Errors
    ///
    /// [`IssueError`], with the field that is wrong; [`IssueError::SeedUnavailable`] when the identity is
    /// offline and no `jwt` is given.
    pub async fn change_operator(
        &self,
        act: &Act,
        key: &OperatorKey,
        patch: OperatorPatch,
    ) -> Result<Operator, IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "operator.change").await?;
        let mut row = live_operator(&mut unit, key).await?;
        act.precondition.check(row.version)?;
        let before = operator_claims(&row)?;
        let claims = if let Some(jwt) = &patch.jwt {
            newer_claims(&row, &before, jwt, &patch)?
        } else {
            let changed = patched(&mut unit, &before, &patch).await?;
            changed.validate(now).require_valid()?;
            changed.sign(&self.operator_identity(&row)?, next_issue_time(now, before.issued_at))?
        };
        if act.dry_run {
            let mut effect = effect::none();
            effect
                .warnings
                .push("brokers read operator claims from their configuration: give them the new JWT".to_owned());
            return Err(IssueError::DryRun(Box::new(effect)));
        }
        let jwt_before = std::mem::replace(&mut row.claims_jwt, claims.token().to_owned());
        row.name.clone_from(&claims.name);
        row.claims = serde_json::to_value(&claims.nats)?;
        row.system_account = claims.nats.system_account;
        row.updated_at = now;
        unit.operators().update(&mut row).await?;
        let entry = act
            .entry("operator.change", now)
            .on_object(key.to_string())
            .changing(Some(jwt_before.as_bytes()), Some(row.claims_jwt.as_bytes()))
            .referring_to(Reference::Issued(claims.id.clone()))
            .referring_to(Reference::Claims(before.id.clone()));
        let mut entries = vec![entry];
        if claims.nats.strict_signing_key_usage && !before.nats.strict_signing_key_usage {
            entries.extend(self.sign_accounts_anew(act, &mut unit, &row, &row.key.public()).await?);
        }
        let view = views::operator(&mut unit, &row).await?;
        unit.save(entries).await?;
        self.pushes().notify_one();
        Ok(view)
    }

    /// Deletes an operator that has no accounts any more but its system account.
    ///
    /// # Errors
    ///
    /// [`IssueError::Conflict`] while it has accounts.
    pub async fn delete_operator(&self, act: &Act, key: &OperatorKey) -> Result<(), IssueError> {
        let now = self.now();
        let mut unit = self.begin(act, "operator.delete").await?;
        let mut row = live_operator(&mut unit, key).await?;
        act.precondition.check(row.version)?;
        let live = unit.accounts().list_of_operator(key, &Page::first()).await?;
        let tenants = live.iter().filter(|account| row.system_account != Some(account.key)).count();
        if tenants > 0 {
            return Err(IssueError::Conflict(format!(
                "operator `{}` still has {tenants} accounts; delete them first",
                row.name
            )));
        }
        if act.dry_run {
            return Err(IssueError::DryRun(Box::new(effect::none())));
        }
        for mut system in live {
            system.state = AccountState::Deleted;
            system.seed_sealed = None;
            system.updated_at = now;
            unit.accounts().update(&mut system).await?;
        }
        row.state = OperatorState::Deleted;
        row.seed_sealed = None;
        row.updated_at = now;
        unit.operators().update(&mut row).await?;
        let entry = act
            .entry("operator.delete", now)
            .on_object(key.to_string())
            .changing(Some(row.claims_jwt.as_bytes()), None);
        unit.save(vec![entry]).await?;
        Ok(())
    }

    /// Operators that are not deleted, one page of them.
    ///
    /// # Errors
    ///
    /// [`IssueError::Store`].
    pub async fn operators(&self, page: &Page) -> Result<Vec<Operator>, IssueError> {
        let mut reader = self.store().read().await?;
        let rows = reader.operators().list(page).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            all.push(views::operator(&mut reader, row).await?);
        }
        Ok(all)
    }

    /// One operator.
    ///
    /// # Errors
    ///
    /// [`IssueError::NotFound`] when there is none of this key.
    pub async fn operator(&self, key: &OperatorKey) -> Result<Operator, IssueError> {
        let mut reader = self.store().read().await?;
        let row = live_operator(&mut reader, key).await?;
        views::operator(&mut reader, &row).await
    }
}

/// The operator of this key, unless it is deleted.
pub(crate) async fn live_operator(reader: &mut Reader, key: &OperatorKey) -> Result<OperatorRow, IssueError> {
    match reader.operators().lookup(key).await? {
        Some(row) if row.state != OperatorState::Deleted => Ok(row),
        _ => Err(IssueError::not_found("operator", key)),
    }
}

fn founded(new: &NewOperator, now: i64) -> Result<Founding, IssueError> {
    check_name("name", &new.name)?;
    if new.strict_signing_key_usage && !new.signing_key {
        return Err(IssueError::invalid("signing_key", "an operator that demands signing keys needs one itself"));
    }
    let identity = Seed::generate(Role::Operator, &mut OsRng);
    let key = OperatorKey::try_from(identity.public()).map_err(|error| IssueError::Stored(error.to_string()))?;
    let mut claims = OperatorClaims::new(key);
    claims.name.clone_from(&new.name);
    claims.nats.strict_signing_key_usage = new.strict_signing_key_usage;
    claims.nats.tags.clone_from(&new.tags);
    let mut signing = Vec::new();
    if new.signing_key {
        let seed = Seed::generate(Role::Operator, &mut OsRng);
        claims.nats.signing_keys.extend(OperatorKey::try_from(seed.public()).ok());
        signing.push(seed);
    }
    claims.validate(now).require_valid()?;
    Ok(Founding { claims: claims.sign(&identity, now)?, identity: Some(identity), signing })
}

fn taken_over(new: &NewOperator, import: &OperatorImport, now: i64) -> Result<Founding, IssueError> {
    let identity = read_seed("import.identity_seed", import.identity_seed.as_ref())?;
    let signing = read_seed("import.signing_seed", import.signing_seed.as_ref())?;
    let Some(jwt) = &import.jwt else {
        let Some(identity) = identity else {
            return Err(IssueError::invalid("import", "give `identity_seed`, or `jwt` with `signing_seed`"));
        };
        return from_identity(new, identity, signing, now);
    };
    let claims = decode::<OperatorStatement>(jwt.trim())
        .map_err(|error| IssueError::invalid("import.jwt", format!("this is not an operator JWT: {error}")))?;
    if !claims.is_self_signed() {
        return Err(IssueError::invalid("import.jwt", "the operator did not sign it itself"));
    }
    claims.validate(now).require_valid()?;
    if !new.name.is_empty() && new.name != claims.name {
        return Err(IssueError::invalid("name", format!("the JWT says `{}`; leave the name out", claims.name)));
    }
    check_name("import.jwt", &claims.name)?;
    if let Some(identity) = &identity
        && identity.public() != claims.subject
    {
        return Err(IssueError::invalid("import.identity_seed", "the seed is not the one of the JWT's operator"));
    }
    if let Some(signing) = &signing
        && !claims.nats.signing_keys.iter().any(|key| *key == signing.public())
    {
        return Err(IssueError::invalid("import.signing_seed", "the JWT does not name this key as a signing key"));
    }
    if identity.is_none() && signing.is_none() {
        return Err(IssueError::invalid("import.signing_seed", "without any seed nothing can be signed here"));
    }
    Ok(Founding { claims, identity, signing: signing.into_iter().collect() })
}

/// An operator of which only the identity seed is given: its claims are made anew.
fn from_identity(new: &NewOperator, identity: Seed, signing: Option<Seed>, now: i64) -> Result<Founding, IssueError> {
    check_name("name", &new.name)?;
    let key = OperatorKey::try_from(identity.public())
        .map_err(|error| IssueError::invalid("import.identity_seed", error.to_string()))?;
    let mut claims = OperatorClaims::new(key);
    claims.name.clone_from(&new.name);
    claims.nats.strict_signing_key_usage = new.strict_signing_key_usage;
    claims.nats.tags.clone_from(&new.tags);
    let mut seeds: Vec<Seed> = signing.into_iter().collect();
    if seeds.is_empty() && new.signing_key {
        seeds.push(Seed::generate(Role::Operator, &mut OsRng));
    }
    claims.nats.signing_keys = seeds.iter().filter_map(|seed| OperatorKey::try_from(seed.public()).ok()).collect();
    claims.validate(now).require_valid()?;
    Ok(Founding { claims: claims.sign(&identity, now)?, identity: Some(identity), signing: seeds })
}

fn read_seed(field: &str, text: Option<&SeedText>) -> Result<Option<Seed>, IssueError> {
    let Some(SeedText(text)) = text else { return Ok(None) };
    // The parser's own words are not passed on: they could quote the seed.
    match Seed::parse(text.trim()) {
        Ok(seed) if seed.role() == Role::Operator => Ok(Some(seed)),
        _ => Err(IssueError::invalid(field, "this is not the seed of an operator: it begins with `SO`")),
    }
}

/// Claims that were signed elsewhere and follow the present ones.
fn newer_claims(
    row: &OperatorRow,
    before: &OperatorClaims,
    jwt: &str,
    patch: &OperatorPatch,
) -> Result<Verified<OperatorStatement>, IssueError> {
    let others = patch.name.is_some()
        || patch.account_server_url.is_some()
        || patch.service_urls.is_some()
        || patch.system_account.is_some()
        || patch.strict_signing_key_usage.is_some()
        || patch.tags.is_some();
    if others {
        return Err(IssueError::invalid("jwt", "a JWT made elsewhere comes alone: it says everything"));
    }
    let claims = decode::<OperatorStatement>(jwt.trim())
        .map_err(|error| IssueError::invalid("jwt", format!("this is not an operator JWT: {error}")))?;
    if claims.subject != row.key.public() || !claims.is_self_signed() {
        return Err(IssueError::invalid("jwt", "it is not this operator's own"));
    }
    if claims.issued_at < before.issued_at {
        return Err(IssueError::invalid("jwt", "it is older than the present one"));
    }
    claims.validate_content().require_no_blocking()?;
    check_name("jwt", &claims.name)?;
    Ok(claims)
}

async fn patched(
    unit: &mut Unit,
    before: &OperatorClaims,
    patch: &OperatorPatch,
) -> Result<OperatorClaims, IssueError> {
    let mut claims = before.clone();
    if let Some(name) = &patch.name {
        check_name("name", name)?;
        claims.name.clone_from(name);
    }
    if let Some(url) = &patch.account_server_url {
        claims.nats.account_server_url.clone_from(url);
    }
    if let Some(urls) = &patch.service_urls {
        claims.nats.operator_service_urls.clone_from(urls);
    }
    if let Some(system) = patch.system_account {
        if let Some(key) = system {
            super::edit::live_account(unit, &key)
                .await
                .map_err(|_| IssueError::invalid("system_account", "there is no such account"))?;
        }
        claims.nats.system_account = system;
    }
    if let Some(strict) = patch.strict_signing_key_usage {
        if strict && claims.nats.signing_keys.is_empty() {
            return Err(IssueError::invalid("strict_signing_key_usage", "the operator has no signing key yet"));
        }
        claims.nats.strict_signing_key_usage = strict;
    }
    if let Some(tags) = &patch.tags {
        check_tags(tags)?;
        claims.nats.tags.clone_from(tags);
    }
    Ok(claims)
}
