//! The admin API, as a program uses it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use reqwest::header::HeaderMap;
use reqwest::{Certificate, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::tls;
use crate::wait::until;

/// A caller of the admin API: a token, over HTTPS.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    root: String,
    token: String,
}

/// An answer, with its body read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Api {
    /// A caller with this token.
    pub fn new(address: SocketAddr, ca: &Path, token: &str) -> Self {
        tls::install_provider();
        let ca = Certificate::from_pem(&fs::read(ca).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([ca]).timeout(crate::wait::PATIENCE).build().unwrap();
        Self { http, root: format!("https://{address}"), token: token.to_owned() }
    }

    /// The same API with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request to a path below `/api/v1/`, to be completed by the caller.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1/{path}", self.root)).bearer_auth(&self.token)
    }

    /// A page outside `/api/v1`, without a token.
    pub async fn page(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.root))).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// PUT of whatever version there is.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).header("if-match", "*").json(body)).await
    }

    /// PATCH of whatever version there is.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).header("if-match", "*").json(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Sends a completed request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// As [`Api::send`].
    ///
    /// # Errors
    ///
    /// When no complete answer came.
    pub async fn try_send(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let told = format!("{} {}", request.method(), request.url());
        let answer = self.http.execute(request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { request: told, status, headers, text, body })
    }

    /// Every item of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut next = format!("{path}{joint}limit=250");
        loop {
            let page = self.get(&next).await.ok(200);
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(cursor) => next = format!("{path}{joint}limit=250&after={}", escape(cursor)),
                None => return items,
            }
        }
    }

    /// Waits until the brokers have confirmed everything that was changed.
    pub async fn settle(&self) {
        until("every push is confirmed", async || {
            let health = self.get("health").await.ok(200);
            (health["broker"] == "connected" && health["pushes_pending"] == 0).then_some(())
        })
        .await;
    }

    /// Waits for a ledger entry that the query finds and that `fits`.
    pub async fn ledger_entry(&self, query: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until(format!("a ledger entry of {query}"), async || {
            self.list(&format!("ledger/entries?{query}")).await.into_iter().find(|entry| fits(entry))
        })
        .await
    }
}

impl Answer {
    /// The body, when the status is this one.
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.request, self.text);
        self.body
    }

    /// The problem, when it is this one.
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.request, self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.request);
        assert_eq!(self.body["type"], format!("urn:cordon:problem:{code}"), "{}: {}", self.request, self.text);
        for field in ["title", "detail", "remedy", "request_id"] {
            assert!(
                self.body[field].as_str().is_some_and(|text| !text.is_empty()),
                "{}: no `{field}` in {}",
                self.request,
                self.text
            );
        }
        self.body
    }

    /// The version of the object.
    pub fn etag(&self) -> &str {
        self.headers.get("etag").unwrap_or_else(|| panic!("{}: no ETag", self.request)).to_str().unwrap()
    }
}

/// A text as it stands in a query.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
