//! `GET /api/v1/operators/{operator}`

use cordon_accounts::key::OperatorKey;

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Otherwise, Reply};
use crate::model::Operator;
use crate::problem::Problems;
use crate::roles::Right;

/// One operator.
#[utoipa::path(get, path = "/api/v1/operators/{operator}", tag = "operators", params(("operator" = String, Path, description = "Operator key")),
    responses((status = 200, body = Operator), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller, Id((operator,)): Id<(OperatorKey,)>) -> Result<Reply<Operator>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    Ok(Reply::object(caller.app.issuer().operator(&operator).await?))
}
