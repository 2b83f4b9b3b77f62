//! What surrounds every request: its id, its sender, its time limit, the headers of its answer, and the
//! ledger entry when it is refused.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use cordon_accounts::key::AccountKey;
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::app::App;
use super::caller::{Sender, Stranger, identify};
use super::server::Peer;
use crate::console;
use crate::issuing::IssueError;
use crate::ledger::{Actor, Entry, Reference};
use crate::limits::REQUEST_TIME_MAX;
use crate::problem::{Code, Problem};

/// Headers of every answer. Pages set a wider policy of their own before these are added.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Characters of a path that a ledger entry keeps: strangers choose it, and the ledger grows for good.
const PATH_MAX: usize = 256;

/// What a request was, for its ledger entry.
struct Asked {
    method: Method,
    path: String,
}

/// What a refusal is written down as, where the handler knows better than its problem. In the answer's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The entry's kind.
    pub(crate) kind: &'static str,
    /// The entry's reason.
    pub(crate) reason: &'static str,
    /// Who was refused, if it is not the sender.
    pub(crate) actor: Option<Actor>,
}

/// Runs a request.
pub(super) async fn enter(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let request_id = nuid::next().to_string();
    let asked = Asked { method: request.method().clone(), path: request.uri().path().chars().take(PATH_MAX).collect() };
    let source_ip = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let span = tracing::info_span!("request", id = %request_id, method = %asked.method, path = %asked.path);
    let run = async {
        let found = if console::covers(&asked.path) {
            console::identify(&app, request.headers()).await
        } else {
            identify(&app, request.headers()).await.map(|token| (token, None))
        };
        let (token, session) = match found {
            Ok(found) => found,
            Err(error) => return (None, store_failed(error)),
        };
        let sender = Sender { token, session, source_ip, request_id: request_id.clone() };
        request.extensions_mut().insert(sender.clone());
        let response = answered(request, next).await;
        tracing::debug!(status = response.status().as_u16(), "answered");
        (Some(sender), response)
    };
    let (sender, response) = run.instrument(span).await;
    let response = match &sender {
        Some(sender) => witnessed(&app, sender, &asked, response).await,
        None => response,
    };
    let response =
        if console::covers(&asked.path) { console::shown(response, sender.as_ref(), &request_id) } else { response };
    finished(response, &request_id)
}

fn store_failed(error: crate::store::StoreError) -> Response {
    match IssueError::Store(error).into_problem() {
        Ok(problem) => problem.into_response(),
        Err(other) => Problem::internal(&other).into_response(),
    }
}

/// The handler's answer, or what stands for it when it took too long or panicked.
async fn answered(request: Request, next: Next) -> Response {
    let handling = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(REQUEST_TIME_MAX, handling).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::internal(&"a handler panicked").into_response(),
        Err(_) => Problem::new(Code::Timeout, "the request was not done in 30 seconds").into_response(),
    }
}

/// Writes the ledger entry of a refusal before the caller hears of it. Without it there is no answer but
/// "the store failed": refusals that nobody sees would be an attacker's best cover.
async fn witnessed(app: &App, sender: &Sender, asked: &Asked, response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let refusal = response.extensions().get::<Refusal>().cloned();
    let (kind, reason, actor) = match (refusal, problem.code, &sender.token) {
        (Some(refusal), ..) => (refusal.kind, refusal.reason, refusal.actor),
        // Whoever comes to the console for the first time has no session yet, and is sent to the sign-in.
        (None, Code::Unauthenticated, Err(Stranger::SessionMissing)) if asked.method.is_safe() => return response,
        (None, Code::Unauthenticated, Err(stranger)) => ("api.refused", stranger.reason(), None),
        (None, Code::Forbidden | Code::Unauthenticated, _) => ("api.refused", problem.code.name(), None),
        _ => return response,
    };
    let now = app.issuer().now();
    let mut entry = Entry::refused(kind, reason, actor.unwrap_or_else(|| sender.actor()), now)
        .from_address(sender.source_ip)
        .on_object(format!("{:.16} {}", asked.method.as_str(), asked.path))
        .referring_to(Reference::Request(sender.request_id.clone()));
    entry.account = account_in(&asked.path);
    let token = sender.token.as_ref().ok().map(|token| token.id.as_str());
    let entries = app.refusals().admit(entry, token, now);
    if entries.is_empty() {
        return response;
    }
    let written = async { app.issuer().store().begin("api.refused").await?.save(entries).await };
    match written.await {
        Ok(_) => response,
        Err(error) => store_failed(error),
    }
}

/// The account that a path is about.
fn account_in(path: &str) -> Option<AccountKey> {
    let mut segments = path.split('/').skip_while(|segment| *segment != "accounts");
    segments.nth(1).and_then(|key| AccountKey::parse(key).ok())
}

fn finished(response: Response, request_id: &str) -> Response {
    let mut response = match response.extensions().get::<Problem>().cloned() {
        None => response,
        Some(problem) => {
            let (mut parts, _) = response.into_parts();
            let (fresh, body) = problem.respond(request_id).into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.extend(fresh.headers);
            Response::from_parts(parts, body)
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    response
}
