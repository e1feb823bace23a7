//! A bundle: the uploads of a round in one object.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::bundle::run(input));
