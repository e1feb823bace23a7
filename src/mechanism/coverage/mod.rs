//! Pay for work that is found in the uploads.
//!
//! The pages of a round are assigned, so a validator knows what each peer is to train on. In each round it draws a few
//! peers in secret, and checks a small piece of the work of each: is there more of this piece in the upload than of tokens
//! that nobody was to train on? That is Gauntlet's proof of computation (Lidin et al., arXiv 2505.21684),
//! asked about a piece so small that leaving it out shows. An upload passes where the peer trained, and in one case of two
//! where it did not. So passes minus failures estimate the share of the work that the peer did, whatever else it put into
//! the upload. Pay follows that share.
//!
//! A check asks this of each matrix of the model for itself, because a peer can leave out a part of the model as well as a part
//! of the pages.
//!
//! What the uploads of others explain of an upload is taken out of it first: it is noise in a check. Otherwise an honest
//! peer, whose upload has momentum in it, would fail more often than one that keeps nothing from round to round.
//!
//! Nothing here asks how good an upload is, because every such measure can be won without work: by averaging with
//! others, by repeating what everybody knows, by a gradient without momentum. Neither does the size of a proof count:
//! a peer that trains on fewer tokens has more of each in its upload.
//!
//! Draws have no memory. Otherwise a peer that has just been checked would know that it may rest.

mod checks;
mod claims;
mod parts;
mod settings;

use std::collections::BTreeMap;

use rand::Rng;
use serde::{Deserialize, Serialize};

use self::checks::{Checked, Kind, Share, result};
use self::claims::Claims;
use self::parts::Part;
pub use self::settings::CoverageSettings;
use super::column::{Column, ColumnKind};
use super::facts::Facts;
use super::measure::{Measurement, PASSES_OF_GRADIENT, Results};
use super::ranking::{Candidate, Ranking};
use super::seam::{Mechanism, MechanismSettings, sampled};
use super::selection::draw_for_evaluation;
use super::shares::shares;
use super::status::Status;
use crate::Uid;
use crate::random::{ChaCha8Rng, rng};
use crate::settings::Findings;

/// What a validator knows about a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    /// The last round that was observed, and how the peer fared.
    seen: Option<(u64, Status)>,
    /// The work that it says it does.
    claims: Claims,
    /// What checks of whole pages have found.
    pages: Share,
    /// What checks of stretches have found.
    stretches: Share,
    /// Round of the last check, and its result.
    checked: Option<(u64, f64)>,
}

impl Record {
    fn passed_in(&self, round: u64) -> bool {
        self.seen.is_some_and(|(seen, status)| seen == round && status.may_be_aggregated())
    }

    /// What checks of a kind have found.
    fn share(&self, kind: Kind) -> &Share {
        match kind {
            Kind::Pages => &self.pages,
            Kind::Stretches => &self.stretches,
        }
    }

    /// How much of the work checks have found, 0 to 1.
    fn coverage(&self, settings: &CoverageSettings) -> f64 {
        Kind::of(settings).map(|kind| self.share(kind).found()).product()
    }

    /// The work that the peer claims, as far as checks were about as much: who claims more than before waits for them.
    fn backed(&self) -> f64 {
        let ((pages, of_pages), (stretches, of_stretches)) = (self.pages.checked(), self.stretches.checked());
        let checks = of_pages + of_stretches;
        if checks > 0.0 { self.claims.mean().min((pages + stretches) / checks) } else { 0.0 }
    }

    /// What the peer is paid for: its claimed work, as far as it was found, where a peer that does all of its work has
    /// about `typical` coverage.
    fn score(&self, settings: &CoverageSettings, typical: f64) -> f64 {
        let CoverageSettings { nothing_to, all_from, .. } = *settings;
        let paid = (self.coverage(settings) / typical - nothing_to) / (all_from - nothing_to);
        paid.clamp(0.0, 1.0) * self.backed()
    }
}

/// One validator's knowledge of all peers.
struct Coverage {
    settings: CoverageSettings,
    secret: u64,
    peers: BTreeMap<Uid, Record>,
}

impl Coverage {
    /// The kind of a round's checks, drawn by lot.
    fn kind(&self, round: u64) -> Kind {
        let drawn =
            if self.draw("kind of checks", round).next_u64() >> 63 == 0 { Kind::Pages } else { Kind::Stretches };
        let mut kinds = Kind::of(&self.settings);
        let first = kinds.next().expect("the settings have been checked");
        if kinds.next().is_some() { drawn } else { first }
    }

    /// The peers that passed. A newcomer is one that has had no check of this kind yet.
    fn candidates(&self, round: u64, kind: Kind) -> Vec<Candidate> {
        let passed = self.peers.iter().filter(|(_, record)| record.passed_in(round));
        let candidate = |(&uid, record): (&Uid, &Record)| Candidate {
            uid,
            score: record.coverage(&self.settings) * record.backed(),
            waited: 0,
            newcomer: !record.share(kind).is_known(),
            past_incentive: 0.0,
        };
        passed.map(candidate).collect()
    }

