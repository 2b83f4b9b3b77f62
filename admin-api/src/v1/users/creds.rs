//! `POST /api/v1/accounts/{account}/users/{user}/creds`

use cordon_accounts::key::{AccountKey, UserKey};

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::{IssuedUser, Renewal};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Renew a user's credentials: a new JWT for the same key, or with `rotate_key` a new key, whose creds
/// are shown once, and the old one revoked.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/users/{user}/creds", tag = "users",
    params(("account" = String, Path, description = "Account key"), ("user" = String, Path, description = "User key"), Change),
    request_body = Renewal, responses((status = 201, body = IssuedUser), Problems), security(("token" = [])))]
pub(crate) async fn renew(
    caller: Caller,
    Id((account, user)): Id<(AccountKey, UserKey)>,
    body: Raw,
) -> Result<Reply<IssuedUser>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().renew_user(&act, &account, &user, &body.json_or_default()?).await?))
}
