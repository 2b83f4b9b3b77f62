//! `GET /api/v1/accounts/{account}/users/{user}`

use cordon_accounts::key::{AccountKey, UserKey};

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Otherwise, Reply};
use crate::model::User;
use crate::problem::Problems;
use crate::roles::Right;

/// One user.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/users/{user}", tag = "users",
    params(("account" = String, Path, description = "Account key"), ("user" = String, Path, description = "User key")),
    responses((status = 200, body = User), Problems), security(("token" = [])))]
pub(crate) async fn get(
    caller: Caller,
    Id((account, user)): Id<(AccountKey, UserKey)>,
) -> Result<Reply<User>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    Ok(Reply::object(caller.app.issuer().user(&account, &user).await?))
}
