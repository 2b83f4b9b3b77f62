//! From a loaded configuration to a running broker.

use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::{self, ClaimsError, Operator, Verified};
use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_auth::authenticator::{Authenticator, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::{AccountLookup, CachedAccounts};
use cordon_auth::remote::RemoteOptions;
use cordon_auth::resolver::{
    DirectoryResolver, MemoryResolver, NoResolver, OpenError, Resolver, ResolverError, StorePolicy,
};
use cordon_auth::trust::{AccountError, Trust, TrustError};

use super::accounts::Configured;
use super::resolver::{ASK_WITHIN, ResolverConfig};
use super::{Identities, LoadedConfig, OperatorConfig};
use crate::broker::{Broker, RunningBroker, StartError};
use crate::extension::Extension;
use crate::reload::Memory;
use crate::remote::http::{HttpAccounts, HttpError};
use crate::remote::peers::Peers;
use crate::tenant::directory::Tenants;

/// After how many seconds an account in force is asked for again, where a server of account JWTs is the resolver.
const URL_REFRESH_AFTER_S: i64 = 300;
/// How often expired account JWTs are removed from the resolver.
const SWEEP: Duration = Duration::from_mins(1);

/// Why a configuration does not become a broker.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// A preloaded account is not believed.
    #[error("the preloaded JWT of account `{account}` is not believed: {source}")]
    Account {
        /// The account.
        account: AccountKey,
        /// Why.
        source: AccountError,
    },
    /// The broker itself does not start.
    #[error(transparent)]
    Broker(#[from] StartError),
    /// An operator JWT cannot be read.
    #[error("the operator JWT cannot be used: {0}")]
    Operator(#[from] ClaimsError),
    /// The resolver cannot be opened.
    #[error(transparent)]
    Resolver(#[from] OpenError),
    /// The server of account JWTs cannot be used.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A preloaded account cannot be stored.
    #[error("a preloaded account JWT cannot be stored: {0}")]
    Store(#[from] ResolverError),
    /// The operators do not go together.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Starts the broker that a configuration describes; it serves when this returns.
///
/// # Errors
///
/// [`StartFailure`] says what to change.
pub async fn start(config: LoadedConfig, clock: Clock) -> Result<RunningBroker, StartFailure> {
    start_with(config, clock, None).await
}

/// Starts it with what is built on the broker.
///
/// # Errors
///
/// [`StartFailure`] says what to change.
pub async fn start_with(
    config: LoadedConfig,
    clock: Clock,
    extension: Option<Arc<dyn Extension>>,
) -> Result<RunningBroker, StartFailure> {
    let memory = Memory::of(&config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut options = config.broker;
    let mut asks = None;
    let (mode, tenants) = match config.identities {
        Identities::Configured(Configured { users, accounts, .. }) => {
            (Mode::Configured(users), Tenants::of_configuration(accounts))
        }
        Identities::Operator(operator) => {
            let accounts = accounts(&operator, &clock).await?;
            asks = asked_elsewhere(&operator.resolver).map(|asking| (accounts.clone(), asking));
            options.system_account = accounts.trust().system_account();
            let lookup: Arc<dyn AccountLookup> = accounts.clone();
            let mut mode = OperatorMode::new(accounts.trust(), lookup);
            mode.pinned_accounts = operator.pinned_accounts.map(|keys| keys.into_iter().collect());
            mode.default_sentinel = operator.default_sentinel;
            let system = options.system_account.map(AccountName::from);
            (Mode::Operator(mode), Tenants::new(Some(accounts), system))
        }
    };
    let authenticator = Authenticator::new(mode, clock.clone()).with_trusted_proxies(config.trusted_proxies);
    let running = Broker::start_with(options, authenticator, tenants, clock, extension).await?;
    running.broker.reloads.started_with(memory).await;
    if let Some((accounts, options)) = asks {
        accounts.look_elsewhere(Arc::new(Peers::of(&running.broker)), options);
    }
    if running.broker.tenants.accounts().is_some() {
        running.broker.tasks.spawn(sweep(running.broker.clone()));
    }
    Ok(running)
}

/// The operators of a configuration, if they go together.
///
/// # Errors
///
/// [`StartFailure`] says what to change.
pub fn trust(operator: &OperatorConfig) -> Result<Arc<Trust>, StartFailure> {
    let operators: Vec<Verified<Operator>> =
        operator.operators.iter().map(|token| claims::decode(token)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Trust::new(operators)?.with_system_account(operator.system_account)))
}

/// Opens the resolver, and stores what the configuration brings unless something newer is there.
async fn accounts(operator: &OperatorConfig, clock: &Clock) -> Result<Arc<CachedAccounts>, StartFailure> {
    let now = clock.unix_seconds();
    let trust = trust(operator)?;
    let resolver: Arc<dyn Resolver> = match &operator.resolver {
        ResolverConfig::Memory => Arc::new(MemoryResolver::default()),
        ResolverConfig::Url(address, tls) => {
            let server = HttpAccounts::new(address.clone(), tls)?;
            server.check().await?;
            let accounts = Arc::new(CachedAccounts::new(trust, Arc::new(NoResolver)));
            let options =
                RemoteOptions { stores: false, within: ASK_WITHIN, refresh_after_s: Some(URL_REFRESH_AFTER_S) };
            accounts.look_elsewhere(Arc::new(server), options);
            return Ok(accounts);
        }
        ResolverConfig::Directory(folder, options, _) => {
            let opened = DirectoryResolver::open(folder, *options, now)?;
            for name in opened.ignored() {
                tracing::warn!("`{name}` in the resolver's folder holds no account JWT of that key and is not served");
            }
            Arc::new(opened)
        }
    };
    for (account, token) in &operator.preload {
        let admitted = trust.admit_account(token, Some(account), now);
        let record = admitted.map_err(|source| StartFailure::Account { account: *account, source })?;
        resolver.store(&record, StorePolicy::Merge, now)?;
    }
    Ok(Arc::new(CachedAccounts::new(trust, resolver)))
}

/// How the others of the system account are asked for what a directory does not hold.
fn asked_elsewhere(resolver: &ResolverConfig) -> Option<RemoteOptions> {
    match resolver {
        ResolverConfig::Directory(_, _, within) => {
            Some(RemoteOptions { stores: true, within: *within, refresh_after_s: None })
        }
        ResolverConfig::Memory | ResolverConfig::Url(..) => None,
    }
}

async fn sweep(broker: Arc<Broker>) {
    loop {
        tokio::select! {
            () = broker.stopping.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        let Some(resolver) = broker.tenants.accounts().map(|accounts| accounts.resolver().clone()) else { return };
        let now = broker.clock.unix_seconds();
        match tokio::task::spawn_blocking(move || resolver.sweep(now)).await {
            Ok(Ok(gone)) => {
                for key in gone {
                    tracing::info!(account.key = %key, "the account's JWT has expired and was removed from the resolver");
                }
            }
            Ok(Err(error)) => tracing::warn!("expired account JWTs cannot be removed: {error}"),
            Err(_) => return,
        }
    }
}
