//! What `cordon broker -c FILE` reads: the part of nats-server's language that this broker needs.
//!
//! ```text
//! parser         text -> values with places (value)
//! options        values -> Draft: one match over all top-level options
//! listen, tls, resolver, authorization    the blocks of their own
//! LoadedConfig   what a broker is started with: start
//! ```
//!
//! Every problem names file, line and column and says what to do; unknown options are problems. To
//! add an option: a line in [`options`], and a field that it fills.

pub mod authorization;
pub mod listen;
pub mod options;
pub mod parser;
pub mod resolver;
mod start;
pub mod tls;
pub mod value;

use std::fmt;
use std::path::{Path, PathBuf};

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_auth::configured::ConfiguredUsers;

use crate::config::resolver::ResolverConfig;
use crate::config::tls::TlsFiles;
use crate::config::value::Problem;
use crate::options::BrokerOptions;

pub use start::{StartFailure, start};

/// A configuration that was read and checked.
#[derive(Debug)]
pub struct LoadedConfig {
    /// Settings of the data plane.
    pub broker: BrokerOptions,
    /// Where identities come from.
    pub identities: Identities,
    /// The files of the client listener's certificate, for reading them again.
    pub tls: Option<TlsFiles>,
    /// How to log.
    pub log: LogOptions,
    /// Where to write the process id.
    pub pid_file: Option<PathBuf>,
    /// What the person who starts the broker should know.
    pub warnings: Vec<String>,
}

/// Where identities come from.
#[derive(Debug)]
pub enum Identities {
    /// Users of the configuration, or nobody is asked at all; and the name of the system account.
    Configured(ConfiguredUsers, AccountName),
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
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// More than usual.
    pub debug: bool,
    /// Everything.
    pub trace: bool,
    /// Into this file instead of standard error.
    pub file: Option<PathBuf>,
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
