//! See [`cordon_fuzz_checks::s2_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::s2_stream::check(data));
