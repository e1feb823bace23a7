//! Tells the mechanism the facts of a round, and asks which peers to aggregate.

use super::Validator;
use super::compare::Uploads;
use super::gather::Gathered;
use crate::Uid;
use crate::chain::ChainView;
use crate::mechanism::{Facts, Status};

impl Validator {
    /// Tells the mechanism the facts of the round, and renews the list of peers to aggregate when it is due.
    pub fn observe(&mut self, gathered: &Gathered, chain: &dyn ChainView) {
        let mut peers = gathered.peers.clone();
        peers.iter_mut().for_each(|peer| peer.paid = chain.incentive(peer.uid));
        let uploads = Uploads { shape: &self.network.shape, valid: &gathered.valid };
        let weights_every = self.network.rules.chain.weights_every;
        self.mechanism.observe(&Facts { round: self.round, weights_every, peers, uploads: &uploads });
        self.roster.renew(&self.network.rules.protocol, &*self.mechanism, self.round);
    }

    /// The peers to aggregate in this round, by uid: the mechanism's choice, as this validator's behaviour changes it.
    pub fn included(&self, gathered: &Gathered, chain: &dyn ChainView) -> Vec<Uid> {
        let round = self.round;
        // Only peers with a valid upload that the mechanism accepts.
        let passed = |uid| {
            let status = self.mechanism.status(uid, round);
            gathered.valid.contains_key(&uid) && status.is_some_and(Status::may_be_aggregated)
        };
        let protocol = &self.network.rules.protocol;
        let judged = self.roster.included(protocol, &*self.mechanism, round, passed);
        let valid: Vec<Uid> = gathered.valid.keys().copied().collect();
        let mut included = self.behaviour.included(judged, &valid, &self.around(chain));
        included.retain(|uid| gathered.valid.contains_key(uid));
        included.sort_unstable();
        included.dedup();
        included.truncate(protocol.top_peers);
        included
    }
}
