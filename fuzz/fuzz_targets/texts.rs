//! See [`cordon_fuzz_checks::texts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::texts::check(data));
