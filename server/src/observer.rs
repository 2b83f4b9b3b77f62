//! Who is told of connections coming and going: the system account.

use cordon_auth::refusal::Refusal;

use crate::connection::Connection;
use crate::connection::close::Closing;

/// Told of what happens to connections; called on their tasks, so it never waits.
pub trait Observer: Send + Sync {
    /// A connection was bound to its account.
    fn connected(&self, connection: &Connection);
    /// A connection that was bound has ended.
    fn disconnected(&self, connection: &Connection, closing: &Closing);
    /// A proof was refused.
    fn authentication_refused(&self, connection: &Connection, refusal: &Refusal);
}

/// Nobody is told.
pub struct Nobody;

impl Observer for Nobody {
    fn connected(&self, _: &Connection) {}
    fn disconnected(&self, _: &Connection, _: &Closing) {}
    fn authentication_refused(&self, _: &Connection, _: &Refusal) {}
}
