//! See [`cordon_fuzz_checks::leaf_parser`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::leaf_parser::check(data));
