//! Who may do what: four roles, and one function that decides.

use std::collections::BTreeSet;

use cordon_accounts::key::AccountKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an API token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Changes what lies inside the accounts it names.
    AccountAdmin,
    /// Reads everything, changes nothing.
    Auditor,
    /// Runs operators and every account, but makes no tokens and no operators.
    OperatorAdmin,
    /// May do everything.
    Owner,
}

impl RoleName {
    /// Every role, for tests and pages.
    pub const ALL: [Self; 4] = [Self::AccountAdmin, Self::Auditor, Self::OperatorAdmin, Self::Owner];

    /// The stable text, as in requests and in the store.
    pub const fn text(self) -> &'static str {
        match self {
            Self::AccountAdmin => "account_admin",
            Self::Auditor => "auditor",
            Self::OperatorAdmin => "operator_admin",
            Self::Owner => "owner",
        }
    }

    /// The role that this text names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.text() == text)
    }
}

/// A role together with the accounts it holds for. Only an account admin has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Which.
    pub name: RoleName,
    /// For which accounts; read only for [`RoleName::AccountAdmin`].
    pub accounts: BTreeSet<AccountKey>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// To be known at all.
    AnyToken,
    /// Change what lies inside one account: users, keys, exports, imports, revocations, description.
    ChangeAccount(&'a AccountKey),
    /// Give accounts out, take them back, set what they may use.
    ChangeAccounts,
    /// Make and remove operators and their keys.
    ChangeOperators,
    /// Make and revoke API tokens.
    ChangeTokens,
    /// Change an operator's description and its URLs.
    DescribeOperators,
    /// Take the whole ledger out.
    ExportLedger,
    /// Read one account and what is in it.
    ReadAccount(&'a AccountKey),
    /// Read lists that can be narrowed to the accounts one may read.
    ReadAccounts,
    /// Read what concerns the installation: operators, brokers, certificates, checkpoints.
    ReadInstallation,
    /// Read the list of tokens (never their secrets).
    ReadTokens,
}

impl Role {
    /// Whether this role covers `right`. Everything not named here is refused.
    #[must_use]
    pub fn covers(&self, right: Right<'_>) -> bool {
        match self.name {
            RoleName::Owner => true,
            RoleName::OperatorAdmin => match right {
                Right::AnyToken
                | Right::ChangeAccount(_)
                | Right::ChangeAccounts
                | Right::DescribeOperators
                | Right::ReadAccount(_)
                | Right::ReadAccounts
                | Right::ReadInstallation => true,
                Right::ChangeOperators | Right::ChangeTokens | Right::ExportLedger | Right::ReadTokens => false,
            },
            RoleName::Auditor => match right {
                Right::AnyToken
                | Right::ExportLedger
                | Right::ReadAccount(_)
                | Right::ReadAccounts
                | Right::ReadInstallation
                | Right::ReadTokens => true,
                Right::ChangeAccount(_)
                | Right::ChangeAccounts
                | Right::ChangeOperators
                | Right::ChangeTokens
                | Right::DescribeOperators => false,
            },
            RoleName::AccountAdmin => match right {
                Right::AnyToken | Right::ReadAccounts => true,
                Right::ChangeAccount(account) | Right::ReadAccount(account) => self.accounts.contains(account),
                Right::ChangeAccounts
                | Right::ChangeOperators
                | Right::ChangeTokens
                | Right::DescribeOperators
                | Right::ExportLedger
                | Right::ReadInstallation
                | Right::ReadTokens => false,
            },
        }
    }

    /// The only accounts this role may see; `None` when it sees all.
    pub fn narrowed_to(&self) -> Option<&BTreeSet<AccountKey>> {
        match self.name {
            RoleName::AccountAdmin => Some(&self.accounts),
            RoleName::Auditor | RoleName::OperatorAdmin | RoleName::Owner => None,
        }
    }
}

impl Right<'_> {
    /// The right in words, for the refused caller.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AnyToken => "any valid token",
            Self::ChangeAccount(_) => "an owner, operator admin or admin of this account",
            Self::ChangeAccounts | Self::DescribeOperators => "an owner or operator admin",
            Self::ChangeOperators | Self::ChangeTokens => "an owner",
            Self::ExportLedger | Self::ReadTokens => "an owner or auditor",
            Self::ReadAccount(_) => "an owner, operator admin, auditor or admin of this account",
            Self::ReadAccounts => "an owner, operator admin, auditor or account admin",
            Self::ReadInstallation => "an owner, operator admin or auditor",
        }
    }
}
