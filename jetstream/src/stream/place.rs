//! Where a stream is: names that answers and subjects tell.

use std::sync::Arc;

use cordon_accounts::subject::Pattern;

use crate::consumer::{AckForm, Place};

/// Names of account, stream and domain, owned.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) account: Arc<str>,
    pub(super) stream: Arc<str>,
    pub(super) domain: Option<Arc<str>>,
    pub(super) form: AckForm,
    pub(super) max_message: u64,
    pub(super) holds: Vec<Pattern>,
}

impl Location {
    /// As consumers take it.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            account: &self.account,
            stream: &self.stream,
            domain: self.domain.as_deref(),
            form: &self.form,
            max_message: self.max_message,
            holds: &self.holds,
        }
    }
}
