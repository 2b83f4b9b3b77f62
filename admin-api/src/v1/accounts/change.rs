//! `PATCH /api/v1/accounts/{account}`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::Account;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Change what describes an account, its default permissions and its mappings.
#[utoipa::path(patch, path = "/api/v1/accounts/{account}", tag = "accounts", params(("account" = String, Path, description = "Account key"), Change),
    request_body = crate::model::AccountPatch, responses((status = 200, body = Account), Problems), security(("token" = [])))]
pub(crate) async fn change(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<Account>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.changing_version()?;
    Ok(Reply::object(caller.app.issuer().change_account(&act, &account, body.json()?).await?))
}
