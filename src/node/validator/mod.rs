//! A validator: gathers the uploads of a round, filters them, decides (if it is its turn) who is aggregated, evaluates a
//! few, rates, and pays.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | a round from top to bottom; the state between two |
//! | `gather`, `compare`, `overlap` | uploads, and their facts before any measurement |
//! | `behind` | whether it is late or has another model than the others, and how it starts over |
//! | `decide` | the record: whose turn it is, and the objects that followers need |
//! | `judge` | the facts for the mechanism, and the peers to aggregate |
//! | `roster` | the list of peers to aggregate |
//! | `watch` | objections to records of other validators |
//! | `evaluate` | the measurements that the mechanism asks for |
//! | `weigh` | weights, set at once or by commitments |
//! | `behaviour` | what a validator may do instead of the honest thing |
//! | `report` | the report of the round |

pub mod behaviour;
mod behind;
mod compare;
mod decide;
mod evaluate;
mod gather;
mod judge;
mod overlap;
mod report;
mod roster;
mod watch;
mod weigh;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::agreed::Agreed;
use super::audit;
use super::catch_up::{PATIENCE, newest_checkpoint_round, step_forward};
use super::follow::wait_a_little;
use super::hardware::Processor;
use super::network::Network;
use super::ports::{NodeState, Ports};
use super::upload::KEPT_UPLOADS;
use crate::Uid;
use crate::chain::{Call, ChainView, Objection};
use crate::digest::Digest;
use crate::mechanism::{Measurement, Mechanism};
use crate::training::{Average, Replica};
use crate::transport::{Hotkey, Identity, keys};
use behaviour::{ValidatorBehaviour, ValidatorSurroundings};
use roster::Roster;

/// A validator of the network.
pub struct Validator {
    network: Arc<Network>,
    ports: Ports,
    processor: Processor,
    behaviour: Box<dyn ValidatorBehaviour>,
    mechanism: Box<dyn Mechanism>,
    roster: Roster,
    /// Owner of each slot when this validator last looked.
    owners: BTreeMap<Uid, Hotkey>,
    /// What the chain pays each slot in the round under validation.
    pay: BTreeMap<Uid, f64>,
    replica: Arc<Replica>,
    round: u64,
    /// Key of this validator's own draws, which peers must not foresee.
    secret: u64,
    /// The newest checkpoint that this validator has put into the bucket. Without one, it prunes no older ones.
    checkpointed: Option<u64>,
    /// A checkpoint on its way to the bucket, and its round.
    pending_checkpoint: Option<(u64, JoinHandle<bool>)>,
    /// What is agreed before the round.
    agreed: Agreed,
    /// The author of the last record and the number of its unfair ones in a row, if the last one was unfair.
    unfair: Option<(Hotkey, u64)>,
    /// Weights that it has committed to and not revealed yet, and their salt.
    committed: Option<(Vec<(Uid, f64)>, Digest)>,
    /// Rounds whose requests for audits are in the bucket.
    asked: VecDeque<u64>,
    /// The average of the models that it has had after a round, if the network has one. Only reports contain it.
    average: Option<Average>,
    /// Whether it was stopped, and has not yet compared its model with the agreed one.
    was_stopped: bool,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    mechanism: Vec<u8>,
    roster: Roster,
    owners: BTreeMap<Uid, Hotkey>,
    pay: BTreeMap<Uid, f64>,
    replica: Digest,
    round: u64,
    checkpointed: Option<u64>,
    agreed: Agreed,
    unfair: Option<(Hotkey, u64)>,
    committed: Option<(Vec<(Uid, f64)>, Digest)>,
    asked: VecDeque<u64>,
    behaviour: Vec<u8>,
}

/// Key of a validator's own draws in a run: nobody else can make this signature.
fn secret_of(identity: &Identity, seed: u64) -> u64 {
    let what = [b"gauntlet: draws of a validator".as_slice(), &seed.to_le_bytes()].concat();
    let signature = Digest::of(&identity.sign(&what));
    u64::from_le_bytes(*signature.0.first_chunk().expect("a digest has 32 bytes"))
}

impl Validator {
    /// A validator at genesis.
    pub fn new(
        network: Arc<Network>,
        ports: Ports,
        processor: Processor,
        behaviour: Box<dyn ValidatorBehaviour>,
    ) -> Self {
        let secret = secret_of(&ports.identity, network.rules.seed.known());
        Self {
            mechanism: network.rules.judge.build(secret),
            roster: Roster::default(),
            secret,
            replica: network.genesis.clone(),
            average: network.rules.training.average.map(|factor| Average::new(factor, network.genesis.theta.len())),
            network,
            ports,
            processor,
            behaviour,
            owners: BTreeMap::new(),
            pay: BTreeMap::new(),
            round: 0,
            checkpointed: None,
            pending_checkpoint: None,
            agreed: Agreed::default(),
            unfair: None,
            committed: None,
            asked: VecDeque::new(),
            was_stopped: false,
        }
    }

