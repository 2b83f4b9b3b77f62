//! `PATCH /api/v1/operators/{operator}`

use cordon_accounts::key::OperatorKey;

use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::{Otherwise, Reply};
use crate::model::{Operator, OperatorPatch};
use crate::problem::{Problem, Problems};
use crate::roles::Right;
use crate::v1::Change;

/// Change an operator.
///
/// Its system account, its strictness and its whole JWT are for owners. Brokers read operator claims from
/// their configuration: give them the new JWT.
#[utoipa::path(patch, path = "/api/v1/operators/{operator}", tag = "operators", params(("operator" = String, Path, description = "Operator key"), Change),
    request_body = OperatorPatch, responses((status = 200, body = Operator), Problems), security(("token" = [])))]
pub(crate) async fn change(
    caller: Caller,
    Id((operator,)): Id<(OperatorKey,)>,
    body: Raw,
) -> Result<Reply<Operator>, Otherwise> {
    caller.require(Right::DescribeOperators)?;
    let act = caller.changing_version()?;
    let patch: OperatorPatch = body.json()?;
    if patch.system_account.is_some() || patch.strict_signing_key_usage.is_some() || patch.jwt.is_some() {
        caller
            .require(Right::ChangeOperators)
            .map_err(|problem| Problem { field: Some("system_account".to_owned()), ..problem })?;
    }
    Ok(Reply::object(caller.app.issuer().change_operator(&act, &operator, patch).await?))
}
