//! The numbers of `tests/vectors` must come out of our code; `tests/vectors/README.md` says how they were made.

#[path = "conformance/demo.rs"]
mod demo;
#[path = "conformance/llama.rs"]
mod llama;
#[path = "conformance/muon.rs"]
mod muon;
#[path = "conformance/plackett_luce.rs"]
mod plackett_luce;
