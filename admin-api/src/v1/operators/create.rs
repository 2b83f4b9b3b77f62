//! `POST /api/v1/operators`

use crate::http::caller::Caller;
use crate::http::extract::Raw;
use crate::http::reply::{Otherwise, Reply};
use crate::model::{Effect, NewOperator, Operator};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Make an operator, or take one over.
///
/// A new one gets an identity, a signing key and a system account. An imported one brings its identity
/// seed, or its JWT and the seed of a signing key, so that the identity stays offline.
#[utoipa::path(post, path = "/api/v1/operators", tag = "operators", params(Change), request_body = NewOperator,
    responses((status = 201, body = Operator), (status = 200, description = "The effect of a dry run.", body = Effect), Problems), security(("token" = [])))]
pub(crate) async fn create(caller: Caller, body: Raw) -> Result<Reply<Operator>, Otherwise> {
    caller.require(Right::ChangeOperators)?;
    let act = caller.act(&body, 201)?;
    let operator = caller.app.issuer().create_operator(&act, body.json()?).await?;
    Ok(Reply::created(operator))
}
