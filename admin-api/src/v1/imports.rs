//! `/api/v1/accounts/{account}/imports`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::{Import, NewImport};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Imports of an account, each with whether it works now.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/imports", tag = "sharing", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Import>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Import>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut imports = caller.app.issuer().imports(&account).await?;
    imports.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Reply::plain(List::of_sorted(imports, asked.after.as_deref(), size, |import| import.id.clone())))
}

/// Take up a stream or a service of another account. It must work now, or wait for an exporter that is not known here.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/imports", tag = "sharing", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewImport, responses((status = 201, body = Import), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Import>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_import(&act, &account, &body.json()?).await?))
}

/// One import.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/imports/{import}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("import" = String, Path, description = "Import id")),
    responses((status = 200, body = Import), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, import)): Id<(AccountKey, String)>,
) -> Result<Reply<Import>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let found = caller.app.issuer().imports(&account).await?.into_iter().find(|listed| listed.id == import);
    Ok(Reply::object(found.ok_or_else(|| IssueError::not_found("import", import))?))
}

/// Give up an import.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/imports/{import}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("import" = String, Path, description = "Import id"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account, import)): Id<(AccountKey, String)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().delete_import(&caller.changing()?, &account, &import).await?;
    Ok(Done)
}
