//! `GET /api/v1/ledger/export`

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;

use super::note_reading;
use crate::http::caller::Caller;
use crate::http::reply::Otherwise;
use crate::ledger::Export;
use crate::problem::Problems;
use crate::roles::Right;
use crate::store::{Reader, StoreError};

/// The whole ledger as JSON Lines, from one snapshot: what `cordon audit verify` reads offline.
#[utoipa::path(get, path = "/api/v1/ledger/export", tag = "ledger", responses((status = 200, body = String, content_type = "application/jsonl"), Problems), security(("token" = [])))]
pub(crate) async fn export(caller: Caller) -> Result<Response, Otherwise> {
    caller.require(Right::ExportLedger)?;
    note_reading(&caller, "ledger.export", json!({})).await?;
    let mut reader = caller.app.issuer().store().read().await?;
    let export = caller.app.ledger().export(&mut reader, caller.app.issuer().now()).await?;
    let body = Body::from_stream(stream::try_unfold((reader, export), piece));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    headers
        .insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"cordon-ledger.jsonl\""));
    Ok(response)
}

/// The next piece. A failure in the middle breaks the stream off: the reader of the export sees it cut.
async fn piece((mut reader, mut export): (Reader, Export)) -> Result<Option<(Bytes, (Reader, Export))>, StoreError> {
    match export.next(&mut reader).await {
        Ok(Some(lines)) => Ok(Some((Bytes::from(lines), (reader, export)))),
        Ok(None) => Ok(None),
        Err(error) => {
            tracing::error!(%error, "an export of the ledger broke off");
            Err(error)
        }
    }
}
