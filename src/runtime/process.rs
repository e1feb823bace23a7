//! The nodes of one process, on a real clock or on one that several processes share.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::bucket::{self, BucketError};
use super::chain::{BucketChain, allows};
use super::counted::CountedStore;
use super::host::NodeHost;
use super::lockstep::LockstepGate;
use super::metrics::Metrics;
use super::peer_buckets::OpenBuckets;
use super::run::{Run, RunError};
use super::stamps::StampedStore;
use super::state::{StateError, StateFolder};
use super::store_clock::{self, StoreTime};
use super::{Bucket, sweep};
use crate::chain::LedgerError;
use crate::digest::Digest;
use crate::node::ports::{Clock, Ports};
use crate::node::{Compute, Network, Peer, PeerPlan, Processor, Validator};
use crate::transport::retry::{Backoff, RetryStore};
use crate::transport::simulated::SimClock;
use crate::transport::{Hotkey, Identity};

/// How often the store's clock is looked at: clocks of machines part by some milliseconds in that time.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(600);
/// How often something outside is looked for: the run's start, a signal to stop.
const LOOK: Duration = Duration::from_millis(200);
/// Real time that nodes on a paused clock have to end their round.
const VIRTUAL_GRACE: Duration = Duration::from_secs(2);
/// How long a validator waits for each that comes before it to start the run.
const START_TURN: Duration = Duration::from_secs(60);

/// What a node is to be.
pub enum Role {
    Peer {
        plan: PeerPlan,
        /// The round in which it starts.
        joins: u64,
    },
    Validator {
        processor: Processor,
        leaves: Option<u64>,
    },
}

/// A node to run.
pub struct NodePlan {
    pub identity: Identity,
    pub role: Role,
    /// Its folder on this machine.
    pub state: PathBuf,
    /// URL of the bucket that it keeps its uploads in, if that is one of its own.
    pub own_bucket: Option<String>,
}

/// Which clock the nodes live by.
#[derive(Clone, Copy, Debug)]
pub enum ClockKind {
    /// The store's.
    Real {
        /// How long after a validator is ready the run starts.
        start_in: Duration,
    },
    /// The launcher's, at this address.
    Virtual(SocketAddr),
}

/// What the nodes of a process share.
struct World {
    clock: Clock,
    store: Arc<dyn ObjectStore>,
    compute: Compute,
}

/// A process: the nodes of one run on one device, which share the model.
pub struct Process {
    pub run: Arc<Run>,
    pub network: Arc<Network>,
    pub nodes: Vec<NodePlan>,
    pub clock: ClockKind,
    pub threads: usize,
    pub metrics: Metrics,
    /// Set from outside: end after this round.
    pub stop: Arc<AtomicBool>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over, or all of its nodes have left it.
    Finished,
    /// It was asked to stop.
    Stopped,
}

/// Why a process cannot go on.
#[derive(Debug, Error)]
pub enum ProcessError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("{path}: {what}; move it away to start this node afresh")]
    Restore { path: PathBuf, what: String },
    #[error("{hotkey} is no validator of this run; its genesis names them")]
    NotAValidator { hotkey: Hotkey },
    #[error("the launcher at {address} does not answer: {source}")]
    Launcher { address: SocketAddr, source: std::io::Error },
    #[error("{url}: this run does not read uploads there; chain.peer_buckets in its settings says where it does")]
    OwnBucket { url: String },
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("a shared clock needs a bucket that is a folder of this machine")]
    NoFolder,
    #[error("a node stopped unexpectedly ({0}): a defect; please report it with the scenario and the seed")]
    Node(JoinError),
}

