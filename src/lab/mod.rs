//! Experiments of many networks: which settings, which strategies, which seeds.
//!
//! A [`pool`] runs networks side by side, one thread each, and keeps what matters of each, its [`Figures`], on a
//! [`Shelf`]: a folder or a bucket, where a network that has been run is found by its settings. So whatever is stopped,
//! killed or split into shards goes on from what is there. [`statistics`] makes intervals of the figures of several seeds.

pub mod attack;
mod differences;
mod error;
mod figures;
pub mod pool;
mod shelf;
pub mod statistics;

pub use differences::differences;
pub use error::LabError;
pub use figures::{Figures, PeerFigures};
pub use pool::{Event, PoolOptions, Shard};
pub use shelf::{Kept, Key, Shelf};
