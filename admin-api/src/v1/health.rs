//! `GET /api/v1/health`: is it well? For anyone, so it says nothing that helps an attacker.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::reply::Reply;
use crate::problem::Problems;
use crate::store::PushState;

/// How the control plane is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` when something is missing.
    pub status: String,
    /// The version of this server.
    pub version: String,
    /// `ok` or `down`.
    pub store: String,
    /// `connected`, `disconnected`, or `none` when there is no broker to connect to.
    pub broker: String,
    /// Pushes that brokers have yet to confirm.
    pub pushes_pending: u64,
}

/// Looks.
pub(crate) async fn look(app: &App) -> Health {
    let pending = async {
        let mut reader = app.issuer().store().read().await?;
        reader.pushes().count(PushState::Pending).await
    };
    let pending = pending.await;
    let broker = match app.issuer().broker() {
        None => "none",
        Some(broker) if broker.is_connected() => "connected",
        Some(_) => "disconnected",
    };
    let well = pending.is_ok() && broker != "disconnected";
    Health {
        status: if well { "ok" } else { "degraded" }.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: if pending.is_ok() { "ok" } else { "down" }.to_owned(),
        broker: broker.to_owned(),
        pushes_pending: pending.unwrap_or_default(),
    }
}

/// How the control plane is.
///
/// Needs no token. 503 when the store is down.
#[utoipa::path(get, path = "/api/v1/health", tag = "installation", responses((status = 200, body = Health), (status = 503, body = Health), Problems))]
pub(crate) async fn health(State(app): State<App>) -> Response {
    let health = look(&app).await;
    let down = health.store != "ok";
    let mut response = Reply::plain(health).into_response();
    if down {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
