//! `GET /api/v1/brokers`: who answers, and what they have yet to take.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::reply::{Otherwise, Reply};
use crate::limits::PUSH_BATCH;
use crate::model::Time;
use crate::problem::Problems;
use crate::roles::Right;

/// The brokers of this installation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Brokers {
    /// Those that answered lately.
    pub items: Vec<BrokerView>,
    /// Whether there is a connection to any now.
    pub connected: bool,
    /// What they have yet to confirm, the longest due first.
    pub pushes: Vec<PushView>,
}

/// One broker.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokerView {
    /// Its server id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The host it runs on.
    pub host: String,
    /// When it last answered.
    pub seen_at: Time,
}

/// A push that is not confirmed yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushView {
    /// The account.
    pub account: String,
    /// The `jti` of the claims.
    pub jti: String,
    /// `update` or `delete`.
    pub kind: String,
    /// `pending`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_at: Time,
    /// What brokers answered last.
    #[schema(value_type = Option<Object>)]
    pub answer: Option<Value>,
}

/// Brokers that answered lately, and pushes that wait for them.
#[utoipa::path(get, path = "/api/v1/brokers", tag = "installation", responses((status = 200, body = Brokers), Problems), security(("token" = [])))]
pub(crate) async fn list(caller: Caller) -> Result<Reply<Brokers>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let broker = caller.app.issuer().broker();
    let known = broker.as_ref().map(|broker| broker.known()).unwrap_or_default();
    let items = known
        .into_iter()
        .map(|known| BrokerView {
            id: known.info.id,
            name: known.info.name,
            version: known.info.version,
            cluster: known.info.cluster,
            host: known.info.host,
            seen_at: Time(known.seen_at),
        })
        .collect();
    let mut reader = caller.app.issuer().store().read().await?;
    let pushes = reader.pushes().due(i64::MAX, PUSH_BATCH).await?;
    let pushes = pushes
        .into_iter()
        .map(|push| PushView {
            account: push.account.to_string(),
            jti: push.jti,
            kind: push.kind.to_string(),
            state: push.state.to_string(),
            attempts: push.attempts,
            next_at: Time(push.next_at),
            answer: push.answer.and_then(|answer| serde_json::from_str(&answer).ok()),
        })
        .collect();
    Ok(Reply::plain(Brokers { items, connected: broker.is_some_and(|broker| broker.is_connected()), pushes }))
}
