//! The `authorization` block: users of `$G`, or one user, or a token.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::{PublicKey, Role};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_auth::callout::CalloutSettings;
use cordon_auth::configured::{ConfiguredUser, Credential};
use secrecy::SecretString;

use super::accounts::{Reading, permissions, users};
use super::callout;
use super::value::{Node, Problem};

/// What is said where operators are configured together with users.
pub const NOT_WITH_OPERATORS: &str =
    "operators do not go with `authorization`, `accounts` or `no_auth_user`: keep one of the two ways";

/// What the block says besides its users, who are among all users of the file.
#[derive(Debug, Default)]
pub struct Authorization {
    /// Whoever holds the token.
    pub token: Option<ConfiguredUser>,
    /// Time for CONNECT.
    pub timeout: Option<Duration>,
    /// A service that decides about connections.
    pub callout: Option<CalloutSettings>,
}

/// The block as it stands in the file.
#[derive(Default)]
struct Written {
    user: Option<String>,
    password: Option<SecretString>,
    token: Option<SecretString>,
    users: Option<Node>,
    permissions: Option<Arc<Permissions>>,
    timeout: Option<Duration>,
    proxy_required: bool,
    callout: Option<CalloutSettings>,
}

/// Reads the block; `of_accounts` users have been found in `accounts`.
pub(super) fn read(node: &Node, of_accounts: usize, reading: &mut Reading<'_>) -> Authorization {
    let mut written = Written::default();
    let mut nested = Vec::new();
    node.read(reading.problems, |option, value| {
        match option {
            "user" | "username" => written.user = Some(users::user_name(value)?),
            "pass" | "password" => written.password = Some(users::secret(value)?),
            "token" => written.token = Some(users::secret(value)?),
            "timeout" => written.timeout = Some(value.duration()?),
            "users" => written.users = Some(value.clone()),
            "permissions" | "default_permissions" | "default_permission" => {
                written.permissions = Some(permissions::read(value, &mut nested, reading.warnings));
            }
            "proxy_required" => written.proxy_required = value.switch()?,
            "auth_callout" | "auth_hook" => written.callout = callout::read(value, &mut nested),
            _ => return Ok(false),
        }
        Ok(true)
    });
    reading.problems.append(&mut nested);
    reading.problems.extend(written.contradiction(node, of_accounts));
    let token = written.token.take().map(|token| written.restricted(ConfiguredUser::of_token(token)));
    if let Some(user) = written.single() {
        let added = reading.users.add(user, &node.place);
        reading.problems.extend(added.err());
    }
    if let Some(list) = &written.users {
        users::read(list, &AccountName::global(), written.permissions.as_ref(), reading);
    }
    if written.proxy_required {
        reading.users.require_proxy();
    }
    Authorization { token, timeout: written.timeout, callout: written.callout }
}

/// Reads `proxies`: the keys of those that may vouch for connections by signing the nonce.
pub(super) fn proxies(node: &Node, problems: &mut Vec<Problem>) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        if option != "trusted" {
            return Ok(false);
        }
        for proxy in value.items() {
            proxy.read(&mut nested, |option, value| {
                let known = matches!(option, "key" | "public_key");
                if known {
                    keys.push(proxy_key(value)?);
                }
                Ok(known)
            });
        }
        Ok(true)
    });
    problems.append(&mut nested);
    keys
}

fn proxy_key(node: &Node) -> Result<PublicKey, Problem> {
    let text = node.text()?;
    let key = PublicKey::parse(text);
    let key = key.map_err(|error| node.problem(format!("`{text}` is no public key of a proxy: {error}")))?;
    if key.role() == Role::Curve {
        return Err(node.problem(format!("`{text}` is a curve key, which signs nothing")));
    }
    Ok(key)
}

impl Written {
    /// What does not go together, in nats-server's words.
    fn contradiction(&self, node: &Node, of_accounts: usize) -> Option<Problem> {
        let (user, token, users) = (self.user.is_some(), self.token.is_some(), self.users.is_some());
        let text = match () {
            () if user && token => "Cannot have a user/pass and token: keep one of them",
            () if user && users => "Can not have a single user/pass and a users array: keep one of them",
            () if token && users => "Can not have a token and a users array: keep one of them",
            () if user && of_accounts > 0 => {
                "Can not have a single user/pass and accounts: put the user into an account"
            }
            () if token && of_accounts > 0 => "Can not have a token and accounts: give the accounts users instead",
            () if self.password.is_some() && !user => "`password` without `user`: name the user",
            () => return None,
        };
        Some(node.problem(text))
    }

    /// The one user of the block.
    fn single(&mut self) -> Option<ConfiguredUser> {
        let name = self.user.take()?;
        let credential = self.password.take().map_or(Credential::Certificate, Credential::Password);
        Some(self.restricted(ConfiguredUser::new(name, credential, AccountName::global())))
    }

    fn restricted(&self, mut user: ConfiguredUser) -> ConfiguredUser {
        if let Some(permissions) = &self.permissions {
            user.permissions = Arc::clone(permissions);
        }
        user.proxy_required = self.proxy_required;
        user
    }
}
