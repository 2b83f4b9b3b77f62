//! Entries of `users`, and all users of a file together: names and nkeys are one namespace.

use std::collections::HashMap;
use std::sync::Arc;

use cordon_accounts::key::UserKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsersBuilder, Credential};
use cordon_auth::proof::ConnectionType;
use secrecy::SecretString;

use super::{Circumstances, Reading, permissions};
use crate::config::value::{Node, Place, Problem, Value};

/// All users of a file.
#[derive(Debug, Default)]
pub struct Users {
    all: Vec<ConfiguredUser>,
    places: HashMap<String, Place>,
}

impl Users {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Adds a user that stands at `place`.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is one of that name already, in any account.
    pub fn add(&mut self, user: ConfiguredUser, place: &Place) -> Result<(), Problem> {
        let kind = if matches!(user.credential, Credential::Nkey(_)) { "nkey" } else { "user" };
        if let Some(first) = self.places.get(&user.name) {
            let text = format!(
                "Duplicate {kind} \"{}\" detected: it stands at line {} already, and is one for all accounts",
                user.name, first.line
            );
            return Err(Problem { place: place.clone(), text });
        }
        self.places.insert(user.name.clone(), place.clone());
        self.all.push(user);
        Ok(())
    }

    /// Lets all of them in through trusted proxies only.
    pub fn require_proxy(&mut self) {
        self.all.iter_mut().for_each(|user| user.proxy_required = true);
    }

    /// All of them.
    pub fn into_all(self) -> Vec<ConfiguredUser> {
        self.all
    }

    pub(super) fn no_auth_user(
        &self,
        node: &Node,
        system: Option<&AccountName>,
        builder: ConfiguredUsersBuilder,
        problems: &mut Vec<Problem>,
    ) -> ConfiguredUsersBuilder {
        let name = match node.text() {
            Ok(name) => name,
            Err(problem) => {
                problems.push(problem);
                return builder;
            }
        };
        let Some(user) = self.all.iter().find(|user| user.name == name) else {
            problems.push(node.problem(format!(
                "no_auth_user: \"{name}\" not present as user or nkey in authorization block or account configuration"
            )));
            return builder;
        };
        if Some(&user.account) == system {
            problems.push(node.problem(format!(
                "no_auth_user: `{name}` is a user of the system account, and everybody would run the broker: name another"
            )));
        }
        builder.no_auth_user(name)
    }

    /// nats-server takes an empty password for one that is not there; here such a user is known by certificate alone.
    pub(super) fn warn_of_passwordless(
        &self,
        circumstances: Circumstances<'_>,
        stand_in: Option<&str>,
        warnings: &mut Vec<String>,
    ) {
        let by_certificate = |user: &&ConfiguredUser| matches!(user.credential, Credential::Certificate);
        let stuck = |user: &&ConfiguredUser| !circumstances.maps_certificates && Some(user.name.as_str()) != stand_in;
        for user in self.all.iter().filter(by_certificate).filter(stuck) {
            let name = &user.name;
            warnings.push(format!("user `{name}` has no password and cannot connect: `verify_and_map` is off"));
        }
    }
}

/// Reads a list of users of `account`, to which `default` applies where they have no permissions of their own.
pub(in crate::config) fn read(
    node: &Node,
    account: &AccountName,
    default: Option<&Arc<Permissions>>,
    reading: &mut Reading<'_>,
) {
    let Value::List(items) = &node.value else {
        let text = "`users` must be a list of maps, like [{user: alice, password: \"..\"}]";
        return reading.problems.push(node.problem(text));
    };
    for item in items {
        let Some(user) = read_user(item, account, default, reading) else { continue };
        let added = reading.users.add(user, &item.place);
        reading.problems.extend(added.err());
    }
}

fn read_user(
    node: &Node,
    account: &AccountName,
    default: Option<&Arc<Permissions>>,
    reading: &mut Reading<'_>,
) -> Option<ConfiguredUser> {
    let (mut name, mut password, mut key, mut own) = (None, None, None, None);
    let (mut types, mut proxy, mut nested) = (Vec::new(), false, Vec::new());
    let before = reading.problems.len();
    node.read(reading.problems, |option, value| {
        match option {
            "user" | "username" => name = Some(user_name(value)?),
            "pass" | "password" => password = Some(secret(value)?),
            "nkey" => key = Some(user_key(value)?),
            "permissions" | "permission" | "authorization" => {
                own = Some(permissions::read(value, &mut nested, reading.warnings));
            }
            "allowed_connection_types" | "connection_types" | "clients" => types = connection_types(value)?,
            "proxy_required" => proxy = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    reading.problems.append(&mut nested);
    let mut user = match (name, key, password) {
        (None, Some(key), None) => ConfiguredUser::new("", Credential::Nkey(key), account.clone()),
        (Some(name), None, Some(password)) => {
            ConfiguredUser::new(name, Credential::Password(password), account.clone())
        }
        // Known by its certificate alone, on a listener that maps certificates.
        (Some(name), None, None) => ConfiguredUser::new(name, Credential::Certificate, account.clone()),
        _ => {
            // What cannot be read has been told already.
            if reading.problems.len() == before {
                let text = "a user needs either `user` and `password`, or `nkey` alone";
                reading.problems.push(node.problem(text));
            }
            return None;
        }
    };
    user.permissions = own.or_else(|| default.cloned()).unwrap_or(user.permissions);
    user.connection_types = types;
    user.proxy_required = proxy;
    Some(user)
}

/// The name of a user.
///
/// # Errors
///
/// A [`Problem`] if it is no text, or empty.
pub fn user_name(node: &Node) -> Result<String, Problem> {
    match node.text()? {
        "" => Err(node.problem("the name of a user must not be empty")),
        name => Ok(name.to_owned()),
    }
}

/// A password or token, hashed or not.
///
/// # Errors
///
/// A [`Problem`] if it is no text, or empty: an empty one would let everybody in.
pub fn secret(node: &Node) -> Result<SecretString, Problem> {
    match node.text()? {
        "" => Err(node.problem("a password or token must not be empty: set one, or remove it")),
        text => Ok(SecretString::from(text)),
    }
}

fn user_key(node: &Node) -> Result<UserKey, Problem> {
    let text = node.text()?;
    UserKey::parse(text).map_err(|error| node.problem(format!("`{text}` is no user key: {error}")))
}

fn connection_types(node: &Node) -> Result<Vec<String>, Problem> {
    let items = node.items().iter();
    let types: Result<Vec<String>, Problem> = items
        .map(|item| match item.text()?.parse::<ConnectionType>() {
            Ok(kind) => Ok(kind.name().to_owned()),
            Err(error) => Err(item.problem(format!("{error}: expected STANDARD, WEBSOCKET, LEAFNODE or another"))),
        })
        .collect();
    let types = types?;
    // An empty list would allow every way.
    if types.is_empty() {
        return Err(node.problem("the list of connection types is empty: name those that are allowed, or remove it"));
    }
    Ok(types)
}
