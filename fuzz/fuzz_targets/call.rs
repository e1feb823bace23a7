//! Calls to the chain: registrations and weights.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::call::run(input));
