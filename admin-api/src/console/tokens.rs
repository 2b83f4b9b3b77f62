//! The list of API tokens.

use askama::Template;
use axum::response::Response;

use super::fields::Wanted;
use super::page::{Frame, PAGE_ITEMS, ok};
use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::paging::Page;
use crate::http::reply::Otherwise;
use crate::model::{Time, Token};
use crate::v1;

#[derive(Template)]
#[template(path = "console/tokens.html")]
struct Tokens {
    frame: Frame,
    items: Vec<Token>,
    next: Option<String>,
    now: Time,
}

/// `GET /console/tokens`
pub(super) async fn list(caller: Caller, Wanted(asked): Wanted) -> Result<Response, Otherwise> {
    let query = Page { limit: Some(PAGE_ITEMS), after: asked.owned("after") };
    let found = v1::tokens::list(caller.clone(), Asked(query)).await?.into_body();
    let now = Time(caller.app.issuer().now());
    Ok(ok(&Tokens { frame: Frame::of(&caller, "API tokens"), items: found.items, next: found.next, now }))
}
