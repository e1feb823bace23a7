//! A peer with one vector of values from round to round, which is enough for many schemes.

use super::seam::LocalTraining;
use crate::training::state::{append_counted, make_room};
use crate::training::{Evaluator, PseudoGradient, Replica, Round};

/// A peer that keeps one vector, such as a momentum or an error feedback, and its way to train.
pub struct Kept<F> {
    values: Vec<f32>,
    train: F,
}

impl<F> Kept<F>
where
    F: Fn(&mut [f32], &Evaluator, &Replica, &[Vec<u32>], Round) -> PseudoGradient + Send + Sync,
{
    /// A new peer with `count` zeros. `train` changes them, and returns what the peer sends ([`LocalTraining::train`]).
    pub fn new(count: usize, train: F) -> Self {
        Self { values: vec![0.0; count], train }
    }
}

impl<F> LocalTraining for Kept<F>
where
    F: Fn(&mut [f32], &Evaluator, &Replica, &[Vec<u32>], Round) -> PseudoGradient + Send + Sync,
{
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        (self.train)(&mut self.values, evaluator, replica, pages, round)
    }

    /// Scales all of the vector.
    fn scale_kept(&mut self, factor: f32) {
        self.values.iter_mut().for_each(|value| *value *= factor);
    }

    fn save(&self, state: &mut Vec<u8>) {
        make_room(self.values.len(), state);
        append_counted(&self.values, state);
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let values: Vec<f32> = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        if values.len() != self.values.len() {
            return Err(format!("the state of a model of {} values, expected {}", values.len(), self.values.len()));
        }
        self.values = values;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Train = fn(&mut [f32], &Evaluator, &Replica, &[Vec<u32>], Round) -> PseudoGradient;

    fn newcomer(count: usize) -> Kept<Train> {
        Kept::new(count, |_, _, _, _, _| PseudoGradient::default())
    }

    #[test]
    fn a_state_is_taken_up_by_a_peer_of_the_same_size() {
        let mut peer = newcomer(3);
        peer.values.copy_from_slice(&[1.0, -0.5, f32::MIN_POSITIVE]);
        let mut state = Vec::new();
        peer.save(&mut state);
        let mut same = newcomer(3);
        same.restore(&state).unwrap();
        assert_eq!(same.values, peer.values);
        assert!(newcomer(2).restore(&state).unwrap_err().contains("3 values, expected 2"));
        assert!(same.restore(&state[1..]).is_err());
    }
}
