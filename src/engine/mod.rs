//! The world with a paused clock: starts the nodes of a scenario, gives them hardware, links and a chain, and records
//! what happens.
//!
//! [`run`] runs a scenario and returns its reports. [`simulate`] has more options.
//!
//! Life of a run: [`simulate`] builds the world, or resumes it from a [`Checkpoint`], on a single-threaded tokio
//! runtime whose clock is paused, so that time jumps to the next event. Nodes are tasks; their heavy work runs on a
//! pool of threads ([`Compute`](crate::node::Compute)). Between two rounds every node offers its state to the
//! `recorder`; the states of all nodes for the same round are a checkpoint. The run is over when every node has seen
//! the last round end, or with the checkpoint after an interrupt. A resumed run repeats what nodes did after that
//! checkpoint.

mod baseline;
mod chain;
mod checkpoint;
mod cost;
mod observer;
mod options;
mod recorder;
mod whole;
mod world;

pub use baseline::train_baseline;
pub use checkpoint::Checkpoint;
pub use cost::Cost;
pub use observer::{BaselineStep, Observer, ObserverError, SharedObserver, Traffic};
pub use options::{Outcome, RunError, RunOptions};
pub use whole::{Finished, run, run_on};
pub use world::{simulate, simulate_on};

pub use crate::training::baseline::BaselineState;
