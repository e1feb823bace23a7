//! The rules that a scenario can name, one line each.

use super::seam::Rule;
use super::{clipped_mean, sign_of_mean};

/// The rules that a scenario can name.
pub const RULES: [Rule; 2] = [sign_of_mean::RULE, clipped_mean::RULE];

/// The rule of this name.
pub fn rule(name: &str) -> Option<Rule> {
    RULES.into_iter().find(|rule| rule.name == name)
}
