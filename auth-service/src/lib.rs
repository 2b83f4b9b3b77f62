//! Who is connecting: proofs become principals, or refusals.
