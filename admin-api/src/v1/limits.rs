//! `/api/v1/accounts/{account}/limits`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::Limits;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// What an account may use.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/limits", tag = "accounts", params(("account" = String, Path, description = "Account key")),
    responses((status = 200, body = Limits), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller, Id((account,)): Id<(AccountKey,)>) -> Result<Reply<Limits>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let account = caller.app.issuer().account(&account).await?;
    Ok(Reply::at_version(account.limits, account.version))
}

/// Set what an account may use, all of it: what is absent is unlimited.
#[utoipa::path(put, path = "/api/v1/accounts/{account}/limits", tag = "accounts", params(("account" = String, Path, description = "Account key"), Change),
    request_body = Limits, responses((status = 200, body = Limits), Problems), security(("token" = [])))]
pub(crate) async fn put(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Limits>, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    let act = caller.changing_version()?;
    let account = caller.app.issuer().set_limits(&act, &account, &body.json()?).await?;
    Ok(Reply::at_version(account.limits, account.version))
}
