//! A stream's configuration, compiled: what every message is held against.

use cordon_accounts::subject::Transform;

use crate::config::StreamConfig;

/// Patterns and transforms of a checked configuration.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// What they become before they are stored.
    pub(super) transform: Option<Transform>,
    /// Where messages are published again.
    pub(super) republish: Option<Transform>,
}

impl Rules {
    /// Compiles what was checked before; what does not compile is as if it were not there.
    pub(super) fn of(config: &StreamConfig) -> Self {
        let transform = |src: &str, dest: &str| Transform::new(if src.is_empty() { ">" } else { src }, dest).ok();
        Self {
            transform: config.subject_transform.as_ref().and_then(|one| transform(&one.src, &one.dest)),
            republish: config.republish.as_ref().and_then(|one| transform(&one.src, &one.dest)),
        }
    }
}
