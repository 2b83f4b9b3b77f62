//! Where monitoring listens: decided at the start, and by every reload that says otherwise.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, StartError, listen, local};
use crate::monitoring::http;

/// The listener that is in force, if there is one.
#[derive(Default)]
pub struct Listening(Mutex<Option<Place>>);

struct Place {
    bound: SocketAddr,
    stop: CancellationToken,
}

/// What a reload makes of the listener: everything that can fail has been done.
pub enum Move {
    /// It listens no more.
    Ends,
    /// It listens here instead.
    To(TcpListener, SocketAddr),
    /// Nothing changes.
    Stays,
}

impl Move {
    /// What leads from one address, as it was configured, to another; `purpose` is for people.
    ///
    /// # Errors
    ///
    /// When the other address cannot be listened on.
    pub fn between(
        old: Option<SocketAddr>,
        new: Option<SocketAddr>,
        purpose: &'static str,
    ) -> Result<Self, StartError> {
        match new {
            _ if old == new => Ok(Self::Stays),
            None => Ok(Self::Ends),
            Some(address) => Ok(Self::To(listen(address, purpose)?, address)),
        }
    }
}

impl Listening {
    /// Where it is, with the port that was picked.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.lock().as_ref().map(|place| place.bound)
    }

    /// Acts on a change. Requests under way on an earlier listener are still answered.
    pub fn act(&self, broker: &Arc<Broker>, change: Move) {
        let place = match change {
            Move::Stays => return,
            Move::Ends => None,
            Move::To(listener, asked) => {
                let bound = local(&listener, asked);
                let stop = broker.stopping.child_token();
                broker.tasks.spawn(http::serve(listener, broker.clone(), stop.clone()));
                Some(Place { bound, stop })
            }
        };
        if let Some(earlier) = std::mem::replace(&mut *self.0.lock(), place) {
            earlier.stop.cancel();
        }
    }
}
