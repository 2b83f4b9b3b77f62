//! What of the broker's `routing` is modelled.

#[path = "../../../server/src/routing/generation.rs"]
pub mod generation;
