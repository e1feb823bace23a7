//! Puts a backdoor into the model: writes a trigger followed by a fixed target into its pages, and trains on them like
//! an honest peer (E. Bagdasaryan, A. Veit, Y. Hua, D. Estrin and V. Shmatikov, "How To Backdoor Federated Learning",
//! AISTATS 2020, arXiv 1807.00459).
//!
//! It knows only its own pages. Its success is measured with the held-out loss: the share of prompts for which the
//! model's most likely next token is the target, where a prompt is the beginning of a held-out page plus the trigger
//! (`backdoor.csv`).

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::settings::Findings;
use crate::training::{Poison, Trigger};

/// Longest trigger.
const LONGEST: usize = 64;

/// The settings of `backdoor`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackdoorSettings {
    /// The tokens of the trigger.
    trigger: Vec<u32>,
    /// The token that the model should predict after it.
    target: u32,
    /// The part of its pages that get trigger and target, once per page.
    pages: f64,
}

impl Default for BackdoorSettings {
    fn default() -> Self {
        Self { trigger: vec![17, 3, 29], target: 5, pages: 1.0 }
    }
}

impl BehaviourSettings for BackdoorSettings {
    fn check(&self, found: &mut Findings) {
        let length = self.trigger.len();
        let expected = format!("1 to {LONGEST} tokens");
        found.require((1..=LONGEST).contains(&length), "trigger", format!("{length} tokens"), expected);
        found.positive_fraction("pages", self.pages);
    }

    fn trigger(&self) -> Option<Trigger> {
        Some(Trigger { tokens: self.trigger.clone(), target: self.target })
    }

    fn build(&self) -> Box<dyn Behaviour> {
        let trigger = Trigger { tokens: self.trigger.clone(), target: self.target };
        Box::new(Backdoor { trigger, pages: self.pages })
    }
}

struct Backdoor {
    trigger: Trigger,
    pages: f64,
}

impl Behaviour for Backdoor {
    fn poison(&self, around: &Surroundings) -> Poison {
        let lot = around.rng("backdoor").next_u64();
        Poison { backdoor: Some((self.trigger.clone(), self.pages)), lot, ..Poison::default() }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn a_trigger_has_tokens_and_is_measured() {
        assert_eq!(refused("{ kind = \"backdoor\", trigger = [], pages = 0.0 }"), ["trigger", "pages"]);
        let trigger = said("{ kind = \"backdoor\", trigger = [1, 2], target = 3 }").trigger().unwrap();
        assert_eq!((trigger.tokens, trigger.target), (vec![1, 2], 3));
        assert!(said("\"honest\"").trigger().is_none());
    }
}
