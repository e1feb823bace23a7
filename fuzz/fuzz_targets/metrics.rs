//! Requests to a node that serves its metrics: whatever comes, it goes on serving.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // As in any program with a `main` of Rust: a client that has gone is an error of one write, not the end.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |input: &[u8]| gauntlet_fuzz::targets::metrics::run(input)
);
