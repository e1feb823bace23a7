//! A peer: trains on its pages, uploads its pseudo-gradients inside the put window, and follows the lead validator.
//!
//! A peer has one slot or several, each with a key of its own: an operator is one strategy on one machine. A peer that
//! leaves its slots and comes back has several keys for each and uses them one after another.

mod saved;
mod slot;
mod train;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, OptionFuture, join, join_all, select};
use object_store::{Error, ObjectStoreExt};

use self::slot::Slot;
use super::agreed::Agreed;
use super::audit;
use super::behaviour::{Behaviour, Claim, Presence, Surroundings};
use super::catch_up::{newest_checkpoint, step_forward};
use super::follow::follow;
use super::hardware::Processor;
use super::network::Network;
use super::ports::Ports;
use super::{reveal, upload};
use crate::Uid;
use crate::chain::PutWindow;
use crate::digest::Digest;
use crate::training::{PseudoGradient, Replica};
use crate::transport::wire::{Commitment, Expected};
use crate::transport::{envelope, keys};

/// A peer of the network.
pub struct Peer {
    network: Arc<Network>,
    /// In the scenario's order. Lost slots stay in the list, so that indices do not change.
    slots: Vec<Slot>,
    processor: Processor,
    behaviour: Box<dyn Behaviour>,
    /// Index of its first slot in the scenario, which keys its random draws.
    index: u64,
    leaves: Option<u64>,
    renews: Option<u64>,
    inner_steps: Option<usize>,
    /// Pages of a slot in a round, if it is honest.
    pages: usize,
    /// The first round in which it took part.
    began: Option<u64>,
    /// The models before `at`, newest last: as many as the behaviour may compute on.
    replicas: VecDeque<Arc<Replica>>,
    /// The round for which the newest replica is.
    at: u64,
    /// What is agreed before that round.
    agreed: Agreed,
    /// The round of which it may still have to show states.
    answers: Option<u64>,
    /// Whether it was stopped, and has done nothing since.
    was_stopped: bool,
}

/// The parts of a peer.
pub struct PeerPlan {
    /// Index of its first slot in the scenario.
    pub index: u64,
    pub processor: Processor,
    pub behaviour: Box<dyn Behaviour>,
    /// Number of slots that it registers.
    pub slots: usize,
    pub leaves: Option<u64>,
    /// Rounds after which it registers again, under the next key of each slot.
    pub renews: Option<u64>,
    /// Inner steps in a round, if not as many as the scheme says.
    pub inner_steps: Option<usize>,
    /// Pages of a slot in a round, if it is honest.
    pub pages: usize,
}

/// A round in progress.
struct Round {
    number: u64,
    window: PutWindow,
    /// The model that it computes on.
    replica: Arc<Replica>,
    /// The slots' uids; `None` for lost ones.
    uids: Vec<Option<Uid>>,
    /// The pseudo-gradients that the slots have computed so far.
    own: Vec<Option<PseudoGradient>>,
    /// What they commit to, if the network audits.
    commitments: Vec<Option<Commitment>>,
    /// Whether each slot may have something to send.
    sends: Vec<bool>,
    /// Pages of a slot.
    expected: usize,
}

impl Round {
    /// The view of a slot that the behaviour gets.
    fn around<'a>(&'a self, network: &'a Network, ports: &'a Ports, (slot, uid): (usize, Uid)) -> Surroundings<'a> {
        let Self { number: round, window, ref uids, ref own, expected, .. } = *self;
        Surroundings { network, ports, uid, slot, uids, own, round, window, expected }
    }

    /// The slots that may have something to send, with their indices.
    fn slots(&self) -> impl Iterator<Item = (usize, Uid)> + use<> {
        let uids = self.uids.clone().into_iter().enumerate();
        let sends = self.sends.clone();
        uids.filter(move |(slot, _)| sends[*slot]).filter_map(|(slot, uid)| Some((slot, uid?)))
    }
}

impl Peer {
    /// A peer that has not joined yet. `ports` are sorted by key: the first keys of all its slots, then the second
    /// ones, and so on.
    ///
    /// # Panics
    /// If there is no slot, or not a key for each slot.
    pub fn new(network: Arc<Network>, ports: Vec<Ports>, plan: PeerPlan) -> Self {
        assert!(plan.slots > 0, "a peer has a slot");
        let keys = |slot| ports.iter().skip(slot).step_by(plan.slots).cloned().collect();
        Self {
            replicas: VecDeque::from([network.genesis.clone()]),
            slots: (0..plan.slots).map(|slot| Slot::new(keys(slot), network.core.local())).collect(),
            network,
            processor: plan.processor,
            behaviour: plan.behaviour,
            index: plan.index,
            leaves: plan.leaves,
            renews: plan.renews,
            inner_steps: plan.inner_steps,
            pages: plan.pages,
            began: None,
            at: 0,
            agreed: Agreed::default(),
            answers: None,
            was_stopped: false,
        }
    }

