//! A validator: gathers the uploads of a round, filters them, decides (if it leads) who is aggregated, evaluates a few,
//! rates, and pays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::follow::{apply, follow, step_forward};
use super::hardware::Processor;
use super::network::Network;
use super::ports::{NodeState, Ports};
use super::report::{PeerReport, RoundReport};
use super::upload::{self, Fetched, Received};
use crate::Uid;
use crate::chain::{Call, ChainState};
use crate::corpus;
use crate::digest::Digest;
use crate::gauntlet::fast::{mistimed, steps_behind};
use crate::gauntlet::{self, FastOutcome, Gauntlet, LossScores, TensorIndices};
use crate::training::Replica;
use crate::transport::record::{self, Included, RoundRecord};
use crate::transport::{Hotkey, bundle, checkpoint, keys};

/// A validator of the network.
pub struct Validator {
    network: Arc<Network>,
    ports: Ports,
    processor: Processor,
    gauntlet: Gauntlet,
    /// Whose slot it was when it was last looked at.
    owners: BTreeMap<Uid, Hotkey>,
    /// What the chain pays each slot in the round that is validated.
    pay: BTreeMap<Uid, f64>,
    replica: Arc<Replica>,
    round: u64,
    /// Key of its own draws, which peers must not foresee.
    secret: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    gauntlet: Gauntlet,
    owners: BTreeMap<Uid, Hotkey>,
    pay: BTreeMap<Uid, f64>,
    replica: Digest,
    round: u64,
}

/// The uploads of a round, by uid.
struct Gathered {
    outcomes: Vec<(Uid, FastOutcome)>,
    valid: BTreeMap<Uid, Received>,
    found: usize,
}

impl Validator {
    /// A validator at genesis.
    pub fn new(network: Arc<Network>, ports: Ports, processor: Processor) -> Self {
        // Nobody else can make this signature.
        let signature = Digest::of(&ports.identity.sign(b"gauntlet: draws of a validator"));
        let secret = u64::from_le_bytes(*signature.0.first_chunk().expect("a digest has 32 bytes"));
        Self {
            gauntlet: Gauntlet::new(network.scenario.gauntlet.clone(), secret),
            secret,
            replica: network.genesis.clone(),
            network,
            ports,
            processor,
            owners: BTreeMap::new(),
            pay: BTreeMap::new(),
            round: 0,
        }
    }

    /// Takes up a saved state; `replica` gives the parameters that the state names.
    pub fn restore(&mut self, bytes: &[u8], replica: impl Fn(&Digest) -> Option<Arc<Replica>>) -> Result<(), String> {
        let saved: Saved = postcard::from_bytes(bytes).map_err(|error| error.to_string())?;
        self.replica = replica(&saved.replica).ok_or("the replica is missing")?;
        (self.gauntlet, self.owners, self.pay, self.round) = (saved.gauntlet, saved.owners, saved.pay, saved.round);
        Ok(())
    }

    fn state(&self) -> NodeState {
        let saved = Saved {
            gauntlet: self.gauntlet.clone(),
            owners: self.owners.clone(),
            pay: self.pay.clone(),
            replica: self.replica.digest,
            round: self.round,
        };
        let bytes = postcard::to_stdvec(&saved).expect("a plain structure");
        NodeState { bytes, replicas: vec![self.replica.clone()] }
    }

    /// Validates until the last round is over.
    pub async fn run(mut self) {
        loop {
            self.ports.host.between_rounds(self.round, &|| self.state());
            if self.round >= self.network.scenario.rounds {
                return;
            }
            if self.is_late().await {
                let (round, replica) = step_forward(&self.network, &self.ports, self.round, &self.replica).await;
                (self.round, self.replica) = (round, replica);
            } else {
                self.validate().await;
                self.round += 1;
            }
        }
    }

    /// Whether the round to validate is so long over that there is nothing left to see of it; the network cannot do
    /// without the lead.
    async fn is_late(&self) -> bool {
        let chain = self.ports.chain.state().await;
        self.ports.clock.round() > self.round + 1 && !self.leads(&chain)
    }

