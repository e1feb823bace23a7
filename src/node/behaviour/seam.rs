//! The interface of a behaviour, which the peer asks in each round.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rand::RngExt;

use crate::Uid;
use crate::chain::{ChainView, PutWindow};
use crate::corpus::PageId;
use crate::node::network::Network;
use crate::node::ports::Ports;
pub use crate::node::upload::Claim;
use crate::node::{audit, follow, reveal, upload};
use crate::random::Seed;
use crate::settings::Findings;
use crate::training::{Kept, Poison, PseudoGradient, Trigger};
use crate::transport::Hotkey;
use crate::transport::wire::{Expected, Upload};

/// The clocks of two nodes are closer.
const CLOCKS_APART: Duration = Duration::from_millis(250);

/// Whether a peer takes part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Takes part.
    Active,
    /// Is absent, and catches up when it returns.
    Away,
    /// Is absent, and continues with its old model when it returns.
    Paused,
}

/// What a behaviour may look at in a round: public information, and what its own node can see by now. It cannot see
/// others' secrets. A validator keys its draws by a signature of its own. The seed, from which all keys of a simulation
/// follow, gives a behaviour draws but not its value.
///
/// This keeps a behaviour from using a secret by mistake. It is no sandbox: a behaviour is code of the same program, and
/// a simulation's keys must follow from its seed, or the run could not be repeated. One that is written to cheat can try
/// small seeds until a key fits a validator's hotkey. Validators of a real run have keys that no seed determines.
///
/// ```
/// use gauntlet::node::behaviour::Surroundings;
/// fn drawn(around: &Surroundings) -> rand_chacha::ChaCha8Rng {
///     around.network.rules.seed.rng("draw", 0, 0)
/// }
/// ```
///
/// ```compile_fail,E0624
/// use gauntlet::node::behaviour::Surroundings;
/// fn told(around: &Surroundings) -> u64 {
///     around.network.rules.seed.known()
/// }
/// ```
pub struct Surroundings<'a> {
    /// Public information about the run.
    pub network: &'a Network,
    /// The peer's clock, chain, bucket and hardware.
    pub ports: &'a Ports,
    /// The slot of this question.
    pub uid: Uid,
    /// Index of the slot among its operator's slots. An operator may have several, and is asked for each.
    pub slot: usize,
    /// The operator's slots; `None` for lost ones.
    pub uids: &'a [Option<Uid>],
    /// The pseudo-gradients that the operator has computed so far in this round, by slot. All of them are there when
    /// payloads are asked for.
    pub own: &'a [Option<PseudoGradient>],
    /// The current round.
    pub round: u64,
    /// The time in which an upload of this round counts.
    pub window: PutWindow,
    /// How many pages each slot has in a round: as many as are assigned, unless the operator makes more or fewer inner steps.
    pub expected: usize,
}

