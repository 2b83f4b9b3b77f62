//! See [`cordon_fuzz_checks::stream_recovery`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::stream_recovery::check(data));
