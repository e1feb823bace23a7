//! The kinds of checks, and what they show over time.

use serde::{Deserialize, Serialize};

use super::parts::Part;
use super::settings::CoverageSettings;
use crate::Uid;
use crate::mechanism::measure::{Contrast, Each, Earlier, Measurement, Pages, Whose};

/// Stretches of a page, each as long as the others.
const STRETCHES: f64 = 4.0;
/// Checks without a result that a new peer starts with.
const PRIOR: f64 = 0.5;
/// Checks with the result of a typical peer's that a new peer starts with, where it is spared until it is known.
const SPARED: f64 = 5.0;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A few whole pages. A peer that leaves out pages fails in proportion.
    Pages,
    /// One stretch of each of several pages, as many tokens in all. A peer that leaves out a part of every page fails.
    Stretches,
    /// Stretches of the pages of an earlier round. A peer that keeps nothing of a round for the next ones fails.
    Kept,
}

/// Whose upload a check looks at.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    pub uid: Uid,
    /// How much the peer says it did (1 = what is assigned to everybody).
    pub work: f64,
    /// Its last round before this one.
    pub before: Option<Earlier>,
}

impl Kind {
    /// The kinds that these settings have.
    pub fn of(settings: &CoverageSettings) -> impl Iterator<Item = Self> {
        let all = [(Part::Pages, Self::Pages), (Part::Stretches, Self::Stretches), (Part::Kept, Self::Kept)];
        all.into_iter().filter(|(part, _)| settings.has(*part)).map(|(_, kind)| kind)
    }

    /// The piece of the work of a peer that says it does so much. A page has less weight in the upload of a larger work, so
    /// that its piece has more pages, and more in that of a smaller one, so that its piece has a part of each page. The size
    /// goes by whole multiples and parts, because each needs hidden tokens of its own.
    fn piece(self, settings: &CoverageSettings, whose: Whose, work: f64) -> Pages {
        let size = if work < 1.0 { 1.0 / (1.0 / work).round() } else { work.ceil() };
        let (piece, stretch) = (settings.piece * size.max(1.0), size.min(1.0));
        match self {
            Self::Pages => Pages { whose, sample: piece.min(work), stretch },
            Self::Stretches | Self::Kept => {
                Pages { whose, sample: (STRETCHES * piece).min(work), stretch: stretch / STRETCHES }
            }
        }
    }

    /// A check of a peer: has its upload more of its piece than of hidden tokens, the same for all checks of a round that are
    /// of pieces of this size? They have the size and form of the piece. Otherwise the gradient with less noise would agree
    /// more with any upload, and one that is made without the piece would not pass in one case of two.
    /// `beside` are the uploads that the peer's is compared with.
    pub fn measurement(self, settings: &CoverageSettings, of: Checked, beside: &[Uid]) -> Measurement {
        let (whose, work) = match of.before {
            Some(before) if self == Self::Kept => (Whose::Earlier(before), before.work),
            _ => (Whose::Peer(of.uid), of.work),
        };
        Measurement::Contrast(Contrast {
            uid: of.uid,
            beside: beside.to_vec(),
            each: match (settings.has(Part::Matrices), settings.has(Part::Lines)) {
                (true, true) => Each::Line,
                (true, false) => Each::Matrix,
                (false, _) => Each::Model,
            },
            pages: self.piece(settings, whose, work),
            than: self.piece(settings, Whose::Hidden, work),
        })
    }
}

/// How much of a peer's work one kind of check has found, over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Sum of the results by the work that they stand for; older ones weigh less.
    sum: f64,
    /// Sum of the work.
    work: f64,
    /// Number of results; older ones count less.
    checks: f64,
}

impl Share {
    /// Takes in the result of another check of a round in which the peer claims so much work. A check that weighed as
    /// much with little work as with much would let a peer pass with little, and be paid for much in other rounds.
    pub fn add(&mut self, result: f64, work: f64, memory: f64) {
        self.sum = memory * self.sum + work * result;
        self.work = memory * self.work + work;
        self.checks = memory * self.checks + 1.0;
    }

    /// Whether there was any check.
    pub fn is_known(&self) -> bool {
        self.checks > 0.0
    }

    /// The share of the work that was found. The results of checks of work that was not done are 0 in the mean, those of work
    /// that was done nearly 1, so their mean estimates the share. What is not known yet counts as not done.
    pub fn found(&self) -> f64 {
        if !self.is_known() {
            return 0.0;
        }
        let unknown = PRIOR / self.checks;
        (self.sum / (self.work * (1.0 + unknown))).max(0.0)
    }

    /// The mean result, if there was any.
    pub fn mean(&self) -> Option<f64> {
        self.is_known().then(|| self.sum / self.work)
    }