    /// The peers to check in a round, by uid.
    fn chosen(&self, round: u64) -> Vec<Checked> {
        let (random, candidates) = (&mut self.draw("evaluation", round), self.candidates(round, self.kind(round)));
        let drawn = draw_for_evaluation(candidates, self.settings.evaluated_per_round, 1, |_| 0, random);
        drawn.into_iter().map(|uid| Checked { uid, work: self.peers[&uid].claims.last() }).collect()
    }

    /// The aggregated peers that a checked one is compared with.
    fn beside(&self, aggregated: &[Uid]) -> Vec<Uid> {
        if self.settings.has(Part::Others) { aggregated.to_vec() } else { Vec::new() }
    }

    /// The coverage of a peer that does all of its work: the median over the work that all peers say they do. How often
    /// chance fails an honest check depends on model, scheme and round, the same for all peers.
    fn typical(&self) -> f64 {
        if !self.settings.has(Part::Typical) {
            return 1.0;
        }
        let backed = self.peers.values().map(|record| (record.coverage(&self.settings), record.backed()));
        let mut known: Vec<(f64, f64)> = backed.filter(|(_, work)| *work > 0.0).collect();
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = known.iter().map(|(_, work)| work).sum::<f64>() / 2.0;
        let mut below = 0.0;
        let median = known.into_iter().find(|(_, work)| {
            below += work;
            below >= half
        });
        median.map_or(1.0, |(coverage, _)| coverage).clamp(self.settings.typical_at_least, 1.0)
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.secret, purpose, 0, round)
    }
}

impl Mechanism for Coverage {
    fn arrive(&mut self, uid: Uid) {
        self.peers.insert(uid, Record::default());
    }

    fn leave(&mut self, uid: Uid) {
        self.peers.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        for peer in &facts.peers {
            let Some(record) = self.peers.get_mut(&peer.uid) else { continue };
            let in_sync = peer.steps_behind.is_some_and(|steps| steps <= self.settings.max_steps_behind);
            let status = if peer.arrival == Status::Passed && !in_sync { Status::OutOfSync } else { peer.arrival };
            // A validator that starts over from a checkpoint sees some rounds twice.
            if record.seen.is_none_or(|(seen, _)| seen < facts.round) {
                let work = if status.may_be_aggregated() { peer.work } else { 0.0 };
                record.claims.add(facts.round, work, facts.weights_every);
                record.seen = Some((facts.round, status));
            }
        }
    }

    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let mut candidates = self.candidates(round, self.kind(round));
        candidates.retain(|candidate| !except.contains(&candidate.uid));
        Ranking::by_score(candidates, &mut self.draw("included", round))
    }

    fn measure(&mut self, round: u64, aggregated: &[Uid]) -> Vec<Measurement> {
        let (kind, beside) = (self.kind(round), self.beside(aggregated));
        let chosen = self.chosen(round).into_iter();
        chosen.map(|of| kind.measurement(&self.settings, of, &beside)).collect()
    }

    fn learn(&mut self, round: u64, aggregated: &[Uid], results: &Results) {
        let (kind, beside) = (self.kind(round), self.beside(aggregated));
        for of in self.chosen(round) {
            let Some(measured) = results.get(&kind.measurement(&self.settings, of, &beside)) else { continue };
            let Some(record) = self.peers.get_mut(&of.uid) else { continue };
            let work = record.claims.last();
            let share = match kind {
                Kind::Pages => &mut record.pages,
                Kind::Stretches => &mut record.stretches,
            };
            share.add(result(measured), work, self.settings.memory);
            record.checked = Some((round, result(measured)));
        }
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        let typical = self.typical();
        shares(self.peers.iter().map(|(&uid, record)| (uid, record.score(&self.settings, typical))), 1.0)
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.peers.get(&uid)?.seen.filter(|(seen, _)| *seen == round).map(|(_, status)| status)
    }

    fn columns(&self) -> Vec<Column> {
        use ColumnKind::{Measured, Score, Standing};
        vec![
            Column::new(
                "check",
                "whether its upload has more of its own piece than of other tokens (1: in all of the model, -1: nowhere)",
                Measured,
            ),
            Column::new("pages_found", "share of its pages that checks found", Standing),
            Column::new("stretches_found", "share of its tokens within pages that checks found", Standing),
            Column::new("claimed", "work that it says it does a round (1 = what is assigned to everybody)", Standing),
            Column::new("peer_score", "score", Score),
        ]
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let Some(record) = self.peers.get(&uid) else { return vec![None; self.columns().len()] };
        let checked = record.checked.filter(|(checked, _)| *checked == round);
        vec![
            checked.map(|(_, result)| result),
            Some(record.pages.found()),
            Some(record.stretches.found()),
            Some(record.claims.mean()),
            Some(record.score(&self.settings, self.typical())),
        ]
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.peers).expect("a plain structure")
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.peers = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        Ok(())
    }
}

impl MechanismSettings for CoverageSettings {
    fn check(&self, found: &mut Findings) {
        Self::check(self, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Coverage { settings: self.clone(), secret, peers: BTreeMap::new() })
    }

    /// The gradient of a piece per check, and of the hidden pages once: as if all said that they do what is assigned.
    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        PASSES_OF_GRADIENT as f64 * sampled(self.piece, pages) * (1.0 + self.evaluated_per_round as f64)
    }
}

#[cfg(test)]
mod tests;
