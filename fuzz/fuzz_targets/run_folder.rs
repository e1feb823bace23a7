//! The folder of a run that is resumed, shown or verified: its manifest, its tables, its checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::run_folder::run(input));
