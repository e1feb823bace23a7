//! The record of a round: which uploads were aggregated.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::record::run(input));
