//! Identities without operators: `authorization`, `accounts`, `mappings`, `no_auth_user` and `system_account`.
//!
//! ```text
//! Written            the nodes as they stand in the file
//!   names            all accounts there are, so that each may refer to the others
//!   account          one of them: users, limits, and by files of their own
//!     users, permissions, exports, imports, mappings
//!   ../authorization users of `$G`, the token
//!   check            what must hold between accounts: imports that hold, no cycles
//! Configured         users (auth-service) and compiled accounts (tenant::configured)
//! ```
//!
//! What comes out goes the way of an operator's accounts from here on: there is one border, and one form of
//! permissions, mappings and limits. Everything that could let somebody in, or something through, by mistake is a
//! problem with its place.

mod account;
mod check;
mod exports;
mod imports;
pub(in crate::config) mod jetstream;
mod mappings;
pub mod permissions;
pub mod users;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::name::AccountName;
use cordon_auth::configured::{ConfiguredUsers, ConfiguredUsersBuilder};

use super::authorization::{self, Authorization};
use super::value::{Node, Problem, Value};
use super::websocket::Login;
use crate::tenant::Terms;
use crate::tenant::configured::ConfiguredAccounts;
use account::Draft;
use users::Users;

/// What the file says, as it stands there.
#[derive(Debug, Default)]
pub struct Written {
    /// `authorization`
    pub authorization: Option<Node>,
    /// `accounts`
    pub accounts: Option<Node>,
    /// `mappings`: those of `$G`.
    pub mappings: Option<Node>,
    /// `no_auth_user`
    pub no_auth_user: Option<Node>,
    /// `system_account`
    pub system_account: Option<Node>,
    /// `no_system_account`
    pub no_system_account: bool,
    /// What `websocket` says of who may connect there.
    pub websocket: Option<Login>,
}

/// What else in the file bears on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// Those who present nothing may be let in where nothing says who may connect.
    pub open: bool,
    /// The client listener takes identities from certificates.
    pub maps_certificates: bool,
    /// The name of the cluster that the broker is part of.
    pub cluster: Option<&'a str>,
}

/// Users and accounts of a configuration, checked.
#[derive(Debug)]
pub struct Configured {
    /// Who may connect.
    pub users: ConfiguredUsers,
    /// What the accounts share and may do.
    pub accounts: Arc<ConfiguredAccounts>,
    /// Time for CONNECT.
    pub timeout: Option<Duration>,
}

/// What is read with, and what is found.
pub(super) struct Reading<'a> {
    /// All accounts there are.
    names: BTreeSet<AccountName>,
    pub(super) users: Users,
    circumstances: Circumstances<'a>,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Reading<'_> {
    /// The account that a node names.
    fn account(&self, node: &Node) -> Result<AccountName, Problem> {
        let name = AccountName::new(node.text()?);
        if self.names.contains(&name) {
            return Ok(name);
        }
        Err(node.problem(format!("account `{name}` is not defined: add it to `accounts`, or correct the name")))
    }
}

impl Written {
    /// Something says who may connect.
    pub fn asks_who(&self) -> bool {
        self.authorization.is_some() || self.accounts.is_some() || self.no_auth_user.is_some()
    }

    /// The time for CONNECT that `authorization` sets; all that operator mode takes of it.
    ///
    /// # Errors
    ///
    /// A [`Problem`] where it stands, if something else is said there.
    pub fn timeout_alone(&self) -> Result<Option<Duration>, Problem> {
        let mut timeout = None;
        for entry in self.authorization.iter().flat_map(|node| node.entries().unwrap_or_default()) {
            if !entry.key.eq_ignore_ascii_case("timeout") {
                return Err(Problem { place: entry.place.clone(), text: authorization::NOT_WITH_OPERATORS.to_owned() });
            }
            timeout = Some(entry.node.duration()?);
        }
        Ok(timeout)
    }

