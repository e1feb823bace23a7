//! A peer: trains on its pages, uploads its pseudo-gradient inside the put window, and follows the lead validator.

use std::collections::VecDeque;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::behaviour::{Behaviour, Presence, Surroundings};
use super::catch_up::{newest_checkpoint, step_forward};
use super::follow::follow;
use super::hardware::Processor;
use super::network::Network;
use super::ports::{NodeState, Ports};
use super::upload;
use crate::Uid;
use crate::chain::Call;
use crate::corpus::PageError;
use crate::digest::Digest;
use crate::training::scheme::LocalTraining;
use crate::training::{PseudoGradient, Replica};
use crate::transport::keys;

/// How often it tries to register: another peer may be first, or the bucket may fail.
const REGISTRATIONS: u32 = 10;
/// Own uploads are kept for so many rounds.
pub const KEPT_UPLOADS: u64 = 3;

/// A peer of the network.
pub struct Peer {
    network: Arc<Network>,
    ports: Ports,
    processor: Processor,
    behaviour: Box<dyn Behaviour>,
    /// Number among the scenario's peers: what its random draws are keyed by.
    index: u64,
    leaves: Option<u64>,
    uid: Option<Uid>,
    /// The model before `at`, newest last; as many as the behaviour may want to compute on.
    replicas: VecDeque<Arc<Replica>>,
    /// The round that the newest replica is for.
    at: u64,
    /// State of its training; `None` while it trains.
    local: Option<Box<dyn LocalTraining>>,
    /// Rounds whose uploads are still in the bucket.
    uploaded: VecDeque<u64>,
}

/// What a peer is made of.
pub struct PeerPlan {
    pub index: u64,
    pub processor: Processor,
    pub behaviour: Box<dyn Behaviour>,
    pub leaves: Option<u64>,
}

/// A state but for that of training, which follows it.
#[derive(Serialize, Deserialize)]
struct Saved {
    uid: Option<Uid>,
    replicas: Vec<Digest>,
    at: u64,
    uploaded: VecDeque<u64>,
    behaviour: Vec<u8>,
}

impl Peer {
    /// A peer that has not joined yet.
    pub fn new(network: Arc<Network>, ports: Ports, plan: PeerPlan) -> Self {
        Self {
            replicas: VecDeque::from([network.genesis.clone()]),
            local: Some(network.core.local()),
            network,
            ports,
            processor: plan.processor,
            behaviour: plan.behaviour,
            index: plan.index,
            leaves: plan.leaves,
            uid: None,
            at: 0,
            uploaded: VecDeque::new(),
        }
    }

    /// Takes up a saved state; `replica` gives the parameters that the state names.
    pub fn restore(&mut self, bytes: &[u8], replica: impl Fn(&Digest) -> Option<Arc<Replica>>) -> Result<(), String> {
        let (saved, of_training): (Saved, _) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
        let replicas: Option<VecDeque<_>> = saved.replicas.iter().map(replica).collect();
        self.replicas = replicas.filter(|found| !found.is_empty()).ok_or("a replica is missing")?;
        (self.uid, self.at, self.uploaded) = (saved.uid, saved.at, saved.uploaded);
        self.local.as_mut().expect("it does not train yet").restore(of_training)?;
        self.behaviour.restore(&saved.behaviour)
    }

    fn state(&self) -> NodeState {
        let saved = Saved {
            uid: self.uid,
            replicas: self.replicas.iter().map(|replica| replica.digest).collect(),
            at: self.at,
            uploaded: self.uploaded.clone(),
            behaviour: self.behaviour.save(),
        };
        let mut bytes = postcard::to_stdvec(&saved).expect("a plain structure");
        self.local.as_ref().expect("it does not train between rounds").save(&mut bytes);
        NodeState { bytes, replicas: self.replicas.iter().cloned().collect() }
    }

    /// Lives until the last round is over, it leaves, or it is pushed out of its slot.
    pub async fn run(mut self) {
        loop {
            let round = self.ports.clock.round();
            self.ports.host.between_rounds(round, &|| self.state());
            if round >= self.network.scenario.rounds || self.leaves.is_some_and(|leaves| round >= leaves) {
                return;
            }
            let had_one = self.uid.is_some();
            let Some(uid) = self.slot().await else {
                self.ports.host.without_slot(had_one);
                return;
            };
            match self.behaviour.presence(self.network.scenario.seed, self.index, round) {
                Presence::Active => self.take_part(uid, round).await,
                Presence::Away => self.sleep_through(round).await,
                Presence::Paused => {
                    self.sleep_through(round).await;
                    // As if it had applied what it missed.
                    self.at = round + 1;
                }
            }
        }
    }

    /// The peer's slot: registers if it has none yet, and sees when it was pushed out.
    async fn slot(&mut self) -> Option<Uid> {
        let hotkey = self.ports.identity.hotkey().0;
        let mut uid = self.ports.chain.view().await.uid_of(&hotkey);
        for _ in 0..REGISTRATIONS {
            if uid.is_some() || self.uid.is_some() {
                break;
            }
            self.ports.chain.submit(Call::Register).await;
            self.ports.clock.sleep_until_next_block().await;
            uid = self.ports.chain.view().await.uid_of(&hotkey);
        }
        if self.uid != uid {
            self.ports.host.trace(&format!("slot {uid:?}"));
        }
        self.uid = uid;
        uid
    }

