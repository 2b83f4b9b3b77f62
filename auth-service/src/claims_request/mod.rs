//! What becomes of requests to change stored account JWTs: decided here, carried out by the broker.
//!
//! Texts are those of nats-server 2.15 (`auth.md` 8.3, 8.4), which `nsc` prints. Stricter than there: the
//! issuer must be trusted before anything is stored, and a push may not go back in time.

use std::sync::Arc;

use cordon_accounts::claims::{self, Account, Generic, Verified};
use cordon_accounts::key::{AccountKey, PublicKey};
use cordon_accounts::reason::Reason;
use serde_json::Value;

use crate::account_record::AccountRecord;
use crate::resolver::{Resolver, ResolverError, StorePolicy};
use crate::trust::{AccountError, Trust};

/// Accounts that one delete request may name.
const DELETED_AT_ONCE_MAX: usize = 65_536;

/// A request that is turned down. `Display` is the `description` of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} - {cause}")]
pub struct RequestRefusal {
    /// The account for the answer's `account`; `None` leaves it out.
    pub account: Option<String>,
    /// What failed.
    pub message: String,
    /// Why.
    pub cause: String,
    /// The stable reason, for events.
    pub reason: Reason,
}

/// Decides about a claims update. The returned record is verified against the operators; it may be
/// expired, which stops its connections but not its being stored.
///
/// `body` is the request's payload without headers, `named` the account in the request's subject, `stored`
/// the token the resolver holds for the account that [`claimed_account`] finds in the body.
///
/// # Errors
///
/// [`RequestRefusal`] with upstream's text.
pub fn decide_update(
    body: &[u8],
    named: Option<&AccountKey>,
    stored: Option<&str>,
    trust: &Trust,
    now: i64,
) -> Result<Arc<AccountRecord>, RequestRefusal> {
    let account = named.copied().or_else(|| claimed_account(body));
    let refuse = |message: &str, cause: String, reason| RequestRefusal {
        account: Some(account.map_or_else(|| "n/a".to_owned(), |key| key.to_string())),
        message: message.to_owned(),
        cause,
        reason,
    };
    let token = text_of(body).map_err(|cause| refuse(UPDATE_ERROR, cause.to_owned(), Reason::ClaimsInvalid))?;
    let record = trust.admit_account(token, named, now).map_err(|error| {
        let (message, reason) = match &error {
            AccountError::Invalid(_) | AccountError::Permissions(_) => (VALIDATION_FAILED, Reason::ClaimsInvalid),
            AccountError::Untrusted { .. } | AccountError::StrictOperator => (UPDATE_ERROR, Reason::ClaimsUntrusted),
            _ => (UPDATE_ERROR, error.reason()),
        };
        refuse(message, error.to_string(), reason)
    })?;
    let held = stored.and_then(|token| claims::decode::<Account>(token).ok());
    if let Some(held) = held.filter(|held| held.subject == record.key && held.issued_at > record.claims.issued_at) {
        let stale = ResolverError::Stale { stored: held.issued_at, offered: record.claims.issued_at };
        return Err(refuse(UPDATE_ERROR, stale.to_string(), Reason::ClaimsStale));
    }
    Ok(record)
}

const UPDATE_ERROR: &str = "jwt update resulted in error";
const VALIDATION_FAILED: &str = "jwt validation failed";

/// What the success answer of an update says, where a full resolver stored it.
pub const UPDATED: &str = "jwt updated";
/// What the answer of a memory resolver says if the account is not loaded here.
pub const UPDATE_SKIPPED: &str = "jwt update skipped";

/// Decides about claims updates in the order of their arrival, and stores them. Blocks on the disk.
///
/// Each is a request's payload and the account in its subject; one outcome for each. What a refused one was to
/// replace is still stored.
pub fn update_all(
    resolver: &dyn Resolver,
    updates: &[(Vec<u8>, Option<AccountKey>)],
    trust: &Trust,
    now: i64,
) -> Vec<Result<Arc<AccountRecord>, RequestRefusal>> {
    let decide = |(body, named): &(Vec<u8>, Option<AccountKey>)| decide_update(body, named.as_ref(), None, trust, now);
    let mut outcomes: Vec<Result<Arc<AccountRecord>, RequestRefusal>> = Vec::with_capacity(updates.len());
    let mut together: Vec<Arc<AccountRecord>> = Vec::new();
    for decided in updates.iter().map(decide) {
        // Of the same account one is stored before the next; a refused one ends what is stored together, too, so that
        // outcomes stay in order.
        let joins = |record: &Arc<AccountRecord>| together.iter().all(|other| other.key != record.key);
        match decided {
            Ok(record) if joins(&record) => together.push(record),
            Ok(record) => {
                outcomes.extend(store_all(resolver, std::mem::take(&mut together), now));
                together.push(record);
            }
            Err(refusal) => {
                outcomes.extend(store_all(resolver, std::mem::take(&mut together), now));
                outcomes.push(Err(refusal));
            }
        }
    }
    outcomes.extend(store_all(resolver, together, now));
    outcomes
}

