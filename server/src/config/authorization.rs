//! Users of the configuration: the `authorization` block and users in `accounts`.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::{PermissionsClaim, ResponseClaim, SubjectsClaim};
use cordon_accounts::key::UserKey;
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_auth::configured::{ConfiguredUser, Credential};
use secrecy::SecretString;

use super::value::{Node, Problem, Value};

/// What the configuration says of users.
#[derive(Debug, Default)]
pub struct Authorization {
    /// Something was configured, so that nobody gets in without it.
    pub present: bool,
    /// Users.
    pub users: Vec<ConfiguredUser>,
    /// The token.
    pub token: Option<SecretString>,
    /// Time for CONNECT.
    pub timeout: Option<Duration>,
}

/// Reads an `authorization` block.
pub fn read(node: &Node, into: &mut Authorization, problems: &mut Vec<Problem>) {
    into.present = true;
    let account = AccountName::global();
    let (mut user, mut password, mut users, mut permissions) = (None, None, None, None);
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        match option {
            "user" | "username" => user = Some(value.text()?.to_owned()),
            "pass" | "password" => password = Some(SecretString::from(value.text()?)),
            "token" => into.token = Some(SecretString::from(value.text()?)),
            "timeout" => into.timeout = Some(value.duration()?),
            "users" => users = Some(value.clone()),
            "permissions" | "default_permissions" | "default_permission" => {
                permissions = Some(read_permissions(value, &mut nested));
            }
            _ => return Ok(false),
        }
        Ok(true)
    });
    problems.append(&mut nested);
    if let Some(name) = user {
        if into.token.is_some() || users.is_some() {
            problems.push(node.problem("a single `user` excludes `token` and `users`: keep one of them"));
        }
        let stored = password.unwrap_or_else(|| SecretString::from(""));
        let mut single = ConfiguredUser::new(name, Credential::Password(stored), account.clone());
        single.permissions = permissions.clone().unwrap_or_else(|| Arc::new(Permissions::everything()));
        into.users.push(single);
    } else if password.is_some() {
        problems.push(node.problem("`password` without `user`: name the user"));
    }
    if let Some(users) = users {
        read_users(&users, &account, permissions.as_ref(), into, problems);
    }
}

/// Reads `accounts`: names with users. What accounts share is not configured here.
pub fn read_accounts(node: &Node, into: &mut Authorization, problems: &mut Vec<Problem>) {
    into.present = true;
    let entries = match node.entries() {
        Ok(entries) => entries,
        Err(problem) => return problems.push(problem),
    };
    for entry in entries {
        if entry.key == AccountName::GLOBAL {
            problems.push(Problem {
                place: entry.place.clone(),
                text: "`$G` is a reserved account: choose another name".to_owned(),
            });
            continue;
        }
        let account = AccountName::new(entry.key.as_str());
        let (mut users, mut permissions, mut nested) = (None, None, Vec::new());
        entry.node.read(problems, |option, value| {
            match option {
                "users" => users = Some(value.clone()),
                "default_permissions" | "permissions" => permissions = Some(read_permissions(value, &mut nested)),
                "exports" | "imports" | "mappings" | "maps" | "limits" | "jetstream" | "msg_trace" | "trace_dest"
                | "nkey" => {
                    return Err(value.problem(format!(
                        "`{option}` of configured accounts is not supported: use accounts of an operator for it"
                    )));
                }
                _ => return Ok(false),
            }
            Ok(true)
        });
        problems.append(&mut nested);
        if let Some(users) = users {
            read_users(&users, &account, permissions.as_ref(), into, problems);
        }
    }
}

fn read_users(
    node: &Node,
    account: &AccountName,
    default: Option<&Arc<Permissions>>,
    into: &mut Authorization,
    problems: &mut Vec<Problem>,
) {
    let Value::List(items) = &node.value else {
        return problems.push(node.problem("`users` must be a list of maps, like [{user: alice, password: \"..\"}]"));
    };
    for item in items {
        into.users.extend(read_user(item, account, default, problems));
    }
}

