//! `/api/v1/operators/{operator}/signing-keys`

use cordon_accounts::key::OperatorKey;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::{List, Page};
use crate::http::reply::{Done, Otherwise, Reply};
use crate::model::SigningKey;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::Change;

/// A signing key of an operator, to be made or brought.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewOperatorKey {
    /// The public key, when its owner keeps the seed; without it a key is generated into the vault.
    #[schema(value_type = Option<String>)]
    pub key: Option<OperatorKey>,
}

/// Signing keys of an operator.
#[utoipa::path(get, path = "/api/v1/operators/{operator}/signing-keys", tag = "operators",
    params(("operator" = String, Path, description = "Operator key"), Page), responses((status = 200, body = List<SigningKey>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((operator,)): Id<(OperatorKey,)>,
    Asked(asked): Asked<Page>,
) -> Result<Reply<List<SigningKey>>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let size = asked.size()?;
    let operator = caller.app.issuer().operator(&operator).await?;
    let mut keys = operator.signing_keys;
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    let list = List::of_sorted(keys, asked.after.as_deref(), size, |key| key.key.clone());
    Ok(Reply::at_version(list, operator.version))
}

/// Add a signing key to an operator.
#[utoipa::path(post, path = "/api/v1/operators/{operator}/signing-keys", tag = "operators",
    params(("operator" = String, Path, description = "Operator key"), Change), request_body = NewOperatorKey,
    responses((status = 201, body = SigningKey), Problems), security(("token" = [])))]
pub(crate) async fn create(
    caller: Caller,
    Id((operator,)): Id<(OperatorKey,)>,
    body: Raw,
) -> Result<Reply<SigningKey>, Otherwise> {
    caller.require(Right::ChangeOperators)?;
    let act = caller.act(&body, 201)?;
    let new: NewOperatorKey = body.json_or_default()?;
    Ok(Reply::created(caller.app.issuer().add_operator_key(&act, &operator, new.key).await?))
}

/// Take a signing key from an operator. Accounts that it signed are signed anew.
#[utoipa::path(delete, path = "/api/v1/operators/{operator}/signing-keys/{key}", tag = "operators",
    params(("operator" = String, Path, description = "Operator key"), ("key" = String, Path, description = "Signing key"), Change),
    responses((status = 204), Problems), security(("token" = [])))]
pub(crate) async fn delete(
    caller: Caller,
    Id((operator, key)): Id<(OperatorKey, OperatorKey)>,
) -> Result<Done, Otherwise> {
    caller.require(Right::ChangeOperators)?;
    caller.app.issuer().remove_operator_key(&caller.changing()?, &operator, &key).await?;
    Ok(Done)
}
