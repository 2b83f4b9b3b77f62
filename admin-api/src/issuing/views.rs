//! Rows and claims as the API shows them.

use std::collections::HashMap;

use cordon_accounts::claims::{AccountClaims, User as UserStatement, decode};
use cordon_accounts::key::{AccountKey, PublicKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;

use super::draft::Draft;
use super::signer::operator_claims;
use super::web::Web;
use super::{IssueError, Issuer};
use crate::model::{
    Account, Export, Import, ImportState, Limits, Operator, Permissions, PushView, Revocation, Scope, SigningKey,
    Template, Time, Token, User, mappings_to_view,
};
use crate::roles::RoleName;
use crate::store::{AccountRow, OperatorRow, Page, PushState, Reader, SigningKeyRow, TokenRow, UserRow};

/// The signing keys of an owner that the store knows, by key.
async fn known_keys(reader: &mut Reader, owner: &PublicKey) -> Result<HashMap<PublicKey, SigningKeyRow>, IssueError> {
    let rows = reader.signing_keys().list_of_owner(owner, &Page::first()).await?;
    Ok(rows.into_iter().map(|row| (row.key, row)).collect())
}

/// An operator as the API shows it.
pub(crate) async fn operator(reader: &mut Reader, row: &OperatorRow) -> Result<Operator, IssueError> {
    let claims = operator_claims(row)?;
    let known = known_keys(reader, &row.key.public()).await?;
    let signing_keys = claims
        .nats
        .signing_keys
        .iter()
        .map(|key| signing_key(&row.key.public(), row.version, &key.public(), None, known.get(&key.public())))
        .collect();
    Ok(Operator {
        key: row.key.to_string(),
        name: row.name.clone(),
        custody: if row.seed_sealed.is_some() { "identity" } else { "signing_key" }.to_owned(),
        system_account: claims.nats.system_account.map(|key| key.to_string()),
        strict_signing_key_usage: claims.nats.strict_signing_key_usage,
        signing_keys,
        account_server_url: claims.nats.account_server_url.clone(),
        service_urls: claims.nats.operator_service_urls.clone(),
        tags: claims.nats.tags.clone(),
        jwt: row.claims_jwt.clone(),
        version: row.version,
        created_at: Time(row.created_at),
        updated_at: Time(row.updated_at),
    })
}

/// A signing key as the API shows it.
pub(crate) fn signing_key(
    owner: &PublicKey,
    owner_version: i64,
    key: &PublicKey,
    scope: Option<Scope>,
    row: Option<&SigningKeyRow>,
) -> SigningKey {
    SigningKey {
        owner: owner.to_string(),
        key: key.to_string(),
        scope,
        in_vault: row.is_some_and(|row| row.seed_sealed.is_some()),
        created_at: row.map(|row| Time(row.created_at)),
        owner_version,
    }
}

/// The signing keys of an account as the API shows them.
pub(crate) async fn account_signing_keys(
    reader: &mut Reader,
    row: &AccountRow,
    draft: &Draft,
) -> Result<Vec<SigningKey>, IssueError> {
    let known = known_keys(reader, &row.key.public()).await?;
    let one = |listed: &cordon_accounts::claims::SigningKey| {
        let key = listed.key().public();
        signing_key(&row.key.public(), row.version, &key, listed.scope().map(Scope::from), known.get(&key))
    };
    Ok(draft.nats.signing_keys.iter().map(one).collect())
}

/// An account as the API shows it.
pub(crate) async fn account(reader: &mut Reader, row: &AccountRow, now: i64) -> Result<Account, IssueError> {
    let draft = Draft::of(row)?;
    let operator = reader.operators().lookup(&row.operator).await?;
    let is_system = operator.as_ref().is_some_and(|operator| operator.system_account == Some(row.key));
    let signing_keys = account_signing_keys(reader, row, &draft).await?;
    let custody = match (&row.seed_sealed, signing_keys.iter().any(|key| key.in_vault)) {
        (Some(_), _) => "identity",
        (None, true) => "signing_key",
        (None, false) => "none",
    };
    let push = push_view(reader, row).await?;
    let permissions = &draft.nats.default_permissions;
    Ok(Account {
        key: row.key.to_string(),
        operator: row.operator.to_string(),
        name: row.name.clone(),
        state: row.state.to_string(),
        is_system,
        custody: custody.to_owned(),
        description: draft.nats.description.clone(),
        info_url: draft.nats.info_url.clone(),
        tags: draft.nats.tags.clone(),
        limits: Limits::from(&draft.nats.limits),
        default_permissions: (!permissions.is_empty()).then(|| Permissions::from(permissions)),
        mappings: mappings_to_view(&draft.nats.mappings),
        signing_keys,
        exports: exports(row, &draft),
        imports: imports(reader, row, &draft, now).await?,
        revocations: revocations(row, &draft),
        jwt: row.claims_jwt.clone(),
        jti: row.jti.clone(),
        expires_at: Time::unless_zero(draft.expires),
        push,
        version: row.version,
        created_at: Time(row.created_at),
        updated_at: Time(row.updated_at),
    })
}

async fn push_view(reader: &mut Reader, row: &AccountRow) -> Result<PushView, IssueError> {
    if row.pushed_jti.as_deref() == Some(row.jti.as_str()) {
        return Ok(PushView::Confirmed);
    }
    let push = reader.pushes().lookup(&row.key, &row.jti).await?;
    let refused = push
        .as_ref()
        .and_then(|push| push.answer.as_deref())
        .is_some_and(|answer| answer.contains("\"accepted\":false"));
    Ok(match push.map(|push| push.state) {
        Some(PushState::Pending) if refused => PushView::Failed,
        Some(PushState::Pending) => PushView::Pending,
        Some(PushState::Failed) => PushView::Failed,
        Some(PushState::Confirmed) => PushView::Confirmed,
        Some(PushState::Superseded) | None => PushView::None,
    })
}

/// The exports of an account.
pub(crate) fn exports(row: &AccountRow, draft: &Draft) -> Vec<Export> {
    draft.nats.exports.iter().map(|export| Export::of(&row.key, row.version, export)).collect()
}

/// The revocations of an account.
pub(crate) fn revocations(row: &AccountRow, draft: &Draft) -> Vec<Revocation> {
    let one = |(user, at): (&str, i64)| Revocation {
        user: user.to_owned(),
        before: Time(at),
        account: row.key.to_string(),
        account_version: row.version,
    };
    draft.nats.revocations.iter().map(one).collect()
}

/// The imports of an account, each with whether it works now.
pub(crate) async fn imports(
    reader: &mut Reader,
    row: &AccountRow,
    draft: &Draft,
    now: i64,
) -> Result<Vec<Import>, IssueError> {
    if draft.nats.imports.is_empty() {
        return Ok(Vec::new());
    }
    let claims = draft.claims(row);
    let strict = Issuer::is_strict(reader, &row.operator).await?;
    let web = Web::around(reader, &claims, strict).await?;
    Ok(imports_in(&web, row, &claims, now))
}

/// The imports of these claims, each with whether it works in this web.
pub(crate) fn imports_in(web: &Web, row: &AccountRow, claims: &AccountClaims, now: i64) -> Vec<Import> {
    let mut views: Vec<Import> =
        claims.nats.imports.iter().map(|import| Import::of(&row.key, row.version, import)).collect();
    let Some(sharing) = web.get(&AccountName::from(row.key)) else { return views };
    for refusal in web.resolve(sharing, now).refused {
        if let Some(view) = views.get_mut(refusal.index) {
            view.state =
                if refusal.reason == Reason::AccountUnknown { ImportState::Waiting } else { ImportState::Refused };
            view.reason = Some(refusal.reason.code().to_owned());
            view.detail = Some(refusal.text);
        }
    }
    views
}

/// The claims that an account has now, and whether its operator demands signing keys.
pub(crate) async fn current_claims(reader: &mut Reader, key: &AccountKey) -> Result<(AccountClaims, bool), IssueError> {
    let row = super::edit::live_account(reader, key).await?;
    let strict = Issuer::is_strict(reader, &row.operator).await?;
    Ok((super::draft::current(&row)?, strict))
}

/// A user as the API shows it.
pub(crate) fn user(row: &UserRow, account: &AccountClaims) -> Result<User, IssueError> {
    let claims = decode::<UserStatement>(&row.claims_jwt)?.into_claims();
    let scope = account.scope(&row.signing_key);
    Ok(User {
        key: row.key.to_string(),
        account: row.account.to_string(),
        name: row.name.clone(),
        state: row.state.to_string(),
        signing_key: row.signing_key.to_string(),
        role: scope.map(|scope| scope.role.clone()),
        template: Template::from(scope.map_or(&claims.nats.template, |scope| &scope.template)),
        tags: claims.nats.tags.clone(),
        jti: row.jti.clone(),
        issued_at: Time(row.issued_at),
        expires_at: row.expires.map(Time),
        version: row.version,
        created_at: Time(row.created_at),
        updated_at: Time(row.updated_at),
    })
}

/// A token as the API shows it.
pub(crate) fn token(row: &TokenRow) -> Token {
    Token {
        id: row.id.clone(),
        name: row.name.clone(),
        // A role that this version does not know may do nothing; the weakest name stands for it.
        role: RoleName::parse(&row.role).unwrap_or(RoleName::AccountAdmin),
        accounts: row.accounts.iter().map(AccountKey::to_string).collect(),
        expires_at: row.expires.map(Time),
        revoked_at: row.revoked_at.map(Time),
        last_used_at: row.last_used_at.map(Time),
        created_at: Time(row.created_at),
        version: row.version,
    }
}
