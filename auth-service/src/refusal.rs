//! Why a proof was refused, for the three who read it: the peer, the log and the ledger.

use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;

/// How a connection is ended: what the peer reads and what monitoring reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosePolicy {
    /// The text of `-ERR`, without quotes; `None` closes without a word.
    pub wire_text: Option<&'static str>,
    /// The closed-connection reason of monitoring and of the disconnect event.
    pub close_reason: &'static str,
}

impl ClosePolicy {
    /// Every failure of credentials: the peer is never told which.
    pub const AUTHORIZATION_VIOLATION: Self = Self::told("Authorization Violation", "Authentication Failure");
    /// The signing key or its scope went away under a connected user: no word, the client reconnects.
    pub const SILENT: Self = Self { wire_text: None, close_reason: "Authentication Failure" };
    /// No CONNECT in time.
    pub const AUTHENTICATION_TIMEOUT: Self = Self::told("Authentication Timeout", "Authentication Timeout");
    /// The user's JWT, time window or certificate came to its end.
    pub const USER_EXPIRED: Self = Self::told("User Authentication Expired", "Authentication Expired");
    /// The account's JWT came to its end, or the account was deleted.
    pub const ACCOUNT_EXPIRED: Self = Self::told("Account Authentication Expired", "Authentication Expired");
    /// The user was revoked while connected.
    pub const REVOKED: Self = Self::told("User Authentication Revoked", "Credentials Revoked");
    /// The account has as many connections as it may have.
    pub const ACCOUNT_CONNECTIONS: Self =
        Self::told("maximum account active connections exceeded", "Maximum Account Connections Exceeded");
    /// The connection holds more subscriptions than its new limit.
    pub const SUBSCRIPTIONS: Self = Self::told("maximum subscriptions exceeded", "Maximum Subscriptions Exceeded");
    /// A proxy signature that no trusted proxy made.
    pub const PROXY_NOT_TRUSTED: Self = Self::told("Authorization Violation", "Proxy Not Trusted");
    /// A user that may only come through a trusted proxy.
    pub const PROXY_REQUIRED: Self = Self::told("Authorization Violation", "Proxy Required");

    const fn told(wire_text: &'static str, close_reason: &'static str) -> Self {
        Self { wire_text: Some(wire_text), close_reason }
    }
}

/// A refused proof.
///
/// The text goes to logs, the ledger and the tenant's own feed. The peer gets [`Refusal::close_policy`],
/// which tells nothing of the cause. No field ever holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// The account concerned, once it is known that there is such an account.
    pub account: Option<AccountName>,
    /// Who the peer claimed or proved to be.
    pub user: Option<String>,
    /// What exactly was wrong, and what to do.
    pub detail: String,
    /// How the connection ends, where it differs from the uniform refusal.
    pub close: Option<ClosePolicy>,
}

/// Characters of an outsider's name that a refusal repeats.
const USER_CHARACTERS_MAX: usize = 128;

impl Refusal {
    /// A refusal with the uniform ending.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, account: None, user: None, detail: detail.into(), close: None }
    }

    /// Names the account concerned.
    pub fn in_account(mut self, account: &AccountName) -> Self {
        self.account = Some(account.clone());
        self
    }

    /// Names the user concerned; long names, which outsiders choose, are cut.
    pub fn of_user(mut self, user: &str) -> Self {
        self.user = Some(user.chars().take(USER_CHARACTERS_MAX).collect());
        self
    }

    /// Ends the connection in another way than the uniform one.
    pub fn closing(mut self, close: ClosePolicy) -> Self {
        self.close = Some(close);
        self
    }

    /// How the connection ends.
    pub fn close_policy(&self) -> ClosePolicy {
        self.close.unwrap_or(ClosePolicy::AUTHORIZATION_VIOLATION)
    }

    /// Whether this failure should count against the peer's address: guesses and noise do.
    ///
    /// Well-signed credentials that are expired, revoked or out of place do not: a fleet of clients behind
    /// one address whose users expired must not lock its neighbours out. Nor does what is our own state.
    pub fn counts_as_failure(&self) -> bool {
        matches!(
            self.reason,
            Reason::AccountUnknown
                | Reason::AccountUntrusted
                | Reason::CalloutRefused
                | Reason::CertificateUnmapped
                | Reason::ForgedSignature
                | Reason::MalformedCredentials
                | Reason::MissingCredentials
                | Reason::ObsoleteAccountField
                | Reason::SignerUnknown
                | Reason::UnknownUser
                | Reason::WrongNonceSignature
                | Reason::WrongPassword
                | Reason::WrongToken
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_not_told_the_reason() {
        let refusal = Refusal::new(Reason::WrongPassword, "the password of `alice` is wrong").of_user("alice");
        assert_eq!(refusal.close_policy(), ClosePolicy::AUTHORIZATION_VIOLATION);
        assert_eq!(refusal.to_string(), "the password is wrong: the password of `alice` is wrong");
    }

    #[test]
    fn long_user_names_are_cut() {
        let refusal = Refusal::new(Reason::UnknownUser, "").of_user(&"ä".repeat(5000));
        assert_eq!(refusal.user.unwrap().chars().count(), USER_CHARACTERS_MAX);
    }

    #[test]
    fn guesses_count_against_the_peer_and_our_own_troubles_do_not() {
        for reason in [Reason::WrongPassword, Reason::WrongNonceSignature, Reason::MalformedCredentials] {
            assert!(Refusal::new(reason, "").counts_as_failure());
        }
        for reason in [Reason::Throttled, Reason::AccountUnavailable, Reason::Expired, Reason::Revoked] {
            assert!(!Refusal::new(reason, "").counts_as_failure());
        }
    }
}
