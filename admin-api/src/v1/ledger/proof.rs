//! `GET /api/v1/ledger/proof`

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::reply::{Otherwise, Reply};
use crate::ledger::LedgerError;
use crate::problem::{Problem, Problems};
use crate::roles::Right;
use crate::store::StoreError;

/// What is to be proven.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ProofAsked {
    /// The entry's place.
    pub index: u64,
    /// In the log of this size, as a checkpoint names it; as it stands now when left out.
    pub size: Option<u64>,
}

/// Shows that an entry is in the log (RFC 6962, 2.1.1).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProofView {
    /// The entry's place.
    pub index: u64,
    /// How many entries the log has.
    pub size: u64,
    /// Hash of the entry's leaf, lower-case hexadecimal.
    pub leaf: String,
    /// The root, lower-case hexadecimal.
    pub root: String,
    /// The roots beside the path from leaf to root, from the leaf up.
    pub path: Vec<String>,
}

/// Prove that an entry is in the log of a checkpoint.
#[utoipa::path(get, path = "/api/v1/ledger/proof", tag = "ledger", params(ProofAsked), responses((status = 200, body = ProofView), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller, Asked(asked): Asked<ProofAsked>) -> Result<Reply<ProofView>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let mut reader = caller.app.issuer().store().read().await?;
    let size = match asked.size {
        Some(size) => size,
        None => reader.ledger().head().await?.size,
    };
    let proof = reader.ledger().inclusion(asked.index, size).await.map_err(out_of_range)?;
    let root = reader.ledger().root_at(size).await.map_err(out_of_range)?;
    let entry = reader.ledger().entry(asked.index).await?.ok_or_else(|| Problem::not_found("entry", asked.index))?;
    Ok(Reply::plain(ProofView {
        index: proof.index,
        size: proof.size,
        leaf: entry.hash.to_string(),
        root: root.to_string(),
        path: proof.path.iter().map(ToString::to_string).collect(),
    }))
}

fn out_of_range(error: StoreError) -> Otherwise {
    match error {
        StoreError::Ledger(LedgerError::OutOfRange { .. }) => Problem::invalid("?index", error.to_string()).into(),
        other => other.into(),
    }
}