    /// The mean result, where what is not known yet counts as a typical peer's. It is forgotten as a check is.
    pub fn shrunk_to(&self, typical: f64, memory: f64) -> f64 {
        // After n checks, `checks` is (1 - memory^n) / (1 - memory).
        let spared = SPARED * (1.0 - self.checks * (1.0 - memory)).max(0.0);
        self.mean().map_or(typical, |mean| (self.checks * mean + spared * typical) / (self.checks + spared))
    }

    /// Work and number of the checks.
    pub fn checked(&self) -> (f64, f64) {
        (self.work, self.checks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_the_work_done() {
        // Half of the checks hit work that was done, and pass; of the others every second one passes by chance.
        let mut half = Share::default();
        (0..4000).for_each(|check| half.add(if check % 4 == 3 { -1.0 } else { 1.0 }, 1.0, 0.999));
        assert!((half.found() - 0.5).abs() < 0.01, "{}", half.found());
        let mut chance = Share::default();
        (0..4000).for_each(|check| chance.add(if check % 2 == 1 { -1.0 } else { 1.0 }, 1.0, 0.999));
        assert!(chance.found() < 0.01);
    }

    #[test]
    fn what_is_not_known_counts_as_not_done() {
        let mut share = Share::default();
        assert_eq!(share.found(), 0.0);
        share.add(1.0, 1.0, 0.95);
        assert!((share.found() - 2.0 / 3.0).abs() < 1e-12);
        // Much claimed work makes one check no better known.
        let mut large = Share::default();
        large.add(1.0, 100.0, 0.95);
        assert_eq!(large.found(), share.found());
        (0..200).for_each(|_| share.add(1.0, 1.0, 0.95));
        assert!(share.found() > 0.97);
        // Whoever stops working is found out: after 20 checks that fail as often as they pass, little is left.
        (0..20).for_each(|check| share.add(if check % 2 == 0 { -1.0 } else { 1.0 }, 1.0, 0.95));
        assert!(share.found() < 0.4, "{}", share.found());
    }

    #[test]
    fn a_new_peer_is_spared_until_it_is_known() {
        let mut share = Share::default();
        assert_eq!(share.shrunk_to(0.6, 0.95), 0.6);
        share.add(-0.5, 2.0, 0.95);
        assert!((share.shrunk_to(0.6, 0.95) - (-0.5 + 4.75 * 0.6) / 5.75).abs() < 1e-12);
        (0..200).for_each(|_| share.add(-0.5, 2.0, 0.95));
        assert!((share.shrunk_to(0.6, 0.95) + 0.5).abs() < 1e-3, "mercy ends");
    }

    #[test]
    fn a_piece_is_compared_with_hidden_pages_of_its_size_and_form() {
        let settings = CoverageSettings::default();
        for (kind, least) in [(Kind::Pages, 0.125), (Kind::Stretches, 0.5)] {
            let sizes = [
                (1.0, least, 1.0),
                (2.0, 2.0 * least, 1.0),
                (1.25, 2.0 * least, 1.0),
                (0.5, least, 0.5),
                (0.1, 0.1, 0.1),
            ];
            for (work, sample, stretch) in sizes {
                let of = Checked { uid: 1, work, before: None };
                let [piece, hidden] = kind.measurement(&settings, of, &[1, 2]).pages()[..] else { panic!("two sets") };
                assert_eq!((piece.whose, piece.sample), (Whose::Peer(1), sample));
                assert_eq!(piece.stretch, if kind == Kind::Pages { stretch } else { stretch / 4.0 });
                assert_eq!(hidden, Pages { whose: Whose::Hidden, ..piece });
            }
        }
    }

    #[test]
    fn a_check_is_as_fine_as_its_parts_make_it() {
        for (without, expected) in
            [(vec![], Each::Line), (vec![Part::Lines], Each::Matrix), (vec![Part::Matrices], Each::Model)]
        {
            let settings = CoverageSettings { without, ..Default::default() };
            let of = Checked { uid: 1, work: 1.0, before: None };
            let Measurement::Contrast(contrast) = Kind::Pages.measurement(&settings, of, &[]) else { panic!("one") };
            assert_eq!(contrast.each, expected);
        }
    }

    #[test]
    fn both_kinds_run_as_many_tokens() {
        let settings = CoverageSettings::default();
        for work in [0.5, 1.0, 2.0] {
            let tokens = |kind: Kind| {
                let pages = kind.piece(&settings, Whose::Hidden, work);
                pages.sample * pages.stretch
            };
            assert_eq!(tokens(Kind::Pages), work * settings.piece);
            assert_eq!(tokens(Kind::Stretches), work * settings.piece);
        }
    }
}
