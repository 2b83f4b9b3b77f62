//! See [`cordon_fuzz_checks::websocket`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::websocket::check(data));
