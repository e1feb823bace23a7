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

/// A draw from N(0, 1), by Box-Muller with `libm`, so that all machines draw the same.
pub fn normal(rng: &mut impl Rng) -> f32 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - rng.random::<f64>()));
    (radius * libm::cos(std::f64::consts::TAU * rng.random::<f64>())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_key_gives_another_stream() {
        let first = rng(1, "a", 2, 3).next_u64();
        assert_eq!(first, rng(1, "a", 2, 3).next_u64());
        for other in [rng(2, "a", 2, 3), rng(1, "b", 2, 3), rng(1, "a", 3, 3), rng(1, "a", 2, 4)] {
            assert_ne!(first, { other }.next_u64());
        }
    }
}
