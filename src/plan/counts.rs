//! A scenario and what it takes in floating-point operations.

use super::device::Work;
use crate::model::LlamaConfig;
use crate::node::OpenError;
use crate::scenario::{Operator, Scenario};
use crate::training::scheme::{LocalSteps, Scheme};
use crate::training::tokens_to_take_up;
use crate::transport::wire::Form;

/// A forward pass is a third of forward and backward.
pub(super) const FORWARD_SHARE: f64 = 1.0 / 3.0;

/// A scenario and all that follows from it without opening its corpus.
pub struct Plan {
    pub scenario: Scenario,
    pub config: LlamaConfig,
    pub(super) scheme: Box<dyn Scheme>,
}

/// Floating-point operations of a run, as [`LlamaConfig::flops_per_token`] counts them: recomputation to save memory
/// does not count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flops {
    /// Forward and backward for one token.
    pub token: f64,
    /// Training of one peer in a round.
    pub peer_round: f64,
    /// Evaluations of one validator in a round.
    pub validator_round: f64,
    /// Training of one peer in all rounds.
    pub peer: f64,
    /// Training of the aggregated peers in all rounds.
    pub aggregated: f64,
    /// Training of all registered peers in all rounds.
    pub all: f64,
}

impl Plan {
    /// What all uploads have in common.
    pub(super) fn form(&self) -> Form<'_> {
        self.scenario.form(self.scheme.shape())
    }

    /// The plan of a scenario.
    ///
    /// # Errors
    /// The sizes of the model, or the chunks of the scheme, are invalid.
    pub fn new(scenario: Scenario) -> Result<Self, OpenError> {
        let config = LlamaConfig::from_settings(&scenario.model)?;
        let scheme = scenario.scheme_settings().build(&config.layout())?;
        Ok(Self { scenario, config, scheme })
    }

    /// Parameters of the model.
    pub fn parameters(&self) -> usize {
        self.config.layout().total()
    }

    /// Tokens that one peer trains on in a round, on average.
    pub fn tokens_per_peer(&self) -> f64 {
        self.scenario.mean_pages() * self.config.sequence_length as f64
    }

    /// Tokens that one validator runs forward in a round, as its mechanism counts them, and those by which it sees whether the states of audited
    /// peers take up work.
    pub fn evaluated_tokens(&self) -> f64 {
        let (pages, aggregated) = (self.scenario.training.pages_per_round, self.scenario.protocol.top_peers);
        let (judge, length) = (self.scenario.judge(), self.config.sequence_length);
        let passes = judge.forward_passes(pages, aggregated);
        let steps = self.scheme.local_steps().map_or(1, LocalSteps::steps);
        let of_audit = if judge.audits() { tokens_to_take_up(length, steps) as f64 / pages as f64 } else { 0.0 };
        passes * (length as f64 + of_audit)
    }

    /// Devices of a peer of the first group. They share its model and its work.
    pub fn peer_devices(&self) -> usize {
        self.first_peer().hardware.devices
    }

    /// Devices of the first validator.
    pub fn validator_devices(&self) -> usize {
        self.scenario.validators[0].hardware.devices
    }

    /// A peer of the first group.
    pub(super) fn first_peer(&self) -> Operator<'_> {
        self.scenario.each_operator().next().expect("a scenario has peers or operators")
    }

    /// Peers registered at the same time, at most.
    pub fn registered(&self) -> usize {
        self.scenario.peers_total().min(self.scenario.chain.slots)
    }

    /// Operations of a round and of the run.
    pub fn flops(&self) -> Flops {
        let token = self.config.flops_per_token() as f64;
        let peer_round = token * self.tokens_per_peer() + self.newton_schulz_flops();
        let peer = peer_round * self.scenario.rounds as f64;
        Flops {
            token,
            peer_round,
            validator_round: token * self.evaluated_tokens() * FORWARD_SHARE,
            peer,
            aggregated: peer * self.scenario.protocol.top_peers as f64,
            all: peer * self.registered() as f64,
        }
    }

    /// Operations of Newton-Schulz in a peer's round, on average; 0 unless Muon makes its steps.
    pub(super) fn newton_schulz_flops(&self) -> f64 {
        self.scenario.mean_step_flops(&*self.scheme)
    }

    /// The work that takes a device's time, for its `Speed`.
    pub fn work(&self) -> Work {
        Work {
            flops_per_token: self.config.flops_per_token() as f64,
            parameters: self.parameters() as f64,
            received: (self.scenario.protocol.top_peers * self.coefficients()) as f64,
        }
    }

    /// Coefficients in an upload.
    pub(super) fn coefficients(&self) -> usize {
        self.scheme.shape().tensors.iter().map(|tensor| tensor.coefficients()).sum()
    }

    /// Seconds that all rounds take, as set by the chain.
    pub fn seconds(&self) -> f64 {
        self.scenario.rounds as f64 * self.scenario.round_seconds()
    }
}
