//! Copies the same honest peer in all rounds, so that the aggregate leans towards that peer's data. It sends honest
//! work, so no rule can tell (S. P. Karimireddy, L. He and M. Jaggi, "Byzantine-Robust Learning on Heterogeneous
//! Datasets via Bucketing", ICLR 2022, arXiv 2006.09365).
//!
//! As published, it copies the peer that sticks out most along the direction in which honest payloads differ most. It
//! learns both by Oja's rule in the first `learn` rounds and then keeps that peer. It knows only what others have put
//! into the bucket while the put window is open.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::knowledge::WAIT;
use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use super::state::Shared;
use super::strategy::{Of, uploads};
use crate::random::normal;
use crate::settings::Findings;
use crate::training::coefficients::{of_chunk, unit};
use crate::training::{Basis, PayloadShape, PseudoGradient};
use crate::transport::Hotkey;

/// The settings of `mimic`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MimicSettings {
    /// Rounds in which it learns which peer to copy.
    learn: u64,
    /// The part of the put window that it waits before it looks.
    wait: f64,
}

impl Default for MimicSettings {
    fn default() -> Self {
        Self { learn: 20, wait: WAIT }
    }
}

impl BehaviourSettings for MimicSettings {
    fn check(&self, found: &mut Findings) {
        found.at_least_one("learn", self.learn);
        found.below_one("wait", self.wait);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Mimic { settings: self.clone(), state: Shared::default() })
    }
}

struct Mimic {
    settings: MimicSettings,
    state: Shared<State>,
}

/// What it has learnt. All slots of an operator copy the same peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// Number of rounds that it has learnt from, and the latest of them.
    rounds: u64,
    last: Option<u64>,
    /// The direction in which payloads differ most, tensor after tensor, of length 1.
    direction: Vec<Vec<f64>>,
    /// Each peer's total distance along the direction.
    along: BTreeMap<Hotkey, f64>,
}

#[async_trait]
impl Behaviour for Mimic {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        around.ports.clock.sleep_until(around.part_of_window(self.settings.wait)).await;
        let mut seen = uploads(around, around.round, Of::Best, usize::MAX).await;
        let mut state = self.state.lock();
        if state.rounds < self.settings.learn && state.last.is_none_or(|last| last < around.round) {
            let draw = || {
                let mut rng = around.rng("mimic");
                move || f64::from(normal(&mut rng))
            };
            state.learn(&around.network.shape, around.network.core.basis(), &seen, draw());
            state.last = Some(around.round);
        }
        let copied = state.most_along(seen.iter().map(|(hotkey, _)| *hotkey))?;
        seen.retain(|(hotkey, _)| *hotkey == copied);
        seen.pop().map(|(_, payload)| payload)
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        around.window.opens
    }

    fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.state.restore(saved)
    }
}

impl State {
    /// Learns from the payloads of a round: `z <- t / (t + 1) z + 1 / (t + 1) v`. Here `v` is the direction of
    /// `sum (x - mean) (x - mean)^T z`. The result is scaled to length 1.
    fn learn(
        &mut self,
        shape: &PayloadShape,
        basis: Basis,
        seen: &[(Hotkey, PseudoGradient)],
        mut draw: impl FnMut() -> f64,
    ) {
        if seen.len() < 2 {
            return;
        }
        if self.direction.is_empty() {
            self.direction =
                shape.tensors.iter().map(|of| (0..of.chunks * of.chunk_len).map(|_| draw()).collect()).collect();
            normalise(&mut self.direction);
        }
        let products: Vec<f64> =
            seen.iter().map(|(_, payload)| product(shape, basis, payload, &self.direction)).collect();
        let mean = products.iter().sum::<f64>() / products.len() as f64;
        let mut towards: Vec<Vec<f64>> = self.direction.iter().map(|of| vec![0.0; of.len()]).collect();
        // The differences from the mean product sum to 0, so subtracting the mean payload would change nothing.
        for ((hotkey, payload), product) in seen.iter().zip(&products) {
            *self.along.entry(*hotkey).or_default() += product;
            each(shape, basis, payload, |tensor, at, value| towards[tensor][at] += (product - mean) * value);
        }
        normalise(&mut towards);
        let (old, new) = (self.rounds as f64, 1.0 / (self.rounds + 1) as f64);
        for (direction, towards) in self.direction.iter_mut().flatten().zip(towards.iter().flatten()) {
            *direction = (old * *direction + towards) * new;
        }
        normalise(&mut self.direction);
        self.rounds += 1;
    }

