//! The contents of a run's folder, from which tables and pictures are made.

use super::{BaselineRow, LeaderboardRow, Manifest, PeerRow, RoundRow};

/// Everything in a run's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct RunData {
    /// The folder's name, which identifies the run in a picture of several.
    pub name: String,
    pub manifest: Manifest,
    pub rounds: Vec<RoundRow>,
    pub peers: Vec<PeerRow>,
    /// Empty if the run had no baseline.
    pub baseline: Vec<BaselineRow>,
    pub leaderboard: Vec<LeaderboardRow>,
}
