//! Signals, and how a broker ends.
//!
//! TERM: lame duck for a few seconds, or at once as nats-server does · USR2: lame duck as long as configured · INT,
//! or a second signal: at once · HUP: the configuration is read again · USR1: the log's file is opened again.

use std::time::Duration;

use anyhow::Context as _;
use cordon_server::RunningBroker;

use crate::log;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long TERM lets clients go by themselves.
const TERM_GRACE: Duration = Duration::from_secs(3);
/// How often an ending broker looks whether its clients have left.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What somebody outside wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// End gently, soon.
    End,
    /// End gently, however long that is configured to take.
    EndSlowly,
    /// End now.
    EndNow,
    /// Read the configuration again.
    Reload,
}

/// The signals that this process answers.
#[derive(Debug)]
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
    lame_duck: Signal,
    hangup: Signal,
    reopen: Signal,
}

impl Signals {
    /// Listens from now on; before this, each of them would end the process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("signals cannot be received");
        Ok(Self {
            term: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            lame_duck: on(SignalKind::user_defined2())?,
            hangup: on(SignalKind::hangup())?,
            reopen: on(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Wish {
        loop {
            let (name, wish) = tokio::select! {
                _ = self.term.recv() => ("terminated", Wish::End),
                _ = self.interrupt.recv() => ("interrupt", Wish::EndNow),
                _ = self.lame_duck.recv() => ("user defined signal 2", Wish::EndSlowly),
                _ = self.hangup.recv() => ("hangup", Wish::Reload),
                _ = self.reopen.recv() => {
                    tracing::info!("Trapped \"user defined signal 1\" signal");
                    match log::reopen() {
                        Ok(true) => tracing::info!("File log re-opened"),
                        Ok(false) => tracing::info!("File log re-open ignored, not a file logger"),
                        Err(error) => tracing::error!("{error:#}"),
                    }
                    continue;
                }
            };
            tracing::info!("Trapped \"{name}\" signal");
            return wish;
        }
    }

    /// Waits for a signal to end, answering `reload` meanwhile.
    pub(crate) async fn until_end(&mut self, reload: impl AsyncFn()) -> Wish {
        loop {
            match self.next().await {
                Wish::Reload => reload().await,
                end => return end,
            }
        }
    }
}

/// What TERM means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// As in nats-server: connections end now; and a lame duck does not hear it.
    AtOnce,
    /// Clients are told and have a few seconds.
    Soon,
}

/// Ends a broker as was wished; a further signal ends it at once.
pub(crate) async fn end(broker: &RunningBroker, wish: Wish, signals: &mut Signals, term: Term) {
    if wish != Wish::EndSlowly {
        tracing::info!("Initiating Shutdown...");
    }
    let gently = async {
        match wish {
            Wish::End if term == Term::AtOnce => {}
            Wish::End => {
                // An error only says that the clients are still there.
                let _late = tokio::time::timeout(TERM_GRACE, lame_duck(broker)).await;
            }
            Wish::EndSlowly => lame_duck(broker).await,
            Wish::EndNow | Wish::Reload => {}
        }
    };
    let hurry = async {
        loop {
            match signals.next().await {
                Wish::End if term == Term::AtOnce && wish == Wish::EndSlowly => {}
                Wish::Reload | Wish::EndSlowly => {}
                Wish::End | Wish::EndNow => return,
            }
        }
    };
    tokio::select! {
        () = gently => {}
        () = hurry => {}
    }
    if wish == Wish::EndSlowly {
        tracing::info!("Initiating Shutdown...");
    }
    broker.shutdown().await;
    tracing::info!("Server Exiting..");
}

/// Lame duck, over early when the last client has left.
async fn lame_duck(broker: &RunningBroker) {
    let empty = async {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        // The notice goes out before the first look.
        loop {
            look.tick().await;
            if broker.broker.listening.is_cancelled() && broker.broker.connections.open().is_empty() {
                return;
            }
        }
    };
    tokio::select! {
        () = broker.lame_duck() => {}
        () = empty => {}
    }
}
