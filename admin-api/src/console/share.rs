//! One share: looked at, taken up, ended.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use cordon_accounts::key::AccountKey;

use super::confirm::{Question, ask};
use super::fields::{Fields, Wanted};
use super::outcome::{self, Outcome};
use super::page::{Frame, go, html, once};
use super::shares::{Names, acceptance};
use super::{account, words};
use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::Otherwise;
use crate::model::{Account, Share, ShareState};
use crate::problem::Problem;
use crate::roles::Right;
use crate::v1;

#[derive(Template)]
#[template(path = "console/share.html")]
struct SharePage {
    frame: Frame,
    account: Account,
    share: Share,
    names: Names,
    changes: bool,
    /// May be taken up on this page.
    acceptable: bool,
    fields: Fields,
    wrong: Option<Problem>,
    once: String,
}

/// `GET /console/accounts/{account}/shares/{share}`
pub(super) async fn page(
    caller: Caller,
    Id((key, id)): Id<(AccountKey, String)>,
    Wanted(asked): Wanted,
) -> Result<Response, Otherwise> {
    let page = of(&caller, key, id, asked.text("done")).await?;
    Ok(html(StatusCode::OK, &page))
}

async fn of(caller: &Caller, key: AccountKey, id: String, done: &str) -> Result<SharePage, Otherwise> {
    let share = v1::shares::get(caller.clone(), Id((key, id))).await?.into_body();
    let account = account::read(caller, key).await?;
    let changes = caller.token.role.covers(Right::ChangeAccount(&key));
    Ok(SharePage {
        frame: Frame::of(caller, format!("Share of the {} {}", words::shared(&share.kind), share.name)).noting(done),
        names: Names::of(caller, std::slice::from_ref(&share)).await,
        acceptable: changes && share.importer == account.key && share.state == ShareState::Offered,
        changes,
        account,
        share,
        fields: Fields::default(),
        wrong: None,
        once: once(),
    })
}

/// `POST /console/accounts/{account}/shares/{share}/accept`
pub(super) async fn accept(
    caller: Caller,
    Id((key, id)): Id<(AccountKey, String)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    let asking = caller.clone().once(fields.text("once"));
    let answer = v1::shares::accept(asking, Id((key, id.clone())), Raw::of(&acceptance(&fields))).await;
    match outcome::of(answer)? {
        Outcome::Done(_) | Outcome::Repeated => Ok(go(&format!("/console/accounts/{key}/shares/{id}?done=accepted"))),
        Outcome::Wrong(problem) => {
            let page = of(&caller, key, id, "").await?;
            let status = problem.code.status();
            Ok(html(status, &SharePage { fields, wrong: Some(problem), ..page }))
        }
    }
}

/// `GET /console/accounts/{account}/shares/{share}/end`
pub(super) async fn ask_end(caller: Caller, Id((key, id)): Id<(AccountKey, String)>) -> Result<Response, Otherwise> {
    let looked = v1::shares::delete(caller.clone().looking(), Id((key, id.clone()))).await;
    let effect = outcome::effect(looked)?;
    let account = account::read(&caller, key).await?;
    let share = v1::shares::get(caller.clone(), Id((key, id))).await?.into_body();
    let text = if share.exporter == account.key {
        "The partner can use it no more. Consumers that the partner made are deleted."
    } else {
        "This account can use it no more. Consumers that it made are deleted. The offer stays."
    };
    let question = Question {
        title: format!("End the share of the {} {}", words::shared(&share.kind), share.name),
        text: text.to_owned(),
        button: "End the share",
        action: format!("/console/accounts/{key}/shares/{}/end", share.id),
        back: format!("/console/accounts/{key}/shares/{}", share.id),
        version: account.version,
    };
    Ok(ask(&caller, question, effect))
}

/// `POST /console/accounts/{account}/shares/{share}/end`
pub(super) async fn end(
    caller: Caller,
    Id((key, id)): Id<(AccountKey, String)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccount(&key))?;
    let asking = caller.of_version(fields.version()?);
    v1::shares::delete(asking, Id((key, id))).await?;
    Ok(go(&format!("/console/accounts/{key}/shares?done=ended")))
}
