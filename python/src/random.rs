//! The project's generator and formulas, so that a mechanism in Python draws and rates as one in Rust does.

use gauntlet::Uid;
use gauntlet::mechanism::openskill::{self as rating, OpenSkillSettings, Rating};
use gauntlet::mechanism::shares as library;
use gauntlet::random::{self, ChaCha8Rng};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rand::{Rng as _, RngExt as _};
use std::sync::{Mutex, PoisonError};

/// ChaCha8, keyed by (seed, purpose, who, round): the same draws on every machine.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Rng(Mutex<ChaCha8Rng>);

impl Rng {
    pub fn of(rng: ChaCha8Rng) -> Self {
        Self(Mutex::new(rng))
    }

    fn draw<T>(&self, of: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Rng {
    #[new]
    #[pyo3(signature = (seed, purpose, who=0, round=0))]
    fn new(seed: u64, purpose: &str, who: u64, round: u64) -> Self {
        Self::of(random::rng(seed, purpose, who, round))
    }

    /// A whole number of 64 bits.
    fn next_u64(&self) -> u64 {
        self.draw(|rng| rng.next_u64())
    }

    /// A number from 0 up to, but not including, 1.
    fn random(&self) -> f64 {
        self.draw(|rng| rng.random())
    }

    /// A normal number, of mean 0 and deviation 1.
    fn normal(&self) -> f32 {
        self.draw(random::normal)
    }
}

/// New (mu, sigma) of players that were compared once, by OpenSkill's Plackett-Luce. `players`: mu, sigma, and the score
/// by which they are ranked, higher is better.
#[pyfunction]
#[pyo3(signature = (players, mu=25.0, sigma=25.0 / 3.0, beta=7.0, tau=0.1, kappa=1e-4))]
pub fn openskill(
    players: Vec<(f64, f64, f64)>,
    mu: f64,
    sigma: f64,
    beta: f64,
    tau: f64,
    kappa: f64,
) -> Vec<(f64, f64)> {
    let settings = OpenSkillSettings { mu, sigma, beta, tau, kappa };
    let players: Vec<(Rating, f64)> =
        players.into_iter().map(|(mu, sigma, score)| (Rating { mu, sigma }, score)).collect();
    rating::rate(&settings, &players).into_iter().map(|rating| (rating.mu, rating.sigma)).collect()
}

/// mu - 3 sigma.
#[pyfunction]
pub fn ordinal(mu: f64, sigma: f64) -> f64 {
    Rating { mu, sigma }.ordinal()
}

/// Shares of the pay: score^power over the sum of these, for positive scores.
#[pyfunction]
#[pyo3(signature = (scores, power=2.0))]
pub fn shares(scores: std::collections::BTreeMap<Uid, f64>, power: f64) -> PyResult<Vec<(Uid, f64)>> {
    if !(power > 0.0 && power.is_finite()) {
        return Err(PyValueError::new_err(format!("power={power}: expected a number above 0")));
    }
    Ok(library::shares(scores, power))
}

/// x to the power of y, the same bits on every machine; Python's own power depends on the system's library.
#[pyfunction]
pub fn power(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}
