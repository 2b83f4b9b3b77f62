//! See [`cordon_fuzz_checks::proxy_header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::proxy_header::check(data));
