//! How the control plane proves itself to brokers: a creds file, or a short-lived user that it mints.

use std::path::PathBuf;

use cordon_accounts::key::Seed;
use futures_util::future::BoxFuture;

/// A user JWT of the system account and its seed.
pub struct SystemUser {
    /// The user JWT.
    pub jwt: String,
    /// Its seed.
    pub seed: Seed,
}

impl std::fmt::Debug for SystemUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SystemUser")
    }
}

/// Why there are no credentials for the broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(pub String);

/// Where the credentials of each connection come from.
pub trait SystemUserSource: Send + Sync + 'static {
    /// A user that is valid now. Asked again for each connection.
    fn system_user(&self) -> BoxFuture<'_, Result<SystemUser, CredentialsError>>;
}

/// A creds file, read again for each connection, so that it can be renewed in place.
#[derive(Clone, Debug)]
pub struct CredsFile(pub PathBuf);

impl SystemUserSource for CredsFile {
    fn system_user(&self) -> BoxFuture<'_, Result<SystemUser, CredentialsError>> {
        Box::pin(async {
            let text = tokio::fs::read_to_string(&self.0).await.map(zeroize::Zeroizing::new).map_err(|cause| {
                CredentialsError(format!("cannot read the creds file `{}`: {cause}", self.0.display()))
            })?;
            let creds = cordon_accounts::creds::Creds::parse(&text)
                .map_err(|cause| CredentialsError(format!("`{}` is not a creds file: {cause}", self.0.display())))?;
            Ok(SystemUser { jwt: creds.jwt, seed: creds.seed })
        })
    }
}
