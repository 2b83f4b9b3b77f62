//! The ledger: searched, taken out, proven. Reading it is itself an entry (PCI DSS 10.2.1.3).

pub mod checkpoint;
pub mod entries;
pub mod export;
pub mod proof;

use serde_json::{Value, json};

use crate::http::caller::Caller;
use crate::store::StoreError;

/// Writes down that somebody reads the ledger, before anything of it is shown.
pub(crate) async fn note_reading(
    caller: &Caller,
    kind: &str,
    detail: Value,
) -> Result<(), crate::http::reply::Otherwise> {
    let act = caller.changing()?;
    let entry = act.entry(kind, caller.app.issuer().now()).with_detail(json!({ "asked": detail }));
    let written = async { caller.app.issuer().store().begin("ledger.read").await?.save(vec![entry]).await };
    written.await.map(drop).map_err(|error: StoreError| error.into())
}
