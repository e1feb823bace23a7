//! The `[chain]` section of a scenario.

use serde::{Deserialize, Serialize};

use super::registry::MAX_SLOTS;
use crate::settings::{Findings, MOST_SECONDS};

/// Slots, blocks, rounds, weights, Yuma consensus.
///
/// Later settings are written only if they are set, because the names of runs cover what is written.
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
    /// Whether validators commit to their weights before an epoch and reveal them after it, so that copied weights are
    /// an epoch late.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub commit_reveal: bool,
    /// Rounds for which a validator goes to the end of the succession when a majority objects to a record of its.
    #[serde(skip_serializing_if = "is_default_suspension")]
    pub suspended_rounds: u64,
}

const SUSPENDED_ROUNDS: u64 = 100;

fn is_default_suspension(rounds: &u64) -> bool {
    *rounds == SUSPENDED_ROUNDS
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
            commit_reveal: false,
            suspended_rounds: SUSPENDED_ROUNDS,
        }
    }
}

impl ChainSettings {
    /// Checks what a type cannot tell.
    pub fn check(&self, found: &mut Findings) {
        let slots = self.slots;
        found.require((1..=MAX_SLOTS).contains(&slots), "slots", slots, format!("1 to {MAX_SLOTS}"));
        found.positive("block_seconds", self.block_seconds);
        found.at_most("block_seconds", self.block_seconds, MOST_SECONDS);
        found.at_least_one("blocks_per_round", self.blocks_per_round);
        found.at_least_one("weights_every", self.weights_every);
        found.positive_fraction("kappa", self.kappa);
        for (index, prefix) in self.peer_buckets.iter().enumerate() {
            let is_whole = prefix.contains("://") && prefix.ends_with('/');
            let expected = "the beginning of a URL that ends with `/`, such as \"s3://uploads/\"";
            found.require(is_whole, format!("peer_buckets.{index}"), format!("{prefix:?}"), expected);
        }
        found.positive_fraction("bond_alpha", self.bond_alpha);
        found.fraction("bond_penalty", self.bond_penalty);
    }
}
