//! The robust rules, and the step that each makes.

use super::groups;
use super::settings::RobustSettings;
use super::vectors::{Geometry, Vectors};
use super::{coordinate, linear, step};
use crate::training::PayloadLayout;
use crate::training::aggregate::{Aggregation, Weighted, total_weight};

/// A robust rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RobustRule {
    /// The mean of all payloads. It tolerates no dishonest one, and is the baseline for the others.
    Mean,
    /// The mean of each coefficient without its `f` largest and `f` smallest values (Yin et al., arXiv 1803.01498).
    TrimmedMean,
    /// The median of each coefficient (Yin et al., arXiv 1803.01498).
    Median,
    /// The payload whose `n - f - 1` nearest neighbours are closest (Blanchard et al., 2017).
    Krum,
    /// The mean of the `n - f` payloads that Krum ranks best (Blanchard et al., 2017).
    MultiKrum,
    /// The mean of payloads whose distance from a centre is clipped to `radius` times their median norm. Iterated three
    /// times (Karimireddy et al., arXiv 2012.10333).
    CenteredClip { radius: f64 },
}

/// A robust rule for payloads of one layout. It computes on the host.
#[derive(Clone, Debug)]
pub struct Robust {
    layout: PayloadLayout,
    rule: RobustRule,
    settings: RobustSettings,
}

/// How the payloads of a round are combined into one vector.
enum Combination {
    /// A sum of the payloads, each times a factor.
    Sum(Vec<f64>),
    /// A function of the groups' values of each coefficient. It may reorder them.
    Coordinate(fn(&mut [f64], usize) -> f64),
}

impl Robust {
    /// The rule for payloads of this layout.
    pub fn new(layout: PayloadLayout, rule: RobustRule, settings: RobustSettings) -> Self {
        Self { layout, rule, settings }
    }

    /// How many of `n` payloads may be dishonest; less than half.
    fn dishonest(&self, n: usize) -> usize {
        // If the product would be whole but for its rounding, use that whole number.
        ((self.settings.dishonest * n as f64 + 1e-9) as usize).min(n.saturating_sub(1) / 2)
    }

    /// How many groups dishonest payloads may spoil if each is in a different group; less than half.
    fn spoilt(&self, payloads: usize, groups: usize) -> usize {
        self.dishonest(payloads).min(groups.saturating_sub(1) / 2)
    }

    /// The combination for groups of these payloads.
    fn combine(&self, geometry: &Geometry, groups: &[Vec<usize>]) -> Combination {
        let of_groups = geometry.of_groups(groups);
        let f = self.spoilt(geometry.len(), groups.len());
        let factors = match self.rule {
            RobustRule::TrimmedMean => return Combination::Coordinate(coordinate::trimmed_mean),
            RobustRule::Median => return Combination::Coordinate(coordinate::median),
            RobustRule::Mean => linear::mean(&of_groups),
            RobustRule::Krum => linear::krum(&of_groups, f),
            RobustRule::MultiKrum => linear::multi_krum(&of_groups, f),
            RobustRule::CenteredClip { radius } => linear::centered_clip(&of_groups, radius),
        };
        Combination::Sum(groups::spread(&factors, groups, geometry.len()))
    }
}

impl Aggregation for Robust {
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        assert_eq!(theta.len(), self.layout.chunks.total(), "the parameters of the model");
        if total_weight(payloads) == 0 {
            return theta.to_vec();
        }
        let vectors = Vectors::new(&self.layout, payloads);
        let geometry = Geometry::of(&vectors);
        let groups = groups::groups(self.settings.before, &geometry, self.dishonest(geometry.len()), vectors.lot());
        match self.combine(&geometry, &groups) {
            Combination::Sum(factors) => step::apply(theta, &vectors, rate, |row, out| {
                row.sum(&factors, out);
            }),
            Combination::Coordinate(decide) => {
                let f = self.spoilt(geometry.len(), groups.len());
                step::apply(theta, &vectors, rate, |row, out| row.coordinates(&groups, |values| decide(values, f), out))
            }
        }
    }
}
