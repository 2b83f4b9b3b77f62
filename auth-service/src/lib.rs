//! Who is connecting: proofs become principals, or refusals.
//!
//! A connection presents a [`proof::Proof`]; the [`authenticator::Authenticator`] turns it into a
//! principal, or into a refusal that carries a reason. The ways of proving live in [`method`], the chain
//! of trust from an account JWT to an operator key in [`trust`], the places where account JWTs are kept
//! in [`resolver`]. What a changed account JWT means for those already connected is a pure function in
//! [`standing`].

#![forbid(unsafe_code)]

pub mod clock;
pub mod nonce;
pub mod proof;
