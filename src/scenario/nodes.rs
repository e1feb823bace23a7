//! The nodes of a scenario: their keys and their roles.

use super::operators::Operator;
use super::peers::{OperatorGroup, ValidatorSettings};
use super::sections::Scenario;
use crate::node::{PeerPlan, Processor, Role};
use crate::training::scheme::Scheme;
use crate::transport::Identity;

/// The speed of the machines that nodes run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// As stated in the scenario, for sequences of this length.
    Simulated { sequence_length: usize },
    /// Real machines, which add no virtual time.
    Real,
}

impl Scenario {
    /// The key of a validator by its number, unless a real network names another. It follows from the seed, so it is
    /// for simulations and trials only.
    pub fn validator_identity(&self, index: usize) -> Identity {
        Identity::from_seed(self.seed, "validator", index as u64)
    }

    /// The key of a slot that a peer or an operator registers, by its number. It follows from the seed, so it is for
    /// simulations and trials only.
    pub fn peer_identity(&self, slot: usize) -> Identity {
        Identity::from_seed(self.seed, "peer", slot as u64)
    }

    /// The keys that an operator registers its slots with first.
    pub fn identities(&self, operator: &Operator) -> Vec<Identity> {
        operator.slots().map(|slot| self.peer_identity(slot)).collect()
    }

    /// All keys of an operator: those that it registers its slots with first, and those that it registers anew with, if
    /// that is what it does.
    pub fn all_identities(&self, operator: &Operator) -> Vec<Identity> {
        let first = self.identities(operator);
        let keys = 0..operator.keys();
        keys.flat_map(|key| first.iter().map(move |identity| identity.successor(key)).collect::<Vec<_>>()).collect()
    }

    /// The role of a validator.
    pub fn validator_role(&self, settings: &ValidatorSettings, machines: Machines) -> Role {
        let processor = match machines {
            Machines::Real => Processor::real(),
            Machines::Simulated { sequence_length } => self.validator_processor(&settings.hardware, sequence_length),
        };
        let behaviour = self.validator_behaviour(&settings.behaviour).build();
        Role::Validator { processor, behaviour, leaves: settings.leaves }
    }

    /// The pages of a round for a slot that makes this many inner steps: each step takes as many as one of the scheme.
    pub fn pages_of_steps(&self, steps: Option<usize>) -> usize {
        let assigned = self.training.pages_per_round;
        match steps.zip(self.scheme_settings().inner_steps()) {
            Some((steps, usual)) => assigned.saturating_mul(steps).div_ceil(usual.max(1)),
            None => assigned,
        }
    }

    /// What a peer's own number of inner steps should be instead; `None` if it is possible. Validators must learn how many
    /// pages an upload is from, unless it makes as many steps as the scheme says.
    pub fn expected_steps(&self, steps: usize) -> Option<String> {
        let Some(usual) = self.scheme_settings().inner_steps() else {
            return Some("nothing: with this scheme a round is one step".into());
        };
        let assigned = self.training.pages_per_round.max(1);
        let most = self.protocol.pages_that_count(assigned).saturating_mul(usual) / assigned;
        match steps {
            _ if steps == usual || (self.protocol.says_pages() && (1..=most).contains(&steps)) => None,
            _ if !self.protocol.says_pages() => Some(format!(
                "{usual}, the scheme's, unless protocol.most_pages is above 1: uploads then say their pages"
            )),
            _ => Some(format!("1 to {most}, for as many pages as count (protocol.most_pages)")),
        }
    }

    /// Pages of a slot in a round, on average: `training.pages_per_round`, unless some make more or fewer inner steps.
    pub fn mean_pages(&self) -> f64 {
        let peers = self.peers.iter().map(|group| (group.count as f64, group.inner_steps));
        let slots = |group: &OperatorGroup| group.count as f64 * group.uids as f64;
        let operators = self.operators.iter().map(|group| (slots(group), group.inner_steps));
        let sum = |(slots, pages): (f64, f64), (more, steps): (f64, Option<usize>)| {
            (slots + more, pages + more * self.pages_of_steps(steps) as f64)
        };
        let (slots, pages) = peers.chain(operators).fold((0.0, 0.0), sum);
        if slots == 0.0 { self.training.pages_per_round as f64 } else { pages / slots }
    }

