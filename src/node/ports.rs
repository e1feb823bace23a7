//! What a node knows of the world: the time, the bucket, the chain, a processor, and a place to keep its state.
//!
//! Nodes use these ports alone. The simulator puts a paused clock and a bucket in memory behind them, a real network
//! the real things; the nodes are the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use tokio::time::Instant;

use super::compute::Compute;
pub use crate::chain::Chain;
use crate::chain::{ChainSettings, PutWindow, RoundClock};
use crate::corpus::PageError;
use crate::node::report::RoundReport;
use crate::training::{Average, Replica};
use crate::transport::{Hotkey, Identity};

/// All ports of a node under one of its identities. Identity, account and place for uploads belong to the identity, the
/// rest to the node.
#[derive(Clone)]
pub struct Ports {
    pub identity: Arc<Identity>,
    pub clock: Clock,
    pub bucket: Arc<dyn ObjectStore>,
    /// Where this identity's uploads go: the same bucket, or one of its own.
    pub own_uploads: Arc<dyn ObjectStore>,
    pub peer_buckets: Arc<dyn PeerBuckets>,
    pub chain: Arc<dyn Chain>,
    pub compute: Compute,
    pub host: Arc<dyn Host>,
}

/// Buckets that peers name for their uploads.
pub trait PeerBuckets: Send + Sync {
    /// The bucket at a URL; `None` for one that this node does not read.
    fn open(&self, url: &str) -> Option<Arc<dyn ObjectStore>>;
}

/// A network in which all uploads lie in the one bucket.
pub struct OneBucket;

impl PeerBuckets for OneBucket {
    fn open(&self, _url: &str) -> Option<Arc<dyn ObjectStore>> {
        None
    }
}

impl Ports {
    /// The bucket with a peer's uploads, if this node reads it.
    pub async fn uploads_of(&self, peer: &Hotkey) -> Option<Arc<dyn ObjectStore>> {
        match self.chain.view().await.bucket_of(&peer.0) {
            None => Some(self.bucket.clone()),
            Some(url) => self.peer_buckets.open(url),
        }
    }

    /// Runs a part of the node's round, and tells the host how long it took.
    pub async fn phase<T>(&self, phase: &'static str, part: impl Future<Output = T>) -> T {
        let began = self.clock.now();
        let done = part.await;
        self.host.phase(phase, self.clock.now().saturating_sub(began));
        done
    }

    /// Starts `job` on the pool at once. Returns its result after `cost`, the time that the node's hardware needs for
    /// it.
    pub async fn run<T: Send + 'static>(&self, cost: Duration, job: impl FnOnce() -> T + Send + 'static) -> T {
        let due = self.clock.now() + cost;
        let started = self.compute.start(job);
        self.clock.sleep_until(due).await;
        started.result().await
    }
}

/// The part of the time between the judging of a round and the next put window that validators have to ask for states.
const ASKING: f64 = 0.25;
/// The part of it at the end of which the states must be there.
pub(super) const SHOWING: f64 = 0.55;

/// Time since the network's genesis.
#[derive(Clone)]
pub struct Clock {
    started: Instant,
    started_at: Duration,
    /// Milliseconds that the store's clock has gained on this machine's since the start.
    gained_ms: Arc<AtomicI64>,
    genesis: DateTime<Utc>,
    stamp_resolution: Duration,
    rounds: RoundClock,
    put_window_seconds: f64,
    reveal_seconds: f64,
    gate: Option<Arc<dyn Gate>>,
}

/// Holds a node back until others have reached its time, so that several processes share one clock.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Waits until all have reached `at`, in time since genesis.
    async fn pass(&self, at: Duration);
}

impl Clock {
    /// A clock that now shows `at`, in a network whose genesis was at `genesis` by the stamps of its store.
    pub fn starting(at: Duration, genesis: DateTime<Utc>, chain: &ChainSettings, put_window_seconds: f64) -> Self {
        Self {
            started: Instant::now(),
            started_at: at,
            gained_ms: Arc::default(),
            genesis,
            stamp_resolution: Duration::ZERO,
            rounds: RoundClock::new(chain),
            put_window_seconds,
            reveal_seconds: 0.0,
            gate: None,
        }
    }

    /// The same clock for a store whose stamps are cut to multiples of `resolution`.
    pub fn with_stamp_resolution(self, resolution: Duration) -> Self {
        Self { stamp_resolution: resolution, ..self }
    }

    /// The same clock for a network with this time for the keys of sealed uploads.
    pub fn with_reveal_window(self, seconds: f64) -> Self {
        Self { reveal_seconds: seconds, ..self }
    }

