//! What the uploads of a few peers do to the loss: stage 2.

use std::sync::Arc;

use futures::future::join_all;

use super::Validator;
use super::gather::Gathered;
use crate::Uid;
use crate::corpus::{self, PageError};
use crate::mechanism::proof::LossScores;
use crate::training::Replica;
use crate::training::aggregate::Weighted;

impl Validator {
    /// Measures what the uploads of a few peers do to the loss: stage 2. The mean loss on their assigned pages.
    pub async fn evaluate(&mut self, before: &Arc<Replica>, gathered: &Gathered) -> Option<f64> {
        let (network, round) = (&self.network, self.round);
        let chosen = self.gauntlet.choose_for_evaluation(round);
        if chosen.is_empty() {
            return None;
        }
        let fraction = network.scenario.gauntlet.evaluated_fraction;
        let pages_per_round = network.scenario.training.pages_per_round;
        let unassigned_pages = network.assignment.unassigned(round, pages_per_round);
        let unassigned_pages = corpus::sample(self.secret, Uid::MAX, round, fraction, &unassigned_pages);
        let tokens = network.tokens(&unassigned_pages);
        let (core, replica) = (network.clone(), before.clone());
        let cost = self.processor.evaluation(tokens);
        let measured = self.ports.run(cost, move || {
            let pages = core.core.corpus.pages(&unassigned_pages)?;
            Ok((core.core.loss(&replica.model, &pages), Arc::new(pages)))
        });
        // Without a page there is nothing to compare by in this round.
        let (unassigned_before, unassigned) = self.or_without_page(measured.await)?;

        let evaluations = join_all(chosen.iter().enumerate().map(|(place, &uid)| {
            let (network, before, unassigned) = (network.clone(), before.clone(), unassigned.clone());
            let contribution = gathered.valid[&uid].upload.gradient.clone();
            let assigned_pages = network.assignment.assigned(uid, round);
            let assigned_pages = corpus::sample(self.secret, uid, round, fraction, &assigned_pages);
            // One evaluation after the other on the validator's hardware: before and after on the assigned pages, after
            // on the others.
            let cost = self.processor.evaluation(2.0 * network.tokens(&assigned_pages) + tokens) * (place as u32 + 1);
            let beta_fraction = network.scenario.gauntlet.beta_fraction;
            self.ports.run(cost, move || {
                let assigned = network.core.corpus.pages(&assigned_pages)?;
                let assigned_before = network.core.loss(&before.model, &assigned);
                let alone = [Weighted::once(&contribution)];
                let [assigned_after, unassigned_after] =
                    network.core.losses_after(&before, round, &alone, beta_fraction, [&assigned, &unassigned]);
                Ok(LossScores { uid, assigned_before, assigned_after, unassigned_before, unassigned_after })
            })
        }))
        .await;
        let evaluations: Vec<LossScores> =
            evaluations.into_iter().filter_map(|scores| self.or_without_page(scores)).collect();
        self.gauntlet.primary_evaluation(round, &evaluations);
        let losses: Vec<f64> = evaluations.iter().map(|scores| scores.assigned_before).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }

    /// What was made of some pages, or the host's knowing that one cannot be had.
    fn or_without_page<T>(&self, made: Result<T, PageError>) -> Option<T> {
        made.inspect_err(|error| self.ports.host.without_page(error)).ok()
    }
}