    /// Floating-point operations of a slot's own steps in a round beside their gradients, on average; 0 where it makes none.
    pub fn mean_step_flops(&self, scheme: &dyn Scheme) -> f64 {
        let of_scheme = scheme.local_steps().map_or(0.0, |steps| steps.flops());
        of_scheme * self.mean_pages() / self.training.pages_per_round as f64
    }

    /// The role of a peer or an operator.
    pub fn operator_role(&self, operator: &Operator, machines: Machines) -> Role {
        let pages = self.pages_of_steps(operator.inner_steps);
        let processor = match machines {
            Machines::Real => Processor::real(),
            Machines::Simulated { sequence_length } => {
                self.peer_processor(operator.hardware, operator.uids * pages, sequence_length)
            }
        };
        let settings = operator.behaviour();
        let plan = PeerPlan {
            index: operator.first as u64,
            processor,
            behaviour: settings.build(),
            slots: operator.uids,
            leaves: operator.leaves,
            renews: settings.renews(),
            inner_steps: operator.inner_steps,
            pages,
        };
        Role::Peer { plan, joins: operator.joins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 peers, and one of its own speed.
    #[test]
    fn a_group_makes_other_numbers_of_inner_steps_where_uploads_say_so() {
        let scheme = ["scheme=sparseloco", "training.pages_per_round=8", "scheme.inner_steps=4"];
        let said = |more: &[&str]| {
            let settings: Vec<String> = scheme.iter().chain(more).map(|text| text.to_string()).collect();
            Scenario::from_toml("name = 'n'\n[[peers]]\ncount = 20\n[[peers]]\n", "n.toml", &settings)
        };
        let scenario = said(&["protocol.most_pages=2", "peers.1.inner_steps=8"]).unwrap();
        assert_eq!([Some(8), Some(3), None].map(|steps| scenario.pages_of_steps(steps)), [16, 6, 8]);
        assert!((scenario.mean_pages() - 176.0 / 21.0).abs() < 1e-9);
        assert_eq!(scenario.expected_steps(0), scenario.expected_steps(9));
        for (set, expected) in [
            (&["protocol.most_pages=2", "peers.1.inner_steps=9"][..], "peers.1.inner_steps is 9; expected 1 to 8"),
            (&["protocol.most_pages=2", "peers.1.inner_steps=9223372036854775807"], "expected 1 to 8"),
            (&["protocol.most_pages=2", "peers.1.inner_steps=0"], "peers.1.inner_steps is 0; expected 1 to 8"),
            (&["peers.1.inner_steps=8"], "peers.1.inner_steps is 8; expected 4, the scheme's"),
            (&["scheme.inner_steps=0", "peers.1.inner_steps=8"], "scheme.inner_steps is 0"),
            (
                &["protocol.most_pages=2", "aggregation.weights=tokens", "aggregation.rule=median"],
                "aggregation.weights is `tokens`; expected equal with the rule `median`",
            ),
        ] {
            let message = said(set).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}\nlacks\n{expected}");
        }
        let weighed = said(&["protocol.most_pages=2", "aggregation.weights=tokens"]).unwrap();
        assert!(weighed.to_toml().contains("weights = \"tokens\"") && !weighed.to_toml().contains("inner_steps = 8"));
        assert_eq!(Scenario::from_toml(&weighed.to_toml(), "again.toml", &[]).unwrap(), weighed);
        assert!(!said(&["peers.1.inner_steps=4"]).unwrap().each_uid().any(|(_, peer)| peer.label().contains("step")));
    }
}
