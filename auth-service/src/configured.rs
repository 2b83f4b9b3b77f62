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

use crate::callout::CalloutSettings;
use crate::certificate::{CertificateIdentity, DistinguishedName};
use crate::method::{Attempt, certificate};
use crate::password::{Stored, equal_in_constant_time};
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

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Certificate, Self::Certificate) => true,
            (Self::Nkey(one), Self::Nkey(other)) => one == other,
            (Self::Password(one), Self::Password(other)) => {
                equal_in_constant_time(one.expose_secret(), other.expose_secret())
            }
            _ => false,
        }
    }
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

/// What monitoring shows for a connection that came in by token.
const TOKEN_USER: &str = "[REDACTED]";

/// A user of the configuration.
#[derive(Clone, Debug, PartialEq)]
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

    /// Whoever holds the token: what a user is to a name and a password.
    pub fn of_token(token: SecretString) -> Self {
        Self::new(TOKEN_USER, Credential::Password(token), AccountName::global())
    }

    pub(crate) fn principal(self: &Arc<Self>, method: Method) -> Principal {
        let mut principal = Principal::bare(self.account.clone(), self.name.clone(), method);
        principal.permissions = Arc::clone(&self.permissions);
        principal.limits = self.limits;
        principal.own_limits = self.limits;
        principal.configured = Some(Arc::clone(self));
        principal
    }
}

/// What an account of the configuration gives to users that it does not list itself: those of an auth callout.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredAccount {
    /// What bounds each connection of the account.
    pub limits: ConnectionLimits,
    /// For users that carry no permissions of their own.
    pub default_permissions: Arc<Permissions>,
}

impl Default for ConfiguredAccount {
    fn default() -> Self {
        Self { limits: ConnectionLimits::UNLIMITED, default_permissions: Permissions::everything_shared() }
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
    /// Nobody could answer, so nobody could connect.
    #[error("none of the `auth_users` is a user of the callout's account `{0}`: configure one there")]
    NoAuthUsers(AccountName),
    /// The account in which requests would be published is none.
    #[error("the callout's account `{0}` is not configured")]
    CalloutAccountUnknown(AccountName),
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
    token: Option<Arc<ConfiguredUser>>,
    stand_in: StandIn,
    required: bool,
    accounts: HashMap<AccountName, ConfiguredAccount>,
    callout: Option<Box<CalloutSettings>>,
    websocket: Option<Box<Self>>,
}

/// Who a connection is that presents nothing.
#[derive(Clone, Debug, Default, PartialEq)]
enum StandIn {
    /// A user of `$G` that no configuration names, made because only the system account is configured.
    Anonymous,
    /// Nobody: it is refused.
    #[default]
    Nobody,
    /// The `no_auth_user`.
    User(Arc<ConfiguredUser>),
}

/// Compared by what is configured, not by what follows from it.
impl PartialEq for ConfiguredUsers {
    fn eq(&self, other: &Self) -> bool {
        (&self.users, &self.nkeys) == (&other.users, &other.nkeys)
            && (&self.token, &self.stand_in, self.required) == (&other.token, &other.stand_in, other.required)
            && (&self.accounts, &self.callout) == (&other.accounts, &other.callout)
            && self.websocket == other.websocket
    }
}

/// Collects [`ConfiguredUsers`].
#[derive(Clone, Debug, Default)]
pub struct ConfiguredUsersBuilder {
    users: Vec<ConfiguredUser>,
    token: Option<ConfiguredUser>,
    no_auth_user: Option<String>,
    anonymous: bool,
    required: bool,
    accounts: HashMap<AccountName, ConfiguredAccount>,
    callout: Option<Box<CalloutSettings>>,
    websocket: Option<Box<Self>>,
}

impl ConfiguredUsersBuilder {
    /// Adds an account; those of users need not be added.
    pub fn account(mut self, name: AccountName, account: ConfiguredAccount) -> Self {
        self.accounts.insert(name, account);
        self
    }

    /// Has a service decide about connections.
    pub fn callout(mut self, settings: CalloutSettings) -> Self {
        self.callout = Some(Box::new(settings));
        self
    }

    /// Adds a user.
    pub fn user(mut self, user: ConfiguredUser) -> Self {
        self.users.push(user);
        self
    }

    /// Sets the token.
    pub fn token(self, token: SecretString) -> Self {
        self.token_user(ConfiguredUser::of_token(token))
    }

    /// Sets the token, and what its holders may do: made from [`ConfiguredUser::of_token`].
    pub fn token_user(mut self, user: ConfiguredUser) -> Self {
        self.token = Some(user);
        self
    }

