//! Where account JWTs are asked for that the resolver does not hold (auth.md 8.1).
//!
//! ```text
//! http    a server of account JWTs: `resolver: URL(..)`
//! peers   whoever answers `$SYS.REQ.ACCOUNT.<key>.CLAIMS.LOOKUP` in the system account: full and cache resolvers
//! ```
//!
//! What comes back is verified against the operators like anything else.

pub mod http;
pub mod peers;
