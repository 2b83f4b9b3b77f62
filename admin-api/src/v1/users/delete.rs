//! `DELETE /api/v1/accounts/{account}/users/{user}`

use cordon_accounts::key::{AccountKey, UserKey};

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Done, Otherwise};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Delete a user: its key is revoked and its connections end.
#[utoipa::path(delete, path = "/api/v1/accounts/{account}/users/{user}", tag = "users",
    params(("account" = String, Path, description = "Account key"), ("user" = String, Path, description = "User key"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((account, user)): Id<(AccountKey, UserKey)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    caller.app.issuer().delete_user(&caller.changing()?, &account, &user).await?;
    Ok(Done)
}
