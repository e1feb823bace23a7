//! An exponential average of the last models, for evaluation and export. Training never reads it.

use serde::{Deserialize, Serialize};

/// The average of the models of a run: the newest counts `1 - factor`, and each earlier one `factor` times as much as
/// the one after it, divided by the sum of all these weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Average {
    factor: f64,
    /// `factor` to the power of the number of models: the weight that models before the first would have.
    before: f64,
    theta: Vec<f32>,
}

impl Average {
    /// The average of no model yet, of so many parameters.
    pub fn new(factor: f64, parameters: usize) -> Self {
        Self { factor, before: 1.0, theta: vec![0.0; parameters] }
    }

    /// Takes in the next model.
    ///
    /// # Panics
    /// If it is of another size.
    pub fn add(&mut self, theta: &[f32]) {
        assert_eq!(theta.len(), self.theta.len(), "a model of this size");
        self.before *= self.factor;
        let share = ((1.0 - self.factor) / (1.0 - self.before)) as f32;
        for (average, &newest) in self.theta.iter_mut().zip(theta) {
            *average += share * (newest - *average);
        }
    }

    /// The parameters of the average; `None` before the first model.
    pub fn theta(&self) -> Option<&[f32]> {
        (self.before < 1.0).then_some(&self.theta)
    }

    /// Forgets all models.
    pub fn forget(&mut self) {
        *self = Self::new(self.factor, self.theta.len());
    }

    /// Reads what was saved after a state; `None` if nothing was.
    ///
    /// # Errors
    /// It is damaged, or of another size or factor than this one.
    pub fn restored(&self, saved: &[u8]) -> Result<Self, String> {
        if saved.is_empty() {
            return Err("the average of the last models is missing".into());
        }
        let found: Self = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        if found.theta.len() != self.theta.len() || found.factor != self.factor {
            return Err(format!(
                "an average of {} parameters by {}, expected {} by {}",
                found.theta.len(),
                found.factor,
                self.theta.len(),
                self.factor
            ));
        }
        Ok(found)
    }

    /// Appends it to a saved state.
    pub fn save(&self, state: &mut Vec<u8>) {
        state.extend(postcard::to_stdvec(self).expect("a plain structure"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_weighted_mean_of_all_models() {
        let mut average = Average::new(0.5, 2);
        assert_eq!(average.theta(), None);
        average.add(&[4.0, -1.0]);
        assert_eq!(average.theta(), Some(&[4.0, -1.0][..]), "one model is its own average");
        // Weights 1/4 and 1/2, by their sum: 1/3 and 2/3.
        average.add(&[1.0, -1.0]);
        assert!((average.theta().unwrap()[0] - 2.0).abs() < 1e-6);
        // Weights 1/8, 1/4 and 1/2: (4 + 2 x 1 + 4 x 8) / 7.
        average.add(&[8.0, -1.0]);
        assert!((average.theta().unwrap()[0] - 38.0 / 7.0).abs() < 1e-6);
        assert_eq!(average.theta().unwrap()[1], -1.0, "equal models are their average");
        average.forget();
        assert_eq!(average, Average::new(0.5, 2));
    }

    #[test]
    fn a_restored_average_goes_on_to_the_same_bits() {
        let model = |round: usize| [0.1 * round as f32, 1.0 / (round + 1) as f32];
        let mut whole = Average::new(0.95, 2);
        (0..3).for_each(|round| whole.add(&model(round)));
        let mut saved = Vec::new();
        whole.save(&mut saved);
        let mut resumed = Average::new(0.95, 2).restored(&saved).unwrap();
        for round in 3..6 {
            whole.add(&model(round));
            resumed.add(&model(round));
        }
        assert_eq!(whole, resumed);
        for (other, expected) in
            [(Average::new(0.95, 3), "expected 3 by 0.95"), (Average::new(0.9, 2), "expected 2 by 0.9")]
        {
            assert!(other.restored(&saved).unwrap_err().ends_with(expected));
        }
        assert!(Average::new(0.95, 2).restored(&[]).unwrap_err().contains("missing"));
        assert!(Average::new(0.95, 2).restored(&saved[..9]).is_err());
    }
}
