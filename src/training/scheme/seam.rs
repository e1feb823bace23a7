//! What a scheme is, and its side on a peer.

use serde::Serialize;
use toml::Table;

use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::aggregate::{clipped_mean, sign_of_mean};
use crate::training::{Basis, ChunkError, Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round};

/// The settings of a scheme, in a scenario's `[scheme]`.
pub trait SchemeSettings: Send + Sync {
    /// Checks what a type cannot tell; paths are relative to the section. A peer has so many pages a round.
    fn check(&self, _found: &mut Findings, _pages_per_round: usize) {}

    /// Defaults that depend on the pages of a round: what settings are that a scenario leaves out, where that is not what
    /// `Default` says.
    fn dependent_defaults(&self, _pages_per_round: usize) -> Table {
        Table::new()
    }

    /// What a peer sends: the rules of aggregation that work on it can be used.
    fn basis(&self) -> Basis {
        Basis::Values
    }

    /// Name of the aggregation rule that the scheme is published with; it works on the same.
    fn default_rule(&self) -> &'static str {
        match self.basis() {
            Basis::Dct => sign_of_mean::NAME,
            Basis::Values => clipped_mean::NAME,
        }
    }

    /// The scheme for a model of this layout.
    ///
    /// # Errors
    /// A chunk size or top-k that cannot be used, a tensor that cannot be cut.
    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError>;
}

/// A way to make pseudo-gradients.
pub trait Scheme: Send + Sync {
    /// What a newcomer starts with.
    fn local(&self) -> Box<dyn LocalTraining>;

    /// How many f32 values a peer keeps from round to round.
    fn kept_values(&self) -> usize;

    /// What every valid payload looks like.
    fn shape(&self) -> &PayloadShape;

    /// Where the coefficients of a payload belong, and what they are.
    fn payloads(&self) -> PayloadLayout;

    /// How far a whole step goes at a round's learning rate: what an aggregation multiplies its step with.
    fn rate(&self, lr: f64) -> f64 {
        lr
    }

    /// How far a round moves a parameter: the unit of a peer's distance from the validator's model.
    fn step_size(&self, lr: f64) -> f64 {
        self.rate(lr)
    }

    /// What a peer holds in memory, for plans.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
}

/// What a peer of a scheme holds besides the model and the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// What [`Scheme::kept_values`] are, in a word.
    pub kept: &'static str,
    /// Whether they lie beside the gradient on the device, and not on the host.
    pub kept_on_device: bool,
    /// Whether the peer trains a model of its own besides the replica.
    pub own_model: bool,
}

impl Default for Footprint {
    /// All on the host, and gradients of the replica alone.
    fn default() -> Self {
        Self { kept: "state of the scheme", kept_on_device: false, own_model: false }
    }
}

/// One peer's side of a scheme: the state that it keeps from round to round.
pub trait LocalTraining: Send + Sync {
    /// What the peer sends of a round: trained on `pages`, from `replica`, at the round's learning rate.
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient;

    /// Appends the state, to go on from, to `state`: at most one copy of it, as it can be gigabytes.
    fn save(&self, state: &mut Vec<u8>);

    /// Takes up the state that `save` appended.
    ///
    /// # Errors
    /// Bytes that are not the state of this scheme and model.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// Appends what a peer keeps: `count` values, and little more.
pub fn append<T: Serialize>(kept: &T, count: usize, state: &mut Vec<u8>) {
    // Without room for it, it would be copied, twice as large, whenever it outgrows the memory that it has.
    state.reserve_exact(4 * count + 64);
    *state = postcard::to_extend(kept, std::mem::take(state)).expect("plain values");
}
