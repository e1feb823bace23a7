//! Requests to a node that serves its metrics: whatever comes, it goes on serving.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gauntlet_fuzz::targets::metrics::run(input));
