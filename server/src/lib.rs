//! The Cordon broker: bytes in, permitted messages out.
