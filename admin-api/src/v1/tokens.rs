//! `/api/v1/tokens`

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::model::{IssuedToken, Token};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::{Change, page};

/// API tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Page), responses((status = 200, body = List<Token>), Problems), security(("token" = [])))]
pub(crate) async fn list(caller: Caller, Asked(asked): Asked<Page>) -> Result<Reply<List<Token>>, Otherwise> {
    caller.require(Right::ReadTokens)?;
    let size = asked.size()?;
    let items = caller.app.issuer().tokens(&page(asked.after, size)).await?;
    Ok(Reply::plain(List::cut(items, size, |token| token.id.clone())))
}

/// Make an API token. Its secret is shown once, in this answer.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", params(Change), request_body = crate::model::NewToken,
    responses((status = 201, body = IssuedToken), Problems), security(("token" = [])))]
pub(crate) async fn create(caller: Caller, body: Raw) -> Result<Reply<IssuedToken>, Otherwise> {
    caller.require(Right::ChangeTokens)?;
    let act = caller.act(&body, 201)?;
    Ok(Reply::created(caller.app.issuer().create_token(&act, &body.json()?).await?))
}

/// One API token, without its secret.
#[utoipa::path(get, path = "/api/v1/tokens/{token}", tag = "tokens", params(("token" = String, Path, description = "Token id")),
    responses((status = 200, body = Token), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller, Id((token,)): Id<(String,)>) -> Result<Reply<Token>, Otherwise> {
    caller.require(Right::ReadTokens)?;
    Ok(Reply::object(caller.app.issuer().token(&token).await?))
}

/// Revoke an API token at once.
#[utoipa::path(delete, path = "/api/v1/tokens/{token}", tag = "tokens", params(("token" = String, Path, description = "Token id"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((token,)): Id<(String,)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeTokens)?;
    caller.app.issuer().revoke_token(&caller.changing()?, &token).await?;
    Ok(Done)
}
