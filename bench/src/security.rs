//! How a scenario's clients are let in: plainly, over TLS, or as users of JWT accounts.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::link::Dialer;
use crate::tenancy::{Identity, Tenancy};
use crate::tls::Certificate;

/// What a scenario asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// No TLS, no authentication.
    Plain,
    /// TLS required, no authentication.
    Tls,
    /// Operator mode with two accounts, no TLS: tenant 0 exports a stream and a service, tenant 1 imports both.
    Sharing,
    /// Operator mode with so many accounts, no TLS.
    Tenants(usize),
}

/// The material for it.
pub(crate) enum Security {
    /// Nothing needed.
    Plain,
    /// A certificate and who trusts it.
    Tls(Certificate),
    /// Operator, accounts and users.
    Tenants(Tenancy),
    /// What a run has put together by itself.
    Own(Own),
}

/// Lines of a configuration, and who connects by it.
pub(crate) struct Own {
    /// The lines, but for TLS.
    pub(crate) lines: String,
    /// TLS, if clients use it.
    pub(crate) tls: Option<Certificate>,
    /// Users, taken in turn; nobody is asked who they are when there are none.
    pub(crate) users: Vec<Arc<Identity>>,
}

impl Security {
    /// Makes what `entry` needs, with files in `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written or a claim cannot be signed.
    pub(crate) fn create(entry: Entry, folder: &Path) -> Result<Self> {
        Ok(match entry {
            Entry::Plain => Self::Plain,
            Entry::Tls => Self::Tls(Certificate::create(folder)?),
            Entry::Sharing => Self::Tenants(Tenancy::sharing(folder)?),
            Entry::Tenants(count) => Self::Tenants(Tenancy::create(count, folder)?),
        })
    }

    /// How a client of `tenant` connects to `address`.
    pub(crate) fn dialer(&self, address: SocketAddr, tenant: usize) -> Dialer {
        Dialer {
            address,
            tls: match self {
                Self::Tls(certificate) => Some(Arc::clone(&certificate.client)),
                Self::Own(own) => own.tls.as_ref().map(|certificate| Arc::clone(&certificate.client)),
                Self::Plain | Self::Tenants(_) => None,
            },
            identity: match self {
                Self::Tenants(tenancy) => tenancy.identity(tenant),
                Self::Own(own) => own.users.get(tenant % own.users.len().max(1)).cloned(),
                Self::Plain | Self::Tls(_) => None,
            },
        }
    }
}
