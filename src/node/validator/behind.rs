//! A validator that is late, or whose model is not the others': how it notices, and how it starts over.

use super::Validator;
use crate::node::agreed::Agreed;
use crate::node::catch_up::{decision, newest_checkpoint, newest_checkpoint_round};
use crate::node::follow::wait_a_little;

impl Validator {
    /// Whether this validator's model is the one that the previous round's record names. Without a record, nothing says
    /// otherwise.
    pub(super) async fn has_agreed_model(&self) -> bool {
        // A void round's record says nothing about the model after it.
        let void = self.ports.chain.view().await.void_rounds();
        let before = (0..self.round).rev().find(|round| !void.contains(round));
        let Some(before) = before else { return self.replica.digest == self.network.genesis.digest };
        loop {
            // Who decided the round before that one is not known any more.
            let agreed = Agreed::default();
            if let Some(decision) = decision(&self.network, &self.ports, before, &agreed).await {
                return decision.is_none_or(|record| record.model_after == self.replica.digest);
            }
            wait_a_little(&self.ports).await;
        }
    }

    /// Goes back to a model that validators vouch for, to catch up from there. The records lead to the right model; if
    /// that is this model again, the author of the record was wrong. Where no record leads on from genesis any more and
    /// there is no checkpoint to take, it keeps its model, and returns false.
    pub(super) async fn start_over(&mut self) -> bool {
        let newest = newest_checkpoint(&self.network, &self.ports, 0).await;
        let first = decision(&self.network, &self.ports, 0, &Agreed::default()).await;
        if newest.is_none() && first.is_some_and(|first| first.is_none()) {
            tracing::warn!(round = self.round, "there is nothing to start over from; keeping this validator's model");
            return false;
        }
        tracing::warn!(round = self.round, "this validator's model is not the network's; starting over");
        (self.round, self.replica, self.agreed) =
            newest.unwrap_or((0, self.network.genesis.clone(), Agreed::default()));
        if let Some(average) = &mut self.average {
            average.forget();
        }
        true
    }

    /// Whether the round to validate is long over and was decided without this validator. An undecided round is
    /// validated however late it is: everybody waits for its record. A void round is never validated again.
    pub(super) async fn is_late(&self) -> bool {
        let (network, ports) = (&self.network, &self.ports);
        let is_newer = |newest| newest > self.round;
        loop {
            if ports.chain.view().await.void_rounds().contains(&self.round) {
                return true;
            }
            if ports.clock.round() <= self.round + 1 {
                return false;
            }
            match decision(network, ports, self.round, &self.agreed).await {
                Some(Some(_)) => return true,
                Some(None) => {
                    if let Some(newest) = newest_checkpoint_round(network, ports).await {
                        return newest.is_some_and(is_newer);
                    }
                }
                // The record may be one that nobody can read.
                None if newest_checkpoint_round(network, ports).await.flatten().is_some_and(is_newer) => return true,
                None => {}
            }
            // While the bucket does not answer, nothing is decided anew. And this validator may be the one that everybody waits for.
            wait_a_little(ports).await;
        }
    }
}
