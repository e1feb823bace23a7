//! The settings of `coverage`.

use serde::{Deserialize, Serialize};

use super::parts::Part;
use crate::settings::Findings;

/// Pay for the work that checks find in the uploads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoverageSettings {
    /// The most steps that a peer may be behind and still pass.
    pub max_steps_behind: f64,
    /// Peers whose work is checked in a round.
    pub evaluated_per_round: usize,
    /// Fraction of a peer's pages in one check. A check sees whether the peer trained on them, not on which part of
    /// them; so the smaller it is, the less work can be left out unseen, and the more often chance decides.
    pub piece: f64,
    /// The part of a peer's earlier checks that remains after another one.
    pub memory: f64,
    /// Coverage up to which nothing is paid, relative to that of a typical peer.
    pub nothing_to: f64,
    /// Coverage from which all is paid, likewise. Below 1, chance decides less, and that much work may be left out unpunished.
    pub all_from: f64,
    /// The least that counts as a typical peer's coverage, so that peers who all do less are not all paid in full.
    pub typical_at_least: f64,
    /// Parts that are left out, to see what they are for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Part>,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self {
            max_steps_behind: 3.0,
            evaluated_per_round: 5,
            piece: 0.125,
            memory: 0.95,
            nothing_to: 0.6,
            all_from: 0.95,
            typical_at_least: 0.35,
            without: Vec::new(),
        }
    }
}

impl CoverageSettings {
    /// Whether a part is there.
    pub fn has(&self, part: Part) -> bool {
        !self.without.contains(&part)
    }

    /// Checks ranges that types cannot express; paths are relative to the section.
    pub fn check(&self, found: &mut Findings) {
        found.not_negative("max_steps_behind", self.max_steps_behind);
        found.at_least_one("evaluated_per_round", self.evaluated_per_round as u64);
        found.positive_fraction("piece", self.piece);
        // A check of stretches takes four times as many pages.
        found.at_most("piece", self.piece, 0.25);
        found.below_one("memory", self.memory);
        found.below_one("nothing_to", self.nothing_to);
        found.positive_fraction("all_from", self.all_from);
        let (nothing, all) = (self.nothing_to, self.all_from);
        let expected = format!("more than {nothing}, as mechanism.nothing_to");
        found.require_with(all > nothing, "all_from", all, expected, Some("mechanism.nothing_to"));
        found.positive_fraction("typical_at_least", self.typical_at_least);
        let checks = self.has(Part::Pages) || self.has(Part::Stretches);
        found.require(
            checks,
            "without",
            r#"both "pages" and "stretches""#,
            "one of them at most, or nothing is checked",
        );
    }
}
