//! A made-up network, for tests: what a validator would measure, and what it pays.

use rand::Rng;

use super::*;
use crate::mechanism::testing::Alike;
use crate::mechanism::{Contrast, Each, Measured, PeerFacts, Value, Whose};

/// A peer of a made-up network.
#[derive(Clone, Copy)]
pub struct Peer {
    /// Probability that it has trained on the pages of a check.
    pub pages: f64,
    /// Probability that it has trained on the stretches of a check.
    pub stretches: f64,
    /// Probability that its upload has in it what it kept of a page of the round before.
    pub kept: f64,
    /// The part of the model whose gradient it computes.
    pub matrices: f64,
    /// The margins of work that was done, relative to those of honest uploads.
    pub size: f64,
    /// Probability that a matrix for which it has done the work passes.
    pub sharp: f64,
    /// One round in so many is worked and uploaded in.
    pub every: u64,
    /// The work that it says it does, relative to what is assigned.
    pub says: f64,
}

pub const HONEST: Peer =
    Peer { pages: 1.0, stretches: 1.0, kept: 0.8, matrices: 1.0, size: 1.0, sharp: 1.0, every: 1, says: 1.0 };

/// Rounds between two settings of weights.
pub const EVERY: u64 = 5;

/// A number in 0..1, fixed for each purpose, peer and round.
pub fn chance(purpose: &str, uid: Uid, round: u64) -> f64 {
    (rng(5, purpose, uid.into(), round).next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

pub fn network(peers: &[Peer], settings: CoverageSettings) -> Coverage {
    let mut coverage = Coverage { settings, secret: 11, known: Known::default() };
    (0..peers.len()).for_each(|uid| coverage.arrive(uid as Uid));
    coverage
}

pub fn observe(coverage: &mut Coverage, round: u64, outcomes: impl Iterator<Item = (Uid, Status, f64)>) {
    let peer = |(uid, arrival, work)| PeerFacts {
        uid,
        arrival,
        stamp_ms: None,
        steps_behind: Some(0.0),
        work,
        paid: 0.0,
        same_model: true,
        states: None,
    };
    let peers = outcomes.map(peer).collect();
    coverage.observe(&Facts { round, weights_every: EVERY, peers, uploads: &Alike(Vec::new()) });
}

/// Matrices of the model.
pub const MATRICES: usize = 8;
/// The margin of an honest check.
pub const MARGIN: f64 = 0.1;

/// What a validator would measure.
pub fn contrast(peers: &[Peer], what: &Measurement, round: u64) -> Value {
    let Measurement::Contrast(Contrast { uid, each, pages, .. }) = what else { unreachable!("it asks for no loss") };
    let (uid, peer) = (*uid, peers[usize::from(*uid)]);
    let (share, purpose) = match pages.whose {
        Whose::Earlier(_) => (peer.kept, "kept"),
        _ if pages.stretch <= 0.25 => (peer.stretches, "stretch"),
        _ => (peer.pages, "pages"),
    };
    let trained = chance(purpose, uid, round) < share;
    let by_chance = if chance("luck", uid, round) < 0.5 { MARGIN } else { -MARGIN };
    let margin = |matrix: usize| {
        // Where it computes nothing, it sends nothing.
        let there = (matrix as f64) < peer.matrices * MATRICES as f64;
        let passes = chance(&format!("matrix {matrix}"), uid, round) < peer.sharp;
        let value = match (there, trained, passes) {
            (false, ..) => 0.0,
            (true, false, _) => by_chance,
            (true, true, true) => peer.size * MARGIN,
            (true, true, false) => -MARGIN,
        };
        Margin { weights: 1.0, value }
    };
    // A part of the model agrees with itself.
    Value::Margins(if *each == Each::Model { vec![margin(0)] } else { (0..MATRICES).map(margin).collect() })
}

/// The pay of each peer over so many rounds.
pub fn play(coverage: &mut Coverage, peers: &[Peer], rounds: std::ops::Range<u64>) -> Vec<f64> {
    let mut total = vec![0.0; peers.len()];
    for round in rounds {
        let status = |every| if round % every == 0 { Status::Passed } else { Status::Absent };
        let outcomes = peers.iter().enumerate().map(|(uid, peer)| (uid as Uid, status(peer.every), peer.says));
        observe(coverage, round, outcomes);
        let measured = coverage.measure(round, &[]);
        let results = measured.into_iter().map(|what| Measured { value: Some(contrast(peers, &what, round)), what });
        coverage.learn(round, &[], &Results(results.collect()));
        coverage.pay().into_iter().for_each(|(uid, share)| total[usize::from(uid)] += share);
    }
    total
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
