//! `GET /api/v1/accounts/{account}`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Otherwise, Reply};
use crate::model::Account;
use crate::problem::Problems;
use crate::roles::Right;

/// One account.
#[utoipa::path(get, path = "/api/v1/accounts/{account}", tag = "accounts", params(("account" = String, Path, description = "Account key")),
    responses((status = 200, body = Account), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller, Id((account,)): Id<(AccountKey,)>) -> Result<Reply<Account>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    Ok(Reply::object(caller.app.issuer().account(&account).await?))
}
