//! Why something was refused or ended: one closed list for the whole program.
//!
//! The codes are stable across versions: logs, metrics, the ledger and tenants' own feeds carry
//! them. The peer gets the protocol's words instead, which `cordon-server` keeps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! reasons {
    ($($variant:ident, $code:literal, $text:literal;)+) => {
        /// Why something was refused or ended.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $text] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The reason as prose.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

reasons! {
    AccountConnectionLimit, "account_connection_limit", "the account has as many connections as it may have";
    AccountExpired, "account_expired", "the account's claims have expired";
    AccountSuspended, "account_suspended", "the account is suspended";
    AccountUnavailable, "account_unavailable", "the account could not be looked up now";
    AccountUnknown, "account_unknown", "the account is not known";
    AccountUntrusted, "account_untrusted", "the account's claims are not signed by a trusted operator key";
    AddressNotAllowed, "address_not_allowed", "the peer's address is outside the allowed networks";
    AuthenticationTimeout, "authentication_timeout", "no credentials arrived in time";
    BearerNotAllowed, "bearer_not_allowed", "the account does not allow bearer credentials";
    CalloutInvalid, "callout_invalid", "the answer of the account's auth callout service does not hold";
    CalloutRefused, "callout_refused", "the account's auth callout service refused the credentials";
    CalloutUnavailable, "callout_unavailable", "the account's auth callout service did not answer in time";
    CertificateExpired, "certificate_expired", "the client certificate has expired";
    CertificateMissing, "certificate_missing", "a client certificate is required";
    CertificateUnmapped, "certificate_unmapped", "the client certificate names no known user";
    ClaimsInvalid, "claims_invalid", "the claims break a rule";
    ClaimsStale, "claims_stale", "the claims are older than those in force";
    ClaimsUntrusted, "claims_untrusted", "the claims are not signed by a trusted key";
    ConfigurationRefused, "configuration_refused", "the configuration was not reloaded, and the running one stays";
    ConfigurationReloaded, "configuration_reloaded", "the configuration was reloaded";
    ConnectionLimit, "connection_limit", "the broker has as many connections as it may have";
    ConnectionTypeNotAllowed, "connection_type_not_allowed", "the user may not connect in this way";
    ControlLineLimit, "control_line_limit", "the control line is too long";
    CredentialsChanged, "credentials_changed", "the user's credentials or permissions were changed";
    Expired, "expired", "the credentials have expired";
    ForgedSignature, "forged_signature", "the credentials are not signed by the key that they name";
    ImportActivationInvalid, "import_activation_invalid", "the import's activation token does not hold";
    ImportCycle, "import_cycle", "the import would form a cycle";
    ImportInvalid, "import_invalid", "the import breaks a rule";
    ImportNoExport, "import_no_export", "nothing is exported under the imported subject";
    ImportNotAuthorized, "import_not_authorized", "the exporter does not allow this account to import";
    InternalError, "internal_error", "the broker failed to decide";
    InvalidSubject, "invalid_subject", "the subject is malformed";
    KickedByOperator, "kicked_by_operator", "an administrator closed the connection";
    MalformedCredentials, "malformed_credentials", "the credentials cannot be read";
    MissingCredentials, "missing_credentials", "no credentials were presented";
    NotYetValid, "not_yet_valid", "the credentials are not valid yet";
    ObsoleteAccountField, "obsolete_account_field", "the obsolete `account` field was sent";
    PayloadLimit, "payload_limit", "the payload is too large";
    ProtocolViolation, "protocol_violation", "the peer broke the protocol";
    ProxyRequired, "proxy_required", "the user must connect through a trusted proxy";
    PublishDenied, "publish_denied", "a deny rule covers the published subject";
    PublishNotAllowed, "publish_not_allowed", "no allow rule covers the published subject";
    ReplyReserved, "reply_reserved", "the reply subject belongs to the broker";
    Revoked, "revoked", "the credentials were revoked";
    ScopedUserHasPermissions, "scoped_user_has_permissions", "a user of a scoped signing key carries permissions of its own";
    ServerShutdown, "server_shutdown", "the broker is shutting down";
    SignerUnknown, "signer_unknown", "the signer is no signing key of the account";
    SigningKeyRemoved, "signing_key_removed", "the signing key was removed from the account or changed its scope";
    SlowConsumerDeadline, "slow_consumer_deadline", "the peer did not take its messages in time";
    SlowConsumerPending, "slow_consumer_pending", "too many messages wait for the peer";
    StaleConnection, "stale_connection", "the peer stopped answering";
    SubjectReserved, "subject_reserved", "the subject belongs to the broker";
    SubscribeDenied, "subscribe_denied", "a deny rule covers the subscription";
    SubscribeNotAllowed, "subscribe_not_allowed", "no allow rule covers the subscription";
    SubscriptionLimit, "subscription_limit", "the connection has as many subscriptions as it may have";
    TemplateInvalid, "template_invalid", "the signing key's template cannot be expanded for this user";
    Throttled, "throttled", "too many failed attempts from this address";
    TimeNotAllowed, "time_not_allowed", "the user may not connect at this time of day";
    TlsFailed, "tls_failed", "the TLS handshake failed";
    TlsRequired, "tls_required", "the connection must use TLS";
    TooManyTokens, "too_many_tokens", "the subject has too many tokens";
    UnknownUser, "unknown_user", "the user is not known";
    WrongNonceSignature, "wrong_nonce_signature", "the nonce is not signed by the user's key";
    WrongPassword, "wrong_password", "the password is wrong";
    WrongToken, "wrong_token", "the token is wrong";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// A code that names no reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no reason has this code")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(code: &str) -> Result<Self, UnknownReason> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code).ok_or(UnknownReason)
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_snake_case_and_read_back() {
        assert!(Reason::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(code.parse(), Ok(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), code);
            assert_eq!(reason.to_string(), reason.text());
        }
        assert_eq!("no_such_reason".parse::<Reason>(), Err(UnknownReason));
    }
}