impl Surroundings<'_> {
    /// The first `count` pages of this slot: the assigned ones, then others that nobody else has.
    pub fn pages(&self, count: usize) -> Vec<PageId> {
        #[cfg(test)]
        if crate::planted::is(crate::planted::Defect::EarlyPages) {
            return self.network.assignment.first(self.uid, self.round + 1, count);
        }
        self.network.assignment.first(self.uid, self.round, count)
    }

    /// The next `count` pages of this slot, after the expected ones.
    pub fn further(&self, count: usize) -> Vec<PageId> {
        self.pages(self.expected + count).split_off(self.expected)
    }

    /// A generator for this slot's draws in this round.
    pub fn rng(&self, purpose: &str) -> crate::random::ChaCha8Rng {
        self.network.rules.seed.rng(purpose, self.uid.into(), self.round)
    }

    /// When an honest upload starts: early in the window, at a time drawn each round.
    pub fn put_spread(&self) -> Duration {
        self.part_of_window(self.rng("put jitter").random_range(0.0..0.3))
    }

    /// When an honest key of a sealed upload starts: early in the reveal window, at a time drawn each round. It waits for
    /// uploads that are in time by a stamp of whole seconds, and for nodes whose clocks are a little behind: once a key is
    /// out, nobody may be able to use it.
    pub fn reveal_spread(&self) -> Duration {
        let (clock, drawn) = (&self.ports.clock, self.rng("reveal jitter").random_range(0.0..0.2));
        let window = clock.reveal_window(self.round);
        window.opens + clock.stamp_resolution() + CLOCKS_APART + (window.closes - window.opens).mul_f64(drawn)
    }

    /// The peers in all other slots.
    pub fn others(&self, chain: &dyn ChainView) -> Vec<(Uid, Hotkey)> {
        let others = chain.peers().into_iter().filter(|&(uid, _)| uid != self.uid);
        others.map(|(uid, hotkey)| (uid, Hotkey(hotkey))).collect()
    }

    /// The peers of other operators.
    pub fn strangers(&self, chain: &dyn ChainView) -> Vec<(Uid, Hotkey)> {
        let mut others = self.others(chain);
        others.retain(|(uid, _)| !self.uids.contains(&Some(*uid)));
        others
    }

    /// The pseudo-gradient that a peer has uploaded for a round by now; `None` if it is missing, deleted or malformed, or
    /// sealed and its key is not there yet.
    pub async fn upload_of(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<PseudoGradient> {
        self.fetch(round, uid, hotkey).await.map(|upload| upload.gradient)
    }

    /// What a peer's upload of a round says about its model; `None` as for [`upload_of`](Self::upload_of).
    pub async fn claim_of(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<Claim> {
        let upload = self.fetch(round, uid, hotkey).await?;
        let pages = upload.pages.map_or(self.network.rules.training.pages_per_round, usize::from);
        Some(Claim { model: upload.model, samples: upload.samples, pages })
    }

    /// Whether a validator has asked by now for the training state of this slot's work of a round.
    pub async fn audited(&self, round: u64) -> bool {
        audit::asked(self.network, self.ports, round).await.contains(&self.uid)
    }

    async fn fetch(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<Upload> {
        if self.network.rules.protocol.sealed {
            let expected = Expected { run: self.network.run, round, uid, hotkey };
            let bytes = reveal::revealed(self.network, self.ports, &expected).await?;
            return upload::decode(self.network, &bytes, round, uid, hotkey);
        }
        upload::fetch(self.network, self.ports, round, uid, hotkey).await.valid()
    }

    /// The payloads that a round has aggregated; none if its record or a payload is unavailable.
    pub async fn aggregated(&self, round: u64) -> Vec<Arc<PseudoGradient>> {
        follow::aggregated(self.network, self.ports, round).await.unwrap_or_default()
    }

    /// The time at which this part of the put window has passed.
    pub fn part_of_window(&self, part: f64) -> Duration {
        self.window.opens + (self.window.closes - self.window.opens).mul_f64(part)
    }
}

/// A peer's answers at each step of a round. Every default answer is the honest one. State that must survive a restart
/// goes through `save` and `restore`.
///
/// An operator of several slots is asked about training data for one slot after another, and about payloads for all
/// slots concurrently, because one may wait for others' uploads. Those methods therefore keep their state behind a
/// lock.
#[async_trait]
pub trait Behaviour: Send + Sync {
    /// Does it take part?
    fn presence(&mut self, _seed: Seed, _who: u64, _round: u64) -> Presence {
        Presence::Active
    }

    /// Does it train at all?
    fn trains(&self) -> bool {
        true
    }

    /// Does the slot work in this round? A strategy may look at chain and bucket before it decides.
    async fn works(&mut self, _around: &Surroundings<'_>) -> bool {
        true
    }

    /// Which part of what it keeps of earlier rounds, momentum and error feedback, does it drop before it trains? From 0 to 1; 1
    /// drops its whole training state, moments too.
    fn forgets(&self) -> f64 {
        0.0
    }

    /// Which part of each page does it train on?
    fn part_of_page(&self) -> f64 {
        1.0
    }

    /// Which part of the model does it compute?
    fn part_of_model(&self) -> Kept {
        Kept::ALL
    }

    /// Which data?
    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        around.pages(around.expected)
    }

    /// How does it change its data?
    fn poison(&self, _around: &Surroundings) -> Poison {
        Poison::default()
    }

    /// How many rounds old is the model that it computes on?
    fn model_age(&self) -> usize {
        0
    }

    /// If its model differs from the validators', does it start over from a checkpoint?
    fn mends(&self) -> bool {
        true
    }

    /// Which payload? `own` is its own pseudo-gradient, if it trained; `None` sends nothing.
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own
    }

    /// How many pages does it say it trains on, if an honest peer that makes as many steps has `expected`? Only where the
    /// network asks for it.
    fn pages_said(&self, expected: usize) -> usize {
        expected
    }

    /// What does the upload say about the model that it was computed on? `own` is the truth.
    async fn claim(&self, own: Claim, _around: &Surroundings<'_>) -> Claim {
        own
    }

    /// Which bytes? `signed` is the well-formed upload.
    fn bytes(&self, signed: Bytes, _around: &Surroundings) -> Bytes {
        signed
    }

    /// When does the upload start? An honest peer starts soon, at a random time, to leave time for a slow link and to
    /// spread the load.
    fn put_at(&self, around: &Surroundings) -> Duration {
        around.put_spread()
    }

    /// If uploads are sealed: which key does it put? `own` opens its upload; `None` puts none.
    async fn key(&self, own: Bytes, _around: &Surroundings<'_>) -> Option<Bytes> {
        Some(own)
    }

    /// When does the key start? An honest one starts as soon as nobody can use it any more.
    fn reveal_at(&self, around: &Surroundings) -> Duration {
        around.reveal_spread()
    }

    /// State from which it can resume.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Restores the state from `save`.
    ///
    /// # Errors
    /// The bytes are not a state of this behaviour.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        if saved.is_empty() { Ok(()) } else { Err("this behaviour keeps no state".into()) }
    }
}

/// The settings of a behaviour.
pub trait BehaviourSettings: Send + Sync {
    /// Checks what types cannot express. Paths are relative to the table of settings.
    fn check(&self, _found: &mut Findings) {}

    /// Label of such a peer in tables, plots and CSV files; `None` for the kind's name.
    fn label(&self) -> Option<String> {
        None
    }

    /// After how many rounds it leaves its slots and registers anew under fresh keys; `None` for never. The chain has
    /// no call to leave: an abandoned slot stays until another peer pushes it out.
    fn renews(&self) -> Option<u64> {
        None
    }

    /// Keys that it needs for each slot in a run of this many rounds.
    fn keys(&self, rounds: u64) -> u64 {
        self.renews().map_or(1, |every| rounds.div_ceil(every.max(1)).max(1))
    }

    /// The backdoor that it puts into the model, if any. Its success is then measured with the held-out loss.
    fn trigger(&self) -> Option<Trigger> {
        None
    }

    /// The behaviour of one peer.
    fn build(&self) -> Box<dyn Behaviour>;
}