    /// Reads and checks all of it; `None`, and a problem, if it does not hold together.
    pub fn compile(
        &self,
        circumstances: Circumstances<'_>,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Option<Configured> {
        let before = problems.len();
        let system = self.system();
        let names = self.names(system.as_ref());
        let mut reading = Reading { names, users: Users::default(), circumstances, problems, warnings };
        let mut drafts = self.drafts(&mut reading);
        let of_accounts = reading.users.len();
        let authorization =
            self.authorization.as_ref().map(|node| authorization::read(node, of_accounts, &mut reading));
        self.global(&mut drafts, &mut reading);
        self.check_system(system.as_ref(), &mut reading);
        if reading.problems.len() == before {
            check::shares(&drafts, reading.problems);
        }
        let users = self.users(&drafts, authorization.as_ref(), system.as_ref(), reading);
        if problems.len() > before {
            return None;
        }
        let terms = drafts.into_iter().map(Draft::terms);
        let timeout = authorization.and_then(|authorization| authorization.timeout);
        Some(Configured { users: users?, accounts: Arc::new(ConfiguredAccounts::new(terms, system)), timeout })
    }

    fn system(&self) -> Option<AccountName> {
        let named = self.system_account.as_ref().and_then(|node| node.text().ok()).map(AccountName::new);
        (!self.no_system_account).then(|| named.unwrap_or_else(AccountName::system))
    }

