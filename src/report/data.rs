//! A run as its folder tells it: what tables and pictures are made of.

use super::{BaselineRow, LeaderboardRow, Manifest, PeerRow, RoundRow};

/// Everything that a run's folder tells.
#[derive(Clone, Debug, PartialEq)]
pub struct RunData {
    /// The folder's name: tells runs apart in a picture of several.
    pub name: String,
    pub manifest: Manifest,
    pub rounds: Vec<RoundRow>,
    pub peers: Vec<PeerRow>,
    /// Empty where the run had no baseline.
    pub baseline: Vec<BaselineRow>,
    pub leaderboard: Vec<LeaderboardRow>,
}
