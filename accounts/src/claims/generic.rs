//! Claims of no fixed kind: the claims-delete request is one.

use serde::{Deserialize, Serialize};

use super::UnknownFields;

/// A free map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generic {
    /// Every member of `nats` but `version`.
    pub members: UnknownFields,
}
