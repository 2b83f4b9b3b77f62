//! The ledger: searched, its checkpoint, taken out.

use askama::Template;
use axum::response::Response;

use super::fields::{Fields, Wanted};
use super::page::{Frame, PAGE_ITEMS, ok};
use crate::http::caller::Caller;
use crate::http::extract::Asked;
use crate::http::reply::Otherwise;
use crate::roles::Right;
use crate::v1;
use crate::v1::ledger::checkpoint::CheckpointView;
use crate::v1::ledger::entries::{EntriesAsked, LedgerEntry};

/// What can be asked for, as the form and the links call it.
const FILTERS: [&str; 7] = ["actor", "account", "kind", "outcome", "reference", "from", "to"];

#[derive(Template)]
#[template(path = "console/ledger.html")]
struct Ledger {
    frame: Frame,
    asked: Fields,
    items: Vec<LedgerEntry>,
    /// The query of the next page.
    next: Option<String>,
    reads_checkpoint: bool,
    exports: bool,
}

#[derive(Template)]
#[template(path = "console/checkpoint.html")]
struct Checkpoint {
    frame: Frame,
    checkpoint: CheckpointView,
}

/// `GET /console/ledger`
pub(super) async fn entries(caller: Caller, Wanted(asked): Wanted) -> Result<Response, Otherwise> {
    let query = EntriesAsked {
        limit: Some(PAGE_ITEMS),
        after: asked.owned("after"),
        actor: asked.owned("actor"),
        account: asked.owned("account"),
        kind: asked.owned("kind"),
        outcome: asked.owned("outcome"),
        reference: asked.owned("reference"),
        from: asked.owned("from"),
        to: asked.owned("to"),
    };
    let found = v1::ledger::entries::list(caller.clone(), Asked(query)).await?.into_body();
    let next = found.next.map(|next| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in FILTERS {
            if let Some(value) = asked.filled(name) {
                query.append_pair(name, value);
            }
        }
        query.append_pair("after", &next).finish()
    });
    Ok(ok(&Ledger {
        frame: Frame::of(&caller, "Ledger"),
        items: found.items,
        next,
        reads_checkpoint: caller.token.role.covers(Right::ReadInstallation),
        exports: caller.token.role.covers(Right::ExportLedger),
        asked,
    }))
}

/// `GET /console/ledger/checkpoint`
pub(super) async fn checkpoint(caller: Caller) -> Result<Response, Otherwise> {
    let checkpoint = v1::ledger::checkpoint::get(caller.clone()).await?.into_body();
    Ok(ok(&Checkpoint { frame: Frame::of(&caller, "Checkpoint of the ledger"), checkpoint }))
}

/// `GET /console/ledger/export`
pub(super) async fn export(caller: Caller) -> Result<Response, Otherwise> {
    v1::ledger::export::export(caller).await
}
