//! Experiments over many networks: combinations of settings, strategies and seeds.
//!
//! A [`pool`] runs networks side by side, one per thread. It keeps the [`Figures`] of each on a [`Shelf`], which is a
//! folder or a bucket. A shelf finds a finished network by its settings, so an experiment that was stopped, killed or
//! split into shards continues from the finished networks. [`statistics`] makes intervals from the figures of several
//! seeds. A [`sweep`] runs all combinations of some settings; a [`Comparison`] puts runs and sweeps beside one another.

pub mod attack;
mod compare;
mod differences;
mod error;
mod figures;
mod honest;
mod pictures;
mod place;
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
