//! Writes runs for people and programs: the run folder, its CSV files, pictures and tables.
//!
//! [`run`] and [`record`] take a scenario and return its results. A program that observes more passes a [`RunWriter`]
//! to [`simulate`](crate::engine::simulate), which writes a [`RunFolder`]. [`load`] reads a folder, [`plots`] and
//! [`tables`] show it, and [`explain`] says why a peer was paid or not. All of these use plain data only: [`RoundRow`],
//! [`PeerRow`] and the names of the mechanism's columns.

mod data;
mod diverged;
mod draw;
mod equality;
mod error;
pub mod explain;
mod files;
mod folder;
mod html;
pub mod json;
mod leaderboard;
mod manifest;
pub mod page;
pub mod plots;
mod publish;
mod record;
mod rows;
mod run;
#[cfg(test)]
pub(crate) mod sample;
mod saved;
mod standings;
pub mod tables;
mod whole;
mod work;
mod writer;

pub use data::RunData;
pub use diverged::{Diverged, diverged};
pub use draw::redraw;
pub use equality::{Equality, gini, variation};
pub use error::ReportError;
pub use files::replace as write_file;
pub use folder::{RunFolder, load, load_manifest, load_rounds, load_slots};
pub use leaderboard::Leaderboard;
pub use manifest::{Begun, FORMAT, Manifest, References, Target};
pub use publish::publish;
pub use record::{BackdoorRow, BaselineRow, LeaderboardRow, PeerRow, RoundRow, SlotRow, Status};
pub use rows::{RoundRows, Rows};
pub use run::{Options, SimulationError, record, run, run_with};
pub use saved::{Saved, averages, models};
pub use writer::RunWriter;