impl Process {
    /// Runs all nodes to the end of the run, or until they are to stop.
    ///
    /// # Errors
    /// A node cannot be started. Once they live, nodes bear with what fails.
    pub fn live(self) -> Result<Ended, ProcessError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all();
        if matches!(self.clock, ClockKind::Virtual(_)) {
            runtime.start_paused(true);
        }
        runtime.build().expect("the system lets a program wait").block_on(self.run())
    }

    async fn run(mut self) -> Result<Ended, ProcessError> {
        for node in &self.nodes {
            let hotkey = node.identity.hotkey();
            if matches!(node.role, Role::Validator { .. }) && !self.run.is_validator(&hotkey) {
                return Err(ProcessError::NotAValidator { hotkey });
            }
            if let Some(url) = node.own_bucket.clone().filter(|url| !allows(&self.network.scenario.chain, url)) {
                return Err(ProcessError::OwnBucket { url });
            }
        }
        let Some((clock, store)) = self.clock_and_store().await? else { return Ok(Ended::Stopped) };
        let compute = Compute::new(self.threads);
        let grace = match self.clock {
            ClockKind::Real { .. } => clock.round_length() * 3 / 2,
            ClockKind::Virtual(_) => VIRTUAL_GRACE,
        };
        let over = patience(self.stop.clone(), grace);
        let mut tasks = JoinSet::new();
        for node in std::mem::take(&mut self.nodes) {
            let world = World { clock: clock.clone(), store: store.clone(), compute: compute.clone() };
            let (ports, host) = self.outfit(node.identity, node.own_bucket, &node.state, world)?;
            let life = start(&self.network, node.role, &node.state, ports, &host).await?;
            let over = over.clone();
            tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = host.stopped.notified() => {}
                    () = life => {}
                    () = over.notified() => tracing::warn!("the round did not end; the state saved last stays"),
                }
                host.settle().await;
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(ProcessError::Node)?;
        }
        Ok(if self.stop.load(Ordering::Relaxed) { Ended::Stopped } else { Ended::Finished })
    }

    /// The ports of a node, and the host behind them.
    fn outfit(
        &self,
        identity: Identity,
        own_bucket: Option<String>,
        folder: &Path,
        world: World,
    ) -> Result<(Ports, Arc<NodeHost>), ProcessError> {
        let (hotkey, settings) = (identity.hotkey(), &self.network.scenario.chain);
        let state = StateFolder::open(folder, self.run.id, hotkey)?;
        let metrics = self.metrics.of_node(&hotkey);
        let patient = |store| {
            let counted = Arc::new(CountedStore::new(store, metrics.clone()));
            Arc::new(RetryStore::new(counted, Backoff::default())) as Arc<dyn ObjectStore>
        };
        let bucket = patient(world.store);
        let own_uploads = match &own_bucket {
            None => bucket.clone(),
            Some(url) => patient(bucket::open(url, true)?.store),
        };
        let (identity, clock) = (Arc::new(identity), world.clock);
        let (id, genesis) = (self.run.id, self.run.chain());
        let chain = BucketChain::new(id, identity.clone(), bucket.clone(), clock.clone(), settings.clone(), genesis)?;
        let host = Arc::new(NodeHost {
            run: id,
            identity: identity.clone(),
            bucket: bucket.clone(),
            clock: clock.clone(),
            state,
            metrics: metrics.clone(),
            save_every: NodeHost::save_every(
                self.network.core.layout.total(),
                self.network.scenario.training.checkpoint_every,
            ),
            stop: self.stop.clone(),
            stopped: Notify::new(),
            under_way: Arc::new(AtomicUsize::new(0)),
        });
        let ports = Ports {
            identity,
            clock,
            bucket,
            own_uploads,
            peer_buckets: Arc::new(OpenBuckets::new(settings.clone(), metrics)),
            chain: Arc::new(chain.with_own_bucket(own_bucket)),
            compute: world.compute,
            host: host.clone(),
        };
        Ok((ports, host))
    }

    /// The network's clock, and the bucket as of it; `None` if it was asked to stop meanwhile.
    async fn clock_and_store(&self) -> Result<Option<(Clock, Arc<dyn ObjectStore>)>, ProcessError> {
        let (settings, window) = (&self.network.scenario.chain, self.network.scenario.gauntlet.put_window_seconds);
        let ClockKind::Virtual(address) = self.clock else {
            return self.real_clock().await;
        };
        let launcher = |source| ProcessError::Launcher { address, source };
        let (gate, now) = LockstepGate::connect(address).map_err(launcher)?;
        let clock = Clock::starting(now, SimClock::stamp(0), settings, window).with_gate(Arc::new(gate));
        let folder = self.run.bucket.folder.as_ref().ok_or(ProcessError::NoFolder)?;
        let folder = LocalFileSystem::new_with_prefix(folder).map_err(|_| ProcessError::NoFolder)?;
        let store = StampedStore::new(folder, clock.clone());
        Ok(Some((clock, Arc::new(store))))
    }

    async fn real_clock(&self) -> Result<Option<(Clock, Arc<dyn ObjectStore>)>, ProcessError> {
        let bucket = &self.run.bucket;
        let node = self.nodes.first().expect("a process has nodes").identity.hotkey();
        let Some(read) = self.store_time(bucket, &node).await else { return Ok(None) };
        let Some(genesis) = self.genesis_time(read.now()).await? else { return Ok(None) };
        // Before round 0 nobody does anything.
        while read.now() < genesis {
            tokio::time::sleep((genesis - read.now()).to_std().unwrap_or_default().min(LOOK)).await;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        let scenario = &self.network.scenario;
        let now = (read.now() - genesis).to_std().unwrap_or_default();
        let clock = Clock::starting(now, genesis, &scenario.chain, scenario.gauntlet.put_window_seconds)
            .with_stamp_resolution(bucket.stamp_resolution);
        let (kept, bucket) = (clock.clone(), bucket.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_AT_CLOCK).await;
                match store_clock::read(&bucket, &node).await {
                    Ok(read) => kept.set((read.now() - genesis).to_std().unwrap_or_default()),
                    Err(error) => tracing::warn!(%error, "the store's clock cannot be read"),
                }
            }
        });
        Ok(Some((clock, self.run.bucket.store.clone())))
    }

    /// The store's clock, as soon as it can be read; `None` if the process is to stop before.
    async fn store_time(&self, bucket: &Bucket, node: &Hotkey) -> Option<StoreTime> {
        while !self.stop.load(Ordering::Relaxed) {
            match store_clock::read(bucket, node).await {
                Ok(read) => return Some(read),
                Err(error) => tracing::warn!(%error, "the store's clock cannot be read; trying again"),
            }
            tokio::time::sleep(LOOK * 5).await;
        }
        None
    }

    /// When round 0 begins; a validator says so if nobody has.
    async fn genesis_time(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ProcessError> {
        let waiting = tokio::time::Instant::now();
        let mut told = false;
        while !self.stop.load(Ordering::Relaxed) {
            match self.run.start().await {
                Ok(Some(start)) => return Ok(DateTime::from_timestamp_millis(start.unix_ms)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the run's start cannot be read; trying again");
                    tokio::time::sleep(LOOK * 5).await;
                    continue;
                }
            }
            let ClockKind::Real { start_in } = self.clock else { return Ok(None) };
            if let Some((validator, turn)) = self.starter()
                && waiting.elapsed() >= turn
            {
                let delay = TimeDelta::from_std(waiting.elapsed() + start_in).unwrap_or_default();
                self.run.write_start((now + delay).timestamp_millis(), validator).await?;
                continue;
            }
            if !told {
                tracing::info!("waiting for a validator to start the run");
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(None)
    }

    /// A validator of this process, and when it is its turn to start the run.
    fn starter(&self) -> Option<(&Identity, Duration)> {
        let validator = self.nodes.iter().find(|node| matches!(node.role, Role::Validator { .. }))?;
        let hotkey = validator.identity.hotkey();
        let own = self.run.genesis.validators.iter().find(|(validator, _)| *validator == hotkey)?.1;
        let before = self.run.genesis.validators.iter().filter(|(_, stake)| *stake > own).count();
        Some((&validator.identity, START_TURN * before as u32))
    }
}

/// The life of a node, from its saved state if it has one.
async fn start(
    network: &Arc<Network>,
    role: Role,
    folder: &Path,
    ports: Ports,
    host: &NodeHost,
) -> Result<futures::future::BoxFuture<'static, ()>, ProcessError> {
    let saved = host.state.load(network.core.layout.total())?;
    if let Some(saved) = &saved {
        tracing::info!(hotkey = %ports.identity.hotkey(), round = saved.round, "going on from the saved state");
    }
    let unfit = |what| ProcessError::Restore { path: folder.into(), what };
    let replica = |digest: &Digest| {
        let theta = saved.as_ref().and_then(|saved| saved.replicas.get(digest));
        theta.map(|theta| network.core.replica(theta.clone()))
    };
    sweep::sweep(network, &ports, matches!(role, Role::Validator { .. })).await;
    match role {
        Role::Validator { processor, leaves } => {
            let mut validator = Validator::new(network.clone(), ports, processor);
            if let Some(saved) = &saved {
                validator.restore(&saved.bytes, replica).map_err(unfit)?;
            }
            Ok(Box::pin(validator.run(leaves)))
        }
        Role::Peer { plan, joins } => {
            // Those that join together register one after the other.
            let starts = ports.clock.round_start(joins) + Duration::from_millis(if joins > 0 { plan.index } else { 0 });
            let (clock, mut peer) = (ports.clock.clone(), Peer::new(network.clone(), ports, plan));
            if let Some(saved) = &saved {
                peer.restore(&saved.bytes, replica).map_err(unfit)?;
            }
            Ok(Box::pin(async move {
                clock.sleep_until(starts).await;
                peer.run().await;
            }))
        }
    }
}

/// Tells when nodes that are to stop have had time to end their round: they may be waiting for something that never
/// comes. By real time, which passes for nodes on a paused clock too.
fn patience(stop: Arc<AtomicBool>, grace: Duration) -> Arc<Notify> {
    let over = Arc::new(Notify::new());
    let tell = over.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(grace);
        loop {
            tell.notify_waiters();
            std::thread::sleep(LOOK);
        }
    });
    over
}
