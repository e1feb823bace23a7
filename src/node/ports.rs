//! What a node knows of the world: the time, the bucket, the chain, a processor, and a place to keep its state.
//!
//! Nodes are written against these alone. The simulator gives them a paused clock and a bucket in memory; real ones
//! change what is behind the ports, not the nodes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use tokio::time::Instant;

use super::compute::Compute;
use crate::chain::{Call, ChainState, PutWindow, RoundClock};
use crate::node::report::RoundReport;
use crate::scenario::ChainSettings;
use crate::training::Replica;
use crate::transport::Identity;

/// All ports of one node.
#[derive(Clone)]
pub struct Ports {
    pub identity: Arc<Identity>,
    pub clock: Clock,
    pub bucket: Arc<dyn ObjectStore>,
    pub chain: Arc<dyn Chain>,
    pub compute: Compute,
    pub host: Arc<dyn Host>,
}

/// Time since the network's genesis.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    started_at: Duration,
    genesis: DateTime<Utc>,
    rounds: RoundClock,
    put_window_seconds: f64,
}

impl Clock {
    /// A clock that now shows `at`, in a network whose genesis was at `genesis` by the stamps of its store.
    pub fn starting(at: Duration, genesis: DateTime<Utc>, chain: &ChainSettings, put_window_seconds: f64) -> Self {
        Self { started: Instant::now(), started_at: at, genesis, rounds: RoundClock::new(chain), put_window_seconds }
    }

    /// When something was stamped; what was stamped before genesis counts as of genesis.
    pub fn since_genesis(&self, stamp: DateTime<Utc>) -> Duration {
        (stamp - self.genesis).to_std().unwrap_or_default()
    }

    /// Time since genesis.
    pub fn now(&self) -> Duration {
        self.started_at + self.started.elapsed()
    }

    /// Sleeps until `at`; returns at once when that has passed.
    pub async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep_until(self.started + at.saturating_sub(self.started_at)).await;
    }

    /// Sleeps for `time`.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The round that runs now.
    pub fn round(&self) -> u64 {
        self.rounds.round_at(self.now())
    }

    /// How long a round is.
    pub fn round_length(&self) -> Duration {
        self.rounds.round_length()
    }

    /// When a round starts.
    pub fn round_start(&self, round: u64) -> Duration {
        self.rounds.start(round)
    }

    /// When an upload of a round counts.
    pub fn put_window(&self, round: u64) -> PutWindow {
        self.rounds.put_window(round, self.put_window_seconds)
    }

    /// The newest block.
    pub fn block(&self) -> u64 {
        self.rounds.block_at(self.now())
    }

    /// Sleeps until what was sent to the chain by now has taken effect.
    pub async fn sleep_until_next_block(&self) {
        self.sleep_until(self.rounds.block_start(self.block() + 1)).await;
    }
}

/// A node's account on the chain.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The chain as of the newest block.
    async fn state(&self) -> Arc<ChainState>;
    /// Sends an extrinsic; it takes effect with the next block.
    async fn submit(&self, call: Call);
}

/// What a node leaves with its host.
pub trait Host: Send + Sync {
    /// Notes an event of this node; the run's digest covers the notes of all nodes.
    fn trace(&self, event: &str);
    /// Called between two rounds, before anything of `round` is done: the host may ask for the node's state, to start
    /// it again from here.
    fn between_rounds(&self, round: u64, state: &dyn Fn() -> NodeState);
    /// The lead validator's account of a finished round.
    fn report(&self, report: RoundReport);
}

/// A node's state between two rounds.
pub struct NodeState {
    /// Everything but parameters, encoded by the node.
    pub bytes: Vec<u8>,
    /// Replicas that `bytes` names by digest.
    pub replicas: Vec<Arc<Replica>>,
}