    /// Restores a saved state; `replica` returns the parameters that the state names.
    pub fn restore(&mut self, bytes: &[u8], replica: impl Fn(&Digest) -> Option<Arc<Replica>>) -> Result<(), String> {
        let (saved, rest): (Saved, _) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
        if let Some(average) = &mut self.average {
            *average = average.restored(rest)?;
        }
        self.replica = replica(&saved.replica).ok_or("the replica is missing")?;
        self.mechanism.restore(&saved.mechanism)?;
        (self.roster, self.owners, self.pay) = (saved.roster, saved.owners, saved.pay);
        (self.round, self.checkpointed, self.agreed) = (saved.round, saved.checkpointed, saved.agreed);
        (self.unfair, self.committed, self.asked) = (saved.unfair, saved.committed, saved.asked);
        #[cfg(test)]
        if crate::planted::is(crate::planted::Defect::StaleState) {
            self.round = self.ports.clock.round();
        }
        self.behaviour.restore(&saved.behaviour)
    }

    /// This validator, as one that was stopped: before it goes on, it compares its model with the agreed one. While it
    /// decides first, it reads no records, so it would not notice that its model is not the network's.
    pub fn after_a_stop(self) -> Self {
        Self { was_stopped: true, ..self }
    }

    fn state(&self) -> NodeState {
        let saved = Saved {
            mechanism: self.mechanism.save(),
            roster: self.roster.clone(),
            owners: self.owners.clone(),
            pay: self.pay.clone(),
            replica: self.replica.digest,
            round: self.round,
            checkpointed: self.checkpointed,
            agreed: self.agreed.clone(),
            unfair: self.unfair,
            committed: self.committed.clone(),
            asked: self.asked.clone(),
            behaviour: self.behaviour.save(),
        };
        let mut bytes = postcard::to_stdvec(&saved).expect("a plain structure");
        if let Some(average) = &self.average {
            average.save(&mut bytes);
        }
        NodeState { bytes, replicas: vec![self.replica.clone()], average: self.average.clone() }
    }

    /// Takes the model after a round into the average.
    fn note_model(&mut self) {
        if let Some(average) = &mut self.average {
            average.add(&self.replica.theta);
        }
    }

    /// Validates until the last round is over, or until the round `leaves`.
    pub async fn run(mut self, leaves: Option<u64>) {
        // The rounds whose records made it start over. If it arrives at the same model again, others go on with that model
        // too, and it is the record's author that has another.
        let mut doubted = BTreeSet::new();
        let known_as = self.ports.identity.hotkey();
        loop {
            self.ports.host.between_rounds(self.round, &|| self.state());
            if self.round >= self.network.rules.rounds || leaves.is_some_and(|leaves| self.round >= leaves) {
                return self.end_checkpoint().await;
            }
            if std::mem::take(&mut self.was_stopped) && !self.has_agreed_model().await {
                self.start_over().await;
                continue;
            }
            if self.agreed.is_overruled(&*self.ports.chain.view().await, self.round) {
                if !self.start_over().await {
                    let is_over = self.ports.clock.round() > self.network.rules.rounds + PATIENCE;
                    // While the bucket does not answer, a checkpoint may still be there.
                    if is_over && newest_checkpoint_round(&self.network, &self.ports).await == Some(None) {
                        return self.end_checkpoint().await;
                    }
                    wait_a_little(&self.ports).await;
                }
                continue;
            }
            if !self.is_late().await && self.validate().await {
                self.round += 1;
                continue;
            }
            let known = (&self.replica, &self.agreed);
            let Some(step) = step_forward(&self.network, &self.ports, self.round, known, true).await else {
                return self.end_checkpoint().await;
            };
            let chain = self.ports.chain.view().await;
            let is_first = chain.succession(self.round).first().is_some_and(|(first, _)| *first == known_as.0);
            if is_first && chain.void_rounds().contains(&self.round) {
                self.ports.host.report(self.empty_report());
            }
            if step.followed.in_sync || doubted.contains(&self.round) {
                if let (false, Some(author)) = (step.followed.in_sync, step.followed.agreed.author()) {
                    let objection = Objection { round: self.round, author: author.0, lacks: false };
                    self.ports.chain.submit(Call::Object(objection)).await;
                }
                (self.round, self.replica, self.agreed) = (step.at, step.followed.replica, step.followed.agreed);
                self.note_model();
            } else {
                doubted.insert(self.round);
                self.start_over().await;
            }
        }
    }

