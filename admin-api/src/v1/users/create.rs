//! `POST /api/v1/accounts/{account}/users`

use cordon_accounts::key::AccountKey;

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::{Effect, IssuedUser, NewUser};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Issue a user. Its creds are shown once, in this answer.
#[utoipa::path(post, path = "/api/v1/accounts/{account}/users", tag = "users", params(("account" = String, Path, description = "Account key"), Change),
    request_body = NewUser, responses((status = 201, body = IssuedUser), (status = 200, description = "The effect of a dry run.", body = Effect), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    body: Raw,
) -> Result<Reply<IssuedUser>, Otherwise> {
    caller.require(Right::ChangeAccount(&account))?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_user(&act, &account, body.json()?).await?))
}
