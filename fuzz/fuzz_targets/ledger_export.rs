//! See [`cordon_fuzz_checks::ledger_export`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cordon_fuzz_checks::ledger_export::check(data));
