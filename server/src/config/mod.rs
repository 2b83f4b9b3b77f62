//! What `cordon broker -c FILE` reads: the part of nats-server's language that this broker needs.
//!
//! ```text
//! parser         text -> values with places (value)
//! layer          what the command line gives, laid over them
//! known          all options of nats-server, and what becomes of each: unknown ones, those not acted on
//! options        values -> Draft: one match over all top-level options
//! listen, tls, jetstream, resolver, authorization, accounts, websocket    the blocks of their own
//! LoadedConfig   what a broker is started with: start
//! ```
//!
//! Every problem names file, line and column and says what to do; unknown options are problems. To
//! act on an option: `applied` in the tables of [`known`], a line in [`options`] or the reader of its
//! block, and a field that it fills.

pub mod accounts;
pub mod authorization;
mod callout;
pub mod digest;
mod domains;
pub mod features;
pub mod jetstream;
pub mod known;
pub mod layer;
pub mod leafnodes;
pub mod listen;
pub mod options;
pub mod parser;
mod proxies;
pub mod resolver;
mod start;
mod syslog;
pub mod tls;
pub mod value;
pub mod websocket;
mod write_timeout;

use std::fmt;
use std::path::{Path, PathBuf};

use cordon_accounts::key::{AccountKey, PublicKey};

use crate::config::accounts::Configured;
use crate::config::jetstream::JetStreamOptions;
use crate::config::layer::Layer;
use crate::config::resolver::ResolverConfig;
use crate::config::tls::TlsFiles;
use crate::config::value::Problem;
use crate::options::BrokerOptions;

pub use start::{StartFailure, start, start_with, trust};
pub use syslog::SyslogTo;

/// A configuration that was read and checked.
#[derive(Debug)]
pub struct LoadedConfig {
    /// Settings of the data plane.
    pub broker: BrokerOptions,
    /// Where identities come from.
    pub identities: Identities,
    /// Keys of proxies that may vouch for connections.
    pub trusted_proxies: Vec<PublicKey>,
    /// The files of the client listener's certificate, for reading them again.
    pub tls: Option<TlsFiles>,
    /// The same of the WebSocket listener.
    pub websocket_tls: Option<TlsFiles>,
    /// The same of the listener for leaf nodes.
    pub leaf_tls: Option<TlsFiles>,
    /// Streams; none are kept if `None`.
    pub jetstream: Option<JetStreamOptions>,
    /// How to log.
    pub log: LogOptions,
    /// Where to write the process id.
    pub pid_file: Option<PathBuf>,
    /// The folder for a file that names the addresses listened on.
    pub ports_file_dir: Option<PathBuf>,
    /// What the person who starts the broker should know.
    pub warnings: Vec<String>,
    /// What nats-server takes with a warning at start, and refuses when it only checks a file.
    pub doubts: Vec<Problem>,
    /// The digest of the values, as nats-server makes it.
    pub digest: String,
}

impl LoadedConfig {
    /// A configuration that was not read from a file.
    pub fn new(broker: BrokerOptions, identities: Identities) -> Self {
        Self {
            broker,
            identities,
            trusted_proxies: Vec::new(),
            tls: None,
            websocket_tls: None,
            leaf_tls: None,
            jetstream: None,
            log: LogOptions::default(),
            pid_file: None,
            ports_file_dir: None,
            warnings: Vec::new(),
            doubts: Vec::new(),
            digest: String::new(),
        }
    }
}

/// Where identities come from.
#[derive(Debug)]
pub enum Identities {
    /// Users and accounts of the configuration; or nobody is asked at all.
    Configured(Configured),
    /// JWTs under trusted operators.
    Operator(OperatorConfig),
}

/// What operator mode needs.
#[derive(Clone, Debug, Default)]
pub struct OperatorConfig {
    /// Operator JWTs.
    pub operators: Vec<String>,
    /// The system account, where the operators do not name it.
    pub system_account: Option<AccountKey>,
    /// Where account JWTs are kept.
    pub resolver: ResolverConfig,
    /// Account JWTs that the resolver starts with, unless it has newer ones.
    pub preload: Vec<(AccountKey, String)>,
    /// Only these accounts are served; all when `None`.
    pub pinned_accounts: Option<Vec<AccountKey>>,
    /// User JWT of those who present none.
    pub default_sentinel: Option<String>,
}

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// More than usual.
    pub debug: bool,
    /// What clients send and get.
    pub trace: bool,
    /// What members of the system account send and get, too.
    pub trace_verbose: bool,
    /// Of messages that are traced, the header alone.
    pub trace_headers: bool,
    /// Bytes shown of a message that is traced; all when 0.
    pub max_traced: usize,
    /// Lines begin with the time.
    pub time: bool,
    /// The time is that of UTC instead of here.
    pub utc: bool,
    /// Into this file instead of standard error.
    pub file: Option<PathBuf>,
    /// Bytes after which a new file is begun; never when 0.
    pub size_limit: u64,
    /// Files kept, the one that is written included; all when 0.
    pub files_max: usize,
    /// To others who keep it, unless there is a file, instead of standard error.
    pub syslog: Option<SyslogTo>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            debug: false,
            trace: false,
            trace_verbose: false,
            trace_headers: false,
            max_traced: 0,
            time: true,
            utc: false,
            file: None,
            size_limit: 0,
            files_max: 0,
            syslog: None,
        }
    }
}

/// Everything that is wrong with a configuration, one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Reads a configuration file.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn load(path: &Path) -> Result<LoadedConfig, ConfigError> {
    options::read(&parser::parse_file(path).map_err(|problem| ConfigError(vec![problem]))?)
}

/// Reads a configuration file, if there is one, under what the command line gives.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn load_under(path: Option<&Path>, layer: &Layer) -> Result<LoadedConfig, ConfigError> {
    let parsed = match path {
        Some(path) => parser::parse_file(path),
        None => parser::parse("", "no configuration file", Path::new(".")),
    };
    let mut root = parsed.map_err(|problem| ConfigError(vec![problem]))?;
    let digest = digest::digest(&root);
    let nothing = options::nothing(&root);
    layer.apply(&mut root);
    let mut loaded = options::read(&root)?;
    // What is said of the file is said of the file alone, and nothing where there is none.
    loaded.digest = path.map(|_| digest).unwrap_or_default();
    loaded.broker.config_digest.clone_from(&loaded.digest);
    loaded.doubts.retain(|doubt| Some(doubt) != nothing.as_ref());
    loaded.doubts.extend(nothing.filter(|_| path.is_some()));
    Ok(loaded)
}

/// Reads a configuration from text; `name` is for the places in problems.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn load_text(text: &str, name: &str) -> Result<LoadedConfig, ConfigError> {
    options::read(&parser::parse(text, name, Path::new(".")).map_err(|problem| ConfigError(vec![problem]))?)
}

#[cfg(test)]
mod tests;
