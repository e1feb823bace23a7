//! Reports a finished round.

use std::time::Duration;

use super::Validator;
use super::decide::Decided;
use super::evaluate::Evaluation;
use super::gather::Gathered;
use crate::mechanism::Status;
use crate::node::report::{PeerReport, RoundReport};
use crate::training::Average;

impl Validator {
    /// The report of the round.
    pub async fn report(&self, gathered: &Gathered, decided: &Decided, evaluation: &Evaluation) -> RoundReport {
        let (network, round) = (&self.network, self.round);
        let rules = &network.rules;
        let measured = (round + 1).is_multiple_of(rules.training.eval_every) || round + 1 == rules.rounds;
        let (loss, average_loss, backdoor) = if measured && decided.own {
            let (network, replica) = (network.clone(), self.replica.clone());
            let average = self.average.as_ref().and_then(Average::theta).map(<[f32]>::to_vec);
            // This is for readers of the run, and takes none of the network's time.
            let work = move || {
                let (core, model) = (&network.core, &replica.model);
                let backdoors = network.rules.backdoors.iter().filter_map(|trigger| core.backdoor(model, trigger));
                let of_average = average.map(|theta| core.loss_of(&theta, core.corpus.held_out()));
                (Some(core.loss(model, core.corpus.held_out())), of_average, mean(backdoors))
            };
            self.ports.run(Duration::ZERO, work).await
        } else {
            (None, None, None)
        };
        let mut report = RoundReport {
            decided: decided.own,
            loss,
            average_loss,
            backdoor,
            train_loss: evaluation.train_loss,
            forward_passes: evaluation.forward_passes,
            uploads: gathered.found,
            ..self.empty_report()
        };
        for peer in &mut report.peers {
            let facts = gathered.peers.iter().find(|facts| facts.uid == peer.uid);
            peer.steps_behind = facts.and_then(|facts| facts.steps_behind);
            peer.aggregated = decided.included.contains(&peer.uid);
        }
        report
    }

    /// The report of a void round, which nobody may have decided.
    pub fn empty_report(&self) -> RoundReport {
        let round = self.round;
        let peers = self.owners.iter().map(|(&uid, &hotkey)| PeerReport {
            uid,
            hotkey,
            status: self.mechanism.status(uid, round).unwrap_or(Status::Unregistered),
            steps_behind: None,
            numbers: self.mechanism.numbers(uid, round),
            incentive: self.pay.get(&uid).copied().unwrap_or(0.0),
            aggregated: false,
        });
        RoundReport {
            round,
            validator: self.ports.identity.hotkey(),
            decided: true,
            at: self.ports.clock.now(),
            lr: self.network.core.schedule.lr(round),
            loss: None,
            average_loss: None,
            backdoor: None,
            train_loss: None,
            forward_passes: 0,
            uploads: 0,
            model: self.replica.digest,
            columns: self.mechanism.columns(),
            peers: peers.collect(),
        }
    }
}

/// The mean of some numbers; `None` for none.
fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let numbers: Vec<f64> = numbers.collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}