fn read_user(
    node: &Node,
    account: &AccountName,
    default: Option<&Arc<Permissions>>,
    problems: &mut Vec<Problem>,
) -> Option<ConfiguredUser> {
    let (mut name, mut password, mut key, mut permissions) = (None, None, None, None);
    let (mut types, mut proxy, mut nested) = (Vec::new(), false, Vec::new());
    node.read(problems, |option, value| {
        match option {
            "user" | "username" => name = Some(value.text()?.to_owned()),
            "pass" | "password" => password = Some(SecretString::from(value.text()?)),
            "nkey" => {
                let text = value.text()?;
                key = Some(
                    UserKey::parse(text).map_err(|error| value.problem(format!("`{text}` is no user key: {error}")))?,
                );
            }
            "permissions" | "permission" | "authorization" => permissions = Some(read_permissions(value, &mut nested)),
            "allowed_connection_types" | "connection_types" | "clients" => {
                types = value.texts()?.into_iter().map(str::to_ascii_uppercase).collect();
            }
            "proxy_required" => proxy = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    problems.append(&mut nested);
    let mut user = match (name, key, password) {
        (None, Some(key), None) => ConfiguredUser::new("", Credential::Nkey(key), account.clone()),
        (Some(name), None, Some(password)) => {
            ConfiguredUser::new(name, Credential::Password(password), account.clone())
        }
        // Known by its certificate alone, on a listener that maps certificates.
        (Some(name), None, None) => ConfiguredUser::new(name, Credential::Certificate, account.clone()),
        _ => {
            problems.push(node.problem("a user needs either `user` and `password`, or `nkey` alone"));
            return None;
        }
    };
    user.permissions = permissions.or_else(|| default.cloned()).unwrap_or(user.permissions);
    user.connection_types = types;
    user.proxy_required = proxy;
    Some(user)
}

fn read_permissions(node: &Node, problems: &mut Vec<Problem>) -> Arc<Permissions> {
    let mut claim = PermissionsClaim::default();
    let mut nested = Vec::new();
    node.read(problems, |option, value| {
        match option {
            "publish" | "pub" | "import" => claim.publish = subjects(value, &mut nested)?,
            "subscribe" | "sub" | "export" => claim.subscribe = subjects(value, &mut nested)?,
            "allow_responses" | "publish_allow_responses" => claim.response = responses(value, &mut nested)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    problems.append(&mut nested);
    match Permissions::compile(&claim) {
        Ok(permissions) => Arc::new(permissions),
        Err(error) => {
            problems.push(node.problem(error.to_string()));
            // Never used: a configuration with problems is not loaded.
            Arc::new(Permissions::everything())
        }
    }
}

fn subjects(node: &Node, problems: &mut Vec<Problem>) -> Result<SubjectsClaim, Problem> {
    let texts = |node: &Node| Ok::<_, Problem>(node.texts()?.into_iter().map(str::to_owned).collect());
    if !matches!(node.value, Value::Map(_)) {
        return Ok(SubjectsClaim { allow: texts(node)?, deny: Vec::new() });
    }
    let mut claim = SubjectsClaim::default();
    node.read(problems, |option, value| {
        match option {
            "allow" => claim.allow = texts(value)?,
            "deny" => claim.deny = texts(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    Ok(claim)
}

fn responses(node: &Node, problems: &mut Vec<Problem>) -> Result<Option<ResponseClaim>, Problem> {
    if let Value::Bool(on) = node.value {
        return Ok(on.then(ResponseClaim::default));
    }
    node.entries()?;
    let mut claim = ResponseClaim::default();
    node.read(problems, |option, value| {
        match option {
            "max" | "max_msgs" | "max_messages" | "max_responses" => claim.max = value.integer()?,
            "expires" | "expiration" | "ttl" => {
                claim.ttl = i64::try_from(value.duration()?.as_nanos()).unwrap_or(i64::MAX);
            }
            _ => return Ok(false),
        }
        Ok(true)
    });
    Ok(Some(claim))
}
