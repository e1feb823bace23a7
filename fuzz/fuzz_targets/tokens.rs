//! The manifest of a folder of tokens, and the shard beside it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::tokens::run(input));