    async fn sleep_through(&self, round: u64) {
        self.ports.clock.sleep_until(self.ports.clock.round_start(round + 1)).await;
    }

    /// One round, from the model before it to the model after it.
    async fn take_part(&mut self, uid: Uid, round: u64) {
        let (network, ports) = (self.network.clone(), self.ports.clone());
        ports.phase("catch up", self.catch_up(round)).await;
        if self.ports.clock.round() != round {
            // Catching up took until a later round.
            return;
        }
        let window = ports.clock.put_window(round);
        let around = Surroundings { network: &network, ports: &ports, uid, round, window };

        let replica = self.computed_on();
        let own = if self.behaviour.trains() {
            let trained = ports.phase("train", self.train(&around, replica.clone())).await;
            trained.map(Some).inspect_err(|error| ports.host.without_page(error))
        } else {
            Ok(None)
        };
        // Without its pages it has nothing to send, and follows all the same.
        if let Ok(own) = own
            && let Some(gradient) = self.behaviour.pseudo_gradient(own, &around).await
        {
            let signed = upload::sign(&network, &ports.identity, uid, round, &replica, gradient);
            let bytes = self.behaviour.bytes(signed, &around);
            ports.clock.sleep_until(self.behaviour.put_at(&around)).await;
            ports.host.trace(&format!("put {round} {}", Digest::of(&bytes)));
            ports.phase("upload", upload::put(&ports, round, bytes)).await;
            self.uploaded.push_back(round);
        }
        ports.clock.sleep_until(window.closes).await;
        // Who needed much longer than the round catches up instead.
        if ports.clock.round() <= round + 1 {
            ports.phase("follow", self.follow(round)).await;
        }
        self.forget_uploads(round).await;
    }

    /// The replica that the behaviour computes on.
    fn computed_on(&self) -> Arc<Replica> {
        let newest = self.replicas.len() - 1;
        self.replicas[newest.saturating_sub(self.behaviour.model_age())].clone()
    }

    /// What the scheme makes of the round's pages, in the time that the hardware needs.
    async fn train(&mut self, around: &Surroundings<'_>, replica: Arc<Replica>) -> Result<PseudoGradient, PageError> {
        let pages = self.behaviour.pages(around);
        let cost = self.processor.training(self.network.tokens(&pages));
        let (network, round) = (self.network.clone(), around.round);
        let mut local = self.local.take().expect("it trains once at a time");
        let work = move || {
            let sent = network.core.train(&mut *local, &replica, &pages, round);
            (local, sent)
        };
        let (local, sent) = self.ports.run(cost, work).await;
        self.local = Some(local);
        // They come while the round ends and the next begins.
        let next = self.network.assignment.assigned(around.uid, around.round + 1);
        self.network.core.corpus.fetch_ahead(&next);
        sent
    }

    /// Applies what was missed of the rounds before `round`.
    async fn catch_up(&mut self, round: u64) {
        let mut mended = false;
        while self.at < round {
            let newest = self.replicas.back().expect("never empty").clone();
            let step = step_forward(&self.network, &self.ports, self.at, &newest).await;
            if !step.followed.in_sync && !mended && self.behaviour.mends() {
                self.start_over().await;
                mended = true;
                continue;
            }
            if step.at > self.at + 1 {
                self.replicas.clear();
            }
            self.take(step.at, step.followed.replica);
        }
    }

    /// Applies the record of `round`, which has just ended, unless it cannot be had: then it catches up.
    async fn follow(&mut self, round: u64) {
        let newest = self.replicas.back().expect("never empty").clone();
        let Some(followed) = follow(&self.network, &self.ports, &newest, round, true).await else { return };
        self.ports.host.trace(&format!("model {} {}", round + 1, followed.replica.digest));
        if !followed.in_sync && self.behaviour.mends() {
            return self.start_over().await;
        }
        self.take(round + 1, followed.replica);
    }

    /// Goes back to a model that validators vouch for, to catch up from there: this node's own is another one.
    async fn start_over(&mut self) {
        tracing::warn!(at = self.at, "this node's model is not the network's; starting over from a checkpoint");
        let (at, replica) =
            newest_checkpoint(&self.network, &self.ports, 0).await.unwrap_or((0, self.network.genesis.clone()));
        self.replicas.clear();
        self.take(at, replica);
    }

    /// Goes on with the replica before round `at`.
    fn take(&mut self, at: u64, replica: Arc<Replica>) {
        self.replicas.push_back(replica);
        while self.replicas.len() > self.behaviour.model_age() + 1 {
            self.replicas.pop_front();
        }
        self.at = at;
    }

    /// Everybody has fetched what they need of rounds long past.
    async fn forget_uploads(&mut self, round: u64) {
        while let Some(old) = self.uploaded.pop_front_if(|old| *old + KEPT_UPLOADS <= round) {
            let _ = self.ports.own_uploads.delete(&keys::upload(&self.ports.identity.hotkey(), old)).await;
        }
    }
}
