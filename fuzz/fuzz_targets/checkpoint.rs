//! A checkpoint: a model to start from.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::checkpoint::run(input));
