//! `sim sweep`: all combinations of some settings, with the same seeds each.
//!
//! A [`Plan`] is what is asked for, built and checked before anything runs. [`Sweep`] keeps it in a folder or a bucket,
//! runs its networks and writes what came of them when all are there:
//!
//! | object | what it holds |
//! |---|---|
//! | `sweep.json` | axes, seeds, and the settings of each combination |
//! | `results/<key>.json` | the figures of one network |
//! | `sweep.csv` | a line for each network and label of its peers |
//! | `sweep.md` | means and 95 % intervals over the seeds |
//! | `sweep-pay.svg`, `sweep-loss.svg` | the same, drawn |
//!
//! None of them says when or where it was made: a sweep in parts gives the bytes of an undisturbed one.

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
