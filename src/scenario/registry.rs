//! The kinds that scenarios may name. A program adds its own here before it reads a scenario.

use std::fmt;

use crate::mechanism::{self, MechanismSettings};
use crate::node::behaviour::{self, BehaviourSettings};
use crate::node::validator::behaviour::{self as validator_behaviour, ValidatorBehaviourSettings};
use crate::settings::Kinds;
use crate::training::aggregate::{self, RuleSettings};
use crate::training::scheme::{self, SchemeSettings};

/// Tables of kinds by name. They hold the kinds of this crate, unless more are added.
#[derive(Clone)]
pub struct Registry {
    /// `[scheme] kind`
    pub schemes: Kinds<dyn SchemeSettings>,
    /// `[aggregation] rule`
    pub aggregations: Kinds<dyn RuleSettings>,
    /// `[mechanism] kind`
    pub mechanisms: Kinds<dyn MechanismSettings>,
    /// `[[peers]] behaviour`, `[[operators]] behaviour`
    pub behaviours: Kinds<dyn BehaviourSettings>,
    /// `[[validators]] behaviour`
    pub validator_behaviours: Kinds<dyn ValidatorBehaviourSettings>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            schemes: scheme::shipped(),
            aggregations: aggregate::shipped(),
            mechanisms: mechanism::shipped(),
            behaviours: behaviour::shipped(),
            validator_behaviours: validator_behaviour::shipped(),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.schemes.names().chain(self.aggregations.names()).chain(self.mechanisms.names());
        let names = names.chain(self.behaviours.names()).chain(self.validator_behaviours.names());
        f.debug_list().entries(names).finish()
    }
}

/// Registries do not matter when scenarios are compared.
impl PartialEq for Registry {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}
