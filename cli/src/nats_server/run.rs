//! A broker from flags and a configuration file: from its first line in the log to its last.

use std::io;
use std::sync::Arc;

use cordon_auth::clock::Clock;
use cordon_jetstream::node::Node;
use cordon_server::config::{self, StartFailure};
use cordon_server::extension::Extension;
use cordon_server::protocol::info::EMULATED_VERSION;
use cordon_server::reload::Asker;
use cordon_server::{RunningBroker, StartError};

use super::Program;
use super::flags::Flags;
use super::host::{Surroundings, write_pid};
use crate::dumps;
use crate::failure::Told;
use crate::lifecycle::{self, Signals, Term};
use crate::log::{self, FATAL, Shape};

/// Runs until a signal ends it.
///
/// # Errors
///
/// What keeps it from starting: before there is a log as an error to be told, afterwards [`Told`].
pub(super) async fn run(program: &Program, flags: &Flags) -> anyhow::Result<()> {
    let layer = flags.layer();
    let mut loaded = config::load_under(flags.config.as_deref(), &layer).map_err(|error| anyhow::anyhow!("{error}"))?;
    loaded.warnings.extend(flags.without_effect());
    loaded.warnings.extend(loaded.doubts.iter().map(ToString::to_string));
    log::start(Shape::Server, &loaded.log)?;
    dumps::forbid();
    let mut signals = Signals::listen()?;
    announce(flags, &loaded.digest);
    write_pid(&loaded).map_err(|error| fatal(&format!("Could not write pidfile: {error:#}")))?;
    let ports_folder = loaded.ports_file_dir.clone();
    let streams = loaded.jetstream.clone().map(|options| -> Arc<dyn Extension> { Node::new(options) });
    let started = config::start_with(loaded, Clock::system(), streams).await;
    let running = started.map_err(|error| fatal(&start_failure(&error)))?;
    let around = Arc::new(Surroundings::new(program, flags.config.as_deref(), layer));
    around.announce_ports(&running.broker, ports_folder.as_deref());
    if flags.config.is_some() {
        running.broker.reloads.read_from(around.clone());
    }
    let wish = signals.until_end(async || reload(&running).await).await;
    lifecycle::end(&running, wish, &mut signals, Term::AtOnce).await;
    around.announce_ports(&running.broker, None);
    Ok(())
}

/// Reads the file again under the same flags, and puts in force what has changed; whatever comes of it is logged.
async fn reload(running: &RunningBroker) {
    // What was refused has been logged, and changed nothing.
    let _logged = cordon_server::reload::reload(&running.broker, &Asker::Signal).await;
}

/// The first lines, as tools look for them; what names the product itself stands beside.
fn announce(flags: &Flags, digest: &str) {
    tracing::info!("Starting nats-server");
    tracing::info!("  Version:  {EMULATED_VERSION}");
    tracing::info!("  Cordon:   {}", env!("CARGO_PKG_VERSION"));
    if let Some(path) = &flags.config {
        tracing::info!("Using configuration file: {} ({digest})", path.display());
    }
}

/// Ends the process after its log has said why.
fn fatal(text: &str) -> anyhow::Error {
    tracing::error!(target: FATAL, "{text}");
    Told.into()
}

fn start_failure(error: &StartFailure) -> String {
    match error {
        StartFailure::Broker(StartError::Bind { address, purpose, source }) => {
            let what = match *purpose {
                "clients" => "port",
                "websocket clients" => "websocket port",
                _ => "monitoring port",
            };
            let advice = match source.kind() {
                io::ErrorKind::AddrInUse => "; stop what uses it, or choose another port",
                io::ErrorKind::PermissionDenied => "; this user may not listen there",
                _ => "",
            };
            format!("Error listening on {what}: {address}, {source}{advice}")
        }
        other => format!("the broker cannot be started: {other}"),
    }
}
