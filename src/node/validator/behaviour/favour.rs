//! Aggregates and pays the slots of an operator whose friend it is, whatever they send.

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::Uid;
use crate::settings::Findings;

/// The settings of `favour`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FavourSettings {
    /// The slots of the operator.
    pub uids: Vec<Uid>,
}

impl ValidatorBehaviourSettings for FavourSettings {
    fn check(&self, found: &mut Findings) {
        found.require(!self.uids.is_empty(), "uids", "[]", "the slots of an operator, such as [6, 7]");
    }

    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Favour { uids: self.uids.clone() })
    }
}

struct Favour {
    uids: Vec<Uid>,
}

impl ValidatorBehaviour for Favour {
    fn included(&self, judged: Vec<Uid>, valid: &[Uid], around: &ValidatorSurroundings) -> Vec<Uid> {
        let friends: Vec<Uid> = self.uids.iter().copied().filter(|uid| valid.contains(uid)).collect();
        if friends.is_empty() {
            return judged;
        }
        // Beside its friends, only as many others as make the record look like any other.
        let others = around.network.rules.protocol.min_peers.saturating_sub(friends.len());
        let others = judged.into_iter().filter(|uid| !self.uids.contains(uid)).take(others);
        friends.iter().copied().chain(others).collect()
    }

    fn weights(&mut self, _judged: Vec<(Uid, f64)>, around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        let peers = around.chain.peers();
        let has_slot = |uid: &&Uid| peers.iter().any(|(taken, _)| taken == *uid);
        self.uids.iter().filter(has_slot).map(|uid| (*uid, 1.0)).collect()
    }
}
