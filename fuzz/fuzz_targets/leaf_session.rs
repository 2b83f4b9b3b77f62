//! See [`cordon_fuzz_checks::leaf_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::leaf_session::check(data));
