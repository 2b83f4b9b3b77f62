//! What an account uses and may use (jetstream.md 5.1).

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::Answer;
use crate::account::{Account, AccountLimits, Calls, Limits};
use crate::config::{Storage, level};

/// API requests, as they are shown.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ApiStatistics {
    /// The level of the API.
    pub level: u32,
    /// Requests.
    pub total: u64,
    /// Those that were refused.
    pub errors: u64,
}

impl ApiStatistics {
    /// Of these figures.
    pub fn of(calls: &Calls) -> Self {
        Self { level: level::API_LEVEL, total: calls.total(), errors: calls.errors() }
    }
}

/// What is used, of all or of one tier.
#[derive(Clone, Debug, Serialize)]
struct Use {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    streams: usize,
    consumers: usize,
    limits: Limits,
}

/// An account, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct AccountInfo {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    streams: usize,
    consumers: usize,
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    api: ApiStatistics,
    #[serde(skip_serializing_if = "Option::is_none")]
    tiers: Option<BTreeMap<String, Use>>,
}

/// What an account uses and may use.
pub fn account_info(account: &Account) -> AccountInfo {
    let ledger = account.ledger();
    let limits = account.limits();
    let used = Use {
        memory: ledger.used(Storage::Memory),
        storage: ledger.used(Storage::File),
        reserved_memory: ledger.reserved(Storage::Memory),
        reserved_storage: ledger.reserved(Storage::File),
        streams: account.streams().len(),
        consumers: account.consumers(),
        limits: Limits::ZERO,
    };
    let nothing = Use {
        memory: 0,
        storage: 0,
        reserved_memory: 0,
        reserved_storage: 0,
        streams: 0,
        consumers: 0,
        limits: Limits::ZERO,
    };
    let (shown, tiers) = match &*limits {
        AccountLimits::Flat(limits) => (*limits, None),
        AccountLimits::Tiered(tiers) => {
            let tier = |(name, limits): (&String, &Limits)| {
                let used = if name == AccountLimits::SINGLE { used.clone() } else { nothing.clone() };
                (name.clone(), Use { limits: *limits, ..used })
            };
            (Limits::ZERO, Some(tiers.iter().map(tier).collect()))
        }
    };
    AccountInfo {
        memory: used.memory,
        storage: used.storage,
        reserved_memory: used.reserved_memory,
        reserved_storage: used.reserved_storage,
        streams: used.streams,
        consumers: used.consumers,
        limits: shown,
        domain: account.settings().domain.clone(),
        api: ApiStatistics::of(ledger.api()),
        tiers,
    }
}

/// For another account, to which a stream is shared: that there is an API, and its level.
pub(super) fn nothing_of(account: &Account) -> Answer {
    let info = AccountInfo {
        memory: 0,
        storage: 0,
        reserved_memory: 0,
        reserved_storage: 0,
        streams: 0,
        consumers: 0,
        limits: Limits::ZERO,
        domain: account.settings().domain.clone(),
        api: ApiStatistics { level: level::API_LEVEL, total: 0, errors: 0 },
        tiers: None,
    };
    Answer::of("account_info_response", &info)
}

pub(super) fn info(account: &Account) -> Answer {
    Answer::of("account_info_response", &account_info(account))
}
