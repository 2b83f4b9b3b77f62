//! See [`cordon_fuzz_checks::protocol_parser`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::protocol_parser::check(data));
