//! What of the broker's `connection` is modelled.

#[path = "../../../server/src/connection/backlog.rs"]
pub mod backlog;
#[path = "../../../server/src/connection/chunks.rs"]
pub mod chunks;
#[path = "../../../server/src/connection/outbound.rs"]
pub mod outbound;
pub mod socket;
#[path = "../../../server/src/connection/write_timeout.rs"]
pub mod write_timeout;
