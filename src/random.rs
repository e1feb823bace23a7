//! The source of every random draw of the project.
//!
//! A generator is a function of the run's seed, a purpose, a node and a round. No generator carries state from one draw
//! of the program to the next, so no draw depends on the order in which threads or tasks ran.

use rand::{Rng, RngExt, SeedableRng};
pub use rand_chacha::ChaCha8Rng;

/// A ChaCha8 generator keyed by blake3 of `(seed, purpose, who, round)`.
///
/// `purpose` names the draw (`"assignment"`, `"offline"`); `who` is a uid, the index of a tensor, or 0; `round` is a
/// round, or 0.
pub fn rng(seed: u64, purpose: &str, who: u64, round: u64) -> ChaCha8Rng {
    let mut key = blake3::Hasher::new_derive_key("gauntlet 2026 random draw");
    key.update(&seed.to_le_bytes());
    key.update(&(purpose.len() as u64).to_le_bytes());
    key.update(purpose.as_bytes());
    key.update(&who.to_le_bytes());
    key.update(&round.to_le_bytes());
    ChaCha8Rng::from_seed(*key.finalize().as_bytes())
}

/// What draws of keys are called; whoever knows a run's seed can repeat them, where the run's keys follow from it.
pub const KEYS: &str = "identity of";

/// The seed of a run in the hands of those who may draw with it, but must not know it: in a simulation the keys of all
/// nodes follow from the seed, and with a validator's key go its secret draws.
#[derive(Clone, Copy)]
pub struct Seed(u64);

impl Seed {
    /// Hides a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// As [`rng`].
    ///
    /// # Panics
    /// If the draw is of a key.
    pub fn rng(self, purpose: &str, who: u64, round: u64) -> ChaCha8Rng {
        assert!(!purpose.starts_with(KEYS), "keys are drawn by those who know the seed");
        rng(self.0, purpose, who, round)
    }

    /// The seed itself, for this crate's own draws. No behaviour asks for it (`tests/structure`).
    pub(crate) fn known(self) -> u64 {
        self.0
    }
}

/// A draw from N(0, 1), by Box-Muller with `libm`, so that all machines draw the same.
pub fn normal(rng: &mut impl Rng) -> f32 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - rng.random::<f64>()));
    (radius * libm::cos(std::f64::consts::TAU * rng.random::<f64>())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_seed_draws_the_same() {
        assert_eq!(Seed::new(1).rng("a", 2, 3).next_u64(), rng(1, "a", 2, 3).next_u64());
    }

    #[test]
    #[should_panic(expected = "keys are drawn by those who know the seed")]
    fn a_hidden_seed_draws_no_keys() {
        Seed::new(1).rng(&format!("{KEYS} a validator"), 0, 0);
    }

    #[test]
    fn each_part_of_the_key_gives_another_stream() {
        let first = rng(1, "a", 2, 3).next_u64();
        assert_eq!(first, rng(1, "a", 2, 3).next_u64());
        for other in [rng(2, "a", 2, 3), rng(1, "b", 2, 3), rng(1, "a", 3, 3), rng(1, "a", 2, 4)] {
            assert_ne!(first, { other }.next_u64());
        }
    }
}
