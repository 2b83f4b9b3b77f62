//! What a change would do, before it is made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a change would do to live connections and imports. Nothing has been written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Effect {
    /// Always true.
    pub dry_run: bool,
    /// Connections that would end.
    pub disconnects: Vec<Disconnect>,
    /// Whether brokers could be asked; if not, `disconnects` is unknown and empty.
    pub disconnects_known: bool,
    /// Imports that work now and would not afterwards, here and in other accounts.
    pub imports_broken: Vec<BrokenImport>,
    /// Whatever else is worth knowing.
    pub warnings: Vec<String>,
}

/// A connection that would end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disconnect {
    /// The broker.
    pub server: String,
    /// The connection's number there.
    pub cid: u64,
    /// Its account.
    pub account: String,
    /// Its user key.
    pub user: String,
    /// The user's name, when it is known here.
    pub user_name: String,
    /// Its address.
    pub ip: String,
    /// Why it would end: a reason code.
    pub reason: String,
}

/// An import that would stop to work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrokenImport {
    /// The importing account.
    pub importer: String,
    /// Its name.
    pub importer_name: String,
    /// The exporting account.
    pub exporter: String,
    /// `stream` or `service`.
    pub kind: String,
    /// The exporter's subject.
    pub subject: String,
    /// The importer's subject.
    pub local_subject: String,
    /// Why: a reason code.
    pub reason: String,
    /// Why, in words.
    pub detail: String,
}
