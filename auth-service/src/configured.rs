//! Users of configured mode: names, nkeys, certificates and one token, as data.
//!
//! Names and nkeys share one namespace over all accounts, so that a name means one user.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use cordon_accounts::key::UserKey;
use cordon_accounts::limits::ConnectionLimits;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_accounts::reason::Reason;
use secrecy::{ExposeSecret as _, SecretString};

use crate::certificate::{CertificateIdentity, DistinguishedName};
use crate::method::{Attempt, certificate};
use crate::password::Stored;
use crate::principal::{Method, Principal};
use crate::proof::ConnectionType;
use crate::refusal::{ClosePolicy, Refusal};

/// What a configured user must show.
#[derive(Clone)]
pub enum Credential {
    /// A client certificate with the user's name in it, on a listener that maps certificates.
    Certificate,
    /// A signature over the nonce by this key.
    Nkey(UserKey),
    /// A password, stored as argon2 or bcrypt hash or as plain text.
    Password(SecretString),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "Certificate",
            Self::Nkey(_) => "Nkey",
            Self::Password(_) => "Password",
        })
    }
}

/// A user of the configuration.
#[derive(Clone, Debug)]
pub struct ConfiguredUser {
    /// The name; for nkey users the key's text.
    pub name: String,
    /// What it must show.
    pub credential: Credential,
    /// The account it belongs to.
    pub account: AccountName,
    /// What it may do, the defaults of its block already applied.
    pub permissions: Arc<Permissions>,
    /// Limits of its account.
    pub limits: ConnectionLimits,
    /// Names of the ways in which it may connect; any when empty.
    pub connection_types: Vec<String>,
    /// Whether it must come through a trusted proxy.
    pub proxy_required: bool,
}

impl ConfiguredUser {
    /// A user that may do everything in its account.
    pub fn new(name: impl Into<String>, credential: Credential, account: AccountName) -> Self {
        let name = match &credential {
            Credential::Nkey(key) => key.to_string(),
            Credential::Certificate | Credential::Password(_) => name.into(),
        };
        Self {
            name,
            credential,
            account,
            permissions: Arc::new(Permissions::everything()),
            limits: ConnectionLimits::UNLIMITED,
            connection_types: Vec::new(),
            proxy_required: false,
        }
    }

    /// The stored password, if there is one.
    pub(crate) fn password(&self) -> Option<&SecretString> {
        match &self.credential {
            Credential::Password(stored) => Some(stored),
            Credential::Certificate | Credential::Nkey(_) => None,
        }
    }

    /// Whether the user may connect in this way.
    pub(crate) fn allows(&self, kind: ConnectionType) -> bool {
        kind.is_allowed_by(&self.connection_types)
    }

    /// Checks what does not depend on a credential.
    pub(crate) fn admits(&self, attempt: &Attempt<'_>) -> Result<(), Refusal> {
        let kind = attempt.proof.connection_type;
        let refused = if !self.allows(kind) {
            Refusal::new(Reason::ConnectionTypeNotAllowed, format!("the user may not connect as {kind}"))
        } else if self.proxy_required && !attempt.proxied {
            Refusal::new(Reason::ProxyRequired, "the user may only connect through a trusted proxy")
                .closing(ClosePolicy::PROXY_REQUIRED)
        } else {
            return Ok(());
        };
        Err(refused.of_user(&self.name).in_account(&self.account))
    }

    pub(crate) fn principal(&self, method: Method) -> Principal {
        let mut principal = Principal::bare(self.account.clone(), self.name.clone(), method);
        principal.permissions = Arc::clone(&self.permissions);
        principal.limits = self.limits;
        principal.own_limits = self.limits;
        principal
    }
}

/// Why users cannot be configured together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfiguredUsersError {
    /// Two users of one name, or an nkey listed twice.
    #[error("the user `{0}` is configured twice: names and nkeys must be unique over all accounts")]
    Duplicate(String),
    /// A token or password of no characters would let everybody in.
    #[error("the {0} is empty: remove it or set one")]
    Empty(String),
    /// The `no_auth_user` is none of the users.
    #[error("the no_auth_user `{0}` is not configured as a user or nkey")]
    NoAuthUserUnknown(String),
    /// One way of authenticating excludes the other.
    #[error("a token cannot be combined with users: remove one of them")]
    TokenWithUsers,
}

/// Users, nkeys and a token, and the user that stands in for those who present nothing.
#[derive(Debug, Default)]
pub struct ConfiguredUsers {
    users: HashMap<String, Arc<ConfiguredUser>>,
    nkeys: HashMap<UserKey, Arc<ConfiguredUser>>,
    named: Vec<(DistinguishedName, Arc<ConfiguredUser>)>,
    token: Option<SecretString>,
    no_auth_user: Option<Arc<ConfiguredUser>>,
    required: bool,
}

/// Collects [`ConfiguredUsers`].
#[derive(Debug, Default)]
pub struct ConfiguredUsersBuilder {
    users: Vec<ConfiguredUser>,
    token: Option<SecretString>,
    no_auth_user: Option<String>,
    required: bool,
}

impl ConfiguredUsersBuilder {
    /// Adds a user.
    pub fn user(mut self, user: ConfiguredUser) -> Self {
        self.users.push(user);
        self
    }

