//! `sim sweep`: runs all combinations of some settings with the same seeds.
//!
//! A [`Plan`] is built and checked before anything runs. A [`Sweep`] keeps it in a folder or a bucket, runs its
//! networks, and writes the results once all are there:
//!
//! | object | what it holds |
//! |---|---|
//! | `sweep.json` | axes, seeds, and the settings of each combination |
//! | `results/<key>.json` | the figures of one network |
//! | `sweep.csv` | a line for each network and label of its peers |
//! | `sweep.md` | means and 95 % intervals over the seeds |
//! | `sweep-pay.svg`, `sweep-loss.svg` | the same, drawn |
//!
//! No file says when or where it was made, so a sweep in parts gives the same bytes as an uninterrupted one.

mod axis;
mod control;
mod error;
mod folder;
mod plan;
mod rows;

pub use axis::Axis;
pub use error::SweepError;
pub use folder::{Outcome, Sweep, load};
pub use plan::{Combination, Plan};
