//! The shapes of the API: what callers send and what they get, and how they become claims and back.
//!
//! Requests refuse unknown fields, so that a misspelled restriction is an error and not a hole. Keys in
//! requests are parsed with their role; in answers they are text. Numbers carry their unit in the name;
//! `null` or absent is "no limit".

mod account;
mod effect;
mod limits;
mod operator;
mod permissions;
mod share;
mod sharing;
mod signing_key;
mod time;
mod token;
mod user;

pub use account::{Account, AccountPatch, Mapping, NewAccount, PushView};
pub(crate) use account::{mappings_to_claim, mappings_to_view};
pub use effect::{BrokenImport, Disconnect, Effect};
pub use limits::{JetStream, Limits, UserLimits};
pub use operator::{NewOperator, Operator, OperatorImport, OperatorPatch, SeedText};
pub use permissions::{Permissions, Response, Subjects};
pub use share::{Acceptance, NewShare, Share, ShareKind, ShareMode, ShareState};
pub(crate) use share::{GivenShare, TakenShare};
pub use sharing::{
    Activation, ActivationRevocation, Export, Import, ImportState, IssuedActivation, Kind, Latency, NewActivation,
    NewExport, NewImport, ResponseKind, export_id, import_id,
};
pub use signing_key::{NewSigningKey, Scope, SigningKey, SigningKeyPatch, Template};
pub use time::{Time, expiry};
pub use token::{IssuedToken, NewToken, Token};
pub use user::{IssuedUser, NewRevocation, NewUser, Renewal, Revocation, TimeWindow, User, UserPatch};

use serde::{Deserialize, Deserializer};

/// What a creating request answers with, as it may be kept for a repeat of the request.
pub trait Answer: serde::Serialize {
    /// The same answer without secrets: they are shown once.
    fn blanked(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The version that becomes the ETag.
    fn version(&self) -> Option<i64>;

    /// The path of the new object below the API's root, when it has one.
    fn location(&self) -> Option<String>;
}

/// For fields of a patch: absent is `None`, `null` is `Some(None)`.
#[expect(clippy::option_option, reason = "a patch tells absent from null")]
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A field whose text is too long, or has control characters, is named.
///
/// # Errors
///
/// A sentence about the text.
pub fn plain_text(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("the text has {} bytes; at most {bytes_max} are taken", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("the text has control characters".to_owned());
    }
    Ok(())
}
