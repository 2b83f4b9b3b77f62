//! Signals, and how a broker ends.
//!
//! TERM: lame duck for a few seconds · USR2: lame duck as long as configured · INT, or any second
//! signal: at once · HUP: certificates are read again.

use std::time::Duration;

use anyhow::Context as _;
use cordon_server::RunningBroker;
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
    /// Read certificates again.
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
                    tracing::info!("File log re-open ignored, not a file logger");
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

/// Ends a broker as was wished; a further signal ends it at once.
pub(crate) async fn end(broker: &RunningBroker, wish: Wish, signals: &mut Signals) {
    tracing::info!("Initiating Shutdown...");
    let gently = async {
        match wish {
            Wish::End => {
                // An error only says that the clients are still there.
                let _late = tokio::time::timeout(TERM_GRACE, lame_duck(broker)).await;
            }
            Wish::EndSlowly => lame_duck(broker).await,
            Wish::EndNow | Wish::Reload => {}
        }
    };
    tokio::select! {
        () = gently => {}
        _ = signals.next() => {}
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
