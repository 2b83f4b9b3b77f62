//! Operators, account JWTs and where they are kept.

use std::path::{Path, PathBuf};

use cordon_accounts::key::AccountKey;
use cordon_auth::resolver::{DeleteMode, DirectoryOptions};

use super::value::{Node, Problem, Value};

/// Accounts that a cache keeps unless told otherwise.
const CACHED: usize = 1000;

/// Where account JWTs are kept.
#[derive(Clone, Debug, Default)]
pub enum ResolverConfig {
    /// In memory: those of the configuration.
    #[default]
    Memory,
    /// In a directory.
    Directory(PathBuf, DirectoryOptions),
}

/// Reads `resolver`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<ResolverConfig> {
    if let Value::Text(text) = &node.value {
        if ["memory", "mem"].contains(&text.to_ascii_lowercase().as_str()) {
            return Some(ResolverConfig::Memory);
        }
        problems.push(node.problem(format!(
            "`{text}` is no resolver that is supported here: use MEMORY, or a map with `type: full` and `dir`"
        )));
        return None;
    }
    let (mut kind, mut folder, mut options) = (String::new(), None, DirectoryOptions::default());
    let (mut allow_delete, mut hard_delete) = (false, false);
    node.read(problems, |option, value| {
        match option {
            "type" => kind = value.text()?.to_ascii_lowercase(),
            "dir" => folder = Some(PathBuf::from(value.text()?)),
            "allow_delete" => allow_delete = value.switch()?,
            "hard_delete" => hard_delete = value.switch()?,
            "limit" => options.limit = Some(value.size()?).filter(|limit| *limit > 0),
            "ttl" => options.ttl = Some(value.duration()?),
            // Between servers, of which there is one.
            "interval" | "timeout" => {
                value.duration()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    });
    options.delete =
        match (allow_delete, hard_delete) {
            (false, false) => DeleteMode::Refuse,
            (true, false) => DeleteMode::Rename,
            (true, true) => DeleteMode::Remove,
            (false, true) => {
                problems.push(node.problem(
                    "`hard_delete` has no effect without `allow_delete: true`: add it, or remove `hard_delete`",
                ));
                DeleteMode::Refuse
            }
        };
    match kind.as_str() {
        "memory" | "mem" => return Some(ResolverConfig::Memory),
        "full" if options.ttl.is_some() => problems.push(node.problem("`ttl` is for `type: cache`: remove it")),
        "full" => {}
        "cache" => {
            options.cache = true;
            options.limit = options.limit.or(Some(CACHED));
        }
        "" => problems.push(node.problem("the resolver needs a `type`: full, cache or memory")),
        other => problems.push(node.problem(format!("`{other}` is no type of resolver: full, cache or memory"))),
    }
    if folder.is_none() {
        problems.push(node.problem("the resolver needs `dir`: the folder for account JWTs"));
    }
    folder.map(|folder| ResolverConfig::Directory(folder, options))
}

/// Reads `resolver_preload`: account keys and their JWTs, inline or as files.
pub fn preload(node: &Node, problems: &mut Vec<Problem>) -> Vec<(AccountKey, String)> {
    let mut found = Vec::new();
    let entries = match node.entries() {
        Ok(entries) => entries,
        Err(problem) => {
            problems.push(problem);
            return found;
        }
    };
    for entry in entries {
        match AccountKey::parse(&entry.key) {
            Err(error) => problems.push(Problem {
                place: entry.place.clone(),
                text: format!("`{}` is no account key: {error}", entry.key),
            }),
            Ok(key) => match token(&entry.node) {
                Ok(token) => found.push((key, token)),
                Err(problem) => problems.push(problem),
            },
        }
    }
    found
}

/// A JWT: inline, or the one in a file.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn token(node: &Node) -> Result<String, Problem> {
    let text = node.text()?;
    if text.starts_with("eyJ") {
        return Ok(text.to_owned());
    }
    let content = std::fs::read_to_string(Path::new(text))
        .map_err(|error| node.problem(format!("`{text}` is neither a JWT nor a file that can be read: {error}")))?;
    let token = content.lines().map(str::trim).find(|line| line.starts_with("eyJ"));
    token.map(str::to_owned).ok_or_else(|| node.problem(format!("there is no JWT in the file `{text}`")))
}

/// Account keys.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn keys(node: &Node) -> Result<Vec<AccountKey>, Problem> {
    node.items().iter().map(key).collect()
}

/// An account key.
///
/// # Errors
///
/// A [`Problem`] at the value's place, if it is nothing of that kind.
pub fn key(node: &Node) -> Result<AccountKey, Problem> {
    let text = node.text()?;
    AccountKey::parse(text).map_err(|error| node.problem(format!("`{text}` is no account key: {error}")))
}
