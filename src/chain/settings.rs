//! What a scenario's `[chain]` says.

use serde::{Deserialize, Serialize};

/// Slots, blocks, rounds, weights, Yuma consensus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSettings {
    /// Peers registered at a time, 250 at most.
    pub slots: usize,
    pub block_seconds: f64,
    pub blocks_per_round: u64,
    /// Beginnings of URLs at which peers may keep their uploads in buckets of their own, named when they register. Whose
    /// store it is must be trusted to stamp rightly.
    pub peer_buckets: Vec<String>,
    /// Rounds in which a newly registered peer cannot be pushed out.
    pub immunity_rounds: u64,
    /// Validators post weights every so many rounds.
    pub weights_every: u64,
    /// Stake share that must back a weight (Yuma's kappa).
    pub kappa: f64,
    /// Moving average of bonds.
    pub bond_alpha: f64,
    /// How much bonds follow clipped weights instead of posted ones.
    pub bond_penalty: f64,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            slots: 250,
            block_seconds: 12.0,
            blocks_per_round: 7,
            peer_buckets: Vec::new(),
            immunity_rounds: 50,
            weights_every: 50,
            kappa: 0.5,
            bond_alpha: 0.1,
            bond_penalty: 1.0,
        }
    }
}