    /// This peer, as one that was stopped, maybe after the state from which it goes on was saved.
    pub fn after_a_stop(self) -> Self {
        Self { was_stopped: true, ..self }
    }

    /// The node's clock, bucket, processor and host, which are the same for all slots.
    fn ports(&self) -> &Ports {
        self.slots[0].ports()
    }

    /// Runs until the last round is over, the peer leaves, or it is pushed out of all its slots.
    pub async fn run(mut self) {
        loop {
            let round = self.ports().clock.round();
            if round < self.at {
                // The clock has been set back. Its model is past this round, whose step it would take a second time.
                self.sleep_through(self.at - 1).await;
                continue;
            }
            self.ports().host.between_rounds(round, &|| self.state());
            if round >= self.network.rules.rounds || self.leaves.is_some_and(|leaves| round >= leaves) {
                return;
            }
            self.renew(round);
            slot::register(&mut self.slots).await;
            if self.slots.iter().all(|slot| slot.is_over && !slot.comes_back()) {
                self.ports().host.without_slot();
                return;
            }
            let is_behind = std::mem::take(&mut self.was_stopped) && self.has_lost_a_state(round).await;
            let answer = self.answers.take().map(|before| self.answer(before));
            join(OptionFuture::from(answer), self.spend(round, is_behind)).await;
        }
    }

    /// Spends a round. One that is behind what it has committed to leaves it out.
    async fn spend(&mut self, round: u64, is_behind: bool) {
        match self.behaviour.presence(self.network.rules.seed, self.index, round) {
            Presence::Active if !is_behind => self.take_part(round).await,
            Presence::Active | Presence::Away => self.sleep_through(round).await,
            Presence::Paused => {
                self.sleep_through(round).await;
                // Pretend that it has applied what it missed.
                self.at = round + 1;
                self.agreed = self.agreed.without_author();
            }
        }
    }

    /// Switches to the next keys when it is time.
    fn renew(&mut self, round: u64) {
        let began = *self.began.get_or_insert(round);
        if let Some(every) = self.renews {
            self.slots.iter_mut().for_each(|slot| slot.renew(((round - began) / every.max(1)) as usize));
        }
    }

    async fn sleep_through(&self, round: u64) {
        let clock = &self.ports().clock;
        clock.sleep_until(clock.round_start(round + 1)).await;
    }

