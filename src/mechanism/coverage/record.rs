//! What a validator knows about a peer, and what that is worth.

use serde::{Deserialize, Serialize};

use super::checks::{Kind, Share};
use super::claims::Claims;
use super::parts::Part;
use super::settings::CoverageSettings;
use crate::mechanism::measure::Earlier;
use crate::mechanism::status::Status;

/// The share of the work of earlier rounds, relative to a typical peer's, up to which nothing is paid, and from which all is.
const KEPT: (f64, f64) = (0.3, 0.7);
/// The strength of uploads, relative to a typical peer's, up to which nothing is paid, and from which all is.
const STRONG: (f64, f64) = (0.7, 0.9);
/// Where a typical peer has no more than the first, peers keep nothing from round to round, and none has to. Where it has the second,
/// all have to.
const USED: (f64, f64) = (0.05, 0.15);

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
    /// How strong checks of the round's own work have found it, whatever they looked at.
    pub strength: Share,
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

    /// The same, for another check.
    pub fn share_mut(&mut self, kind: Kind) -> &mut Share {
        match kind {
            Kind::Pages => &mut self.pages,
            Kind::Stretches => &mut self.stretches,
            Kind::Kept => &mut self.kept,
        }
    }

    /// Whether there can be a check of a kind in a round in which the peer passed. Any earlier round will do, however long ago:
    /// otherwise a peer that works seldom would never be asked.
    pub fn can_be_checked(&self, kind: Kind) -> bool {
        kind != Kind::Kept || self.before.is_some()
    }

    /// How much of a round's work checks have found in its upload.
    pub fn coverage(&self, settings: &CoverageSettings) -> f64 {
        Kind::of(settings).filter(|kind| *kind != Kind::Kept).map(|kind| self.share(kind).found()).product()
    }

    /// Whether its uploads have in them what it kept of earlier rounds: 0 if not, 1 if as much as a typical peer's, or nearly.
    pub fn keeps(&self, settings: &CoverageSettings, typical: f64) -> f64 {
        let used = rise(typical, USED);
        if !settings.has(Part::Kept) || used == 0.0 {
            return 1.0;
        }
        let share = self.kept.shrunk_to(typical, settings.memory) / typical;
        1.0 - used * (1.0 - rise(share, KEPT))
    }

    /// Whether its uploads have as much of its work as a typical peer's, or nearly: 1 if so, 0 if they have far less, as where
    /// the gradient is cheaper all over. One check says little about it, the mean of many much.
    fn whole(&self, settings: &CoverageSettings, typical: f64) -> f64 {
        if !settings.has(Part::Strength) || typical <= 0.0 {
            return 1.0;
        }
        rise(self.strength.shrunk_to(typical, settings.memory) / typical, STRONG)
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
        let found = rise(self.coverage(settings) / typical.coverage, (settings.nothing_to, settings.all_from));
        found * self.keeps(settings, typical.kept) * self.whole(settings, typical.strength) * self.backed()
    }

    /// By what the peer is chosen for the aggregation: the work that was found, all of it.
    pub fn rank(&self, settings: &CoverageSettings, typical: Typical) -> f64 {
        self.coverage(settings) * self.keeps(settings, typical.kept) * self.backed()
    }
}

/// 0 up to the first number, 1 from the second on, and a straight line in between.
fn rise(number: f64, (nothing_to, all_from): (f64, f64)) -> f64 {
    ((number - nothing_to) / (all_from - nothing_to)).clamp(0.0, 1.0)
}

/// What checks find of a peer that does all of its work: the median over the work that all peers say they do. How often chance
/// fails an honest check depends on model, scheme and round, the same for all peers.
#[derive(Clone, Copy)]
pub struct Typical {
    /// In pages and stretches.
    pub coverage: f64,
    /// Of earlier rounds.
    pub kept: f64,
    /// Of the strength of uploads.
    pub strength: f64,
}

impl Typical {
    /// Of these peers.
    pub fn of<'a>(settings: &CoverageSettings, peers: impl Iterator<Item = &'a Record>) -> Self {
        let working: Vec<(&Record, f64)> =
            peers.map(|record| (record, record.backed())).filter(|(_, work)| *work > 0.0).collect();
        let coverage = median(working.iter().map(|(record, work)| (record.coverage(settings), *work)));
        // Newcomers, of whom no such check can have been made yet, do not count.
        let kept =
            median(working.iter().filter_map(|(record, work)| Some((record.kept.mean()?, *work)))).unwrap_or(0.0);
        // Uploads that keep nothing are stronger, and do not say how strong honest ones are. What was found does not weigh here: of
        // stronger uploads more is found.
        let strength = working.iter().filter_map(|(record, work)| {
            let weight = record.keeps(settings, kept) * work;
            Some((record.strength.mean()?, weight)).filter(|_| weight > 0.0)
        });
        Self {
            coverage: match coverage {
                Some(coverage) if settings.has(Part::Typical) => coverage.max(settings.typical_at_least),
                _ => 1.0,
            },
            kept,
            strength: median(strength).unwrap_or(0.0),
        }
    }
}

/// The median of numbers that have weights.
pub fn median(weighted: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
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