    /// Sets the token.
    pub fn token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    /// Names the user that stands in for those who present nothing.
    pub fn no_auth_user(mut self, name: impl Into<String>) -> Self {
        self.no_auth_user = Some(name.into());
        self
    }

    /// Asks for authentication even if no user follows: `users: []` lets nobody in.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Checks that everything goes together.
    ///
    /// # Errors
    ///
    /// [`ConfiguredUsersError`], which should stop the start of the broker.
    pub fn build(self) -> Result<ConfiguredUsers, ConfiguredUsersError> {
        if self.token.is_some() && !self.users.is_empty() {
            return Err(ConfiguredUsersError::TokenWithUsers);
        }
        if self.token.as_ref().is_some_and(|token| token.expose_secret().is_empty()) {
            return Err(ConfiguredUsersError::Empty("token".to_owned()));
        }
        let required = self.required || self.token.is_some() || !self.users.is_empty();
        let mut configured = ConfiguredUsers { token: self.token, required, ..ConfiguredUsers::default() };
        for user in self.users {
            configured.insert(Arc::new(user))?;
        }
        if let Some(name) = self.no_auth_user {
            let key = UserKey::parse(&name).ok();
            let found = configured.users.get(&name).or_else(|| configured.nkeys.get(&key?)).cloned();
            configured.no_auth_user = Some(found.ok_or(ConfiguredUsersError::NoAuthUserUnknown(name))?);
        }
        Ok(configured)
    }
}

impl ConfiguredUsers {
    /// Starts with no users.
    pub fn builder() -> ConfiguredUsersBuilder {
        ConfiguredUsersBuilder::default()
    }

    fn insert(&mut self, user: Arc<ConfiguredUser>) -> Result<(), ConfiguredUsersError> {
        let name = user.name.clone();
        let known_as_key = UserKey::parse(&name).is_ok_and(|key| self.nkeys.contains_key(&key));
        if known_as_key || self.users.contains_key(&name) {
            return Err(ConfiguredUsersError::Duplicate(name));
        }
        if let Credential::Nkey(key) = &user.credential {
            self.nkeys.insert(*key, user);
            return Ok(());
        }
        if name.is_empty() {
            return Err(ConfiguredUsersError::Empty("user name".to_owned()));
        }
        if user.password().is_some_and(|password| password.expose_secret().is_empty()) {
            return Err(ConfiguredUsersError::Empty(format!("password of the user `{name}`")));
        }
        if let Ok(parsed) = name.parse::<DistinguishedName>() {
            self.named.push((parsed, Arc::clone(&user)));
        }
        self.users.insert(name, user);
        Ok(())
    }

    /// Whether anything is asked of a connection.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether a nonce must be sent, since some user is known by nkey.
    pub fn has_nkeys(&self) -> bool {
        !self.nkeys.is_empty()
    }

    /// Whether there are users by name.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The configured token.
    pub(crate) fn configured_token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// The user of that name. Names are attacker-chosen: the map has std's seeded hash.
    pub fn user(&self, name: &str) -> Option<&ConfiguredUser> {
        self.users.get(name).map(Arc::as_ref)
    }

    /// The user of that nkey.
    pub fn nkey(&self, key: &UserKey) -> Option<&ConfiguredUser> {
        self.nkeys.get(key).map(Arc::as_ref)
    }

    /// The user that a certificate stands for, of those that `counts` admits.
    pub(crate) fn of_certificate(
        &self,
        identity: &CertificateIdentity,
        counts: impl Fn(&ConfiguredUser) -> bool,
    ) -> Option<&ConfiguredUser> {
        certificate::find(identity, |name| self.users.get(name), &self.named, |user| counts(user)).map(Arc::as_ref)
    }

    /// The user that stands in for a connection which presents nothing.
    ///
    /// Routes, gateways and leaf nodes are never admitted so (`auth.md` 4.6, T16).
    pub fn no_auth_user(&self, kind: ConnectionType) -> Option<&ConfiguredUser> {
        let leafnode = matches!(kind, ConnectionType::Leafnode | ConnectionType::LeafnodeWs);
        self.no_auth_user.as_deref().filter(|_| !leafnode)
    }

    /// Whether a connection whose first operation is not CONNECT may go through authentication as the
    /// `no_auth_user`: only if that is a user by name, needs no proxy and may connect in this way.
    pub fn admits_without_connect(&self, kind: ConnectionType) -> bool {
        self.no_auth_user(kind).is_some_and(|user| {
            !matches!(user.credential, Credential::Nkey(_)) && !user.proxy_required && user.allows(kind)
        })
    }

    /// Whether a `no_auth_user` is set: then INFO says that authentication is not required.
    pub fn has_no_auth_user(&self) -> bool {
        self.no_auth_user.is_some()
    }

    /// Names of users whose password stands in plain text, for a warning at start.
    pub fn plain_passwords(&self) -> Vec<&str> {
        let plain = |user: &&Arc<ConfiguredUser>| {
            user.password().is_some_and(|stored| Stored::of(stored.expose_secret()) == Stored::Plain)
        };
        let mut names: Vec<&str> = self.users.values().filter(plain).map(|user| user.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Some hashed password: compared with in place of an unknown user's.
    pub(crate) fn any_hashed_password(&self) -> Option<&SecretString> {
        self.users
            .values()
            .filter_map(|user| user.password())
            .find(|stored| Stored::of(stored.expose_secret()) != Stored::Plain)
    }
}
