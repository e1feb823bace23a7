//! A peer's work of a round, and what it commits to.

use std::sync::Arc;

use super::slot::Slot;
use super::{Peer, Round};
use crate::Uid;
use crate::corpus::PageError;
use crate::digest::Digest;
use crate::node::audit::Start;
use crate::training::{Data, Kept, PseudoGradient, Replica};
use crate::transport::wire::Commitment;

impl Peer {
    /// What a slot commits to that does not train: its state stays as it is.
    fn idle_commitment(&mut self, slot: usize) -> Option<Commitment> {
        let Slot { local, digest, .. } = &mut self.slots[slot];
        let local = local.as_ref().filter(|_| self.network.rules.judge.audits())?;
        let state = *digest.get_or_insert_with(|| Digest::of(&local.saved()));
        Some(Commitment { before: state, after: state, steps: 0 })
    }

    /// Trains for one slot after another. A slot whose pages are unavailable sends nothing in this round.
    pub(super) async fn train_all(&mut self, round: &mut Round) {
        if !self.behaviour.trains() {
            return;
        }
        for of_slot in round.slots() {
            let (slot, _) = of_slot;
            let ports = self.slots[slot].ports().clone();
            if !self.behaviour.works(&round.around(&self.network, &ports, of_slot)).await {
                round.commitments[slot] = self.idle_commitment(slot);
                continue;
            }
            match ports.phase("train", self.train(round, of_slot)).await {
                Ok((made, commitment)) => (round.own[slot], round.commitments[slot]) = (Some(made), commitment),
                Err(error) => {
                    ports.host.without_page(&error);
                    round.sends[slot] = false;
                }
            }
        }
    }

    /// The replica that the behaviour computes on.
    pub(super) fn computed_on(&self) -> Arc<Replica> {
        let newest = self.replicas.len() - 1;
        self.replicas[newest.saturating_sub(self.behaviour.model_age())].clone()
    }

    /// Trains on a slot's pages of the round, in the time that the hardware needs.
    async fn train(
        &mut self,
        round: &Round,
        of_slot: (usize, Uid),
    ) -> Result<(PseudoGradient, Option<Commitment>), PageError> {
        let slot = &mut self.slots[of_slot.0];
        let ports = slot.ports().clone();
        let around = round.around(&self.network, &ports, of_slot);
        let (part, poison) = (self.behaviour.part_of_page(), self.behaviour.poison(&around));
        let data = Data { pages: self.behaviour.pages(&around), part, poison, steps: self.inner_steps };
        let kept = self.behaviour.part_of_model();
        let computed = kept.computed(&self.network.core.config);
        let cost = self.processor.training(self.network.tokens(&data.pages) * part * computed);
        let tokens = data.pages.len() * self.network.core.tokens_of_page(part);
        // Less of the model is as much work as fewer tokens.
        ports.host.trained(&ports.identity.hotkey(), (tokens as f64 * computed).round() as u64);
        let (network, replica, number) = (self.network.clone(), round.replica.clone(), round.number);
        let mut local = slot.local.take().expect("it trains once at a time");
        let mut digest = slot.digest.take();
        match self.behaviour.forgets() {
            0.0 => {}
            1.0 => (local, digest) = (network.core.local(), None),
            part => {
                local.scale_kept((1.0 - part) as f32);
                digest = None;
            }
        }
        let audited = network.rules.judge.audits();
        let work = move || {
            let core = &network.core;
            let replica = if kept == Kept::ALL { replica } else { core.thinned(&replica, kept) };
            let before = audited.then(|| local.saved());
            let sent = core.train(&mut *local, &replica, &data, number);
            let steps = data.steps.map_or(0, |steps| u16::try_from(steps).unwrap_or(u16::MAX));
            let committed = before.map(|state| {
                let before = digest.unwrap_or_else(|| Digest::of(&state));
                (Commitment { before, after: Digest::of(&local.saved()), steps }, state)
            });
            (local, sent, committed)
        };
        let (local, sent, committed) = ports.run(cost, work).await;
        slot.local = Some(local);
        let (commitment, state) = committed.unzip();
        slot.digest = commitment.map(|commitment| commitment.after);
        slot.start = state.map(|state| (slot.key() as u32, Start { round: number, uid: of_slot.1, state }));
        // They arrive while the round ends and the next begins.
        let next = self.network.assignment.first(of_slot.1, number + 1, self.pages);
        self.network.core.corpus.fetch_ahead(&next);
        Ok((sent?, commitment))
    }
}
