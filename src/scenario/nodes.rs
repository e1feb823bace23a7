//! The nodes of a scenario: their keys and their roles.

use super::operators::Operator;
use super::peers::ValidatorSettings;
use super::sections::Scenario;
use crate::node::{PeerPlan, Processor, Role};
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

    /// The role of a peer or an operator.
    pub fn operator_role(&self, operator: &Operator, machines: Machines) -> Role {
        let processor = match machines {
            Machines::Real => Processor::real(),
            Machines::Simulated { sequence_length } => {
                self.peer_processor(operator.hardware, operator.uids, sequence_length)
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
        };
        Role::Peer { plan, joins: operator.joins }
    }
}
