//! What every request shares.

use std::sync::Arc;

use super::refusals::Refusals;
use crate::issuing::Issuer;
use crate::ledger::Ledger;
use crate::pki::Authority;

/// The state of the API. Cheap to clone.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    issuer: Issuer,
    ledger: Ledger,
    authority: Option<Arc<Authority>>,
    refusals: Refusals,
    openapi: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("App")
    }
}

impl App {
    /// The state over these parts.
    pub fn new(issuer: Issuer, ledger: Ledger, authority: Option<Arc<Authority>>) -> Self {
        let openapi = super::openapi::document_text();
        Self { shared: Arc::new(Shared { issuer, ledger, authority, refusals: Refusals::default(), openapi }) }
    }

    /// Issuing, store and brokers.
    pub fn issuer(&self) -> &Issuer {
        &self.shared.issuer
    }

    /// The ledger's signer.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// The local certificate authority, where there is one.
    pub fn authority(&self) -> Option<&Authority> {
        self.shared.authority.as_deref()
    }

    pub(super) fn refusals(&self) -> &Refusals {
        &self.shared.refusals
    }

    pub(super) fn openapi(&self) -> &str {
        &self.shared.openapi
    }
}
