//! Operators, account JWTs and where they are kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cordon_accounts::claims::{self, Operator};
use cordon_accounts::key::AccountKey;
use cordon_auth::resolver::{DeleteMode, DirectoryOptions};
use reqwest::Url;

use super::value::{Node, Problem, Value};
use crate::remote::http::{self, HttpTls};

/// Accounts that a cache keeps unless told otherwise.
const CACHED: usize = 1000;

/// Where account JWTs are kept.
#[derive(Clone, Debug, Default)]
pub enum ResolverConfig {
    /// In memory: those of the configuration.
    #[default]
    Memory,
    /// In a directory; others are asked for what is not in it, for so long.
    Directory(PathBuf, DirectoryOptions, Duration),
    /// With a server of account JWTs.
    Url(Url, HttpTls),
}

impl fmt::Display for ResolverConfig {
    /// What is configured, without what may be a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Directory(folder, options, timeout) => write!(f, "{} {options:?} {timeout:?}", folder.display()),
            Self::Url(address, tls) => write!(f, "{} {tls:?}", http::shown(address)),
        }
    }
}

/// How long others are asked unless told otherwise: less than a peer has to authenticate, as upstream.
pub const ASK_WITHIN: Duration = Duration::from_millis(1900);

/// Reads `resolver`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<ResolverConfig> {
    if let Value::Text(text) = &node.value {
        let lower = text.to_ascii_lowercase();
        if ["memory", "mem"].contains(&lower.as_str()) {
            return Some(ResolverConfig::Memory);
        }
        let inside = lower.starts_with("url(").then(|| text.get("url(".len()..)).flatten();
        if let Some(address) = inside.and_then(|text| text.strip_suffix(')')) {
            return at_url(node, address.trim().trim_matches('"'), problems);
        }
        problems.push(
            node.problem(
                "the resolver is none that is known: use MEMORY, URL(..), or a map with `type: full` and `dir`",
            ),
        );
        return None;
    }
    let (mut kind, mut folder, mut options) = (String::new(), None, DirectoryOptions::default());
    let (mut allow_delete, mut hard_delete) = (false, false);
    let mut timeout = ASK_WITHIN;
    node.read(problems, |option, value| {
        match option {
            "type" => kind = value.text()?.to_ascii_lowercase(),
            "dir" => folder = Some(PathBuf::from(value.text()?)),
            "allow_delete" => allow_delete = value.switch()?,
            "hard_delete" => hard_delete = value.switch()?,
            "limit" => options.limit = Some(value.size()?).filter(|limit| *limit > 0),
            "ttl" => options.ttl = Some(value.duration()?),
            "timeout" => timeout = not_zero(value)?,
            // Between servers, of which there is one.
            "interval" => {
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
    folder.map(|folder| ResolverConfig::Directory(folder, options, timeout))
}

fn not_zero(value: &Node) -> Result<Duration, Problem> {
    let duration = value.duration()?;
    if duration.is_zero() {
        return Err(value.problem("nobody could answer in no time: give a longer `timeout`"));
    }
    Ok(duration)
}

fn at_url(node: &Node, text: &str, problems: &mut Vec<Problem>) -> Option<ResolverConfig> {
    match http::address(text) {
        Ok(address) => Some(ResolverConfig::Url(address, HttpTls::default())),
        Err(text) => {
            problems.push(node.problem(text));
            None
        }
    }
}

/// The resolver that a single operator's JWT names, where the configuration names none: the accounts of its account
/// server, if that speaks HTTP.
pub fn of_operator(token: &str) -> Option<ResolverConfig> {
    let operator = claims::decode::<Operator>(token).ok()?;
    let server = operator.nats.account_server_url.trim_end_matches('/');
    if !server.to_ascii_lowercase().starts_with("http") {
        return None;
    }
    http::address(&format!("{server}/accounts")).ok().map(|address| ResolverConfig::Url(address, HttpTls::default()))
}

/// Options of a `tls` block that say nothing to a client of a server that is always verified.
const OF_LISTENERS: [&str; 21] = [
    "allow_insecure_cipher_suites",
    "cert_match",
    "cert_match_by",
    "cert_match_skip_invalid",
    "cert_store",
    "certs",
    "ca_certs_match",
    "cipher_suites",
    "connection_rate_limit",
    "curve_preferences",
    "first",
    "handshake_first",
    "immediate",
    "insecure",
    "min_version",
    "ocsp_peer",
    "pinned_certs",
    "timeout",
    "verify",
    "verify_and_map",
    "verify_cert_and_check_known_urls",
];

/// Reads `resolver_tls`: for TLS with the server of `resolver: URL(..)`.
pub fn tls(node: &Node, problems: &mut Vec<Problem>) -> HttpTls {
    let (mut tls, mut certificate, mut key) = (HttpTls::default(), None, None);
    node.read(problems, |option, value| {
        match option {
            "ca_file" => tls.ca = Some(PathBuf::from(value.text()?)),
            "cert_file" => certificate = Some(PathBuf::from(value.text()?)),
            "key_file" => key = Some(PathBuf::from(value.text()?)),
            "insecure" if value.switch()? => {
                return Err(
                    value.problem("the server of account JWTs is always verified: name its authority as `ca_file`")
                );
            }
            _ => return Ok(OF_LISTENERS.contains(&option)),
        }
        Ok(true)
    });
    match (certificate, key) {
        (Some(certificate), Some(key)) => tls.identity = Some((certificate, key)),
        (None, None) => {}
        _ => problems.push(node.problem("`cert_file` and `key_file` of `resolver_tls` go together: give both")),
    }
    tls
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
