//! Operators: the roots of trust.

use serde::{Deserialize, Serialize};

use super::check::Url;
use super::envelope::{Claims, Kind};
use super::{UnknownFields, Validation, is_false, optional_key};
use crate::key::{AccountKey, OperatorKey, Role};

/// The statement about an operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// Further keys that sign accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<OperatorKey>,
    /// Where tools push and pull account JWTs: http(s), nats, tls, ws or wss.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub account_server_url: String,
    /// Where clients connect: nats, tls, ws or wss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_service_urls: Vec<String>,
    /// The system account.
    #[serde(default, deserialize_with = "optional_key", skip_serializing_if = "Option::is_none")]
    pub system_account: Option<AccountKey>,
    /// Servers older than this refuse to start: `x.y.z`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub assert_server_version: String,
    /// Whether identity keys may not sign, here and one level down.
    #[serde(default, skip_serializing_if = "is_false")]
    pub strict_signing_key_usage: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub unknown: UnknownFields,
}

impl Kind for Operator {
    const NAME: Option<&'static str> = Some("operator");
    const SUBJECT: &'static [Role] = &[Role::Operator];
    const ISSUER: &'static [Role] = &[Role::Operator];

    fn validate(claims: &Claims<Self>, found: &mut Validation) {
        let operator = &claims.nats;
        let server = &operator.account_server_url;
        if !server.is_empty() && Url::split(server).is_none_or(|url| url.host.is_empty()) {
            found.blocking(format!("`account_server_url` `{server}` needs a scheme and a host"));
        }
        for url in &operator.operator_service_urls {
            service_url(url, found);
        }
        if !operator.assert_server_version.is_empty() && operator.required_version().is_none() {
            found.blocking(format!(
                "`assert_server_version` `{}` is not of the form x.y.z",
                operator.assert_server_version
            ));
        }
    }
}

impl Operator {
    /// The lowest version of a server that may serve this operator; `None` if there is no bound,
    /// or one that cannot be read.
    pub fn required_version(&self) -> Option<[u32; 3]> {
        let mut parts = self.assert_server_version.split('.');
        let mut part = || parts.next().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
        let version = [part()?, part()?, part()?];
        parts.next().is_none().then_some(version)
    }
}

impl Claims<Operator> {
    /// An operator that signs itself, without signing keys.
    pub fn new(subject: OperatorKey) -> Self {
        Self::about(subject.public(), Operator::default())
    }

    /// The keys that may sign accounts: the identity, unless signing keys must be used, and all
    /// signing keys (nats-server `opts.go`).
    pub fn account_signers(&self) -> impl Iterator<Item = OperatorKey> {
        let identity = OperatorKey::try_from(self.subject).ok();
        identity
            .filter(|_| !self.nats.strict_signing_key_usage)
            .into_iter()
            .chain(self.nats.signing_keys.iter().copied())
    }
}

fn service_url(text: &str, found: &mut Validation) {
    let place = format!("`operator_service_urls` entry `{text}`");
    let Some(url) = Url::split(text).filter(|url| !url.host.is_empty()) else {
        if !text.is_empty() {
            found.blocking(format!("{place} needs a scheme and a host"));
        }
        return;
    };
    let known = ["nats", "tls", "ws", "wss"];
    if !known.iter().any(|scheme| url.scheme.eq_ignore_ascii_case(scheme)) {
        found.blocking(format!("{place} must begin with nats, tls, ws or wss"));
    }
    if url.has_user {
        found.blocking(format!("{place} may not carry credentials"));
    }
    if !url.path.is_empty() {
        found.blocking(format!("{place} may not have a path"));
    }
}