fn store_all(
    resolver: &dyn Resolver,
    records: Vec<Arc<AccountRecord>>,
    now: i64,
) -> Vec<Result<Arc<AccountRecord>, RequestRefusal>> {
    let stored = resolver.store_all(&records, StorePolicy::Push, now);
    let outcome = |(record, stored): (Arc<AccountRecord>, Result<_, ResolverError>)| match stored {
        Ok(_) => Ok(record),
        Err(error) => Err(RequestRefusal {
            account: Some(record.key.to_string()),
            message: UPDATE_ERROR.to_owned(),
            reason: match error {
                ResolverError::Stale { .. } => Reason::ClaimsStale,
                _ => Reason::InternalError,
            },
            cause: error.to_string(),
        }),
    };
    records.into_iter().zip(stored).map(outcome).collect()
}

/// The account that an update's body says it is about, unverified: only good for finding what is stored.
pub fn claimed_account(body: &[u8]) -> Option<AccountKey> {
    let claims: Verified<Account> = claims::decode(text_of(body).ok()?).ok()?;
    AccountKey::try_from(claims.subject).ok()
}

fn text_of(body: &[u8]) -> Result<&str, &'static str> {
    if body.is_empty() {
        return Err("request body is empty");
    }
    std::str::from_utf8(body).map(str::trim).map_err(|_| "the request body is not text")
}

/// Decides about a claims delete: which accounts may go.
///
/// # Errors
///
/// [`RequestRefusal`] with upstream's text; its answer has no `account`.
pub fn decide_delete(body: &[u8], allowed: bool, trust: &Trust, now: i64) -> Result<Vec<AccountKey>, RequestRefusal> {
    let refuse = |by: &str, cause: String, reason| RequestRefusal {
        account: None,
        message: format!("delete accounts request by {by} failed"),
        cause,
        reason,
    };
    let token = text_of(body).map_err(|cause| refuse("", cause.to_owned(), Reason::ClaimsInvalid))?;
    let request: Verified<Generic> =
        claims::decode(token).map_err(|error| refuse("", error.to_string(), Reason::ClaimsInvalid))?;
    let by = request.subject.to_string();
    let fault = |(cause, reason): (&str, Reason)| refuse(&by, cause.to_owned(), reason);
    if !allowed {
        return Err(fault(("delete must be enabled in server config", Reason::ClaimsInvalid)));
    }
    require_authority(&request, trust, now).map_err(fault)?;
    accounts_of(&request, trust.system_account()).map_err(fault)
}

type Fault = (&'static str, Reason);

fn require_authority(request: &Verified<Generic>, trust: &Trust, now: i64) -> Result<(), Fault> {
    if request.subject != request.issuer {
        return Err(("not self signed", Reason::ClaimsUntrusted));
    }
    let signer: PublicKey = request.issuer;
    if !trust.may_delete(&signer) {
        return Err(("not trusted", Reason::ClaimsUntrusted));
    }
    if request.is_expired(now) {
        return Err(("expired", Reason::ClaimsStale));
    }
    Ok(())
}

fn accounts_of(request: &Verified<Generic>, system: Option<AccountKey>) -> Result<Vec<AccountKey>, Fault> {
    const MALFORMED: Fault = ("malformed request", Reason::ClaimsInvalid);
    let Some(Value::Array(listed)) = request.nats.members.get("accounts") else {
        return Err(MALFORMED);
    };
    if listed.len() > DELETED_AT_ONCE_MAX {
        return Err(MALFORMED);
    }
    let mut accounts = Vec::with_capacity(listed.len());
    for entry in listed {
        let key = entry.as_str().and_then(|text| AccountKey::parse(text).ok()).ok_or(MALFORMED)?;
        if system == Some(key) {
            return Err(("not allowed to delete system account", Reason::ClaimsInvalid));
        }
        accounts.push(key);
    }
    Ok(accounts)
}

/// What deleting came to.
#[derive(Debug, Default)]
pub struct Deletion {
    /// Accounts that are gone, whether or not they were there.
    pub deleted: Vec<AccountKey>,
    /// Accounts that could not be removed, and why.
    pub failed: Vec<(AccountKey, ResolverError)>,
}

impl Deletion {
    /// The message of the answer: an error answer if anything failed, with the causes, one a line.
    pub fn message(&self) -> String {
        match self.failed.len() {
            0 => format!("deleted {} accounts", self.deleted.len()),
            failed => format!("deleted {} accounts, failed for {failed}", self.deleted.len()),
        }
    }
}

/// Removes accounts from a resolver. Blocks on the disk.
pub fn delete(resolver: &dyn Resolver, accounts: &[AccountKey]) -> Deletion {
    let mut deletion = Deletion::default();
    for key in accounts {
        match resolver.remove(key) {
            Ok(_) => deletion.deleted.push(*key),
            Err(error) => deletion.failed.push((*key, error)),
        }
    }
    deletion
}

#[cfg(test)]
mod tests;
