//! A Hugging Face folder: its config.json, and the header of its safetensors.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::weights::run(input));
