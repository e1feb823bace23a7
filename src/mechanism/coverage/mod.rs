//! Pay for work that is found in the uploads.
//!
//! The pages of a round are assigned, so a validator knows what each peer is to train on. In each round it draws a few
//! peers in secret, and checks a small piece of the work of each: is there more of this piece in the upload than of tokens
//! that nobody was to train on? That is Gauntlet's proof of computation (Lidin et al., arXiv 2505.21684),
//! asked about a piece so small that leaving it out shows. An upload passes where the peer trained, and in one case of two
//! where it did not. So passes minus failures estimate the share of the work that the peer did, whatever else it put into
//! the upload. Pay follows that share.
//!
//! Some checks ask about the pages of an earlier round, because honest uploads hold back a part of each round for the next
//! ones. Uploads of nothing but this round's work have more of it, and could leave out more; and they are of less use.
//!
//! A check asks this of each matrix of the model for itself, because a peer can leave out a part of the model as well as a part of
//! the pages. How much more there is, in each row and column, says little in one check. In the mean of many it shows gradients that are
//! cheaper all over, as of half of the heads and neurons.
//!
//! What the uploads of others explain of an upload is taken out of it first: it is noise in a check. Otherwise an honest
//! peer, whose upload has momentum in it, would fail more often than one that keeps nothing from round to round.
//!
//! Nothing here asks how good an upload is, because every such measure can be won without work: by averaging with
//! others, by repeating what everybody knows. Neither is a proof paid more for being larger than a typical peer's: a peer that trains
//! on fewer tokens has more of each in its upload.
//!
//! Draws have no memory. Otherwise a peer that has just been checked would know that it may rest.

mod checks;
mod claims;
mod parts;
mod record;
mod settings;
mod usual;

use std::collections::BTreeMap;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use self::checks::{Checked, Kind};
use self::parts::Part;
use self::record::{Record, Typical};
pub use self::settings::CoverageSettings;
use self::usual::{Usual, result};
use super::column::{Column, ColumnKind};
use super::facts::Facts;
use super::measure::{Earlier, Margin, Measurement, PASSES_OF_GRADIENT, Results};
use super::ranking::{Candidate, Ranking};
use super::saved;
use super::seam::{Mechanism, MechanismSettings, sampled};
use super::selection::draw_for_evaluation;
use super::shares::shares;
use super::status::Status;
use crate::Uid;
use crate::random::{ChaCha8Rng, rng};
use crate::settings::Findings;

/// One validator's judge.
struct Coverage {
    settings: CoverageSettings,
    secret: u64,
    known: Known,
}

/// What it knows.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    peers: BTreeMap<Uid, Record>,
    /// The usual margins of each kind of checks.
    usual: BTreeMap<Kind, Usual>,
}

impl Coverage {
    /// The kind of a round's checks, drawn by lot.
    fn kind(&self, round: u64) -> Kind {
        let kinds: Vec<Kind> = Kind::of(&self.settings).collect();
        kinds[self.draw("kind of checks", round).random_range(0..kinds.len())]
    }

    /// The peers that passed. A newcomer is one that has had no check of this kind yet.
    fn candidates(&self, round: u64, kind: Kind) -> Vec<Candidate> {
        let passed = self.known.peers.iter().filter(|(_, record)| record.passed_in(round));
        let typical = self.typical();
        let candidate = |(&uid, record): (&Uid, &Record)| Candidate {
            uid,
            score: record.rank(&self.settings, typical),
            waited: 0,
            newcomer: !record.share(kind).is_known(),
            past_incentive: 0.0,
        };
        passed.map(candidate).collect()
    }

    /// The peers to check in a round, by uid.
    fn chosen(&self, round: u64) -> Vec<Checked> {
        let kind = self.kind(round);
        let (random, mut candidates) = (&mut self.draw("evaluation", round), self.candidates(round, kind));
        candidates.retain(|candidate| self.known.peers[&candidate.uid].can_be_checked(kind));
        let drawn = draw_for_evaluation(candidates, self.settings.evaluated_per_round, 1, |_| 0, random);
        let checked = |uid| {
            let record = &self.known.peers[&uid];
            Checked { uid, work: record.claims.last(), before: record.before }
        };
        drawn.into_iter().map(checked).collect()
    }

