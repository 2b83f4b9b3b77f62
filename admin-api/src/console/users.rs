//! Users of an account: one of them, issuing one, revoking one.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use cordon_accounts::key::{AccountKey, UserKey};
use serde_json::{Value, json};

use super::account;
use super::confirm::{Question, ask};
use super::fields::{Fields, Wanted};
use super::outcome::{self, Outcome};
use super::page::{Frame, go, html, ok, once};
use crate::http::caller::Caller;
use crate::http::extract::{Id, Raw};
use crate::http::reply::Otherwise;
use crate::model::{Account, IssuedUser, User};
use crate::problem::Problem;
use crate::roles::Right;
use crate::v1;

#[derive(Template)]
#[template(path = "console/user.html")]
struct UserPage {
    frame: Frame,
    account: Account,
    user: User,
    changes: bool,
}

#[derive(Template)]
#[template(path = "console/user_new.html")]
struct NewUserPage {
    frame: Frame,
    account: Account,
    fields: Fields,
    wrong: Option<Problem>,
    once: String,
}

#[derive(Template)]
#[template(path = "console/user_issued.html")]
struct IssuedPage<'a> {
    frame: Frame,
    account: Account,
    issued: Option<&'a IssuedUser>,
}

/// `GET /console/accounts/{account}/users/{user}`
pub(super) async fn page(
    caller: Caller,
    Id((key, user)): Id<(AccountKey, UserKey)>,
    Wanted(asked): Wanted,
) -> Result<Response, Otherwise> {
    let user = v1::users::get::get(caller.clone(), Id((key, user))).await?.into_body();
    let account = account::read(&caller, key).await?;
    Ok(ok(&UserPage {
        frame: Frame::of(&caller, format!("User {}", user.name)).noting(asked.text("done")),
        changes: caller.token.role.covers(Right::ChangeAccount(&key)) && user.state == "active",
        account,
        user,
    }))
}

/// `GET /console/accounts/{account}/users/new`
pub(super) async fn form(caller: Caller, Id((key,)): Id<(AccountKey,)>) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccount(&key))?;
    let account = account::read(&caller, key).await?;
    let frame = Frame::of(&caller, format!("Issue a user of {}", account.name));
    Ok(ok(&NewUserPage { frame, account, fields: Fields::default(), wrong: None, once: once() }))
}

/// `POST /console/accounts/{account}/users/new`
pub(super) async fn issue(
    caller: Caller,
    Id((key,)): Id<(AccountKey,)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    let asking = caller.clone().once(fields.text("once"));
    let answer = v1::users::create::create(asking, Id((key,)), Raw::of(&body(&fields))).await;
    let outcome = outcome::of(answer)?;
    let account = account::read(&caller, key).await?;
    match outcome {
        Outcome::Done(issued) => {
            let frame = Frame::of(&caller, format!("User {} is issued", issued.user.name));
            Ok(ok(&IssuedPage { frame, account, issued: Some(&issued) }))
        }
        Outcome::Repeated => {
            Ok(ok(&IssuedPage { frame: Frame::of(&caller, "The user was issued before"), account, issued: None }))
        }
        Outcome::Wrong(problem) => {
            let frame = Frame::of(&caller, format!("Issue a user of {}", account.name));
            let status = problem.code.status();
            Ok(again(status, NewUserPage { frame, account, fields, wrong: Some(problem), once: once() }))
        }
    }
}

fn again(status: StatusCode, page: NewUserPage) -> Response {
    html(status, &page)
}

/// The body of the API that the form stands for. What is left empty is left out: a scoped key gives it.
fn body(fields: &Fields) -> Value {
    let mut body = json!({
        "name": fields.text("name"),
        "tags": fields.lines("tags"),
        "expires_in_seconds": fields.days("days"),
    });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = body.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if let Some(signing_key) = fields.filled("signing_key") {
        put("signing_key", signing_key.into());
    }
    if let Some(key) = fields.filled("key") {
        put("key", key.into());
    }
    let subjects = ["publish_allow", "publish_deny", "subscribe_allow", "subscribe_deny", "words"];
    if subjects.iter().any(|name| fields.filled(name).is_some()) {
        put(
            "permissions",
            json!({
                "publish": { "allow": fields.lines("publish_allow"), "deny": fields.lines("publish_deny") },
                "subscribe": { "allow": fields.lines("subscribe_allow"), "deny": fields.lines("subscribe_deny") },
                "words": fields.lines("words"),
            }),
        );
    }
    let networks = fields.lines("networks");
    if !networks.is_empty() {
        put("source_networks", json!(networks));
    }
    if fields.is("bearer", "yes") {
        put("bearer", true.into());
    }
    body
}

/// `GET /console/accounts/{account}/users/{user}/revoke`
pub(super) async fn ask_revoke(
    caller: Caller,
    Id((key, user)): Id<(AccountKey, UserKey)>,
) -> Result<Response, Otherwise> {
    let body = Raw::of(&json!({ "user": user.to_string() }));
    let looked = v1::revocations::create(caller.clone().looking(), Id((key,)), body).await;
    let effect = outcome::effect(looked)?;
    let account = account::read(&caller, key).await?;
    let user = v1::users::get::get(caller.clone(), Id((key, user))).await?.into_body();
    let question = Question {
        title: format!("Revoke {}", user.name),
        text: "Its credentials are good no more, and its connections end.".to_owned(),
        button: "Revoke the user",
        action: format!("/console/accounts/{key}/users/{}/revoke", user.key),
        back: format!("/console/accounts/{key}/users/{}", user.key),
        version: account.version,
    };
    Ok(ask(&caller, question, effect))
}

/// `POST /console/accounts/{account}/users/{user}/revoke`
pub(super) async fn revoke(
    caller: Caller,
    Id((key, user)): Id<(AccountKey, UserKey)>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    caller.require(Right::ChangeAccount(&key))?;
    let asking = caller.once(fields.text("once")).of_version(fields.version()?);
    let body = Raw::of(&json!({ "user": user.to_string() }));
    outcome::done(v1::revocations::create(asking, Id((key,)), body).await)?;
    Ok(go(&format!("/console/accounts/{key}/users/{user}?done=revoked")))
}
