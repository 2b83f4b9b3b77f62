//! `GET /api/v1/accounts/{account}/users`

use cordon_accounts::key::AccountKey;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id};
use crate::http::paging::{List, size};
use crate::http::reply::{Otherwise, Reply};
use crate::model::User;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::page;

/// Which users are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsersAsked {
    /// Most items wanted, 1 to 250; 100 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only in this state: `active` or `revoked`.
    pub state: Option<String>,
}

/// Users of an account that are not deleted, by key.
#[utoipa::path(get, path = "/api/v1/accounts/{account}/users", tag = "users", params(("account" = String, Path, description = "Account key"), UsersAsked),
    responses((status = 200, body = List<User>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Id((account,)): Id<(AccountKey,)>,
    Asked(asked): Asked<UsersAsked>,
) -> Result<Reply<List<User>>, Otherwise> {
    caller.require(Right::ReadAccount(&account))?;
    let size = size(asked.limit)?;
    let wanted = |user: &User| {
        asked.name.as_ref().is_none_or(|name| user.name == *name)
            && asked.state.as_ref().is_none_or(|state| user.state == *state)
    };
    let mut after = asked.after.clone();
    let mut items = Vec::new();
    loop {
        let read = caller.app.issuer().users(&account, &page(after, size)).await?;
        let Some(last) = read.last() else { break };
        after = Some(last.key.clone());
        items.extend(read.into_iter().filter(|user| wanted(user)));
        if items.len() > size as usize {
            break;
        }
    }
    Ok(Reply::plain(List::cut(items, size, |user| user.key.clone())))
}
