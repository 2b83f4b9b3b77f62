//! `GET /api/v1/ledger/checkpoint`

use serde::Serialize;
use utoipa::ToSchema;

use crate::http::caller::Caller;
use crate::http::reply::{Otherwise, Reply};
use crate::model::Time;
use crate::problem::Problems;
use crate::roles::Right;

/// A signed statement of how the ledger stands. Keep it elsewhere: whoever holds it can tell a changed log.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointView {
    /// The signed note.
    pub note: String,
    /// How many entries.
    pub size: u64,
    /// The root over them, lower-case hexadecimal.
    pub root: String,
    /// The public key that checks it: `name+hash+key`.
    pub key: String,
    /// When it was signed.
    pub signed_at: Time,
}

/// A checkpoint of the ledger as it stands now.
#[utoipa::path(get, path = "/api/v1/ledger/checkpoint", tag = "ledger", responses((status = 200, body = CheckpointView), Problems), security(("token" = [])))]
pub(crate) async fn get(caller: Caller) -> Result<Reply<CheckpointView>, Otherwise> {
    caller.require(Right::ReadInstallation)?;
    let issuer = caller.app.issuer();
    let signed = caller.app.ledger().checkpoint(issuer.store(), issuer.now()).await?;
    Ok(Reply::plain(CheckpointView {
        note: signed.note,
        size: signed.checkpoint.size,
        root: signed.checkpoint.root.to_string(),
        key: caller.app.ledger().note_key().to_string(),
        signed_at: Time(signed.created_at),
    }))
}
