//! What an account shares with others, what others offer to it, and offering more.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::Response;
use cordon_accounts::key::AccountKey;
use serde_json::{Value, json};

use super::account;
use super::fields::{Fields, Wanted};
use super::outcome::{self, Outcome};
use super::page::{Frame, PAGE_ITEMS, go, html, ok, once};
use crate::http::caller::Caller;
use crate::http::extract::{Asked, Id, Raw};
use crate::http::paging::Page;
use crate::http::reply::Otherwise;
use crate::model::{Account, Share};
use crate::problem::Problem;
use crate::roles::Right;
use crate::v1;
use crate::v1::accounts::list::AccountsAsked;

/// Most accounts that the form suggests; others are typed in.
const SUGGESTED: u32 = 250;

#[derive(Template)]
#[template(path = "console/shares.html")]
struct Shares {
    frame: Frame,
    account: Account,
    items: Vec<Share>,
    names: Names,
    next: Option<String>,
    changes: bool,
}

#[derive(Template)]
#[template(path = "console/share_new.html")]
struct NewSharePage {
    frame: Frame,
    account: Account,
    others: Vec<Account>,
    fields: Fields,
    wrong: Option<Problem>,
    once: String,
}

/// Names of accounts by key, as far as the caller may know them.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// The names of both sides of these shares.
    pub(super) async fn of(caller: &Caller, shares: &[Share]) -> Self {
        let mut names = BTreeMap::new();
        for key in shares.iter().flat_map(|share| [&share.exporter, &share.importer]) {
            if names.contains_key(key) {
                continue;
            }
            if let Ok(account) = AccountKey::parse(key)
                && let Ok(account) = account::read(caller, account).await
            {
                names.insert(key.clone(), account.name);
            }
        }
        Self(names)
    }

    /// The name, or the key where the name is not the caller's to know.
    pub(super) fn get<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }
}

/// `GET /console/accounts/{account}/shares`
pub(super) async fn list(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    Wanted(asked): Wanted,
) -> Result<Response, Otherwise> {
    let account = account::read(&caller, key).await?;
    let query = Page { limit: Some(PAGE_ITEMS), after: asked.owned("after") };
    let found = v1::shares::list(caller.clone(), Id((key,)), Asked(query)).await?.into_body();
    Ok(ok(&Shares {
        frame: Frame::of(&caller, format!("Shares of {}", account.name)).noting(asked.text("done")),
        names: Names::of(&caller, &found.items).await,
        items: found.items,
        next: found.next,
        changes: caller.token.role.covers(Right::ChangeAccount(&key)),
        account,
    }))
}

/// `GET /console/accounts/{account}/shares/new`
pub(super) async fn form(caller: Caller, Id((key,)): Id<(AccountKey,)>) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccount(&key))?;
    let account = account::read(&caller, key).await?;
    Ok(ok(&new_page(&caller, account, Fields::default(), None).await?))
}

async fn new_page(
    caller: &Caller,
    account: Account,
    fields: Fields,
    wrong: Option<Problem>,
) -> Result<NewSharePage, Otherwise> {
    let asked = AccountsAsked { limit: Some(SUGGESTED), ..AccountsAsked::default() };
    let mut others = v1::accounts::list::list(caller.clone(), Asked(asked)).await?.into_body().items;
    others.retain(|other| other.key != account.key && !other.is_system);
    others.sort_by(|a, b| a.name.cmp(&b.name));
    let frame = Frame::of(caller, format!("Share something of {}", account.name));
    Ok(NewSharePage { frame, account, others, fields, wrong, once: once() })
}

/// `POST /console/accounts/{account}/shares/new`
pub(super) async fn offer(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccount(&key))?;
    let asking = caller.clone().once(fields.text("once"));
    let body = body(&fields, partner(&caller, fields.text("importer")).await?);
    let outcome = outcome::of(v1::shares::create(asking, Id((key,)), Raw::of(&body)).await)?;
    match outcome {
        Outcome::Done(share) => Ok(go(&format!("/console/accounts/{key}/shares/{}?done=offered", share.id))),
        Outcome::Repeated => Ok(go(&format!("/console/accounts/{key}/shares?done=offered"))),
        Outcome::Wrong(problem) => {
            let account = account::read(&caller, key).await?;
            let status = problem.code.status();
            Ok(html(status, &new_page(&caller, account, fields, Some(problem)).await?))
        }
    }
}

/// The key of the partner, who may be named where the caller may see the account.
async fn partner(caller: &Caller, text: &str) -> Result<String, Otherwise> {
    if text.is_empty() || AccountKey::parse(text).is_ok() {
        return Ok(text.to_owned());
    }
    let asked = AccountsAsked { limit: Some(2), name: Some(text.to_owned()), ..AccountsAsked::default() };
    let mut found = v1::accounts::list::list(caller.clone(), Asked(asked)).await?.into_body().items;
    Ok(match (found.pop(), found.pop()) {
        (Some(only), None) => only.key,
        // What is no account is told by the API, with its field.
        _ => text.to_owned(),
    })
}

/// The body of the API that the form stands for.
fn body(fields: &Fields, importer: String) -> Value {
    let write = fields.is("mode", "read_write");
    let accept = fields.is("accept", "yes");
    json!({
        "importer": importer,
        "kind": fields.text("kind"),
        "name": fields.text("name"),
        "mode": if write { "read_write" } else { "read_only" },
        "subjects": fields.lines("subjects"),
        "write_subjects": fields.lines("write_subjects"),
        "description": fields.text("description"),
        "expires_in_seconds": fields.days("days"),
        "accept": accept.then(|| acceptance(fields)),
    })
}

/// How the importer calls it.
pub(super) fn acceptance(fields: &Fields) -> Value {
    json!({ "prefix": fields.owned("prefix"), "inbox": fields.owned("inbox") })
}
