//! What should arrive where: the rules of isolation in a few hundred lines of obvious code, to hold the broker
//! against.
//!
//! Nothing here calls the product. [`plain`] is the smallest model, of what the admin API can set up. [`World`] knows
//! all that decides about a delivery:
//!
//! | | |
//! |---|---|
//! | [`subject`] | matching, containment, rewriting |
//! | [`rights`] | permissions: allow, deny, queue groups, leave to respond |
//! | [`account`] | what an account's and a user's claims say, and when claims are turned down |
//! | [`sharing`] | which imports hold: exports, activations, revocations, cycles |
//! | [`world`] | connections and subscriptions; what a change does to them |
//! | [`publish`] | where one message goes |
//!
//! What the broker may decide as it likes (which member of a queue group, which destination of a weighted mapping) is
//! decided by what was observed, as long as it is one of the possible outcomes.

pub mod account;
pub mod plain;
pub mod publish;
pub mod rights;
pub mod sharing;
pub mod subject;
pub mod world;

pub use account::{Account, Activation, Export, Import, Kind, Signer, SigningKey, User};
pub use publish::{Got, Message, Mismatch};
pub use rights::Rights;
pub use world::{Connection, Told, World};
