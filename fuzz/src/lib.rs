//! What the fuzz targets do with an input. `tests/fuzz.rs` runs the same on a usual compiler, over the kept corpus and
//! changes of it.
//!
//! Bytes from a fuzzer never carry a valid signature or digest, so they would only test the first lines of a decoder. A
//! target therefore reads its input as a list of changes to a valid object, and signs the result again.

pub mod change;
pub mod targets;
