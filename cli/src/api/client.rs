//! Requests to the admin API and what their answers mean for a command.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::output::printable;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Items asked for at once.
const PAGE: u32 = 250;
/// The longest answer that is read whole, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A client of the admin API.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: SecretString,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Which version of an object a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Whatever is there.
    Any,
    /// The one that was read.
    Read(String),
}

/// An object and its version.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) body: Value,
    pub(crate) version: Version,
}

impl Api {
    /// A client of the API at `base`, trusting `ca` alone, or the usual authorities without it.
    pub(crate) fn new(base: &str, ca: Option<&Path>, token: SecretString) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("cordon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(ca) = ca {
            let pem = crate::files::read(ca)?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .with_context(|| format!("`{}` holds no CA certificate", ca.display()))?;
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().context("TLS cannot be set up")?;
        Ok(Self { http, base: format!("{base}/api/v1"), token })
    }

    /// One object, or whatever the path gives.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.read(path).await?.body)
    }

    /// One object with its version, to be changed.
    pub(crate) async fn read(&self, path: &str) -> anyhow::Result<Read> {
        let response = self.send(self.request(Method::GET, path)).await?;
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let version = tag.map_or(Version::Any, |tag| Version::Read(tag.to_owned()));
        Ok(Read { body: value(response).await?, version })
    }

    /// An answer that is text and not JSON.
    pub(crate) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.send(self.request(Method::GET, path)).await?;
        String::from_utf8(bytes(response).await?).context("the admin API answered with something that is not text")
    }

    /// An answer of any length, piece by piece.
    pub(crate) async fn stream(&self, path: &str) -> anyhow::Result<Response> {
        // The time for a whole answer does not apply to one that may be long.
        let request = self.request(Method::GET, path).timeout(Duration::from_hours(1));
        self.send(request).await
    }

    /// All items of a list. `limit` ends it early.
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> anyhow::Result<Vec<Value>> {
        let most = limit.unwrap_or(usize::MAX);
        let mut items: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = u32::try_from(most.saturating_sub(items.len())).unwrap_or(PAGE).min(PAGE);
            let mut query = query.to_vec();
            query.push(("limit", page.to_string()));
            query.extend(after.clone().map(|after| ("after", after)));
            let mut body = value(self.send(self.asking(Method::GET, path, &query)).await?).await?;
            let Some(Value::Array(found)) = body.get_mut("items").map(Value::take) else {
                bail!("the admin API answered without `items`; is {} really the admin API of Cordon?", self.base);
            };
            items.extend(found);
            let next = body.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == after || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
            after = next;
        }
    }

    /// Makes something.
    pub(crate) async fn post(&self, path: &str, body: &Value, dry_run: bool) -> anyhow::Result<Value> {
        value(self.send(self.asking(Method::POST, path, &dry(dry_run)).json(body)).await?).await
    }

    /// Asks for something without a body.
    pub(crate) async fn post_empty(&self, path: &str, dry_run: bool) -> anyhow::Result<Value> {
        value(self.send(self.asking(Method::POST, path, &dry(dry_run))).await?).await
    }

    /// Changes some fields.
    pub(crate) async fn patch(&self, path: &str, body: &Value, dry_run: bool) -> anyhow::Result<Value> {
        let request = self.asking(Method::PATCH, path, &dry(dry_run)).header(header::IF_MATCH, "*").json(body);
        value(self.send(request).await?).await
    }

    /// Replaces something.
    pub(crate) async fn put(
        &self,
        path: &str,
        body: &Value,
        version: &Version,
        dry_run: bool,
    ) -> anyhow::Result<Value> {
        let tag = match version {
            Version::Any => "*",
            Version::Read(tag) => tag,
        };
        let request = self.asking(Method::PUT, path, &dry(dry_run)).header(header::IF_MATCH, tag).json(body);
        value(self.send(request).await?).await
    }

    /// Removes something; the effect alone, if only that is wanted.
    pub(crate) async fn delete(&self, path: &str, query: &[(&str, String)], dry_run: bool) -> anyhow::Result<Value> {
        let query: Vec<_> = query.iter().cloned().chain(dry(dry_run)).collect();
        value(self.send(self.asking(Method::DELETE, path, &query)).await?).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base)).bearer_auth(self.token.expose_secret())
    }

    fn asking(&self, method: Method, path: &str, query: &[(&str, String)]) -> RequestBuilder {
        if query.is_empty() {
            return self.request(method, path);
        }
        let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.request(method, &format!("{path}?{}", pairs.join("&")))
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        // A health report is an answer, whatever it says.
        let is_health = status == StatusCode::SERVICE_UNAVAILABLE && response.url().path().ends_with("/health");
        if status.is_success() || is_health {
            return Ok(response);
        }
        let body = bytes(response).await?;
        bail!("{}", problem(status, &body));
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let what_to_do = if error.is_timeout() {
            "it took too long; look at its log, then try again"
        } else if cause.to_string().contains("certificate") {
            "give the CA that signed its certificate with --ca, and a host name that the certificate is for with --url"
        } else {
            "is it running, and is --url right?"
        };
        anyhow::anyhow!("the admin API at {} cannot be reached: {cause}; {what_to_do}", self.base)
    }
}

