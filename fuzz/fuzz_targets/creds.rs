//! See [`cordon_fuzz_checks::creds`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::creds::check(data));
