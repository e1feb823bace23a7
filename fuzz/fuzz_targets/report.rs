//! A validator's report of a round, as `sim status` and `sim collect` read it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::report::run(input));