    /// One round, from top to bottom. Returns whether the round was completed.
    async fn validate(&mut self) -> bool {
        let round = self.round;
        let window = self.ports.clock.put_window(round);
        // A moment later, uploads that arrived as the window closed are visible.
        self.ports.clock.sleep_until(window.closes + Duration::from_millis(10)).await;

        let chain = self.ports.chain.view().await;
        self.meet(&*chain);
        let gathered = self.ports.phase("gather", self.gather()).await;
        self.observe(&gathered, &*chain);

        let ports = self.ports.clone();
        let network = self.network.clone();
        let around = ValidatorSurroundings { network: &network, ports: &ports, round, chain: &*chain };
        let audits = self.mechanism.audit(round).into_iter().map(Measurement::Audit).collect();
        let audits = self.behaviour.measured(audits, &around);
        self.asked.extend((!audits.is_empty()).then_some(round));
        // Peers have to hear of audits, however long it takes until the round is decided. And the decision comes before
        // the evaluation, which changes the peers that the next round would take.
        let ask = audit::ask(&network, &ports, round, audits.iter().filter_map(Measurement::audited).collect());
        let (heard, decided) = join(ask, ports.phase("decide", self.decide(&gathered, &*chain))).await;
        let Some(decided) = decided else { return false };
        self.agreed = decided.agreed.clone();
        self.watch(&decided, &gathered, &*chain).await;
        self.note_checkpoint().await;
        let before = std::mem::replace(&mut self.replica, decided.replica.clone());
        self.note_model();
        self.ports.host.trace(&format!("model {} {}", round + 1, self.replica.digest));

        let mut wanted = self.behaviour.measured(self.mechanism.measure(round, &decided.included), &around);
        wanted.extend(audits.into_iter().filter(|_| heard));
        let evaluation = ports.phase("evaluate", self.evaluate(&before, &gathered, wanted)).await;
        self.mechanism.learn(round, &decided.included, &evaluation.results);
        let rules = &network.rules;
        // The next round has begun; before the one after it the chain may hold an epoch.
        if (round + 2).is_multiple_of(rules.chain.weights_every) {
            self.weigh(&*chain).await;
        }
        if decided.own {
            if (round + 1).is_multiple_of(rules.training.checkpoint_every) {
                self.put_checkpoint(round + 1).await;
            }
            self.forget(round).await;
        }
        let report = self.report(&gathered, &decided, &evaluation).await;
        self.ports.host.report(report);
        self.behaviour.afterwards(decided.own.then_some(&decided.record), &around).await;
        self.forget_requests(round).await;
        // The next round has begun.
        self.pay = self.owners.keys().map(|&uid| (uid, chain.incentive(uid))).collect();
        true
    }

    /// Deletes old requests for audits.
    async fn forget_requests(&mut self, round: u64) {
        while let Some(old) = self.asked.pop_front_if(|old| *old + KEPT_UPLOADS <= round) {
            let _ = self.ports.bucket.delete(&keys::audits(&self.ports.identity.hotkey(), old)).await;
        }
    }

    /// What the behaviour may look at.
    fn around<'a>(&'a self, chain: &'a dyn ChainView) -> ValidatorSurroundings<'a> {
        ValidatorSurroundings { network: &self.network, ports: &self.ports, round: self.round, chain }
    }

    /// Notes new owners of slots.
    fn meet(&mut self, chain: &dyn ChainView) {
        let now: BTreeMap<Uid, Hotkey> = chain.peers().into_iter().map(|(uid, hotkey)| (uid, Hotkey(hotkey))).collect();
        for uid in self.owners.keys().filter(|uid| !now.contains_key(uid)) {
            self.mechanism.leave(*uid);
            self.roster.remove(*uid);
            self.pay.remove(uid);
        }
        for (uid, hotkey) in &now {
            if self.owners.get(uid) != Some(hotkey) {
                self.mechanism.arrive(*uid);
                self.roster.remove(*uid);
                self.pay.remove(uid);
            }
        }
        self.owners = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_a_validators_own() {
        let [first, second] = [1, 2].map(|key| Identity::from_secret(&[key; 32]));
        let secrets = [secret_of(&first, 7), secret_of(&second, 7), secret_of(&first, 8)];
        assert_eq!(BTreeSet::from(secrets).len(), 3);
        assert!(!secrets.contains(&7), "the seed is known to all");
    }
}
