//! Storms: a network of real nodes in one process, under faults drawn from a seed, and what must hold after them.
//!
//! The nodes are started by the code of real processes ([`crate::runtime`]): they save and load their states on disk,
//! compute the chain from the bucket, and read records, bundles and checkpoints. The bucket, its links and the clock are
//! simulated, so a storm takes no longer than its work, and a seed repeats it exactly.
//!
//! | file | what it holds |
//! |---|---|
//! | [`fault`], [`schedule`] | faults, and which of them a seed has |
//! | `field` | what all storms over one network share |
//! | `course`, [`timeline`], `seat` | the nodes' lives: starts, kills, clocks, disks |
//! | `store`, [`weather`] | what faults do to the requests of a node |
//! | `watch`, [`records`], `checkpoints`, `onlooker` | what nodes and the bucket show meanwhile |
//! | `verdict`, `led`, `broken` | what must hold, and the models that records lead to |
//! | `outcome` | one storm |
//! | `shrink` | fewer faults that break the same |
//! | [`batch`], [`table`] | many seeds side by side, and their table |

pub mod batch;
mod broken;
mod checkpoints;
mod course;
pub mod fault;
mod field;
mod led;
mod onlooker;
mod outcome;
pub mod records;
pub mod schedule;
mod seat;
mod shrink;
mod store;
pub mod table;
#[cfg(test)]
mod tests;
pub mod timeline;
mod verdict;
mod watch;
pub mod weather;

pub use broken::Broken;
pub use field::Field;
pub use outcome::{Outcome, run};
pub use shrink::shrink;
