//! The control: every peer that passes the cheap checks is paid the same, and peers are aggregated by lot. No loss is
//! measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::column::Column;
use super::facts::Facts;
use super::measure::{Measurement, Results};
use super::ranking::{Candidate, Ranking};
use super::saved;
use super::seam::{Mechanism, MechanismSettings};
use super::shares::shares;
use super::status::Status;
use crate::Uid;
use crate::random::rng;
use crate::settings::Findings;

/// The settings of `equal`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EqualSettings {
    /// The most steps that a peer may be behind and still pass.
    pub max_steps_behind: f64,
}

impl Default for EqualSettings {
    fn default() -> Self {
        Self { max_steps_behind: 3.0 }
    }
}

impl MechanismSettings for EqualSettings {
    fn check(&self, found: &mut Findings) {
        found.not_negative("max_steps_behind", self.max_steps_behind);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Equal { settings: self.clone(), secret, peers: BTreeMap::new() })
    }

    fn forward_passes(&self, _pages: usize, _aggregated: usize) -> f64 {
        0.0
    }
}

struct Equal {
    settings: EqualSettings,
    secret: u64,
    /// The last round of each peer, and how it fared.
    peers: BTreeMap<Uid, Option<(u64, Status)>>,
}

impl Equal {
    fn passed(&self, round: u64) -> impl Iterator<Item = Uid> {
        let passed = move |seen: &Option<(u64, Status)>| *seen == Some((round, Status::Passed));
        self.peers.iter().filter(move |(_, seen)| passed(seen)).map(|(uid, _)| *uid)
    }
}

impl Mechanism for Equal {
    fn arrive(&mut self, uid: Uid) {
        self.peers.insert(uid, None);
    }

    fn leave(&mut self, uid: Uid) {
        self.peers.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        for peer in &facts.peers {
            let in_sync = peer.steps_behind.is_some_and(|steps| steps <= self.settings.max_steps_behind);
            let status = if peer.arrival == Status::Passed && !in_sync { Status::OutOfSync } else { peer.arrival };
            if let Some(seen) = self.peers.get_mut(&peer.uid) {
                *seen = Some((facts.round, status));
            }
        }
    }

    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let alike = |uid| Candidate { uid, score: 0.0, waited: 0, newcomer: false, past_incentive: 0.0 };
        let candidates = self.passed(round).filter(|uid| !except.contains(uid)).map(alike).collect();
        Ranking::by_score(candidates, &mut rng(self.secret, "included", 0, round))
    }

    fn measure(&mut self, _round: u64, _aggregated: &[Uid]) -> Vec<Measurement> {
        Vec::new()
    }

    fn learn(&mut self, _round: u64, _aggregated: &[Uid], _results: &Results) {}

    fn pay(&self) -> Vec<(Uid, f64)> {
        let newest = self.peers.values().flatten().map(|(round, _)| *round).max();
        let passed = |seen: &Option<(u64, Status)>| seen.is_some() && *seen == newest.map(|at| (at, Status::Passed));
        shares(self.peers.iter().map(|(uid, seen)| (*uid, if passed(seen) { 1.0 } else { 0.0 })), 1.0)
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        let (at, status) = self.peers.get(&uid).copied().flatten()?;
        (at == round).then_some(status)
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn numbers(&self, _uid: Uid, _round: u64) -> Vec<Option<f64>> {
        Vec::new()
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.peers)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.peers = saved::restore(saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::facts::PeerFacts;
    use crate::mechanism::testing::Alike;

    #[test]
    fn peers_that_passed_the_last_round_are_paid_the_same() {
        let mut equal = EqualSettings::default().build(1);
        (0..4).for_each(|uid| equal.arrive(uid));
        let peer = |uid, arrival, steps| PeerFacts {
            uid,
            arrival,
            stamp_ms: None,
            steps_behind: steps,
            work: 1.0,
            paid: 0.0,
            same_model: true,
            states: None,
        };
        let peers = vec![
            peer(0, Status::Passed, Some(0.0)),
            peer(1, Status::Passed, Some(9.0)),
            peer(2, Status::TooLate, None),
            peer(3, Status::Passed, Some(1.0)),
        ];
        equal.observe(&Facts { round: 7, weights_every: 1, peers, uploads: &Alike(Vec::new()) });
        assert_eq!(equal.pay(), [(0, 0.5), (1, 0.0), (2, 0.0), (3, 0.5)]);
        assert_eq!(equal.status(1, 7), Some(Status::OutOfSync));
        let ranking = equal.include(7, &[0]);
        assert!(ranking.earned.is_empty() && ranking.others == [3]);
        let mut resumed = EqualSettings::default().build(1);
        resumed.restore(&equal.save()).unwrap();
        assert_eq!(resumed.pay(), equal.pay());
    }
}