    fn leads(&self, chain: &ChainState) -> bool {
        chain.lead_hotkey() == self.ports.identity.hotkey().0
    }

    /// One round, told from top to bottom.
    async fn validate(&mut self) {
        let round = self.round;
        let window = self.ports.clock.put_window(round);
        // A moment later, so that what arrived as the window closed is visible.
        self.ports.clock.sleep_until(window.closes + Duration::from_millis(10)).await;

        let chain = self.ports.chain.state().await;
        self.meet(&chain);
        let gathered = self.gather().await;
        self.gauntlet.fast_evaluation(round, &gathered.outcomes);
        let copies = self.find_copies(&gathered);
        let paid: Vec<(Uid, f64)> = self.owners.keys().map(|&uid| (uid, chain.incentive(uid))).collect();
        self.gauntlet.renew_list(round, &paid);

        let leads = self.leads(&chain);
        // Before the evaluation, which changes whom the next round would take.
        let included = if leads { self.gauntlet.included(round) } else { Vec::new() };
        let after = if leads { self.lead(&gathered, &included).await } else { self.follow().await };
        let before = std::mem::replace(&mut self.replica, after);
        self.ports.host.trace(&format!("model {} {}", round + 1, self.replica.digest));

        let train_loss = self.evaluate(&before, &gathered).await;
        let settings = &self.network.scenario;
        // The next round has begun; before the one after it the chain may hold an epoch.
        if (round + 2).is_multiple_of(settings.chain.weights_every) {
            self.ports.chain.submit(Call::SetWeights(self.gauntlet.incentives())).await;
        }
        if leads {
            if (round + 1).is_multiple_of(settings.training.checkpoint_every) {
                self.put_checkpoint(round + 1).await;
            }
            let report = self.report(&gathered, &included, &copies, train_loss).await;
            self.ports.host.report(report);
        }
        // The next round has begun.
        self.pay = self.owners.keys().map(|&uid| (uid, chain.incentive(uid))).collect();
    }

    /// Takes note of new owners of slots.
    fn meet(&mut self, chain: &ChainState) {
        let now: BTreeMap<Uid, Hotkey> = chain.peers().map(|(uid, hotkey)| (uid, Hotkey(hotkey))).collect();
        for uid in self.owners.keys().filter(|uid| !now.contains_key(uid)) {
            self.gauntlet.deregister(*uid);
            self.pay.remove(uid);
        }
        for (uid, hotkey) in &now {
            if self.owners.get(uid) != Some(hotkey) {
                self.gauntlet.reset(*uid);
                self.pay.remove(uid);
            }
        }
        self.owners = now;
    }

    /// Fetches every registered peer's upload and judges its form: stage 1.
    async fn gather(&self) -> Gathered {
        let (network, round) = (&self.network, self.round);
        let ports = &self.ports;
        let uploads = join_all(self.owners.iter().map(|(&uid, &hotkey)| async move {
            let fetched = upload::fetch(network, ports, round, uid, hotkey).await;
            let late = matches!(fetched, Fetched::Absent) && self.was_late(hotkey).await;
            (uid, fetched, late)
        }))
        .await;
        let found = uploads.iter().filter(|(_, fetched, _)| !matches!(fetched, Fetched::Absent)).count();
        let mut gathered = Gathered { outcomes: Vec::new(), valid: BTreeMap::new(), found };
        let own_samples = upload::samples_of(network, &self.replica, round);
        for (uid, fetched, late) in uploads {
            let outcome = if late { FastOutcome::TooLate } else { self.judge(&fetched, &own_samples) };
            gathered.outcomes.push((uid, outcome));
            if let (Fetched::Valid(received), FastOutcome::Passed { .. }) = (fetched, outcome) {
                gathered.valid.insert(uid, *received);
            }
        }
        gathered
    }

