//! `/api/v1/accounts/{account}/revocations`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::model::{NewRevocation, Revocation};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Revocations of an account, by user.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/revocations", tag = "sharing", params(("account" = String, Path, description = "Account key"), Page),
    responses((status = 200, body = List<Revocation>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<Revocation>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = asked.size()?;
    let mut revocations = caller.app.issuer().revocations(&account).await?;
    revocations.sort_by(|a, b| a.user.cmp(&b.user));
    Ok(Reply::plain(List::of_sorted(revocations, asked.after.as_deref(), size, |revocation| revocation.user.clone())))
}

/// Revoke a user, or all users with `*`: JWTs issued at or before a time are good no more.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/revocations", tag = "sharing", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewRevocation, responses((status = 201, body = Revocation), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Revocation>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_revocation(&act, &account, &body.json()?).await?))
}

/// Take a revocation back.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/revocations/{user}", tag = "sharing",
    params(("account" = String, Path, description = "Account key"), ("user" = String, Path, description = "User key, or `*`"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account, user)): Id<(AccountKey, String)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().delete_revocation(&caller.changing()?, &account, &user).await?;
    Ok(Done)
}
