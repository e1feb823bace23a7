//! The network of a simulation: one bucket in memory, and for each node a link to it with latency, bandwidth and
//! losses.
//!
//! Time is tokio's, on a runtime with a paused clock: an operation sleeps as long as it would take, and the clock jumps
//! to the next event. [`SimClock`] counts it from the start of the simulated world and turns it into the store's
//! stamps. [`SimBucket`] is the store; [`SimLink`] is the `ObjectStore` that a node is given.
//!
//! **Nothing depends on the order of tasks that run in the same millisecond.** A read sees exactly the writes stamped
//! before its millisecond. A request is lost by a draw keyed by the node, what it asks for and when, not by a generator
//! that operations share.

mod bucket;
mod clock;
mod link;
#[cfg(test)]
mod tests;

pub use bucket::{BucketState, SimBucket};
pub use clock::SimClock;
pub use link::{Link, LinkOptions, LinkState, SimLink, Traffic};
