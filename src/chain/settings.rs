//! The `[chain]` section of a scenario.

use serde::{Deserialize, Serialize};

/// Slots, blocks, rounds, weights, Yuma consensus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSettings {
    /// Peers that can be registered at the same time, at most 250.
    pub slots: usize,
    pub block_seconds: f64,
    pub blocks_per_round: u64,
    /// URL prefixes under which peers may keep uploads in buckets of their own, which they name when they register. The
    /// network trusts these stores to stamp uploads correctly.
    pub peer_buckets: Vec<String>,
    /// Rounds in which a newly registered peer cannot be pushed out.
    pub immunity_rounds: u64,
    /// Rounds between two posts of a validator's weights.
    pub weights_every: u64,
    /// Share of stake that must back a weight (Yuma's kappa).
    pub kappa: f64,
    /// Rate of the moving average of bonds.
    pub bond_alpha: f64,
    /// How far bonds follow clipped weights instead of posted ones, from 0 to 1.
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
