//! `DELETE /api/v1/accounts/{account}`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Done, Otherwise};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Delete an account: its connections end, its exports are gone, brokers are told to forget it.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}", tag = "accounts", params(("account" = String, Path, description = "Account key"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account,)): Id<(AccountKey,)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    caller.app.issuer().delete_account(&caller.changing()?, &account).await?;
    Ok(Done)
}
