//! See [`cordon_fuzz_checks::admin_bodies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::admin_bodies::check(data));
