//! What a peer does instead of the honest thing.
//!
//! A peer asks its behaviour at each step of a round; every default answer is the honest one. An adversary is one file
//! that changes as few answers as its attack needs: when it takes part, on which pages and which model it computes,
//! what it sends, and when.

mod copycat;
mod desync;
mod free_rider;
mod honest;
mod late;
mod lazy;
mod malformed;
mod noise;
mod offline;
mod rescaled;
pub mod settings;
mod sign_flip;
mod stale;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::network::Network;
use super::ports::Ports;
use crate::Uid;
use crate::chain::PutWindow;
use crate::corpus::PageId;
use crate::training::PseudoGradient;

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

/// What a behaviour may look at in a round.
pub struct Surroundings<'a> {
    pub network: &'a Network,
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
        crate::random::rng(self.network.rules.seed, purpose, self.uid.into(), self.round)
    }
}

/// The answers of a peer. Stateless where possible: what must survive a restart goes through `save` and `restore`.
#[async_trait]
pub trait Behaviour: Send + Sync {
    /// Does it take part?
    fn presence(&mut self, _seed: u64, _who: u64, _round: u64) -> Presence {
        Presence::Active
    }

    /// Does it train at all?
    fn trains(&self) -> bool {
        true
    }

    /// Which data?
    fn pages(&self, around: &Surroundings) -> Vec<PageId> {
        around.assigned()
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

    /// Which bytes? `signed` is the well-formed upload.
    fn bytes(&self, signed: Bytes, _around: &Surroundings) -> Bytes {
        signed
    }

    /// When does the upload start? An honest peer does not wait long: it leaves time for a slow link, and spreads the
    /// load.
    fn put_at(&self, around: &Surroundings) -> Duration {
        use rand::RngExt;
        let spread: f64 = around.rng("put jitter").random_range(0.0..0.3);
        let (opens, closes) = (around.window.opens, around.window.closes);
        opens + (closes - opens).mul_f64(spread)
    }

    /// State to go on from.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes up the state that `save` gave.
    fn restore(&mut self, _state: &[u8]) {}
}

/// The behaviour that a scenario names.
pub fn from_settings(behaviour: &settings::Behaviour) -> Box<dyn Behaviour> {
    use settings::Behaviour as Named;
    match *behaviour {
        Named::Honest { data } => Box::new(honest::Honest { data }),
        Named::Lazy { fraction } => Box::new(lazy::Lazy { fraction }),
        Named::FreeRider => Box::new(free_rider::FreeRider),
        Named::Stale { rounds } => Box::new(stale::Stale { rounds }),
        Named::Desync { at, pause } => Box::new(desync::Desync { at, pause }),
        Named::Copycat { of, noise } => Box::new(copycat::Copycat { of, noise }),
        Named::Offline { leave, come_back } => Box::new(offline::Offline { leave, come_back, away: false }),
        Named::Late { seconds } => Box::new(late::Late { seconds }),
        Named::Noise => Box::new(noise::Noise),
        Named::SignFlip => Box::new(sign_flip::SignFlip),
        Named::Rescaled { factor } => Box::new(rescaled::Rescaled { factor }),
        Named::Malformed { how } => Box::new(malformed::Malformed { how }),
    }
}

/// Shared by behaviours that change values one by one.
fn map_values(mut gradient: PseudoGradient, mut change: impl FnMut(f32) -> f32) -> PseudoGradient {
    gradient.tensors.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|value| *value = change(*value));
    gradient
}
