//! See [`cordon_fuzz_checks::jwt`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::jwt::check(data));
