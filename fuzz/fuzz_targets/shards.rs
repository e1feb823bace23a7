//! The index of a Hugging Face model in several files: which file holds which tensor.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::shards::run(input));
