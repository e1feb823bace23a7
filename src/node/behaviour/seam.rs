//! What a behaviour is, to the peer that asks it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rand::RngExt;

use crate::Uid;
use crate::chain::{ChainView, PutWindow};
use crate::corpus::PageId;
use crate::node::follow;
use crate::node::network::Network;
use crate::node::ports::Ports;
use crate::node::upload;
pub use crate::node::upload::Claim;
use crate::random::Seed;
use crate::settings::Findings;
use crate::training::{Poison, PseudoGradient, Trigger};
use crate::transport::Hotkey;
use crate::transport::wire::Upload;

/// Whether a peer takes part in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Takes part.
    Active,
    /// Is not there; when it comes back it catches up.
    Away,
    /// Is not there; when it comes back it goes on with the model it has.
    Paused,
}

/// What a behaviour may look at in a round: what everybody knows, and what a node of its own can see by now. Secrets of
/// others are not among it. A validator's draws are keyed by a signature of its own, and the seed, from which all keys of a
/// simulation follow, makes draws for a behaviour and does not tell itself:
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
    /// What everybody knows of the run.
    pub network: &'a Network,
    /// The peer's clock, chain, bucket and hardware.
    pub ports: &'a Ports,
    /// The slot that is asked for.
    pub uid: Uid,
    /// Its number among the slots of its operator, who may have several and asks for each.
    pub slot: usize,
    /// The operator's slots; `None` for those that it has lost.
    pub uids: &'a [Option<Uid>],
    /// The pseudo-gradients that the operator has made in this round so far, by slot; when payloads are asked for, all
    /// of them.
    pub own: &'a [Option<PseudoGradient>],
    /// The round that runs.
    pub round: u64,
    /// When an upload of this round counts.
    pub window: PutWindow,
}

impl Surroundings<'_> {
    /// The pages that everybody expects this peer to train on.
    pub fn assigned(&self) -> Vec<PageId> {
        self.network.assignment.assigned(self.uid, self.round)
    }

    /// A generator for a draw of this slot in this round.
    pub fn rng(&self, purpose: &str) -> crate::random::ChaCha8Rng {
        self.network.rules.seed.rng(purpose, self.uid.into(), self.round)
    }

    /// When an honest upload starts: early in the window, at a time drawn anew each round.
    pub fn put_spread(&self) -> Duration {
        self.part_of_window(self.rng("put jitter").random_range(0.0..0.3))
    }

    /// The peers that hold the other slots.
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

    /// The pseudo-gradient that a peer has uploaded for a round by now; `None` where there is nothing yet, nothing any
    /// more, or nothing well-formed.
    pub async fn upload_of(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<PseudoGradient> {
        self.fetch(round, uid, hotkey).await.map(|upload| upload.gradient)
    }

    /// What a peer's upload of a round says of its model; `None` as of [`upload_of`](Self::upload_of).
    pub async fn claim_of(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<Claim> {
        let upload = self.fetch(round, uid, hotkey).await?;
        Some(Claim { model: upload.model, samples: upload.samples })
    }

    async fn fetch(&self, round: u64, uid: Uid, hotkey: Hotkey) -> Option<Upload> {
        upload::fetch(self.network, self.ports, round, uid, hotkey).await.valid()
    }

    /// The payloads that a round has aggregated; none where its record, or what that names, cannot be had.
    pub async fn aggregated(&self, round: u64) -> Vec<Arc<PseudoGradient>> {
        follow::aggregated(self.network, self.ports, round).await.unwrap_or_default()
    }

    /// When a part of the put window has passed.
    pub fn part_of_window(&self, part: f64) -> Duration {
        self.window.opens + (self.window.closes - self.window.opens).mul_f64(part)
    }
}

/// The answers of a peer, asked at each step of a round. Every default answer is the honest one. What must survive a
/// restart goes through `save` and `restore`.
///
/// An operator of several slots is asked for one after the other which data to train on, and for all of them side by side
/// what to send: one may wait for an upload of others meanwhile. So what those answers remember lies behind a lock.
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

    /// Does it forget what training left behind in earlier rounds, such as momentum and error feedback?
    fn forgets(&self) -> bool {
        false
    }

    /// Which part of each page does it train on?
    fn part_of_page(&self) -> f64 {
        1.0
    }

    /// Which data?
    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        around.assigned()
    }

    /// What does it change of its data?
    fn poison(&self, _around: &Surroundings) -> Poison {
        Poison::default()
    }

    /// Which model: that of how many rounds ago?
    fn model_age(&self) -> usize {
        0
    }

    /// When its model turns out to be another than the validators': does it start over from a checkpoint?
    fn mends(&self) -> bool {
        true
    }

    /// Which payload? `own` is its own pseudo-gradient, if it trains; `None` sends nothing.
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own
    }

    /// What does the upload say of the model that it was computed on? `own` is what is true.
    async fn claim(&self, own: Claim, _around: &Surroundings<'_>) -> Claim {
        own
    }

    /// Which bytes? `signed` is the well-formed upload.
    fn bytes(&self, signed: Bytes, _around: &Surroundings) -> Bytes {
        signed
    }

    /// When does the upload start? An honest peer does not wait long: it leaves time for a slow link, and spreads the
    /// load.
    fn put_at(&self, around: &Surroundings) -> Duration {
        around.put_spread()
    }

    /// State to go on from.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes up the state that `save` gave.
    ///
    /// # Errors
    /// Bytes that are not a state of this behaviour.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        if saved.is_empty() { Ok(()) } else { Err("this behaviour keeps no state".into()) }
    }
}

/// The settings of a behaviour.
pub trait BehaviourSettings: Send + Sync {
    /// Checks what a type cannot tell; paths are relative to the table of settings.
    fn check(&self, _found: &mut Findings) {}

    /// What tables, plots and CSV files call such a peer; `None`: as its kind.
    fn label(&self) -> Option<String> {
        None
    }

    /// After how many rounds it leaves its slots and registers anew, under keys that nobody has seen; `None`: never. The
    /// chain lets nobody go: what it leaves is pushed out in its turn.
    fn renews(&self) -> Option<u64> {
        None
    }

    /// How many keys it needs for each slot in so many rounds.
    fn keys(&self, rounds: u64) -> u64 {
        self.renews().map_or(1, |every| rounds.div_ceil(every.max(1)).max(1))
    }

    /// The backdoor that it puts into the model, whose success is then measured with the held-out loss.
    fn trigger(&self) -> Option<Trigger> {
        None
    }

    /// The behaviour of one peer.
    fn build(&self) -> Box<dyn Behaviour>;
}
