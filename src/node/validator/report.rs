//! Reports a finished round.

use std::time::Duration;

use super::Validator;
use super::decide::Decided;
use super::evaluate::Evaluation;
use super::gather::Gathered;
use crate::mechanism::Status;
use crate::node::report::{PeerReport, RoundReport};

impl Validator {
    /// The report of the round.
    pub async fn report(&self, gathered: &Gathered, decided: &Decided, evaluation: &Evaluation) -> RoundReport {
        let (network, round) = (&self.network, self.round);
        let rules = &network.rules;
        let measured = (round + 1).is_multiple_of(rules.training.eval_every) || round + 1 == rules.rounds;
        let loss = if measured && decided.own {
            let (network, replica) = (network.clone(), self.replica.clone());
            // This is for readers of the run, and takes none of the network's time.
            let work = move || network.core.loss(&replica.model, network.core.corpus.held_out());
            Some(self.ports.run(Duration::ZERO, work).await)
        } else {
            None
        };
        let peers = self.owners.iter().map(|(&uid, &hotkey)| {
            let facts = gathered.peers.iter().find(|facts| facts.uid == uid);
            PeerReport {
                uid,
                hotkey,
                status: self.mechanism.status(uid, round).unwrap_or(Status::Unregistered),
                steps_behind: facts.and_then(|facts| facts.steps_behind),
                numbers: self.mechanism.numbers(uid, round),
                incentive: self.pay.get(&uid).copied().unwrap_or(0.0),
                aggregated: decided.included.contains(&uid),
            }
        });
        RoundReport {
            round,
            validator: self.ports.identity.hotkey(),
            decided: decided.own,
            at: self.ports.clock.now(),
            lr: network.core.schedule.lr(round),
            loss,
            train_loss: evaluation.losses.before_on_assigned(),
            forward_passes: evaluation.forward_passes,
            uploads: gathered.found,
            model: self.replica.digest,
            columns: self.mechanism.columns(),
            peers: peers.collect(),
        }
    }
}
