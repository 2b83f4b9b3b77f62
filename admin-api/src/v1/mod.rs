//! The endpoints of `/api/v1`: one file for each, or for one small resource.

pub mod accounts;
pub mod activations;
pub mod brokers;
pub mod certificates;
pub mod connections;
pub mod explain;
pub mod exports;
pub mod health;
pub mod imports;
pub mod ledger;
pub mod limits;
pub mod operators;
pub mod revocations;
pub mod shares;
pub mod signing_keys;
pub mod tokens;
pub mod users;
pub mod whoami;

use utoipa::IntoParams;

/// What every change takes. Read by [`crate::http::caller::Caller`]; here for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only the document reads it")]
pub struct Change {
    /// Answer the effect (`Effect`, 200) and write nothing.
    #[param(required = false)]
    dry_run: bool,
}

/// The store's page behind a page of the API: one more row than asked for tells whether there is more.
pub(crate) fn page(after: Option<String>, size: u32) -> crate::store::Page {
    crate::store::Page::new(after, size.saturating_add(1))
}
