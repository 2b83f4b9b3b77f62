//! `GET /api/v1/operators`

use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::paging::{List, Page};
use crate::http::reply::{Otherwise, Reply};
use crate::model::Operator;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::page;

/// Operators, by key.
#[utoipa::path(get, path = "/api/v1/operators", tag = "operators", params(Page), responses((status = 200, body = List<Operator>), Problems), security(("token" = [])))]
pub(crate) async fn list(caller: Caller, Asked(asked): Asked<Page>) -> Result<Reply<List<Operator>>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let size = asked.size()?;
    let items = caller.app.issuer().operators(&page(asked.after, size)).await?;
    Ok(Reply::plain(List::cut(items, size, |operator| operator.key.clone())))
}