    /// The same clock, which waits for others.
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Sets this clock and all its clones to `now`, the store's time.
    pub fn set(&self, now: Duration) {
        let gained = now.as_millis() as i64 - (self.started_at + self.started.elapsed()).as_millis() as i64;
        self.gained_ms.store(gained, Ordering::Relaxed);
    }

    /// The true time of a stamp is later than the stamp by less than this.
    pub fn stamp_resolution(&self) -> Duration {
        self.stamp_resolution
    }

    /// When something was stamped. A stamp before genesis counts as genesis.
    pub fn since_genesis(&self, stamp: DateTime<Utc>) -> Duration {
        (stamp - self.genesis).to_std().unwrap_or_default()
    }

    /// The block in which something was stamped.
    pub fn block_of(&self, stamp: DateTime<Utc>) -> u64 {
        self.rounds.block_at(self.since_genesis(stamp))
    }

    /// Time since genesis.
    pub fn now(&self) -> Duration {
        let shown = self.started_at + self.started.elapsed();
        let gained = self.gained_ms.load(Ordering::Relaxed);
        let correction = Duration::from_millis(gained.unsigned_abs());
        if gained < 0 { shown.saturating_sub(correction) } else { shown + correction }
    }

    /// Sleeps until `at`; returns at once when that has passed.
    pub async fn sleep_until(&self, at: Duration) {
        loop {
            let left = at.saturating_sub(self.now());
            tokio::time::sleep(left).await;
            // The clock may have been set back meanwhile.
            if self.now() >= at {
                break;
            }
        }
        if let Some(gate) = &self.gate {
            gate.pass(at).await;
        }
    }

    /// Waits until the others have reached this clock's time.
    pub async fn let_others_catch_up(&self) {
        if let Some(gate) = &self.gate {
            gate.pass(self.now()).await;
        }
    }

    /// Sleeps for `time`.
    pub async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
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

    /// When the key of a sealed upload of a round counts. Its end is when the round can be judged; if uploads are not
    /// sealed, this is the end of the put window.
    pub fn reveal_window(&self, round: u64) -> PutWindow {
        self.rounds.reveal_window(self.put_window(round), self.reveal_seconds)
    }

    /// When the training states that audits of a round need must be there. It opens when the time for asking is over. Both are well
    /// before the next put window, so that the audits are done by then.
    pub fn audit_window(&self, round: u64) -> PutWindow {
        let (from, until) = (self.reveal_window(round).closes, self.put_window(round + 1).opens);
        let after = |part| from + until.saturating_sub(from).mul_f64(part);
        PutWindow { opens: after(ASKING), closes: after(SHOWING) }
    }

    /// The newest block.
    pub fn block(&self) -> u64 {
        self.rounds.block_at(self.now())
    }

    /// Sleeps until all calls submitted so far have taken effect on the chain.
    pub async fn sleep_until_next_block(&self) {
        self.sleep_until(self.rounds.block_start(self.block() + 1)).await;
    }
}

/// What a node tells its host: events, states, reports.
pub trait Host: Send + Sync {
    /// Notes an event of this node; the run's digest covers the notes of all nodes.
    fn trace(&self, event: &str);
    /// Called between two rounds, before anything of `round` is done. The host may ask for the node's state, to restart
    /// the node from here.
    fn between_rounds(&self, round: u64, state: &dyn Fn() -> NodeState);
    /// One of the node's identities has no slot and takes no further part, whether or not it ever had one.
    fn slot_over(&self, _hotkey: &Hotkey, _had_one: bool) {}
    /// The node has ended because none of its identities has a slot. Its saved state is useless when it is started
    /// again.
    fn without_slot(&self) {}
    /// The node lacks a page of the corpus, and the results that need the page. A real network goes on without them; a
    /// simulation ends, because its results would change.
    fn without_page(&self, error: &PageError) {
        tracing::error!(%error, "a page of the corpus is unavailable");
    }
    /// One of the node's identities begins to train on so many tokens: those of its pages, over each of which every scheme
    /// passes once.
    fn trained(&self, _hotkey: &Hotkey, _tokens: u64) {}
    /// A part of the node's round is over, and took this long.
    fn phase(&self, _phase: &'static str, _took: Duration) {}
    /// A validator's account of a finished round.
    fn report(&self, report: RoundReport);
}

/// A node's state between two rounds.
pub struct NodeState {
    /// Everything but parameters, encoded by the node.
    pub bytes: Vec<u8>,
    /// Replicas that `bytes` names by digest.
    pub replicas: Vec<Arc<Replica>>,
    /// A validator's average of the last models, which `bytes` holds too.
    pub average: Option<Average>,
}
