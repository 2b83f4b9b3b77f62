//! `GET /api/v1/accounts`

use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::paging::{List, size};
use crate::http::reply::{Otherwise, Reply};
use crate::issuing::IssueError;
use crate::model::Account;
use crate::problem::Problems;
use crate::roles::Right;
use crate::v1::page;

/// Which accounts are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccountsAsked {
    /// Most items wanted, 1 to 250; 100 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Only of this operator, by key or name.
    pub operator: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only in this state: `active` or `suspended`.
    pub state: Option<String>,
}

/// Accounts that are not deleted, by key. An account admin sees its own.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "accounts", params(AccountsAsked), responses((status = 200, body = List<Account>), Problems), security(("token" = [])))]
pub(crate) async fn list(
    caller: Caller,
    Asked(asked): Asked<AccountsAsked>,
) -> Result<Reply<List<Account>>, Otherwise> {
    caller.require(Right::ReadAccounts)?;
    let size = size(asked.limit)?;
    let wanted = |account: &Account| {
        asked.name.as_ref().is_none_or(|name| account.name == *name)
            && asked.state.as_ref().is_none_or(|state| account.state == *state)
    };
    if let Some(own) = caller.token.role.narrowed_to() {
        let mut items = Vec::new();
        for key in own {
            match caller.app.issuer().account(key).await {
                Ok(account) => items.push(account),
                Err(IssueError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        items.retain(|account| wanted(account));
        items.sort_by(|a, b| a.key.cmp(&b.key));
        return Ok(Reply::plain(List::of_sorted(items, asked.after.as_deref(), size, |account| account.key.clone())));
    }
    let operator = caller.app.issuer().named_operator(asked.operator.as_deref()).await?;
    let mut after = asked.after.clone();
    let mut items = Vec::new();
    // Filters are applied here, so a page may take several reads to fill.
    loop {
        let read = caller.app.issuer().accounts(operator.as_ref(), &page(after, size)).await?;
        let Some(last) = read.last() else { break };
        after = Some(last.key.clone());
        items.extend(read.into_iter().filter(|account| wanted(account)));
        if items.len() > size as usize {
            break;
        }
    }
    Ok(Reply::plain(List::cut(items, size, |account| account.key.clone())))
}
