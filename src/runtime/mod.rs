//! The real network: nodes run in processes of their own and meet in a bucket.
//!
//! The peer and the validator are those of the simulator ([`crate::node`]); this module is what stands behind their
//! ports. A [`Process`] runs some nodes of one run on one device. All nodes read from the bucket which run it is
//! ([`Run`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`run`] | the run in it: genesis and start |
//! | `model` | the newest model in the bucket, for readers that take no part |
//! | [`process`] | nodes of one process, from start to stop |
//! | `chain` | the ledger that every node computes from the calls in the bucket |
//! | `peer_buckets` | peers' own buckets, named in the ledger |
//! | `clocks`, `store_clock` | the network's time is the store's |
//! | [`lockstep`] | one paused clock for several processes |
//! | `stamps`, `gated` | buckets for that clock: a folder with its stamps, a store that it waits for |
//! | `host`, `state`, `saver`, [`report`], `sweep` | what nodes leave on disk and in the bucket |
//! | [`metrics`], `counted` | numbers for Prometheus |

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
pub use chain::BucketChain;
pub(crate) use host::NodeHost;
pub use metrics::Metrics;
pub use process::Process;
pub use run::Run;
pub use store_clock::{StoreTime, read as store_time};
