//! What stands before every form: it comes from a page of ours, in a session of ours, with that session's form token.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::SIGN_IN;
use super::fields::Fields;
use crate::http::Refusal;
use crate::http::caller::Sender;
use crate::limits::FORM_BYTES_MAX;
use crate::problem::{Code, Problem};

/// Longest form of somebody who is not signed in.
const SIGN_IN_BYTES_MAX: usize = 4096;

/// Lets reading pass, and of what changes something only forms of our own pages.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match admitted(&parts, body).await {
        Err(refused) => *refused,
        Ok(fields) => {
            parts.extensions.insert(fields);
            next.run(Request::from_parts(parts, Body::empty())).await
        }
    }
}

async fn admitted(parts: &Parts, body: Body) -> Result<Fields, Box<Response>> {
    let signing_in = parts.uri.path() == SIGN_IN;
    let session = parts.extensions.get::<Sender>().and_then(|sender| sender.session.clone());
    if session.is_none() && !signing_in {
        return Err(Box::new(
            Problem::new(Code::Unauthenticated, "the form was sent without a session that holds").into_response(),
        ));
    }
    if !comes_from_our_page(parts) {
        return Err(Box::new(forged("cross_site", "the form was not sent by a page of this console")));
    }
    let most = if signing_in { SIGN_IN_BYTES_MAX } else { FORM_BYTES_MAX };
    let fields = read(&parts.headers, body, most).await.map_err(|problem| Box::new(problem.into_response()))?;
    if let Some(session) = session.filter(|_| !signing_in) {
        let shown = fields.text("form_token").as_bytes();
        if !bool::from(shown.ct_eq(session.form_token.as_bytes())) {
            return Err(Box::new(forged("form_token", "the form does not carry the token of this session")));
        }
    }
    Ok(fields)
}

async fn read(headers: &HeaderMap, body: Body, most: usize) -> Result<Fields, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::new(Code::UnsupportedMediaType, "the body is not a form"));
    }
    let bytes = axum::body::to_bytes(body, most)
        .await
        .map_err(|_| Problem::new(Code::BodyTooLarge, format!("the form is longer than {most} bytes, or broke off")))?;
    Ok(Fields::parse(&bytes))
}

/// Browsers say where a request comes from in `Sec-Fetch-Site`, older ones in `Origin`. One of the two must say "here";
/// since our pages send no referrer, `Origin` may be `null` where the other one speaks.
fn comes_from_our_page(parts: &Parts) -> bool {
    let one = |name: &str| {
        let mut values = parts.headers.get_all(name).iter();
        let first = values.next().map(|value| value.to_str().unwrap_or("?"));
        if values.next().is_some() { Some("?") } else { first }
    };
    let host = parts.uri.authority().map(ToString::to_string).or_else(|| one("host").map(str::to_owned));
    let here = |origin: &str| {
        let place = origin.strip_prefix("https://");
        host.as_deref().is_some_and(|host| place.is_some_and(|place| place.eq_ignore_ascii_case(host)))
    };
    match (one("sec-fetch-site"), one("origin")) {
        (Some("same-origin"), None | Some("null")) => true,
        (Some("same-origin") | None, Some(origin)) => here(origin),
        _ => false,
    }
}

fn forged(reason: &'static str, detail: &str) -> Response {
    let mut response = Problem::new(Code::Forbidden, detail).into_response();
    response.extensions_mut().insert(Refusal { kind: "api.refused", reason, actor: None });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_send_forms() {
        for (site, origin, good) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), Some("https://cordon.example:8443"), true),
            (Some("same-origin"), Some("https://evil.example"), false),
            (None, Some("https://Cordon.example:8443"), true),
            (None, Some("https://cordon.example"), false),
            (None, Some("http://cordon.example:8443"), false),
            (None, Some("https://cordon.example:8443.evil.example"), false),
            (None, Some("null"), false),
            (None, None, false),
            (Some("same-site"), Some("https://cordon.example:8443"), false),
            (Some("cross-site"), None, false),
            (Some("none"), None, false),
            (Some(""), None, false),
        ] {
            let mut request = Request::builder().method("POST").uri("/console/x").header("host", "cordon.example:8443");
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(comes_from_our_page(&parts), good, "{site:?} {origin:?}");
        }
        let twice =
            Request::builder().uri("/").header("host", "h").header("origin", "https://h").header("origin", "https://h");
        assert!(!comes_from_our_page(&twice.body(()).unwrap().into_parts().0));
    }
}
