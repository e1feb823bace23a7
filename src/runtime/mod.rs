//! The network for real: nodes in processes of their own, which meet in a bucket.
//!
//! The peer and the validator are those of the simulator ([`crate::node`]); here is what stands behind their ports. A
//! [`Process`] runs some nodes of one run on one device. Which run, everybody reads from the bucket ([`Run`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`run`] | the run in it: genesis and start |
//! | `model` | the newest model in the bucket, for those who take no part
//! | [`process`] | nodes of one process, from start to stop |
//! | [`chain`] | the ledger that everybody computes from the calls in the bucket |
//! | [`peer_buckets`] | buckets of peers' own, named in the ledger |
//! | [`clocks`], [`store_clock`] | the network's time is the store's |
//! | [`lockstep`] | one paused clock for several processes |
//! | [`stamps`], [`gated`] | buckets on it: a folder that is stamped by it, a store that is waited for |
//! | [`host`], [`state`], [`saver`], [`report`], [`sweep`] | what nodes leave on disk and in the bucket |
//! | [`metrics`], [`counted`] | numbers for Prometheus |

mod chain;
mod clocks;
mod counted;
mod gated;
mod host;
pub mod lockstep;
pub mod metrics;
mod model;
mod peer_buckets;
pub mod process;
pub mod report;
pub mod run;
mod saver;
mod stamps;
mod state;
mod store_clock;
mod sweep;

pub use crate::bucket::{self, Bucket};
pub use metrics::Metrics;
pub use process::Process;
pub use run::Run;