    /// Lets those who present nothing into `$G`, though there are users: for a configuration that names users of the
    /// system account alone (`auth.md` 4.7). A `no_auth_user` goes before it.
    pub fn anonymous_stand_in(mut self) -> Self {
        self.anonymous = true;
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

    /// Whether there are users so far.
    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Has these apply to clients over WebSocket, in place of what is said here.
    pub fn websocket(mut self, users: Self) -> Self {
        self.websocket = Some(Box::new(users));
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
        let stored = self.token.as_ref().and_then(ConfiguredUser::password);
        if stored.is_some_and(|token| token.expose_secret().is_empty()) {
            return Err(ConfiguredUsersError::Empty("token".to_owned()));
        }
        let required = self.required || self.token.is_some() || !self.users.is_empty();
        let token = self.token.map(Arc::new);
        let mut configured = ConfiguredUsers { token, required, ..ConfiguredUsers::default() };
        for user in self.users {
            configured.insert(Arc::new(user))?;
        }
        if let Some(name) = self.no_auth_user {
            let key = UserKey::parse(&name).ok();
            let found = configured.users.get(&name).or_else(|| configured.nkeys.get(&key?)).cloned();
            configured.stand_in = StandIn::User(found.ok_or(ConfiguredUsersError::NoAuthUserUnknown(name))?);
        } else if self.anonymous {
            configured.stand_in = StandIn::Anonymous;
        }
        configured.accounts = self.accounts;
        configured.delegate(self.callout)?;
        configured.websocket = self.websocket.map(|users| users.build()).transpose()?.map(Box::new);
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

    /// Puts a callout in force, if somebody can answer it.
    fn delegate(&mut self, callout: Option<Box<CalloutSettings>>) -> Result<(), ConfiguredUsersError> {
        let everybody = self.users.values().chain(self.nkeys.values());
        let of_users: Vec<AccountName> = everybody.map(|user| user.account.clone()).collect();
        for name in of_users.into_iter().chain([AccountName::global()]) {
            self.accounts.entry(name).or_default();
        }
        let Some(settings) = callout else { return Ok(()) };
        if !self.accounts.contains_key(&settings.account) {
            return Err(ConfiguredUsersError::CalloutAccountUnknown(settings.account));
        }
        let is_there = |name: &String| {
            let user = self.users.get(name).or_else(|| self.nkeys.get(&UserKey::parse(name).ok()?));
            user.is_some_and(|user| user.account == settings.account)
        };
        if !settings.users.iter().any(is_there) {
            return Err(ConfiguredUsersError::NoAuthUsers(settings.account));
        }
        self.required = true;
        self.callout = Some(settings);
        Ok(())
    }

    /// The service that decides about connections, if there is one.
    pub fn callout(&self) -> Option<&CalloutSettings> {
        self.callout.as_deref()
    }

    /// An account of the configuration, `$G` among them.
    pub fn account(&self, name: &AccountName) -> Option<&ConfiguredAccount> {
        self.accounts.get(name)
    }

    /// Those that apply to a connection of this kind: the WebSocket listener may have its own.
    pub fn of_listener(&self, kind: ConnectionType) -> &Self {
        let own = self.websocket.as_deref().filter(|_| kind == ConnectionType::Websocket);
        own.unwrap_or(self)
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

    /// The configured token, as the user that its holders are.
    pub fn token_user(&self) -> Option<&Arc<ConfiguredUser>> {
        self.token.as_ref()
    }

    /// All users, by name or by nkey.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ConfiguredUser>> {
        self.users.values().chain(self.nkeys.values())
    }

    /// The user of that name. Names are attacker-chosen: the map has std's seeded hash.
    pub fn user(&self, name: &str) -> Option<&Arc<ConfiguredUser>> {
        self.users.get(name)
    }

    /// The user of that nkey.
    pub fn nkey(&self, key: &UserKey) -> Option<&Arc<ConfiguredUser>> {
        self.nkeys.get(key)
    }

    /// The user that a certificate stands for, of those that `counts` admits.
    pub(crate) fn of_certificate(
        &self,
        identity: &CertificateIdentity,
        counts: impl Fn(&ConfiguredUser) -> bool,
    ) -> Option<&Arc<ConfiguredUser>> {
        certificate::find(identity, |name| self.users.get(name), &self.named, |user| counts(user))
    }

    /// The principal that stands in for a connection which presents nothing, if there is one and it may come this way.
    ///
    /// Routes, gateways and leaf nodes are never admitted so (`auth.md` 4.6, T16).
    pub(crate) fn stand_in(&self, attempt: &Attempt<'_>) -> Result<Principal, Refusal> {
        let nobody = || Refusal::new(Reason::MissingCredentials, "no credentials were presented");
        match &self.stand_in {
            StandIn::Nobody => Err(nobody()),
            _ if attempt.proof.connection_type.is_leafnode() => Err(nobody()),
            StandIn::Anonymous => Ok(Principal::anonymous(AccountName::global())),
            StandIn::User(user) => {
                user.admits(attempt)?;
                Ok(user.principal(Method::NoAuthUser))
            }
        }
    }

    /// The `no_auth_user`.
    pub fn no_auth_user(&self) -> Option<&Arc<ConfiguredUser>> {
        match &self.stand_in {
            StandIn::User(user) => Some(user),
            StandIn::Anonymous | StandIn::Nobody => None,
        }
    }

    /// Whether those who present nothing are let into `$G`, though there are users.
    pub fn admits_anonymous(&self) -> bool {
        !self.required || self.stand_in == StandIn::Anonymous
    }

    /// Whether a connection whose first operation is not CONNECT may go through authentication as the
    /// `no_auth_user`: only if that is a user by name, needs no proxy and may connect in this way.
    pub fn admits_without_connect(&self, kind: ConnectionType) -> bool {
        match &self.stand_in {
            _ if kind.is_leafnode() => false,
            StandIn::Nobody => false,
            StandIn::Anonymous => true,
            StandIn::User(user) => {
                !matches!(user.credential, Credential::Nkey(_)) && !user.proxy_required && user.allows(kind)
            }
        }
    }

    /// Whether a `no_auth_user` is set: then INFO says that authentication is not required. One that was made, and not
    /// configured, does not count.
    pub fn has_no_auth_user(&self) -> bool {
        self.no_auth_user().is_some()
    }

    /// Names of users whose password stands in plain text, the token's among them, for a warning at start.
    pub fn plain_passwords(&self) -> Vec<&str> {
        let plain = |user: &&Arc<ConfiguredUser>| {
            user.password().is_some_and(|stored| Stored::of(stored.expose_secret()) == Stored::Plain)
        };
        let all = self.users.values().chain(&self.token);
        let mut names: Vec<&str> = all.filter(plain).map(|user| user.name.as_str()).collect();
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
