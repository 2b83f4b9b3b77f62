//! Who is connecting: proofs become principals, or refusals.
//!
//! A connection presents a [`Proof`]; the [`Authenticator`] turns it into a [`Principal`], or into a
//! [`Refusal`] that carries a reason. The chain of trust from an account JWT to an operator key is
//! [`trust`]; where an account has the decision made by a service of its own, [`callout`] asks it. Account JWTs are kept by a [`resolver`] and their verified records by a [`lookup`]. What a
//! changed account JWT means for those already connected is the pure function [`still_valid`]; what
//! becomes of requests to change stored JWTs is decided in [`claims_request`].

#![forbid(unsafe_code)]

pub mod account_record;
pub mod authenticator;
pub mod callout;
pub mod certificate;
pub mod claims_request;
pub mod clock;
pub mod configured;
pub mod lookup;
mod method;
pub mod nonce;
pub mod password;
pub mod principal;
pub mod proof;
pub mod refusal;
pub mod remote;
pub mod resolver;
mod rooms;
mod stand_in;
pub mod standing;
#[cfg(test)]
mod testing;
pub mod throttle;
pub mod trust;
pub mod zone;

pub use account_record::AccountRecord;
pub use authenticator::{Authenticator, Mode, OperatorMode};
pub use clock::Clock;
pub use lookup::AccountLookup;
pub use principal::Principal;
pub use proof::{ClientDetails, ConnectCredentials, ConnectionType, Proof};
pub use refusal::{ClosePolicy, Refusal};
pub use standing::still_valid;
pub use trust::Trust;