    fn names(&self, system: Option<&AccountName>) -> BTreeSet<AccountName> {
        let mut names: BTreeSet<_> = match self.accounts.as_ref().map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.iter().map(|entry| AccountName::new(entry.key.as_str())).collect(),
            Some(Value::List(items)) => {
                items.iter().filter_map(|item| item.text().ok()).map(AccountName::new).collect()
            }
            _ => BTreeSet::new(),
        };
        names.insert(AccountName::global());
        if system.is_some_and(|system| *system == AccountName::system()) {
            names.insert(AccountName::system());
        }
        names
    }

    fn drafts(&self, reading: &mut Reading<'_>) -> Vec<Draft> {
        let Some(node) = &self.accounts else { return Vec::new() };
        match &node.value {
            Value::List(items) => items.iter().filter_map(|item| Draft::named(item, reading)).collect(),
            Value::Map(entries) => entries.iter().filter_map(|entry| Draft::read(entry, reading)).collect(),
            _ => {
                let text = "`accounts` must be a map of accounts, like { A { users: [..] } }, or a list of names";
                reading.problems.push(node.problem(text));
                Vec::new()
            }
        }
    }

    /// The mappings at the top of the file are those of `$G`.
    fn global(&self, drafts: &mut Vec<Draft>, reading: &mut Reading<'_>) {
        if let Some(node) = &self.mappings {
            let mut global = Draft::new(node.place.clone(), Terms::new(AccountName::global()));
            global.mappings = Some(mappings::read(node, reading));
            drafts.push(global);
        }
    }

    fn check_system(&self, system: Option<&AccountName>, reading: &mut Reading<'_>) {
        let Some(node) = &self.system_account else { return };
        let problem = match (node.text(), system) {
            (Err(problem), _) => problem,
            (Ok(AccountName::GLOBAL), _) => node.problem("`$G` cannot be the system account: choose another"),
            (Ok(name), Some(system)) if !reading.names.contains(system) => {
                node.problem(format!("system account `{name}` is not defined: add it to `accounts`"))
            }
            (Ok(_), None) => node.problem("`system_account` and `no_system_account` exclude each other"),
            _ => return,
        };
        reading.problems.push(problem);
    }

    fn users(
        &self,
        drafts: &[Draft],
        authorization: Option<&Authorization>,
        system: Option<&AccountName>,
        reading: Reading<'_>,
    ) -> Option<ConfiguredUsers> {
        let Reading { users, circumstances, problems, warnings, .. } = reading;
        let mut builder = ConfiguredUsers::builder();
        if self.asks_who() {
            builder = builder.required();
        }
        if let Some(token) = authorization.and_then(|authorization| authorization.token.clone()) {
            builder = builder.token_user(token);
        }
        for draft in drafts {
            builder = builder.account(draft.name().clone(), draft.for_others());
        }
        if let Some(callout) = authorization.and_then(|authorization| authorization.callout.clone()) {
            builder = builder.callout(callout);
        }
        if let Some(node) = &self.no_auth_user {
            builder = users.no_auth_user(node, system, builder, problems);
        }
        if self.only_the_system_is_configured(system) && !users.is_empty() {
            builder = anonymous(circumstances, builder, self.accounts.as_ref(), problems, warnings);
        } else if self.asks_who() && users.is_empty() && authorization.is_none_or(|it| it.token.is_none()) {
            warnings.push("nobody can connect: no user is configured, in `authorization` or `accounts`".to_owned());
        }
        let stand_in = self.no_auth_user.as_ref().and_then(|node| node.text().ok());
        users.warn_of_passwordless(circumstances, stand_in, warnings);
        for user in users.into_all() {
            builder = builder.user(user);
        }
        if let Some(login) = &self.websocket
            && let Some(own) = login.users(&builder, self.has_single_user(), problems)
        {
            builder = builder.websocket(own);
        }
        let of_websocket = self.websocket.as_ref().map(Login::node);
        let node = self.authorization.as_ref().or(self.accounts.as_ref()).or(of_websocket);
        match builder.build() {
            Ok(users) => {
                let plain = users.plain_passwords().len();
                if plain > 0 {
                    warnings.push(format!("Plaintext passwords detected, use nkeys or bcrypt ({plain} passwords)"));
                }
                Some(users)
            }
            // Found before, with a better place.
            Err(_) if !problems.is_empty() => None,
            Err(error) => {
                problems.extend(node.map(|node| node.problem(error.to_string())));
                None
            }
        }
    }

    /// The users are one, whom `authorization` itself names.
    fn has_single_user(&self) -> bool {
        let mut entries = self.authorization.iter().flat_map(|node| node.entries().unwrap_or_default());
        entries.any(|entry| entry.key.eq_ignore_ascii_case("user") || entry.key.eq_ignore_ascii_case("username"))
    }

    /// Nothing but the system account, so that nothing says who may connect to `$G` (auth.md 4.7).
    ///
    /// An `authorization` block, whatever is in it, says that credentials are asked for (CVE-2023-47090).
    fn only_the_system_is_configured(&self, system: Option<&AccountName>) -> bool {
        let only_system = |node: &Node| {
            let mut names = node.entries().unwrap_or_default().iter().map(|entry| entry.key.as_str());
            names.next() == system.map(AccountName::as_str) && system.is_some() && names.next().is_none()
        };
        let more = self.authorization.is_some() || self.no_auth_user.is_some();
        !more && self.accounts.as_ref().is_some_and(only_system)
    }
}

fn anonymous(
    circumstances: Circumstances<'_>,
    builder: ConfiguredUsersBuilder,
    accounts: Option<&Node>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> ConfiguredUsersBuilder {
    if circumstances.open {
        let text = "INSECURE: only the system account is configured, so that clients of `$G` are not asked who they are: \
                    add `authorization` or another account with users";
        warnings.push(text.to_owned());
        return builder.anonymous_stand_in();
    }
    let text = "only the system account is configured, and nobody else would be asked who they are: add `authorization`, or \
                ask for anonymous clients with `insecure_no_auth: true`";
    problems.extend(accounts.map(|node| node.problem(text)));
    builder
}

/// The name in the block `cluster` of a whole file, by which mappings choose their destinations.
pub fn cluster_name(file: &Node) -> Option<&str> {
    entry(entry(file, "cluster")?, "name")?.text().ok()
}

fn entry<'n>(map: &'n Node, key: &str) -> Option<&'n Node> {
    map.entries().ok()?.iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| &entry.node)
}

#[cfg(test)]
mod tests;
