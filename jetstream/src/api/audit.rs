//! What an account is told of requests to it (jetstream.md 1.3, 7.2): who asked what, and the answer.

use serde_json::json;

use super::Request;
use crate::account::Account;
use crate::stream::advisory::{About, publish};

/// Most bytes of a request or an answer that are told.
const TOLD_MAX: usize = 64 * 1024;

/// Tells of a request, if somebody listens.
pub(super) fn tell(account: &Account, request: &Request<'_>, response: &[u8]) {
    let settings = account.settings();
    let place = About { domain: settings.domain.as_deref(), now: account.setup.clock.unix_nanos() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..TOLD_MAX).unwrap_or(bytes)).into_owned();
    publish(&place, &*account.setup.port, "ADVISORY.API", "api_audit", || {
        json!({
            "server": settings.server,
            "client": request.client,
            "subject": request.subject,
            "request": text(request.payload),
            "response": text(response),
        })
    });
}