    /// The aggregated peers that a checked one is compared with.
    fn beside(&self, aggregated: &[Uid]) -> Vec<Uid> {
        if self.settings.has(Part::Others) { aggregated.to_vec() } else { Vec::new() }
    }

    fn typical(&self) -> Typical {
        Typical::of(&self.settings, self.known.peers.values())
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.secret, purpose, 0, round)
    }
}

impl Mechanism for Coverage {
    fn arrive(&mut self, uid: Uid) {
        self.known.peers.insert(uid, Record::default());
    }

    fn leave(&mut self, uid: Uid) {
        self.known.peers.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        for peer in &facts.peers {
            let Some(record) = self.known.peers.get_mut(&peer.uid) else { continue };
            let in_sync = peer.steps_behind.is_some_and(|steps| steps <= self.settings.max_steps_behind);
            let status = if peer.arrival == Status::Passed && !in_sync { Status::OutOfSync } else { peer.arrival };
            // A validator that starts over from a checkpoint sees some rounds twice.
            if record.seen.is_none_or(|(seen, _)| seen < facts.round) {
                if let Some((round, _)) = record.seen.filter(|(_, status)| status.may_be_aggregated()) {
                    record.before = Some(Earlier { uid: peer.uid, round, work: record.claims.last() });
                }
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
        let margins = |of| Some((of, results.margins(&kind.measurement(&self.settings, of, &beside))?));
        let checks: Vec<(Checked, &[Margin])> = self.chosen(round).into_iter().filter_map(margins).collect();
        let typical = self.typical();
        let work = |uid| self.known.peers.get(uid).map_or(0.0, |record| record.rank(&self.settings, typical));
        let known: Vec<(&[Margin], f64)> = checks.iter().map(|(of, margins)| (*margins, work(&of.uid))).collect();
        let usual = self.known.usual.entry(kind).or_default();
        usual.add(&known);
        for (of, margins) in checks {
            let Some(record) = self.known.peers.get_mut(&of.uid) else { continue };
            let (result, strength) = (result(margins), usual.strength(margins));
            record.share_mut(kind).add(result, of.work, self.settings.memory);
            if kind != Kind::Kept {
                record.strength.add(strength, of.work, self.settings.memory);
            }
            record.checked = Some((round, result));
        }
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        let typical = self.typical();
        shares(self.known.peers.iter().map(|(&uid, record)| (uid, record.score(&self.settings, typical))), 1.0)
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.known.peers.get(&uid)?.seen.filter(|(seen, _)| *seen == round).map(|(_, status)| status)
    }

    fn columns(&self) -> Vec<Column> {
        use ColumnKind::{Measured, Score, Standing};
        vec![
            Column::new(
                "check",
                "part of the model in which its upload has more of its own piece than of other tokens, less the other part",
                Measured,
            ),
            Column::new("pages_found", "share of its pages that checks found", Standing),
            Column::new("stretches_found", "share of its tokens within pages that checks found", Standing),
            Column::new("kept_found", "share of its work of earlier rounds that checks found in its uploads", Standing),
            Column::new(
                "strength",
                "how much its uploads have of its work in the mean of its checks, relative to usual margins; pay compares it with a typical peer's",
                Standing,
            ),
            Column::new("claimed", "work that it says it does a round (1 = what is assigned to everybody)", Standing),
            Column::new("peer_score", "score", Score),
        ]
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let Some(record) = self.known.peers.get(&uid) else { return vec![None; self.columns().len()] };
        let checked = record.checked.filter(|(checked, _)| *checked == round);
        vec![
            checked.map(|(_, result)| result),
            Some(record.pages.found()),
            Some(record.stretches.found()),
            Some(record.kept.found()),
            record.strength.mean(),
            Some(record.claims.mean()),
            Some(record.score(&self.settings, self.typical())),
        ]
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.known)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.known = saved::restore(saved)?;
        Ok(())
    }
}

impl MechanismSettings for CoverageSettings {
    fn check(&self, found: &mut Findings) {
        Self::check(self, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Coverage { settings: self.clone(), secret, known: Known::default() })
    }

    /// The gradient of a piece per check, and of the hidden pages once: as if all said that they do what is assigned.
    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        PASSES_OF_GRADIENT as f64 * sampled(self.piece, pages) * (1.0 + self.evaluated_per_round as f64)
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
