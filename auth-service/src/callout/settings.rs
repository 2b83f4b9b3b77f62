//! The auth callout of configured mode, as data.

use std::collections::HashSet;

use cordon_accounts::key::{AccountKey, CurveKey};
use cordon_accounts::name::AccountName;

/// Who is asked about connections to a broker of configured mode, and what its answers may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutSettings {
    /// The key that signs answers and the user JWTs in them; no account needs to have it.
    pub issuer: AccountKey,
    /// The account in which the service listens.
    pub account: AccountName,
    /// Names or nkeys of the service's own users, who are not asked about.
    pub users: HashSet<String>,
    /// The service's curve key; requests are sealed when it is there.
    pub xkey: Option<CurveKey>,
    /// Accounts whose configured users the service decides about, and into which it may put users; all when empty.
    pub allowed_accounts: Vec<AccountName>,
}

impl CalloutSettings {
    /// Whether users of `account` are the service's to decide about: those of the global account always are.
    pub(crate) fn decides_about(&self, account: &AccountName) -> bool {
        self.allowed_accounts.is_empty()
            || *account == AccountName::global()
            || self.allowed_accounts.iter().any(|allowed| allowed == account)
    }

    /// Whether the service may put users into `account`: where it decides about users, and its own.
    pub(crate) fn may_place_in(&self, account: &AccountName) -> bool {
        self.account == *account || self.decides_about(account)
    }
}
