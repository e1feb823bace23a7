//! Measures nothing, and sets the weights that others have set: pay for validating without the work.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::Uid;
use crate::mechanism::Measurement;

/// The settings of `copy-weights`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopyWeightsSettings {}

impl ValidatorBehaviourSettings for CopyWeightsSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(CopyWeights)
    }
}

struct CopyWeights;

impl ValidatorBehaviour for CopyWeights {
    fn measured(&mut self, _wanted: Vec<Measurement>, _around: &ValidatorSurroundings) -> Vec<Measurement> {
        Vec::new()
    }

    /// In the last block before the epoch, when the others have set theirs.
    fn weighs_at(&self, around: &ValidatorSurroundings) -> Option<Duration> {
        let (clock, blocks) = (&around.ports.clock, around.network.rules.chain.blocks_per_round);
        let block = clock.round_length() / u32::try_from(blocks).unwrap_or(u32::MAX);
        Some(clock.round_start(around.round + 2).saturating_sub(block))
    }

    /// The mean of the others' weights by stake: nearly what they agree on.
    fn weights(&mut self, judged: Vec<(Uid, f64)>, around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        let own = around.ports.identity.hotkey();
        let stakes: BTreeMap<_, _> = around.chain.validators().into_iter().collect();
        let mut copied: BTreeMap<Uid, f64> = BTreeMap::new();
        for (validator, weights) in around.chain.weights() {
            let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
            if validator != own.0 && total > 0.0 {
                let stake = stakes.get(&validator).copied().unwrap_or(0.0);
                weights.iter().for_each(|(uid, weight)| *copied.entry(*uid).or_default() += stake * weight / total);
            }
        }
        if copied.is_empty() { judged } else { copied.into_iter().collect() }
    }
}
