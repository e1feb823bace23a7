//! A peer's upload, as validators and followers read it: the format, the signature, and whether it can be aggregated.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::upload::run(input));
