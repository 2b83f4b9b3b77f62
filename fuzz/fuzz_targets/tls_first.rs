//! See [`cordon_fuzz_checks::tls_first`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::tls_first::check(data));