    /// The peer among these with the largest total distance along the direction; the lowest key if several are equal.
    fn most_along(&self, peers: impl Iterator<Item = Hotkey>) -> Option<Hotkey> {
        let along = |hotkey: &Hotkey| self.along.get(hotkey).map_or(0.0, |along| along.abs());
        peers.max_by(|a, b| along(a).total_cmp(&along(b)).then(b.cmp(a)))
    }
}

/// Passes tensor, position and value of each coefficient of a payload to `take`.
fn each(shape: &PayloadShape, basis: Basis, payload: &PseudoGradient, mut take: impl FnMut(usize, usize, f64)) {
    for (tensor, (sparse, shape)) in payload.tensors.iter().zip(&shape.tensors).enumerate() {
        let unit = unit(basis, sparse);
        for chunk in (0..shape.chunks).filter(|_| unit > 0.0) {
            of_chunk(sparse, shape, chunk)
                .for_each(|(index, value)| take(tensor, chunk * shape.chunk_len + index, value / unit));
        }
    }
}

fn product(shape: &PayloadShape, basis: Basis, payload: &PseudoGradient, direction: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    each(shape, basis, payload, |tensor, at, value| sum += direction[tensor][at] * value);
    sum
}

/// Scales a vector to length 1; a zero vector stays.
fn normalise(vector: &mut [Vec<f64>]) {
    let length = vector.iter().flatten().map(|value| value * value).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().flatten().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::{refused, said};
    use crate::random::rng;
    use crate::training::{SparseTensor, TensorShape};

    fn hotkey(peer: u8) -> Hotkey {
        Hotkey([peer; 32])
    }

    #[test]
    fn it_finds_the_peer_that_sticks_out_most() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("w", 1, 4, 4, 32)] };
        let mut random = rng(1, "mimic test", 0, 0);
        let mut payload = |third: f32| {
            let values = [1.0, 0.1 * normal(&mut random), third, 0.1 * normal(&mut random)];
            PseudoGradient { tensors: vec![SparseTensor { indices: vec![0, 1, 2, 3], values: values.to_vec() }] }
        };
        let mut state = State::default();
        let mut draws = rng(2, "mimic test", 0, 0);
        for _ in 0..30 {
            let seen: Vec<(Hotkey, PseudoGradient)> = [0.4, -0.4, 0.5, -3.0]
                .into_iter()
                .zip(0..)
                .map(|(third, peer)| (hotkey(peer), payload(third)))
                .collect();
            state.learn(&shape, Basis::Values, &seen, || f64::from(normal(&mut draws)));
        }
        assert!(state.direction[0][2].abs() > 0.99, "{:?}", state.direction);
        assert_eq!(state.most_along((0..4).map(hotkey)), Some(hotkey(3)));
        assert_eq!(state.most_along([hotkey(9), hotkey(8)].into_iter()), Some(hotkey(8)), "of strangers the first");
        assert_eq!(state.most_along(std::iter::empty()), None);
        let bytes = postcard::to_stdvec(&state).unwrap();
        assert_eq!(postcard::from_bytes::<State>(&bytes).unwrap(), state);
    }

    #[test]
    fn settings_are_checked() {
        assert_eq!(refused("{ kind = \"mimic\", learn = 0, wait = -0.5 }"), ["learn", "wait"]);
        assert!(!said("\"mimic\"").build().trains());
    }
}