    /// Whether the upload of the round before came after all: it was not there when that round was judged.
    async fn was_late(&self, hotkey: Hotkey) -> bool {
        let Some(before) = self.round.checked_sub(1) else { return false };
        let Ok(meta) = self.ports.bucket.head(&keys::upload(&hotkey, before)).await else { return false };
        self.ports.clock.since_genesis(meta.last_modified) > self.ports.clock.put_window(before).closes
    }

    fn judge(&self, fetched: &Fetched, own_samples: &[[f32; 2]]) -> FastOutcome {
        let window = self.ports.clock.put_window(self.round);
        let stamp = match fetched {
            Fetched::Absent => return FastOutcome::Absent,
            Fetched::Malformed { stamp } => *stamp,
            Fetched::Valid(received) => received.stamp,
        };
        if let Some(outcome) = mistimed(stamp, window.opens, window.closes) {
            return outcome;
        }
        let Fetched::Valid(received) = fetched else { return FastOutcome::Malformed };
        let step = self.network.core.step_size(self.round);
        let behind = steps_behind(own_samples.as_flattened(), received.upload.samples.as_flattened(), step);
        FastOutcome::of_sync(behind, self.network.scenario.gauntlet.max_steps_behind)
    }

    /// Aggregates those who are in, and tells everybody.
    async fn lead(&mut self, gathered: &Gathered, included: &[Uid]) -> Arc<Replica> {
        let round = self.round;
        let received: Vec<&Received> = included.iter().map(|uid| &gathered.valid[uid]).collect();
        let included: Vec<Included> = received
            .iter()
            .map(|received| Included {
                uid: received.upload.uid,
                hotkey: received.upload.hotkey,
                payload: received.payload,
            })
            .collect();
        let payloads: Vec<_> = received.iter().map(|received| received.bytes.clone()).collect();
        let mut record = RoundRecord {
            run: self.network.run,
            round,
            validator: self.ports.identity.hotkey(),
            included,
            model_before: self.replica.digest,
            model_after: self.replica.digest,
        };
        let after = apply(&self.network, &self.ports, &self.replica, &record, payloads.clone()).await;
        record.model_after = after.digest;

        // The bundle first: whoever sees the record finds what it names.
        self.put(keys::bundle(&record.validator, round), bundle::encode(&payloads)).await;
        self.put(keys::record(&record.validator, round), record::encode(&record, &self.ports.identity)).await;
        self.forget(round).await;
        after
    }

    /// Compares the uploads that passed with one another, and punishes the later of two that are too much alike.
    fn find_copies(&mut self, gathered: &Gathered) -> BTreeSet<Uid> {
        let shape = &self.network.shape;
        let uploads = gathered.valid.iter().map(|(&uid, received)| gauntlet::Upload {
            uid,
            stamp_ms: received.stamp.as_millis() as u64,
            tensors: shape
                .tensors
                .iter()
                .zip(&received.upload.gradient.tensors)
                .map(|(tensor, sparse)| TensorIndices {
                    indices: &sparse.indices,
                    per_chunk: tensor.per_chunk,
                    chunk_len: tensor.chunk_len,
                })
                .collect(),
        });
        let found = self.gauntlet.punish_copies(self.round, &uploads.collect::<Vec<_>>());
        found.into_iter().map(|copied| copied.copy).collect()
    }

    async fn follow(&self) -> Arc<Replica> {
        follow(&self.network, &self.ports, &self.replica, self.round, true).await
    }

