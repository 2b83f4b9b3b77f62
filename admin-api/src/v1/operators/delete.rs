//! `DELETE /api/v1/operators/{operator}`

use cordon_accounts::key::OperatorKey;

use crate::http::caller::Caller;
use crate::http::extract::Id;
use crate::http::reply::{Done, Otherwise};
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// Delete an operator that has no accounts but its system account.
#[utoipa::path(delete, path = "/api/v1/operators/{operator}", tag = "operators", params(("operator" = String, Path, description = "Operator key"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(caller: Caller, Id((operator,)): Id<(OperatorKey,)>) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeOperators)?;
    caller.app.issuer().delete_operator(&caller.changing()?, &operator).await?;
    Ok(Done)
}
