//! A sealed upload and its key: whatever they hold, what opens has the digest that its peer has signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::envelope::run(input));