fn dry(dry_run: bool) -> Vec<(&'static str, String)> {
    if dry_run { vec![("dry_run", "true".to_owned())] } else { Vec::new() }
}

/// The value as it may stand in a query (RFC 3986: unreserved characters as they are).
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _never_fails = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

async fn value(response: Response) -> anyhow::Result<Value> {
    let body = bytes(response).await?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).context("the admin API answered with something that is not JSON; is --url right?")
}

async fn bytes(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.context("the answer of the admin API broke off")? {
        anyhow::ensure!(body.len() + piece.len() <= ANSWER_BYTES_MAX, "the answer of the admin API is too long");
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A problem as people read it: what, where, and what to do.
fn problem(status: StatusCode, body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else {
        return format!("the admin API answered {status}; is --url right?");
    };
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(printable).filter(|text| !text.is_empty());
    let mut told = text("detail").or_else(|| text("title")).unwrap_or_else(|| status.to_string());
    if let Some(field) = text("field") {
        told = format!("{told} (in `{field}`)");
    }
    if let Some(remedy) = text("remedy") {
        told.push_str("\n  what to do: ");
        told.push_str(&remedy);
    }
    if status.is_server_error()
        && let Some(id) = text("request_id")
    {
        told.push_str("\n  request id: ");
        told.push_str(&id);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let body = br#"{"type":"urn:cordon:problem:invalid","title":"t","status":422,"detail":"`-1` is no limit","field":"limits.connections","remedy":"use null","request_id":"r1"}"#;
        let text = problem(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(text, "`-1` is no limit (in `limits.connections`)\n  what to do: use null");
    }

    #[test]
    fn our_own_failures_carry_the_request_id() {
        let body = br#"{"title":"something failed","detail":"","remedy":"try again","request_id":"r9"}"#;
        let text = problem(StatusCode::INTERNAL_SERVER_ERROR, body);
        assert_eq!(text, "something failed\n  what to do: try again\n  request id: r9");
    }

    #[test]
    fn something_else_on_that_port_is_told_as_such() {
        assert!(problem(StatusCode::BAD_GATEWAY, b"<html>").contains("--url"));
        assert!(problem(StatusCode::BAD_REQUEST, b"{}").contains("400"));
    }

    #[test]
    fn query_values_cannot_become_further_parameters() {
        assert_eq!(encoded("a b&state=deleted#/ü*"), "a%20b%26state%3Ddeleted%23%2F%C3%BC%2A");
        assert_eq!(encoded("aZ09-._~"), "aZ09-._~");
    }

    #[test]
    fn the_token_is_not_shown() {
        crate::tls::install_provider();
        let api = Api::new("https://localhost", None, SecretString::from("cdn_secret".to_owned())).unwrap();
        assert!(!format!("{api:?}").contains("secret"));
    }
}
