//! A peer's momentum from round to round.

use super::{Demo, LocalTraining};
use crate::training::scheme::{Round, restored};
use crate::training::{Evaluator, PseudoGradient, Replica};

/// DeMo's state of one peer.
pub(super) struct Momentum {
    demo: Demo,
    /// As many values as the model has.
    values: Vec<f32>,
}

impl Momentum {
    pub fn new(demo: Demo) -> Self {
        Self { values: vec![0.0; demo.layout().total()], demo }
    }
}

impl LocalTraining for Momentum {
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        let gradient = evaluator.gradient(&replica.model, pages);
        self.demo.encode(&mut self.values, &gradient.values, round.lr as f32, round.number)
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.values).expect("plain values")
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let values = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        self.values = restored(values, self.values.len())?;
        Ok(())
    }
}
