//! A simulated network: one bucket in memory, and for each node a link to it with latency, bandwidth and losses.
//!
//! Time is tokio's, on a runtime with a paused clock: an operation sleeps for as long as it would take, and the clock
//! jumps to the next event. [`SimClock`] counts from the start of the world and makes the store's stamps. [`SimBucket`]
//! is the store; [`SimLink`] is the `ObjectStore` of a node.
//!
//! **Nothing depends on the order of tasks within a millisecond.** A read sees exactly the writes stamped before its
//! millisecond. Losses are drawn by node, request and time, not from a generator that operations share.

mod bucket;
mod clock;
mod link;
#[cfg(test)]
mod tests;

pub use bucket::{BucketState, SimBucket};
pub use clock::SimClock;
pub use link::{Link, LinkOptions, LinkState, SimLink, Traffic};
