//! What is written for people and files: a run's folder, its CSV files, pictures and tables.
//!
//! Everything here is made from plain data: [`RoundRow`] and [`PeerRow`] come in round by round, [`RunFolder`] keeps
//! them, [`load`] reads them back, [`plots`] and [`tables`] show them.

mod data;
mod draw;
mod error;
mod files;
mod folder;
mod html;
mod leaderboard;
mod manifest;
pub mod plots;
mod publish;
mod record;
#[cfg(test)]
mod sample;
pub mod tables;

pub use data::RunData;
pub use draw::redraw;
pub use error::ReportError;
pub use files::replace as write_file;
pub use folder::{RunFolder, load, load_manifest, load_rounds};
pub use leaderboard::Leaderboard;
pub use manifest::{FORMAT, Manifest, References, Target};
pub use publish::publish;
pub use record::{BaselineRow, LeaderboardRow, PeerRow, RoundRow, SlotRow, Status};
