//! Experiments of many networks: which settings, which strategies, which seeds.
//!
//! A [`pool`] runs networks side by side, one thread each, and keeps what matters of each, its [`Figures`], on a
//! [`Shelf`]: a folder or a bucket, where a network that has been run is found by its settings. So whatever is stopped,
//! killed or split into shards goes on from what is there. [`statistics`] makes intervals of the figures of several seeds.
//! A [`sweep`] runs all combinations of some settings; a [`Comparison`] puts runs and sweeps beside one another.

pub mod attack;
mod compare;
mod differences;
mod error;
mod figures;
mod pictures;
pub mod pool;
mod shelf;
pub mod statistics;
mod summary;
pub mod sweep;

pub use compare::{CompareError, Comparison};
pub use differences::differences;
pub use error::LabError;
pub use figures::{Figures, Held, PeerFigures};
pub use pool::{Event, PoolOptions, Shard};
pub use shelf::{Kept, Key, Shelf};