    /// Shows what validators ask for of a round that it has uploaded for.
    fn answer(&self, round: u64) -> BoxFuture<'static, ()> {
        let starts = self.slots.iter().filter_map(|slot| slot.start_of(round));
        audit::answer(self.network.clone(), starts.collect()).boxed()
    }

    /// Follows the record of a round. Where that takes until validators have asked for states of the round, shows these meanwhile.
    async fn follow_and_answer(&mut self, round: u64) {
        let (ports, answer) = (self.ports().clone(), self.answer(round));
        let is_early = || ports.clock.now() < ports.clock.audit_window(round).opens;
        let is_answered = match select(pin!(ports.phase("follow", self.follow(round))), answer).await {
            // It has not begun, and will not be in the way of the next round's work.
            Either::Left(((), _)) if is_early() => false,
            Either::Left(((), answer)) => {
                answer.await;
                true
            }
            Either::Right(((), follow)) => {
                follow.await;
                true
            }
        };
        self.answers = self.answers.filter(|_| !is_answered);
    }

    /// Whether it has uploaded for the last round without having saved the state that this ended with, because it was stopped in between.
    /// From an older state nothing follows; after a round without an upload, any state will do.
    async fn has_lost_a_state(&self, round: u64) -> bool {
        let Some(before) = round.checked_sub(1).filter(|_| self.network.rules.judge.audits()) else { return false };
        for slot in self.slots.iter().filter(|slot| slot.start_of(before).is_none()) {
            let key = keys::upload(&slot.ports().identity.hotkey(), before);
            // If the store fails, it may be there.
            if !matches!(slot.ports().own_uploads.head(&key).await, Err(Error::NotFound { .. })) {
                return true;
            }
        }
        false
    }

    /// Gets from the model before a round to the model after it.
    async fn take_part(&mut self, round: u64) {
        let ports = self.ports().clone();
        ports.phase("catch up", self.catch_up(round)).await;
        if ports.clock.round() != round {
            // Catching up ended in a later round.
            return;
        }
        let window = ports.clock.put_window(round);
        let uids = self.slots.iter().map(|slot| slot.uid).collect();
        let (slots, expected) = (self.slots.len(), self.pages);
        let (own, commitments, sends) = (vec![None; slots], vec![None; slots], vec![true; slots]);
        let replica = self.computed_on();
        let mut under_way = Round { number: round, window, replica, uids, own, commitments, sends, expected };
        self.train_all(&mut under_way).await;
        let sent = self.send_all(&under_way).await;
        for ((slot, _), _) in under_way.slots().zip(sent).filter(|(_, sent)| *sent) {
            let slot = &mut self.slots[slot];
            slot.uploaded.push_back((round, slot.key() as u32));
        }
        drop(under_way);
        // Before that, there is no record to follow.
        ports.clock.sleep_until(ports.clock.reveal_window(round).closes).await;
        // A peer that overran the round catches up next time.
        self.answers = Some(round);
        if ports.clock.round() <= round + 1 {
            self.follow_and_answer(round).await;
        }
        for slot in &mut self.slots {
            slot.forget_uploads(round, &self.network).await;
        }
    }

    /// Builds and uploads all slots' payloads concurrently; returns whether each slot sent anything.
    async fn send_all(&self, round: &Round) -> Vec<bool> {
        let sends = round.slots().map(async |of_slot| {
            let (ports, (slot, uid)) = (self.slots[of_slot.0].ports(), of_slot);
            let around = round.around(&self.network, ports, of_slot);
            let own = round.own[slot].clone();
            let Some(gradient) = self.behaviour.pseudo_gradient(own, &around).await else { return false };
            let pages = self.behaviour.pages_said(around.expected);
            let claim = Claim::of(&self.network, &round.replica, round.number, pages);
            let claim = self.behaviour.claim(claim, &around).await;
            let content = (gradient, round.commitments[slot]);
            let signed = upload::sign(&self.network, &ports.identity, uid, round.number, claim, content);
            let (bytes, key) = self.sealed(self.behaviour.bytes(signed, &around), &around);
            ports.clock.sleep_until(self.behaviour.put_at(&around)).await;
            ports.host.trace(&format!("put {} {}", round.number, Digest::of(&bytes)));
            ports.phase("upload", upload::put(ports, round.number, bytes)).await;
            if let Some(key) = key {
                self.reveal(key, &around).await;
            }
            true
        });
        join_all(sends).await
    }

    /// What a slot puts for these bytes, and the key to it if uploads are sealed.
    fn sealed(&self, plain: Bytes, around: &Surroundings) -> (Bytes, Option<Bytes>) {
        if !self.network.rules.protocol.sealed {
            return (plain, None);
        }
        let (identity, run) = (&around.ports.identity, self.network.run);
        let of = Expected { run, round: around.round, uid: around.uid, hotkey: identity.hotkey() };
        let (sealed, key) = envelope::seal(&plain, &of, identity);
        (sealed, Some(key))
    }

    /// Puts the key of a slot's upload, when nobody can use it in this round any more.
    async fn reveal(&self, key: Bytes, around: &Surroundings<'_>) {
        let (ports, round) = (around.ports, around.round);
        ports.clock.sleep_until(self.behaviour.reveal_at(around)).await;
        if let Some(key) = self.behaviour.key(key, around).await {
            ports.host.trace(&format!("key {round} {}", Digest::of(&key)));
            ports.phase("reveal", reveal::put_key(ports, round, key)).await;
        }
    }

    /// Applies the missed rounds before `round`, unless the last round is over first.
    async fn catch_up(&mut self, round: u64) {
        let mut mended = false;
        if self.agreed.is_overruled(&*self.ports().chain.view().await, self.at) && self.behaviour.mends() {
            self.start_over().await;
        }
        while self.at < round {
            let newest = self.replicas.back().expect("never empty").clone();
            let known = (&newest, &self.agreed);
            let Some(step) = step_forward(&self.network, self.ports(), self.at, known, false).await else { return };
            if !step.followed.in_sync && !mended && self.behaviour.mends() {
                self.start_over().await;
                mended = true;
                continue;
            }
            if step.at > self.at + 1 {
                self.replicas.clear();
            }
            self.take(step.at, step.followed.replica, step.followed.agreed);
        }
    }

    /// Applies the record of `round`, which has just ended. If it is unavailable, the peer catches up later.
    async fn follow(&mut self, round: u64) {
        let newest = self.replicas.back().expect("never empty").clone();
        let known = (&newest, &self.agreed);
        let Some(followed) = follow(&self.network, self.ports(), known, round, true).await else { return };
        self.ports().host.trace(&format!("model {} {}", round + 1, followed.replica.digest));
        if !followed.in_sync && self.behaviour.mends() {
            return self.start_over().await;
        }
        self.take(round + 1, followed.replica, followed.agreed);
    }

    /// Goes back to a model that validators vouch for, because this node's own differs. It then catches up from there.
    async fn start_over(&mut self) {
        tracing::warn!(at = self.at, "this node's model is not the network's; starting over from a checkpoint");
        let newest = newest_checkpoint(&self.network, self.ports(), 0).await;
        let (at, replica, agreed) = newest.unwrap_or((0, self.network.genesis.clone(), Agreed::default()));
        self.replicas.clear();
        self.take(at, replica, agreed);
    }

    /// Adopts the replica before round `at`.
    fn take(&mut self, at: u64, replica: Arc<Replica>, agreed: Agreed) {
        self.replicas.push_back(replica);
        while self.replicas.len() > self.behaviour.model_age() + 1 {
            self.replicas.pop_front();
        }
        (self.at, self.agreed) = (at, agreed);
    }
}
