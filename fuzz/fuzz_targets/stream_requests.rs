//! See [`cordon_fuzz_checks::stream_requests`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::stream_requests::check(data));
