//! What a validator knows about a peer, and what that is worth.

use serde::{Deserialize, Serialize};

use super::checks::{Kind, Share};
use super::claims::Claims;
use super::parts::Part;
use super::settings::CoverageSettings;
use crate::mechanism::measure::Earlier;
use crate::mechanism::status::Status;

/// A peer's last round counts as long as it is at most so many rounds ago.
const LAST_ROUNDS: u64 = 4;
/// The share of the work of earlier rounds, relative to a typical peer's, up to which nothing is paid, and from which all is.
const KEPT: (f64, f64) = (0.3, 0.7);
/// Where a typical peer has less than this, peers keep nothing from round to round, and none has to.
const KEPT_AT_LEAST: f64 = 0.1;

/// What a validator knows about a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The last round that was observed, and how the peer fared.
    pub seen: Option<(u64, Status)>,
    /// The work that it says it does.
    pub claims: Claims,
    /// What checks of whole pages have found.
    pub pages: Share,
    /// What checks of stretches have found.
    pub stretches: Share,
    /// What checks of earlier rounds' work have found.
    pub kept: Share,
    /// The last round in which it passed, before the one that was observed last.
    pub before: Option<Earlier>,
    /// Round of the last check, and its result.
    pub checked: Option<(u64, f64)>,
}

impl Record {
    /// Whether the peer passed in a round, the last one that was observed.
    pub fn passed_in(&self, round: u64) -> bool {
        self.seen.is_some_and(|(seen, status)| seen == round && status.may_be_aggregated())
    }

    /// What checks of a kind have found.
    pub fn share(&self, kind: Kind) -> &Share {
        match kind {
            Kind::Pages => &self.pages,
            Kind::Stretches => &self.stretches,
            Kind::Kept => &self.kept,
        }
    }

    /// Whether there can be a check of a kind in a round in which the peer passed.
    pub fn can_be_checked(&self, kind: Kind, round: u64) -> bool {
        kind != Kind::Kept || self.before.is_some_and(|before| round - before.round <= LAST_ROUNDS)
    }

    /// How much of a round's work checks have found in its upload.
    pub fn coverage(&self, settings: &CoverageSettings) -> f64 {
        Kind::of(settings).filter(|kind| *kind != Kind::Kept).map(|kind| self.share(kind).found()).product()
    }

    /// Whether its uploads have in them what it kept of earlier rounds: 0 if not, 1 if as much as a typical peer's, or nearly.
    pub fn keeps(&self, settings: &CoverageSettings, typical: f64) -> f64 {
        if !settings.has(Part::Kept) || typical < KEPT_AT_LEAST {
            return 1.0;
        }
        let (nothing_to, all_from) = KEPT;
        ((self.kept.shrunk_to(typical) / typical - nothing_to) / (all_from - nothing_to)).clamp(0.0, 1.0)
    }

    /// The work that the peer claims, as far as checks were about as much: who claims more than before waits for them.
    pub fn backed(&self) -> f64 {
        let ((pages, of_pages), (stretches, of_stretches)) = (self.pages.checked(), self.stretches.checked());
        let checks = of_pages + of_stretches;
        if checks > 0.0 { self.claims.mean().min((pages + stretches) / checks) } else { 0.0 }
    }

    /// What the peer is paid for: its claimed work, as far as it was found, where a peer that does all of its work has
    /// about `typical` coverage.
    pub fn score(&self, settings: &CoverageSettings, typical: Typical) -> f64 {
        let CoverageSettings { nothing_to, all_from, .. } = *settings;
        let paid = (self.coverage(settings) / typical.coverage - nothing_to) / (all_from - nothing_to);
        paid.clamp(0.0, 1.0) * self.keeps(settings, typical.kept) * self.backed()
    }
}

/// What checks find of a peer that does all of its work: the median over the work that all peers say they do. How often chance
/// fails an honest check depends on model, scheme and round, the same for all peers.
#[derive(Clone, Copy)]
pub struct Typical {
    /// In pages and stretches.
    pub coverage: f64,
    /// Of earlier rounds.
    pub kept: f64,
}

impl Typical {
    /// Of these peers.
    pub fn of<'a>(settings: &CoverageSettings, peers: impl Iterator<Item = &'a Record>) -> Self {
        let working: Vec<(&Record, f64)> =
            peers.map(|record| (record, record.backed())).filter(|(_, work)| *work > 0.0).collect();
        let coverage = median(working.iter().map(|(record, work)| (record.coverage(settings), *work)));
        // Newcomers, of whom no such check can have been made yet, do not count.
        let keeping = working.iter().filter(|(record, _)| record.kept.is_known());
        let kept = median(keeping.map(|(record, work)| (record.kept.found(), *work)));
        Self {
            coverage: match coverage {
                Some(coverage) if settings.has(Part::Typical) => coverage.clamp(settings.typical_at_least, 1.0),
                _ => 1.0,
            },
            kept: kept.unwrap_or(0.0),
        }
    }
}

/// The median of numbers that have weights.
fn median(weighted: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let mut weighted: Vec<(f64, f64)> = weighted.collect();
    weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = weighted.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let median = weighted.into_iter().find(|(_, weight)| {
        below += weight;
        below >= half
    });
    median.map(|(number, _)| number)
}
