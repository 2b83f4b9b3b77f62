//! `/api/v1/accounts/{account}/signing-keys`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::{NewSigningKey, SigningKey, SigningKeyPatch};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Signing keys of an account.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/signing-keys", tag = "signing keys", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<SigningKey>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<SigningKey>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut keys = caller.app.issuer().signing_keys(&account).await?;
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Reply::plain(List::of_sorted(keys, asked.after.as_deref(), size, |key| key.key.clone())))
}

/// Add a signing key to an account, plain or scoped.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/signing-keys", tag = "signing keys", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewSigningKey, responses((status = 201, body = SigningKey), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<SigningKey>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().add_signing_key(&act, &account, body.json_or_default()?).await?))
}

/// One signing key of an account.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/signing-keys/{key}", tag = "signing keys",
    params(("account" = String, Path, description = "Account key"), ("key" = String, Path, description = "Signing key")),
    responses((status = 200, body = SigningKey), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, key)): Id<(AccountKey, AccountKey)>,
) -> Result<Reply<SigningKey>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let wanted = key.to_string();
    let found = caller.app.issuer().signing_keys(&account).await?.into_iter().find(|listed| listed.key == wanted);
    Ok(Reply::object(found.ok_or_else(|| IssueError::not_found("signing key", key))?))
}

/// Give a signing key another scope, or none. Users of it are made to connect anew.
#[utoipa::path(put, path = "/api/v1/accounts/{account}/signing-keys/{key}", tag = "signing keys",
    params(("account" = String, Path, description = "Account key"), ("key" = String, Path, description = "Signing key"), Change),
    request_body = SigningKeyPatch, responses((status = 200, body = SigningKey), Problems), security(("token" = [])))]
pub(crate) async fn put(
    caller: Caller,
    Id((account, key)): Id<(AccountKey, AccountKey)>,
    body: Raw,
) -> Result<Reply<SigningKey>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.changing_version()?;
    let patch: SigningKeyPatch = body.json()?;
    Ok(Reply::object(caller.app.issuer().set_scope(&act, &account, &key, patch.scope).await?))
}

/// Take a signing key from an account: what it signed is good no more.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/signing-keys/{key}", tag = "signing keys",
    params(("account" = String, Path, description = "Account key"), ("key" = String, Path, description = "Signing key"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(
    caller: Caller,
    Id((account, key)): Id<(AccountKey, AccountKey)>,
) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().remove_signing_key(&caller.changing()?, &account, &key).await?;
    Ok(Done)
}
