//! What a change would do, before it is made.

use askama::Template;
use axum::response::Response;

use super::page::{Frame, ok, once};
use crate::http::caller::Caller;
use crate::model::Effect;

/// A change that waits for its confirmation.
#[derive(Template)]
#[template(path = "console/confirm.html")]
pub(super) struct Confirm {
    frame: Frame,
    /// What is going to happen, in a sentence.
    text: String,
    effect: Effect,
    /// Where the form goes.
    action: String,
    /// The version that it was asked for; zero for none.
    version: i64,
    once: String,
    button: &'static str,
    back: String,
}

/// What is asked.
pub(super) struct Question {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) button: &'static str,
    pub(super) action: String,
    pub(super) back: String,
    pub(super) version: i64,
}

/// The page that asks.
pub(super) fn ask(caller: &Caller, question: Question, effect: Effect) -> Response {
    let Question { title, text, button, action, back, version } = question;
    ok(&Confirm { frame: Frame::of(caller, title), text, effect, action, version, once: once(), button, back })
}
