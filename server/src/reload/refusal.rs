//! Why a reload changes nothing.

use std::fmt;

use crate::config::{ConfigError, StartFailure};
use crate::reload::change::{Change, Effect};

/// A reload that was refused whole: everything is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ReloadRefusal {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something outside the broker, such as the log, cannot be as configured.
    #[error("{0}")]
    Host(String),
    /// There is nothing to read again.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// Some changes need a restart.
    #[error("{}", Fixed(.0))]
    NotLive(Vec<Change>),
    /// The parts of the new configuration do not go together.
    #[error(transparent)]
    Parts(#[from] StartFailure),
    /// A server could not be joined as a leaf node.
    #[error("the remote `{remote}` of `leafnodes` could not be joined: {cause}")]
    Remote {
        /// Its first URL.
        remote: String,
        /// Why not.
        cause: String,
    },
    /// Nobody could administer the broker any more.
    #[error("the system account `{account}` would not be believed any more: {cause}; keep the operator that signed it")]
    SystemAccount {
        /// The account.
        account: String,
        /// Why it would not.
        cause: String,
    },
}

/// Changes that need a restart, in nats-server's words and what to do.
struct Fixed<'a>(&'a [Change]);

impl fmt::Display for Fixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.0 {
            let field = match change.effect {
                Effect::AtStart { field } => field,
                Effect::Live => &change.name,
            };
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
            let (old, new) = (shown(&change.old), shown(&change.new));
            writeln!(f, "config reload not supported for {field}: old={old}, new={new}")?;
        }
        let names: Vec<String> = self.0.iter().map(|change| format!("`{}`", change.name)).collect();
        write!(f, "nothing was changed: put {} back, or restart the broker", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_option_and_what_to_do() {
        let change = |name: &str, field| Change {
            name: name.to_owned(),
            old: Some("1".to_owned()),
            new: None,
            effect: Effect::AtStart { field },
        };
        let refused = ReloadRefusal::NotLive(vec![change("port", "Port"), change("http", "HTTPPort")]);
        assert_eq!(
            refused.to_string(),
            "config reload not supported for Port: old=1, new=none\n\
             config reload not supported for HTTPPort: old=1, new=none\n\
             nothing was changed: put `port`, `http` back, or restart the broker"
        );
    }
}
