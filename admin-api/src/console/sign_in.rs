//! Signing in with an API token, and out.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::fields::{Fields, Wanted};
use super::page::{Frame, go, html, ok};
use super::{ROOT, session};
use crate::http::Refusal;
use crate::http::app::App;
use crate::http::caller::{Caller, Sender, of_text};
use crate::http::etag::Precondition;
use crate::http::reply::Otherwise;
use crate::issuing::Act;
use crate::ledger::{Actor, ActorKind};
use crate::problem::{Code, Problem};
use crate::roles::Right;

/// What a sign-in is in the ledger.
pub(super) const KIND: &str = "console.sign_in";

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn {
    frame: Frame,
    said: &'static str,
    bad: bool,
}

/// `GET /console/sign-in`
pub(super) async fn page(Extension(sender): Extension<Sender>, Wanted(asked): Wanted) -> Response {
    if sender.session.is_some() {
        return go(ROOT);
    }
    let said = match asked.text("why") {
        "ended" => "Your session has ended. Sign in again to go on.",
        "out" => "You are signed out.",
        _ => "",
    };
    ok(&SignIn { frame: Frame::bare("Sign in"), said, bad: false })
}

/// The sign-in, after a token that does not hold. It never says why.
pub(super) fn refused() -> Response {
    let said = "This token does not hold. Check that it is whole and not expired or revoked.";
    let mut response = html(StatusCode::UNAUTHORIZED, &SignIn { frame: Frame::bare("Sign in"), said, bad: true });
    response.extensions_mut().remove::<Problem>();
    response
}

/// `POST /console/sign-in`
pub(super) async fn enter(
    State(app): State<App>,
    Extension(sender): Extension<Sender>,
    fields: Fields,
) -> Result<Response, Otherwise> {
    let (row, known) = match of_text(&app, fields.text("token")).await? {
        Ok(found) => found,
        Err(stranger) => {
            let mut response = Problem::new(Code::Unauthenticated, "the token does not hold").into_response();
            response.extensions_mut().insert(Refusal {
                kind: KIND,
                reason: stranger.reason(),
                actor: Some(stranger.actor()),
            });
            return Ok(response);
        }
    };
    let act = Act {
        actor: Actor::new(ActorKind::Person, row.id.clone()).in_role(known.role.name.text()),
        source_ip: sender.source_ip,
        request_id: Some(sender.request_id.clone()),
        idempotency: None,
        precondition: Precondition::Any,
        dry_run: false,
    };
    let before = sender.session.as_ref().map(|session| session.id.as_str());
    let opened = app.issuer().open_console_session(&act, &row, before).await?;
    let mut response = go(ROOT);
    response.headers_mut().insert(header::SET_COOKIE, session::given(&opened));
    Ok(response)
}

/// `POST /console/sign-out`
pub(super) async fn leave(caller: Caller) -> Result<Response, Otherwise> {
    caller.require(Right::AnyToken)?;
    if let Some(session) = caller.session() {
        caller.app.issuer().end_console_session(&caller.changing()?, &session.id).await?;
    }
    let mut response = go("/console/sign-in?why=out");
    response.headers_mut().insert(header::SET_COOKIE, session::taken());
    Ok(response)
}
