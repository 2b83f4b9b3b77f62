//! `POST /api/v1/accounts/{account}/suspend` and `/resume`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::Account;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Suspend an account: its connections end and nobody gets in; nothing of it is lost.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/suspend", tag = "accounts", params(("account" = String, Path, description = "Account key"), Change),
    responses((status = 200, body = Account), Problems), security(("token" = [])))]
pub(crate) async fn suspend(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Account>, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    Ok(Reply::object(caller.app.issuer().suspend(&caller.act(&body, 200)?, &account).await?))
}

/// Put a suspended account back into use.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/resume", tag = "accounts", params(("account" = String, Path, description = "Account key"), Change),
    responses((status = 200, body = Account), Problems), security(("token" = [])))]
pub(crate) async fn resume(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Account>, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    Ok(Reply::object(caller.app.issuer().resume(&caller.act(&body, 200)?, &account).await?))
}
