//! `POST /api/v1/accounts`

use crate::http::caller::Caller;
use crate::http::extract::Raw;
use crate::http::reply::{Otherwise, Reply};
use crate::model::{Account, Effect, NewAccount};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Make an account.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", params(Change), request_body = NewAccount,
    responses((status = 201, body = Account), (status = 200, description = "The effect of a dry run.", body = Effect), Problems), security(("token" = [])))]
pub(crate) async fn create(caller: Caller, body: Raw) -> Result<Reply<Account>, Otherwise> {
    caller.require(Right::ChangeAccounts)?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_account(&act, body.json()?).await?))
}
