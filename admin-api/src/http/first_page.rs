//! The first page: what this is, whether it is well, and where to go on. One file, no script, nothing
//! from elsewhere.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::app::App;
use crate::v1::health::{Health, look};

/// Styles are in the page; everything else is forbidden.
const POLICY: &str =
    "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.6rem;margin-bottom:0}code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6;border-radius:4px}\
code{padding:.1em .3em}pre{padding:.8em;overflow-x:auto}table{border-collapse:collapse}td,th{text-align:left;padding:.2em 1.2em .2em 0}\
.ok{color:#116329}.bad{color:#a40e26}@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}code,pre{background:#22262c}a{color:#7ab7ff}\
.ok{color:#57d38c}.bad{color:#ff8b94}}";

/// `GET /`
pub(super) async fn page(State(app): State<App>) -> Response {
    let health = look(&app).await;
    let mut response = (StatusCode::OK, html(&health)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    if let Ok(policy) = HeaderValue::from_str(&policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn policy() -> String {
    use sha2::{Digest as _, Sha256};
    let hash = data_encoding::BASE64.encode(&Sha256::digest(STYLE.as_bytes()));
    POLICY.replace("{hash}", &hash)
}

/// Everything in it is ours: no text of a caller or a broker is shown, so nothing needs escaping.
fn html(health: &Health) -> String {
    let row = |what: &str, good: bool, text: &str| {
        let class = if good { "ok" } else { "bad" };
        format!("<tr><th scope=\"row\">{what}</th><td class=\"{class}\">{text}</td></tr>")
    };
    let rows = [
        row("This server", health.status == "ok", &health.status),
        row("Store", health.store == "ok", &health.store),
        row("Broker", health.broker == "connected", &health.broker),
        row("Pushes that brokers have yet to confirm", health.pushes_pending == 0, &health.pushes_pending.to_string()),
    ]
    .concat();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>Cordon</title><style>{STYLE}</style></head><body>\
<h1>Cordon</h1><p>The control plane of a multi-tenant message broker that speaks the NATS protocol: it issues, changes, \
revokes, explains and audits access. Version {version}.</p>\
<h2>How it is</h2><table>{rows}</table>\
<h2>How to use it</h2><p>Every request under <code>/api/v1</code> carries a token: \
<code>Authorization: Bearer cdn_&hellip;</code>. The first start of <code>cordon serve</code> writes an owner&rsquo;s token to \
<code>admin-token</code> in its data folder; an owner makes further ones, each with a role and an end:</p>\
<pre>curl --cacert ca/ca.pem -H \"Authorization: Bearer $(cat admin-token)\" \\\n  -H 'Content-Type: application/json' \\\n  \
-d '{{\"name\":\"ci\",\"role\":\"operator_admin\",\"expires_in_seconds\":2592000}}' \\\n  https://localhost:8443/api/v1/tokens</pre>\
<ul><li><a href=\"/console\">The console</a>: accounts, users, shares, connections and the ledger in a browser</li>\
<li><a href=\"/openapi.json\">openapi.json</a>: every route, request and answer</li>\
<li><a href=\"/api/v1/health\">/api/v1/health</a>: the table above for machines</li>\
<li><code>/api/v1/whoami</code>: what your token may do</li>\
<li><code>cordon --help</code>: the same from the command line</li></ul></body></html>",
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_carries_no_script_and_loads_nothing() {
        let health = Health {
            status: "ok".into(),
            version: "0".into(),
            store: "ok".into(),
            broker: "none".into(),
            pushes_pending: 0,
        };
        let page = html(&health);
        for forbidden in ["<script", "javascript:", "src=", "http-equiv", "onclick", "style=", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("/openapi.json"));
        assert!(policy().contains("style-src 'sha256-"));
        assert!(!policy().contains("unsafe"));
    }
}
