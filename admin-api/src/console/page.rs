//! What all pages have in common: frame, headers, and the page of a problem.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::{SIGN_IN, session, sign_in};
use crate::http::Refusal;
use crate::http::caller::{Caller, KnownToken, Sender};
use crate::problem::{Code, Problem};
use crate::roles::Right;

/// Everything a page loads is a file of ours; no page is shown inside another, and no form is sent elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Items on one page of a list.
pub(super) const PAGE_ITEMS: u32 = 50;

/// What surrounds the main part of a page.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) who: Option<Who>,
    pub(super) form_token: String,
    pub(super) notice: &'static str,
}

/// Who is signed in.
pub(super) struct Who {
    pub(super) name: String,
    pub(super) role: &'static str,
    pub(super) reads_tokens: bool,
}

impl Who {
    fn of(token: &KnownToken) -> Self {
        Self {
            name: token.name.clone(),
            role: token.role.name.text(),
            reads_tokens: token.role.covers(Right::ReadTokens),
        }
    }
}

impl Frame {
    /// The frame of a page for this caller.
    pub(super) fn of(caller: &Caller, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            who: Some(Who::of(&caller.token)),
            form_token: caller.form_token().to_owned(),
            notice: "",
        }
    }

    /// The frame of a page for anybody.
    pub(super) fn bare(title: &str) -> Self {
        Self { title: title.to_owned(), who: None, form_token: String::new(), notice: "" }
    }

    /// With what was just done. Only these sentences are shown, whatever a link says.
    pub(super) fn noting(mut self, done: &str) -> Self {
        self.notice = match done {
            "suspended" => "The account is suspended.",
            "resumed" => "The account is in use again.",
            "revoked" => "The user is revoked.",
            "offered" => "The share is offered.",
            "accepted" => "The share is taken up.",
            "ended" => "The share is ended.",
            "kicked" => "The connection is ended.",
            _ => "",
        };
        self
    }
}

/// A page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Response {
    let text = match page.render() {
        Ok(text) => text,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page of what exists.
pub(super) fn ok(page: &impl Template) -> Response {
    html(StatusCode::OK, page)
}

/// On to another page of ours, after a form was done.
pub(super) fn go(place: &str) -> Response {
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static(super::ROOT));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// A key that makes a form be done once, however often it is sent.
pub(super) fn once() -> String {
    nuid::next().to_string()
}

#[derive(Template)]
#[template(path = "console/problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    problem: &'a Problem,
    advice: &'a str,
    request_id: &'a str,
}

/// What to do about a problem, for somebody at a browser. The API's own advice speaks of headers and paths.
pub(super) fn advice(problem: &Problem) -> &str {
    match problem.code {
        Code::Conflict => {
            problem.remedy.as_deref().unwrap_or("Bring it into the state that is asked for, and try again.")
        }
        Code::ImportRefused | Code::SeedUnavailable => problem.remedy.as_deref().unwrap_or(problem.code.remedy()),
        Code::Forbidden => "Sign in with a token whose role and accounts cover this.",
        Code::IdempotencyMismatch => "Open the form again and send it once.",
        Code::ClaimsInvalid | Code::Invalid => "Correct what is named.",
        Code::NotFound | Code::MethodNotAllowed => "Look for it in the list of accounts.",
        Code::PreconditionFailed | Code::PreconditionRequired => {
            "Somebody changed it meanwhile. Open it again, look at it, and decide anew."
        }
        Code::TooManyRequests | Code::Timeout | Code::StoreUnavailable | Code::BrokerUnavailable => {
            "Try again in a moment."
        }
        Code::BodyTooLarge | Code::UnsupportedMediaType => "Send the form as it is, with less in it.",
        Code::Internal | Code::Unauthenticated => {
            "Try again; if it stays, give the request's id to whoever runs this server."
        }
    }
}

/// The answer as somebody at a browser gets it: problems are pages, and without a session there is the sign-in.
pub(crate) fn shown(mut response: Response, sender: Option<&Sender>, request_id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let refusal = response.extensions_mut().remove::<Refusal>();
    if problem.code == Code::Unauthenticated {
        if refusal.is_some_and(|refusal| refusal.kind == sign_in::KIND) {
            return sign_in::refused();
        }
        let sent = sender.is_some_and(|sender| sender.token.as_ref().is_err_and(session::has_cookie));
        let mut response = go(if sent { "/console/sign-in?why=ended" } else { SIGN_IN });
        if sent {
            response.headers_mut().insert(header::SET_COOKIE, session::taken());
        }
        return response;
    }
    let mut frame = Frame::bare("This did not work");
    if let Some(sender) = sender
        && let (Ok(token), Some(session)) = (&sender.token, &sender.session)
    {
        frame.who = Some(Who::of(token));
        frame.form_token.clone_from(&session.form_token);
    }
    let page = ProblemPage { frame, problem: &problem, advice: advice(&problem), request_id };
    let mut shown = html(problem.code.status(), &page);
    // A page of a problem that cannot be shown would be a problem again.
    shown.extensions_mut().remove::<Problem>();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            shown.headers_mut().insert(name, value.clone());
        }
    }
    shown
}