    /// Measures what the uploads of a few peers do to the loss: stage 2. The mean loss on their assigned pages.
    async fn evaluate(&mut self, before: &Arc<Replica>, gathered: &Gathered) -> Option<f64> {
        let (network, round) = (&self.network, self.round);
        let chosen = self.gauntlet.choose_for_evaluation(round);
        let fraction = network.scenario.gauntlet.evaluated_fraction;
        let pages_per_round = network.scenario.training.pages_per_round;
        let unassigned_pages = network.assignment.unassigned(round, pages_per_round);
        let unassigned_pages = corpus::sample(self.secret, Uid::MAX, round, fraction, &unassigned_pages);
        let unassigned =
            Arc::new(unassigned_pages.iter().map(|&page| network.core.corpus.page(page)).collect::<Vec<_>>());

        let tokens = network.tokens(&unassigned_pages);
        let (core, replica, pages) = (network.clone(), before.clone(), unassigned.clone());
        let cost = self.processor.evaluation(tokens);
        let unassigned_before = self.ports.compute.run(cost, move || core.core.loss(&replica.model, &pages)).await;

        let evaluations = join_all(chosen.iter().enumerate().map(|(place, &uid)| {
            let (network, before, unassigned) = (network.clone(), before.clone(), unassigned.clone());
            let contribution = gathered.valid[&uid].upload.gradient.clone();
            let assigned_pages = network.assignment.assigned(uid, round);
            let assigned_pages = corpus::sample(self.secret, uid, round, fraction, &assigned_pages);
            // One evaluation after the other on the validator's hardware: before and after on the assigned pages, after
            // on the others.
            let cost = self.processor.evaluation(2.0 * network.tokens(&assigned_pages) + tokens) * (place as u32 + 1);
            self.ports.compute.run(cost, move || {
                let assigned: Vec<_> = assigned_pages.iter().map(|&page| network.core.corpus.page(page)).collect();
                let assigned_before = network.core.loss(&before.model, &assigned);
                let [assigned_after, unassigned_after] =
                    network.core.losses_after(&before, round, &contribution, [&assigned, &unassigned]);
                LossScores { uid, assigned_before, assigned_after, unassigned_before, unassigned_after }
            })
        }))
        .await;
        self.gauntlet.primary_evaluation(round, &evaluations);
        let losses: Vec<f64> = evaluations.iter().map(|scores| scores.assigned_before).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }

    async fn put_checkpoint(&self, round: u64) {
        let own = self.ports.identity.hotkey();
        let bytes = checkpoint::encode(&self.network.run, round, &self.replica.digest, &self.replica.theta);
        self.put(keys::checkpoint(&own, round), bytes).await;
        let every = self.network.scenario.training.checkpoint_every;
        if let Some(old) = round.checked_sub(2 * every).filter(|&old| old > 0) {
            let _ = self.ports.bucket.delete(&keys::checkpoint(&own, old)).await;
        }
    }

    /// Rounds before the last checkpoint but one are of no use to anybody.
    async fn forget(&self, round: u64) {
        let own = self.ports.identity.hotkey();
        if let Some(old) = round.checked_sub(2 * self.network.scenario.training.checkpoint_every) {
            let _ = self.ports.bucket.delete(&keys::bundle(&own, old)).await;
            let _ = self.ports.bucket.delete(&keys::record(&own, old)).await;
        }
    }

    async fn put(&self, key: object_store::path::Path, bytes: bytes::Bytes) {
        while let Err(error) = self.ports.bucket.put(&key, bytes.clone().into()).await {
            tracing::warn!(%key, %error, "put failed; trying again");
            self.ports.clock.sleep(Duration::from_secs(1)).await;
        }
    }

    /// What is to be said of the round.
    async fn report(
        &self,
        gathered: &Gathered,
        included: &[Uid],
        copies: &BTreeSet<Uid>,
        train_loss: Option<f64>,
    ) -> RoundReport {
        let (network, round) = (&self.network, self.round);
        let settings = &network.scenario;
        let measured = (round + 1).is_multiple_of(settings.training.eval_every) || round + 1 == settings.rounds;
        let loss = if measured {
            let (network, replica) = (network.clone(), self.replica.clone());
            // An observation for the reader of the run, outside of the network's time.
            let work = move || network.core.loss(&replica.model, network.core.corpus.held_out());
            Some(self.ports.compute.run(Duration::ZERO, work).await)
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
                aggregated: included.contains(&uid),
            }
        });
        RoundReport {
            round,
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
