//! The cookie of a session, and what stands behind it.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::app::App;
use crate::http::caller::{KnownToken, Stranger, of_row};
use crate::issuing::console_sessions::{OpenedSession, form_token, hash, holds};
use crate::limits::CONSOLE_SESSION_SECONDS;
use crate::store::{ConsoleSessionRow, StoreError};

/// The cookie. Its prefix makes browsers refuse it from plain text, from another host, and for part of the paths.
const COOKIE: &str = "__Host-cordon";

/// How seldom the use of a session is noted, in seconds. A session may end by so much too early, never too late.
const TOUCH_SECONDS: i64 = 30;

/// A session that holds now.
#[derive(Clone)]
pub(crate) struct OpenSession {
    /// Its id, which is no secret.
    pub(crate) id: String,
    /// What every form of it carries.
    pub(crate) form_token: String,
}

impl std::fmt::Debug for OpenSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("OpenSession").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Who sends this, by the token and the session behind its cookie.
type Found = (Result<Arc<KnownToken>, Stranger>, Option<Arc<OpenSession>>);

/// Looks the session of these headers up. It holds as long as its token does, and no longer.
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Found, StoreError> {
    let Some(secret) = cookie(headers) else { return Ok((Err(Stranger::SessionMissing), None)) };
    let Some(hash) = hash(secret) else { return Ok((Err(Stranger::SessionUnknown), None)) };
    let mut reader = app.issuer().store().read().await?;
    let Some(row) = reader.console_sessions().lookup_by_hash(&hash).await? else {
        return Ok((Err(Stranger::SessionUnknown), None));
    };
    let Some(token) = reader.tokens().lookup(&row.token).await? else {
        return Ok((Err(Stranger::SessionUnknown), None));
    };
    drop(reader);
    let now = app.issuer().now();
    if !holds(&row, now) {
        return Ok((Err(Stranger::SessionEnded { id: token.id }), None));
    }
    match of_row(app, &token).await {
        Err(stranger) => Ok((Err(stranger), None)),
        Ok(known) => {
            touch(app, &row, now).await;
            let session = OpenSession { id: row.id, form_token: form_token(secret) };
            Ok((Ok(known), Some(Arc::new(session))))
        }
    }
}

async fn touch(app: &App, row: &ConsoleSessionRow, now: i64) {
    if now - row.last_used_at < TOUCH_SECONDS {
        return;
    }
    let noted = async {
        let mut unit = app.issuer().store().begin("console.touch").await?;
        unit.console_sessions().touch(&row.id, now).await?;
        unit.save(Vec::new()).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "the use of a session could not be noted");
    }
}

/// The value of our cookie, if there is exactly one.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut ours = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == COOKIE).then_some(value));
    let value = ours.next()?;
    ours.next().is_none().then_some(value)
}

/// Whether the browser sent a cookie of ours, good or not.
pub(super) fn has_cookie(stranger: &Stranger) -> bool {
    *stranger != Stranger::SessionMissing
}

/// The header that gives the browser its session.
pub(super) fn given(opened: &OpenedSession) -> HeaderValue {
    line(&opened.secret, CONSOLE_SESSION_SECONDS)
}

/// The header that takes it away.
pub(super) fn taken() -> HeaderValue {
    line("", 0)
}

fn line(value: &str, seconds: i64) -> HeaderValue {
    let text = zeroize::Zeroizing::new(format!(
        "{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
    ));
    let mut line = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    line.set_sensitive(true);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_of_ours_counts_and_two_are_none() {
        for (lines, found) in [
            (&["__Host-cordon=abc"][..], Some("abc")),
            (&["other=1; __Host-cordon=abc; x=y"][..], Some("abc")),
            (&["other=1", "__Host-cordon=abc"][..], Some("abc")),
            (&["__Host-cordon=abc; __Host-cordon=def"][..], None),
            (&["__Host-cordon=abc", "__Host-cordon=def"][..], None),
            (&["cordon=abc", "x__Host-cordon=abc", "__host-cordon=abc"][..], None),
            (&["__Host-cordon"][..], None),
            (&[][..], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(cookie(&headers), found, "{lines:?}");
        }
    }
}
