//! What a proof was accepted as.

use std::sync::Arc;

use cordon_accounts::key::{PublicKey, UserKey};
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;

use crate::configured::ConfiguredUser;
use crate::proof::ConnectionType;

/// The way in which a principal proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Nothing was asked: the broker has no authentication configured.
    Anonymous,
    /// A bearer user JWT, without proof of possession.
    Bearer,
    /// The account's own service said who it is.
    Callout,
    /// A verified client certificate.
    Certificate,
    /// A user JWT and the signature of its key over the nonce.
    Jwt,
    /// A configured nkey and its signature over the nonce.
    Nkey,
    /// Nothing was presented, and a `no_auth_user` stands in.
    NoAuthUser,
    /// A name and a password.
    Password,
    /// A token.
    Token,
}

impl Method {
    /// A stable name for logs and monitoring.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Bearer => "bearer",
            Self::Callout => "callout",
            Self::Certificate => "certificate",
            Self::Jwt => "jwt",
            Self::Nkey => "nkey",
            Self::NoAuthUser => "no_auth_user",
            Self::Password => "password",
            Self::Token => "token",
        }
    }
}

/// SHA-256 over the scope that a scoped signing key gave its users: equal exactly if nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeDigest(pub [u8; 32]);

/// Who a connection is. Made only by the authenticator, from checked proofs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Principal {
    /// The account that the connection belongs to.
    pub account: AccountName,
    /// The user for logs and monitoring: `nkey` if sent, else `user`, else the JWT's subject. Never a secret.
    pub user: String,
    /// The user's key, where there is one: of the JWT, or the configured nkey.
    pub user_key: Option<UserKey>,
    /// The name in the user JWT.
    pub name: Option<String>,
    /// The tags in the user JWT.
    pub tags: Vec<String>,
    /// What the user may publish and subscribe to, templates and account defaults resolved.
    pub permissions: Arc<Permissions>,
    /// Whether the permissions are the account's defaults, and so change with them.
    pub inherits_default_permissions: bool,
    /// The tighter of the user's and the account's limits.
    pub limits: ConnectionLimits,
    /// The user's own limits, or its template's: what a changed account limit is combined with.
    pub own_limits: ConnectionLimits,
    /// When the connection must end, in Unix seconds: the earliest of `exp`, the end of the time window and
    /// the certificate's `notAfter`. It ends with [`ClosePolicy::USER_EXPIRED`].
    ///
    /// [`ClosePolicy::USER_EXPIRED`]: crate::refusal::ClosePolicy::USER_EXPIRED
    pub expires: Option<i64>,
    /// Why it ends then: `Expired`, `TimeNotAllowed` or `CertificateExpired`.
    pub expires_because: Reason,
    /// The key that signed the user JWT.
    pub issuer: Option<PublicKey>,
    /// Digest of the scope, if that key is a scoped one.
    pub scope: Option<ScopeDigest>,
    /// `iat` of the user JWT, which revocations are compared with; 0 without a JWT.
    pub issued_at: i64,
    /// `jti` of the user JWT.
    pub jwt_id: Option<String>,
    /// The user JWT as presented. It opens nothing without its key unless it is a bearer token: then it is
    /// left out here.
    pub jwt: Option<Arc<str>>,
    /// Whether the JWT, or its template, makes it a bearer token.
    pub bearer: bool,
    /// How the connection proved itself.
    pub method: Method,
    /// The way in which it connected.
    pub connection_type: ConnectionType,
    /// Whether a trusted proxy vouched for it.
    pub proxied: bool,
    /// The user of the configuration that it was accepted as, as configured then.
    pub configured: Option<Arc<ConfiguredUser>>,
}

impl Principal {
    /// The principal of a connection to a broker that asks for nothing.
    pub fn anonymous(account: AccountName) -> Self {
        Self::bare(account, String::new(), Method::Anonymous)
    }

    /// A principal without a JWT, without limits of its own and with every permission.
    pub(crate) fn bare(account: AccountName, user: String, method: Method) -> Self {
        Self {
            account,
            user,
            user_key: None,
            name: None,
            tags: Vec::new(),
            permissions: Permissions::everything_shared(),
            inherits_default_permissions: false,
            limits: ConnectionLimits::UNLIMITED,
            own_limits: ConnectionLimits::UNLIMITED,
            expires: None,
            expires_because: Reason::Expired,
            issuer: None,
            scope: None,
            issued_at: 0,
            jwt_id: None,
            jwt: None,
            bearer: false,
            method,
            connection_type: ConnectionType::Standard,
            proxied: false,
            configured: None,
        }
    }

    /// Lets the principal end at `moment` (Unix seconds) if it would not end earlier.
    pub(crate) fn ends_by(&mut self, moment: i64, because: Reason) {
        if self.expires.is_none_or(|current| moment < current) {
            self.expires = Some(moment);
            self.expires_because = because;
        }
    }
}
