//! What a scheme is, and its side on a peer.

use serde::Serialize;

use crate::training::{Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round};

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

    /// Name of the aggregation rule that the scheme is published with; it works on [`Scheme::payloads`].
    fn default_rule(&self) -> &'static str;

    /// How far a whole step goes at a round's learning rate: what an aggregation multiplies its step with.
    fn rate(&self, lr: f64) -> f64;

    /// How far a round moves a parameter: the unit of a peer's distance from the validator's model.
    fn step_size(&self, lr: f64) -> f64;
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
