//! What a scenario's `[aggregation]` says.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rules::rule;
use super::seam::Rule;
use crate::training::Basis;

/// How payloads become one update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AggregationSettings {
    /// Name of the rule; default: the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    #[error("aggregation.rule is `{0}`, which is not a rule")]
    Unknown(String),
    #[error("aggregation.rule is `{rule}`, which works on {works_on}; the scheme sends {sent}")]
    Basis { rule: &'static str, works_on: Basis, sent: Basis },
}

impl AggregationSettings {
    /// Whether nothing is set: a scenario's text leaves the section out then.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The rule for a scheme that sends `sent` and has a rule of its own.
    ///
    /// # Errors
    /// A name that no rule has, or a rule for another kind of payload.
    pub fn rule_for(&self, own: &str, sent: Basis) -> Result<Rule, RuleError> {
        let name = self.rule.as_deref().unwrap_or(own);
        let rule = rule(name).ok_or_else(|| RuleError::Unknown(name.into()))?;
        if rule.works_on == sent {
            return Ok(rule);
        }
        Err(RuleError::Basis { rule: rule.name, works_on: rule.works_on, sent })
    }
}

#[cfg(test)]
mod tests {
    use super::super::RULES;
    use super::*;

    #[test]
    fn a_rule_is_found_by_name_and_works_on_what_is_sent() {
        let named = |name: &str| AggregationSettings { rule: Some(name.into()) };
        for rule in RULES {
            for sent in [Basis::Dct, Basis::Values] {
                let found = named(rule.name).rule_for("unused", sent).map(|found| found.name);
                assert_eq!(found.is_ok(), sent == rule.works_on, "{found:?}");
            }
            let own = AggregationSettings::default().rule_for(rule.name, rule.works_on);
            assert_eq!(own.unwrap().name, rule.name);
        }
        assert!(matches!(named("median").rule_for("sign-of-mean", Basis::Dct), Err(RuleError::Unknown(_))));
    }
}
