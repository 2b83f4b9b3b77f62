//! Claims of no fixed kind: the claims-delete request is one.

use serde::{Deserialize, Serialize};

use super::envelope::{ANY_ROLE, Claims, Kind};
use super::{UnknownFields, Validation};
use crate::key::{PublicKey, Role};

/// A free map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generic {
    /// Every member of `nats` but `version`.
    pub members: UnknownFields,
}

impl Kind for Generic {
    const NAME: Option<&'static str> = None;
    const SUBJECT: &'static [Role] = ANY_ROLE;
    const ISSUER: &'static [Role] = ANY_ROLE;

    fn validate(_: &Claims<Self>, _: &mut Validation) {}
}

impl Claims<Generic> {
    /// Claims with no members yet.
    pub fn new(subject: PublicKey) -> Self {
        Self::about(subject, Generic::default())
    }
}
