//! `/api/v1/accounts/{account}/exports`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::{Export, NewExport};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Exports of an account.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/exports", tag = "sharing", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Export>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Export>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut exports = caller.app.issuer().exports(&account).await?;
    exports.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Reply::plain(List::of_sorted(exports, asked.after.as_deref(), size, |export| export.id.clone())))
}

/// Offer a stream or a service.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/exports", tag = "sharing", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewExport, responses((status = 201, body = Export), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Export>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_export(&act, &account, &body.json()?).await?))
}

/// One export.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/exports/{export}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("export" = String, Path, description = "Export id")),
    responses((status = 200, body = Export), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, export)): Id<(AccountKey, String)>,
) -> Result<Reply<Export>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let found = caller.app.issuer().exports(&account).await?.into_iter().find(|listed| listed.id == export);
    Ok(Reply::object(found.ok_or_else(|| IssueError::not_found("export", export))?))
}

/// Replace an export. Activations that were taken back stay so.
#[utoipa::path(put, path = "/api/v1/accounts/{account}/exports/{export}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("export" = String, Path, description = "Export id"), Change),
    request_body = NewExport, responses((status = 200, body = Export), Problems), security(("token" = [])))]
pub(crate) async fn put(
    caller: Caller,
    Id((account, export)): Id<(AccountKey, String)>,
    body: Raw,
) -> Result<Reply<Export>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.changing_version()?;
    Ok(Reply::object(caller.app.issuer().change_export(&act, &account, &export, &body.json()?).await?))
}

/// Withdraw an export: imports of it stop to work.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/exports/{export}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("export" = String, Path, description = "Export id"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account, export)): Id<(AccountKey, String)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().delete_export(&caller.changing()?, &account, &export).await?;
    Ok(Done)
}
