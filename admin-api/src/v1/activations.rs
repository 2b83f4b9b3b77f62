//! `/api/v1/accounts/{account}/activations`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::{Activation, IssuedActivation, NewActivation};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Activations that an account issued for its exports.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/activations", tag = "sharing", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Activation>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Activation>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut activations = caller.app.issuer().activations(&account).await?;
    activations.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Reply::plain(List::of_sorted(activations, asked.after.as_deref(), size, |activation| activation.id.clone())))
}

/// Let one account import a private export. The token is for that account.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/activations", tag = "sharing", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewActivation, responses((status = 201, body = IssuedActivation), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<IssuedActivation>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_activation(&act, &account, &body.json()?).await?))
}

/// One activation.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/activations/{activation}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("activation" = String, Path, description = "Activation id")),
    responses((status = 200, body = Activation), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, activation)): Id<(AccountKey, String)>,
) -> Result<Reply<Activation>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let found = caller.app.issuer().activations(&account).await?.into_iter().find(|listed| listed.id == activation);
    Ok(Reply::plain(found.ok_or_else(|| IssueError::not_found("activation", activation))?))
}

/// Take an activation back: every token of this importer for this export that was issued until now.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/activations/{activation}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("activation" = String, Path, description = "Activation id"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(
    caller: Caller,
    Id((account, activation)): Id<(AccountKey, String)>,
) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().delete_activation(&caller.changing()?, &account, &activation).await?;
    Ok(Done)
}
