//! What the nodes of a scenario are made of: their keys, and what each of them is to do.

use super::operators::Operator;
use super::peers::ValidatorSettings;
use super::sections::Scenario;
use crate::node::{PeerPlan, Processor, Role};
use crate::transport::Identity;

/// The speed of the machines that nodes run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machines {
    /// As the scenario says, for sequences of this length.
    Simulated { sequence_length: usize },
    /// Real ones: work takes the time that it takes.
    Real,
}

impl Scenario {
    /// The key of a validator, by its number, unless a real network names another. Whoever knows the seed knows it, so
    /// it is for simulations and trials.
    pub fn validator_identity(&self, index: usize) -> Identity {
        Identity::from_seed(self.seed, "validator", index as u64)
    }

    /// The key of a slot that a peer or an operator registers, by its number. Whoever knows the seed knows it, so it is
    /// for simulations and trials.
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

    /// What a validator is to do.
    pub fn validator_role(&self, settings: &ValidatorSettings, machines: Machines) -> Role {
        let processor = match machines {
            Machines::Real => Processor::real(),
            Machines::Simulated { sequence_length } => self.validator_processor(&settings.hardware, sequence_length),
        };
        let behaviour = self.validator_behaviour(&settings.behaviour).build();
        Role::Validator { processor, behaviour, leaves: settings.leaves }
    }

    /// What a peer or an operator is to do.
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
