//! What pages say for values. Templates call these by their path, so they take references.

use crate::model::{ImportState, Kind, PushView, ShareKind, ShareMode, ShareState, Template, Time, Token};
use crate::v1::ledger::entries::LedgerEntry;

/// Shown at the foot of every page.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether brokers have the present claims.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn push(push: &PushView) -> &'static str {
    match push {
        PushView::Confirmed => "confirmed by the brokers",
        PushView::Failed => "refused by a broker; tried again",
        PushView::None => "never pushed",
        PushView::Pending => "on the way to the brokers",
    }
}

/// What sort of export it is.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Service => "service",
        Kind::Stream => "stream",
    }
}

/// Whether an import works.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn import(state: &ImportState) -> &'static str {
    match state {
        ImportState::Refused => "refused",
        ImportState::Waiting => "waiting",
        ImportState::Working => "working",
    }
}

/// What is shared.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn shared(kind: &ShareKind) -> &'static str {
    match kind {
        ShareKind::Bucket => "bucket",
        ShareKind::Objects => "object store",
        ShareKind::Stream => "stream",
    }
}

/// What the partner may do.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn mode(mode: &ShareMode) -> &'static str {
    match mode {
        ShareMode::ReadOnly => "read",
        ShareMode::ReadWrite => "read and write",
    }
}

/// How far a share is.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn share(state: &ShareState) -> &'static str {
    match state {
        ShareState::Accepted => "in use",
        ShareState::Offered => "offered",
    }
}

/// Whether a token holds.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates pass references")]
pub(super) fn token(token: &Token, now: &Time) -> &'static str {
    if token.revoked_at.is_some() {
        "revoked"
    } else if token.expires_at.is_some_and(|expires| expires <= *now) {
        "expired"
    } else {
        "active"
    }
}

/// What a user may do: each list with its name.
pub(super) fn allowed(template: &Template) -> Vec<(&'static str, String)> {
    let permissions = &template.permissions;
    let list =
        |subjects: &[String], none: &str| if subjects.is_empty() { none.to_owned() } else { subjects.join("\n") };
    vec![
        ("May publish to", list(&permissions.publish.allow, "everything")),
        ("May not publish to", list(&permissions.publish.deny, "nothing is denied")),
        ("May subscribe to", list(&permissions.subscribe.allow, "everything")),
        ("May not subscribe to", list(&permissions.subscribe.deny, "nothing is denied")),
        ("Networks", list(&template.source_networks, "any")),
        ("Bearer", if template.bearer { "yes: the JWT alone suffices" } else { "no" }.to_owned()),
    ]
}

/// Creds as a link that a browser saves, without a script and without another request.
pub(super) fn download(creds: &str) -> String {
    format!("data:application/octet-stream;base64,{}", data_encoding::BASE64.encode(creds.as_bytes()))
}

/// What is kept of an entry besides.
pub(super) fn detail(entry: &LedgerEntry) -> String {
    entry.detail.as_ref().and_then(|detail| serde_json::to_string_pretty(detail).ok()).unwrap_or_default()
}
