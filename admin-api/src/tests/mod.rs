//! The API from outside: requests into the router, a store on disk, a broker that does as it is told.

mod bodies;
mod console;
mod console_forms;
mod control;
mod fake;
mod issuing;
mod outbox;
mod problems;
mod recording;
mod rights;
mod secrets;
mod shares;
mod story;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use cordon_accounts::key::AccountKey;
use cordon_auth::clock::Clock;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::http::app::App;
use crate::http::router::router;
use crate::http::server::Peer;
use crate::issuing::push::Outbox;
use crate::issuing::{Act, Issuer};
use crate::ledger::{Ledger, Search, StoredEntry};
use crate::model::NewToken;
use crate::pki::Authority;
use crate::roles::RoleName;
use crate::store::Store;
use crate::vault::{KeySource, Vault};
use fake::FakeBroker;

/// 2026-05-28T20:26:40Z.
pub(crate) const NOW: i64 = 1_780_000_000;

/// One control plane, without sockets.
pub(crate) struct Rig {
    pub(crate) issuer: Issuer,
    pub(crate) broker: Arc<FakeBroker>,
    pub(crate) clock: Clock,
    router: Router,
    owner: String,
    folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body of an answer that must have this status.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The code of a problem.
    pub(crate) fn problem(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().trim_start_matches("urn:cordon:problem:").to_owned()
    }

    pub(crate) fn etag(&self) -> String {
        self.headers[header::ETAG].to_str().unwrap().to_owned()
    }
}

/// A request to be sent.
pub(crate) struct Ask {
    method: Method,
    path: String,
    token: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.parse().unwrap(), path: path.into(), token: None, headers: Vec::new(), body: None }
    }

    pub(crate) fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(body.to_string())
    }

    /// A form, as a page of the console sends it.
    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.body = Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish());
        self.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin")
    }

    pub(crate) fn text(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", "application/json")
    }
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let store = Store::open(folder.path().join("cordon.db").to_str().unwrap()).await.unwrap();
        let vault = Vault::open(&KeySource::File(folder.path().join("vault.key")), &store, NOW).await.unwrap();
        let ledger = Ledger::open(&store, &vault, None, NOW).await.unwrap();
        let authority = Arc::new(Authority::open_or_create(&folder.path().join("ca"), clock.clone()).unwrap());
        let issuer = Issuer::new(store, vault, clock.clone());
        let broker = Arc::new(FakeBroker::default());
        issuer.set_broker(broker.clone());
        let router = router(App::new(issuer.clone(), ledger, Some(authority)));
        let mut rig = Self { issuer, broker, clock, router, owner: String::new(), folder };
        rig.owner = rig.token(RoleName::Owner, vec![]).await;
        rig
    }

    /// A rig with one operator.
    pub(crate) async fn with_operator() -> Self {
        let rig = Self::new().await;
        rig.post("operators", json!({ "name": "main" })).await.expect(201);
        rig
    }

    /// A token of a role.
    pub(crate) async fn token(&self, role: RoleName, accounts: Vec<AccountKey>) -> String {
        let new = NewToken { name: role.text().to_owned(), role, accounts, expires_at: None, expires_in_seconds: None };
        self.issuer.create_token(&Act::local("test"), &new).await.unwrap().secret.unwrap()
    }

    pub(crate) async fn send(&self, ask: Ask) -> Got {
        let mut request = Request::builder().method(ask.method).uri(ask.path);
        if let Some(token) = ask.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(ask.body.map_or(Body::empty(), Body::from)).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::from(([192, 0, 2, 7], 1234))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Got { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Sends as the owner; the path is below the API's root.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Got {
        let mut ask = Ask::new(method, format!("/api/v1/{path}")).token(&self.owner);
        if matches!(method, "PUT" | "PATCH") {
            ask = ask.header("if-match", "*");
        }
        if let Some(body) = body {
            ask = ask.json(&body);
        }
        self.send(ask).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Got {
        self.call("POST", path, Some(body)).await
    }

    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// A new account; its key.
    pub(crate) async fn account(&self, name: &str) -> String {
        self.post("accounts", json!({ "name": name })).await.expect(201)["key"].as_str().unwrap().to_owned()
    }

    /// Everything in the ledger, oldest first.
    pub(crate) async fn entries(&self) -> Vec<StoredEntry> {
        let mut reader = self.issuer.store().read().await.unwrap();
        reader.ledger().search(&Search::default()).await.unwrap()
    }

    /// Tries what is in the outbox.
    pub(crate) async fn push(&self) {
        Outbox::new(self.issuer.clone(), self.broker.clone()).run_due().await.unwrap();
    }
}

/// Replaces keys, ids and times, which differ from run to run, so that the rest can be compared whole.
pub(crate) fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let hidden = matches!(
                    name.as_str(),
                    "request_id" | "jti" | "jwt" | "creds" | "secret" | "serial" | "fingerprint"
                );
                let value = if hidden && value.is_string() { json!("*") } else { masked(value) };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) if text.len() == 56 && cordon_accounts::key::PublicKey::parse(text).is_ok() => {
            json!(text.get(..1))
        }
        other => other.clone(),
    }
}
