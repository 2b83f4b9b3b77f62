//! The broker of a data folder: operator mode, TLS, account JWTs in a directory.
//!
//! It trusts the operators that the store names ([`super::operators`]). Of the store it needs nothing else:
//! accounts come by NATS, as to any other broker. Only the system account is put there before, since
//! without it nobody could push.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_admin::Control;
use cordon_auth::authenticator::{Authenticator, CertificateUsers, Mode, OperatorMode};
use cordon_auth::clock::Clock;
use cordon_auth::lookup::{AccountLookup, CachedAccounts};
use cordon_auth::resolver::{DeleteMode, DirectoryOptions, DirectoryResolver, Resolver as _, StorePolicy};
use cordon_auth::trust::Trust;
use cordon_jetstream::node::Node;
use cordon_server::config::jetstream::JetStreamOptions;
use cordon_server::extension::Extension;
use cordon_server::tenant::directory::Tenants;
use cordon_server::websocket::WebsocketOptions;
use cordon_server::{Broker, BrokerOptions, RunningBroker, StartError};

use super::operators::Operators;
use super::{Serve, port_taken};
use crate::command::certificate::read_map;
use crate::data_folder::{DataFolder, Paths};
use crate::tls::ListenerFiles;

/// The files of the client listener.
pub(crate) fn listener_files(paths: &Paths) -> ListenerFiles {
    ListenerFiles { certificate: paths.server_certificate(), key: paths.server_key(), client_ca: paths.ca() }
}

/// Starts the broker; it serves when this returns.
pub(crate) async fn start(
    folder: &DataFolder,
    control: &Control,
    serve: &Serve,
    clock: &Clock,
) -> anyhow::Result<RunningBroker> {
    let paths = folder.paths();
    let operators = Operators::new(control.store().clone(), folder.operator());
    let trust = Arc::new(operators.trust().await?);
    let system =
        trust.system_account().context("the operator has no system account, so the broker cannot be managed")?;
    let accounts = accounts(paths, control, &trust, &system, clock).await?;
    let lookup: Arc<dyn AccountLookup> = accounts.clone();
    let mut mode = OperatorMode::new(trust, lookup);
    mode.certificate_users = certificate_users(paths)?;
    let options = BrokerOptions {
        server_name: "cordon".to_owned(),
        listen: SocketAddr::new(serve.listen_ip(), serve.port),
        monitor: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, serve.monitor_port))),
        tls: Some(listener_files(paths).options()?),
        websocket: websocket(paths, serve)?,
        map_certificates: !mode.certificate_users.is_empty(),
        system_account: Some(system),
        security_dir: Some(paths.security()),
        allow_delete: true,
        ..BrokerOptions::default()
    };
    let authenticator = Authenticator::new(Mode::Operator(mode), clock.clone());
    let tenants = Tenants::new(Some(accounts), Some(AccountName::from(system)));
    let streams: Arc<dyn Extension> =
        Node::new(JetStreamOptions { store_dir: Some(paths.streams()), ..JetStreamOptions::default() });
    let started = Broker::start_with(options, authenticator, tenants, clock.clone(), Some(streams)).await;
    let running = started.map_err(with_flag)?;
    running.broker.tasks.spawn(operators.follow(running.broker.clone()));
    Ok(running)
}

/// The listener for clients over WebSocket, if there is to be one.
///
/// Clients prove themselves in CONNECT alone: nothing that a browser sends of itself, a certificate or a cookie, counts.
fn websocket(paths: &Paths, serve: &Serve) -> anyhow::Result<Option<WebsocketOptions>> {
    let Some(port) = serve.websocket_port else { return Ok(None) };
    let mut options = WebsocketOptions {
        listen: SocketAddr::new(serve.listen_ip(), port),
        tls: Some(Arc::new(listener_files(paths).options_without_clients()?)),
        compression: true,
        ..WebsocketOptions::default()
    };
    options.origins.allowed.clone_from(&serve.websocket_origin);
    Ok(Some(options))
}

/// A failure to start, with the flag if it is about a port.
fn with_flag(error: StartError) -> anyhow::Error {
    match error {
        StartError::Bind { address, purpose, source } => {
            let flag = match purpose {
                "clients" => "--port",
                "websocket clients" => "--websocket-port",
                _ => "--monitor-port",
            };
            port_taken(address, flag, source)
        }
        other => anyhow::Error::new(other).context("the broker cannot be started"),
    }
}

/// The directory of account JWTs, with the system account in it.
async fn accounts(
    paths: &Paths,
    control: &Control,
    trust: &Arc<Trust>,
    system: &AccountKey,
    clock: &Clock,
) -> anyhow::Result<Arc<CachedAccounts>> {
    let now = clock.unix_seconds();
    let options = DirectoryOptions { delete: DeleteMode::Rename, ..DirectoryOptions::default() };
    let resolver = DirectoryResolver::open(paths.resolver(), options, now)?;
    for name in resolver.ignored() {
        tracing::warn!(
            "`{name}` in `{}` holds no account JWT of that key and is not served",
            paths.resolver().display()
        );
    }
    let mut reader = control.store().read().await.context("the store cannot be read")?;
    let row = reader.accounts().lookup(system).await?.context("the system account is not in the store")?;
    let record =
        trust.admit_account(&row.claims_jwt, Some(system), now).context("the system account is not believed")?;
    resolver.store(&record, StorePolicy::Merge, now).context("the system account cannot be stored for the broker")?;
    Ok(Arc::new(CachedAccounts::new(trust.clone(), Arc::new(resolver))))
}

/// The users that certificates stand for now.
pub(crate) fn certificate_users(paths: &Paths) -> anyhow::Result<CertificateUsers> {
    let mut users = CertificateUsers::default();
    for (name, jwt) in read_map(paths)? {
        users.insert(&name, &jwt);
    }
    Ok(users)
}
