//! A scenario file: whatever it says, it is read or refused, and what is read says the same when it is written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::scenario::run(input));
