//! See [`cordon_fuzz_checks::subject_algebra`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::subject_algebra::check(data));
