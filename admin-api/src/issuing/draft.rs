//! An account as it is meant to be, apart from whether it is suspended.

use cordon_accounts::claims::{Account, AccountClaims, decode};
use cordon_accounts::limits::Limit;
use serde::{Deserialize, Serialize};

use super::IssueError;
use crate::model::{Activation, GivenShare, TakenShare};
use crate::store::{AccountRow, AccountState};

/// What the store keeps of an account besides its signed claims.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Draft {
    /// The statement that is signed, whole; a suspended account is signed with nothing left of its limits.
    pub(crate) nats: Account,
    /// When the claims expire, unix seconds; 0 for never.
    #[serde(default)]
    pub(crate) expires: i64,
    /// Activations issued for its exports.
    #[serde(default)]
    pub(crate) activations: Vec<Activation>,
    /// What it shares with others; each stands for some of its exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) given: Vec<GivenShare>,
    /// What others share with it and it uses; each stands for some of its imports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) taken: Vec<TakenShare>,
}

impl Draft {
    pub(crate) fn of(row: &AccountRow) -> Result<Self, IssueError> {
        serde_json::from_value(row.claims.clone())
            .map_err(|cause| IssueError::Stored(format!("the draft of account `{}`: {cause}", row.key)))
    }

    pub(crate) fn to_value(&self) -> Result<serde_json::Value, IssueError> {
        Ok(serde_json::to_value(self)?)
    }

    /// The claims that follow from the draft and the account's state.
    pub(crate) fn claims(&self, row: &AccountRow) -> AccountClaims {
        let mut claims = AccountClaims::new(row.key);
        claims.name.clone_from(&row.name);
        claims.expires = self.expires;
        claims.nats = self.nats.clone();
        match row.state {
            AccountState::Active => {}
            AccountState::Suspended => close_door(&mut claims),
            AccountState::Deleted => {
                close_door(&mut claims);
                claims.nats.exports.clear();
                claims.nats.imports.clear();
                claims.nats.mappings.clear();
            }
        }
        claims
    }
}

/// Nobody may be connected: brokers close the newest connections down to this number.
fn close_door(claims: &mut AccountClaims) {
    claims.nats.limits.conn = Limit(0);
    claims.nats.limits.leaf = Limit(0);
}

/// The signed claims of a row.
pub(crate) fn current(row: &AccountRow) -> Result<AccountClaims, IssueError> {
    Ok(decode::<Account>(&row.claims_jwt)?.into_claims())
}

/// When the next claims are issued: never the same second twice, so that brokers can tell the newer one
/// and a revocation of the older one does not reach the newer. It also keeps the `jti` apart, which
/// nats-io/jwt computes over the envelope alone.
pub(crate) fn next_issue_time(now: i64, previous: i64) -> i64 {
    now.max(previous.saturating_add(1))
}
