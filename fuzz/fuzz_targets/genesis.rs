//! The genesis of a run, and its start.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::genesis::run(input));
