//! The list of accounts.

use askama::Template;
use axum::response::Response;

use super::fields::Wanted;
use super::page::{Frame, PAGE_ITEMS, go, ok};
use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::reply::Otherwise;
use crate::model::Account;
use crate::roles::Right;
use crate::v1;
use crate::v1::accounts::list::AccountsAsked;

#[derive(Template)]
#[template(path = "console/accounts.html")]
struct Accounts {
    frame: Frame,
    items: Vec<Account>,
    next: Option<String>,
    name: String,
    state: String,
}

/// `GET /console`
pub(super) async fn first(caller: Caller) -> Result<Response, Otherwise> {
    caller.require(Right::AnyToken)?;
    Ok(go("/console/accounts"))
}

/// `GET /console/accounts`
pub(super) async fn list(caller: Caller, Wanted(asked): Wanted) -> Result<Response, Otherwise> {
    let query = AccountsAsked {
        limit: Some(PAGE_ITEMS),
        after: asked.owned("after"),
        operator: None,
        name: asked.owned("name"),
        state: asked.owned("state"),
    };
    let found = v1::accounts::list::list(caller.clone(), Asked(query)).await?.into_body();
    Ok(ok(&Accounts {
        frame: Frame::of(&caller, "Accounts"),
        items: found.items,
        next: found.next,
        name: asked.text("name").to_owned(),
        state: asked.text("state").to_owned(),
    }))
}
