//! `PATCH /api/v1/accounts/{account}/users/{user}`

use cordon_accounts::key::{AccountKey, UserKey};

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::{IssuedUser, UserPatch};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Change a user: it gets a new JWT for the same key, and all earlier ones are revoked.
#[utoipa::path(patch, path = "/api/v1/accounts/{account}/users/{user}", tag = "users",
    params(("account" = String, Path, description = "Account key"), ("user" = String, Path, description = "User key"), Change),
    request_body = UserPatch, responses((status = 200, body = IssuedUser), Problems), security(("token" = [])))]
pub(crate) async fn change(
    caller: Caller,
    Id((account, user)): Id<(AccountKey, UserKey)>,
    body: Raw,
) -> Result<Reply<IssuedUser>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.changing_version()?;
    Ok(Reply::object(caller.app.issuer().change_user(&act, &account, &user, body.json()?).await?))
}
