//! Whole-program tests: the real binary, real clients, real TLS.
