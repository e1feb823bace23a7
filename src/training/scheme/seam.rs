//! The interface of a scheme, and of its side on a peer.

use bytes::Bytes;
use toml::Table;

use super::footprint::Footprint;
use super::local_steps::LocalSteps;
use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::aggregate::{clipped_mean, sign_of_mean};
use crate::training::{Basis, ChunkError, Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round};

/// The settings of a scheme, in a scenario's `[scheme]`.
pub trait SchemeSettings: Send + Sync {
    /// Checks what the types cannot, for a peer with this many pages a round. Paths are relative to the section.
    fn check(&self, _found: &mut Findings, _pages_per_round: usize) {}

    /// Defaults that depend on the pages of a round. They replace those of `Default` for settings that a scenario
    /// leaves out.
    fn dependent_defaults(&self, _pages_per_round: usize) -> Table {
        Table::new()
    }

    /// Steps that a peer makes alone in a round; `None` where it makes none.
    fn inner_steps(&self) -> Option<usize> {
        None
    }

    /// The meaning of the coefficients that a peer sends. Only aggregation rules for this basis fit the scheme.
    fn basis(&self) -> Basis {
        Basis::Values
    }

    /// Name of the aggregation rule that the scheme is published with. It has the same basis.
    fn default_rule(&self) -> &'static str {
        match self.basis() {
            Basis::Dct => sign_of_mean::NAME,
            Basis::Values => clipped_mean::NAME,
        }
    }

    /// Builds the scheme for a model of this layout.
    ///
    /// # Errors
    /// The chunk size or top-k is unusable, or a tensor cannot be cut.
    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError>;
}

/// Makes pseudo-gradients.
pub trait Scheme: Send + Sync {
    /// The state of a new peer.
    fn local(&self) -> Box<dyn LocalTraining>;

    /// Number of f32 values that a peer keeps from round to round.
    fn kept_values(&self) -> usize;

    /// The shape of every valid payload.
    fn shape(&self) -> &PayloadShape;

    /// Where the coefficients of a payload belong, and what they mean.
    fn payloads(&self) -> PayloadLayout;

    /// The size of a whole step at this learning rate. An aggregation multiplies its step by it.
    fn rate(&self, lr: f64) -> f64 {
        lr
    }

    /// How far a round moves a parameter at this learning rate: the unit of a peer's distance from the validator's
    /// model.
    fn step_size(&self, lr: f64) -> f64 {
        self.rate(lr)
    }

    /// The steps that a peer makes alone, if it makes any.
    fn local_steps(&self) -> Option<&LocalSteps> {
        None
    }

    /// The memory of a peer, for plans.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
}

/// One peer's side of a scheme: the state that it keeps from round to round.
pub trait LocalTraining: Send + Sync {
    /// Trains on `pages`, from `replica`, at the round's learning rate. Returns what the peer sends.
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient;

    /// Scales what is kept of earlier rounds to be sent in later ones, momentum and error feedback. The moments of an inner
    /// optimiser stay.
    fn scale_kept(&mut self, factor: f32);

    /// Appends the state to `state`. Makes at most one copy of it, because it can take gigabytes.
    fn save(&self, state: &mut Vec<u8>);

    /// The state alone.
    fn saved(&self) -> Bytes {
        let mut state = Vec::new();
        self.save(&mut state);
        state.into()
    }

    /// Restores the state that `save` appended.
    ///
    /// # Errors
    /// The bytes are no state of this scheme and model.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}
