//! What is to be said of a round.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Validator;
use super::decide::Decided;
use super::gather::Gathered;
use crate::Uid;
use crate::node::report::{PeerReport, RoundReport};

impl Validator {
    /// What is to be said of the round.
    pub async fn report(
        &self,
        gathered: &Gathered,
        decided: &Decided,
        copies: &BTreeSet<Uid>,
        train_loss: Option<f64>,
    ) -> RoundReport {
        let (network, round) = (&self.network, self.round);
        let settings = &network.scenario;
        let measured = (round + 1).is_multiple_of(settings.training.eval_every) || round + 1 == settings.rounds;
        let loss = if measured && decided.own {
            let (network, replica) = (network.clone(), self.replica.clone());
            // An observation for the reader of the run, outside of the network's time.
            let work = move || network.core.loss(&replica.model, network.core.corpus.held_out());
            Some(self.ports.run(Duration::ZERO, work).await)
        } else {
            None
        };
        let peers = self.owners.iter().map(|(&uid, &hotkey)| {
            let record = self.gauntlet.peer(uid).expect("every owner is registered");
            let outcome = record.status_in(round);
            let evaluated = record.evaluated_in(round);
            PeerReport {
                uid,
                hotkey,
                status: match outcome {
                    _ if copies.contains(&uid) => "copy",
                    Some(outcome) => outcome.name(),
                    None => "unregistered",
                }
                .into(),
                steps_behind: outcome.and_then(|outcome| outcome.steps_behind()),
                loss_score_assigned: evaluated.map(|losses| losses.assigned_before - losses.assigned_after),
                loss_score_unassigned: evaluated.map(|losses| losses.unassigned_before - losses.unassigned_after),
                rating_mu: record.rating.mu,
                rating_sigma: record.rating.sigma,
                proof_of_computation: record.proof_of_computation,
                peer_score: record.peer_score,
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
            train_loss,
            uploads: gathered.found,
            model: self.replica.digest,
            peers: peers.collect(),
        }
    }
}
