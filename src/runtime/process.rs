//! Runs the nodes of one process, on a real clock or on one that several processes share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};

use super::bucket::{self, BucketError};
use super::chain::{BucketChain, allows};
use super::counted::CountedStore;
use super::host::NodeHost;
use super::metrics::Metrics;
use super::peer_buckets::OpenBuckets;
use super::run::{Run, RunError};
use super::saver::Saver;
use super::state::{StateError, StateFolder};
use super::sweep;
use crate::chain::LedgerError;
use crate::digest::Digest;
use crate::node::ports::{Clock, Ports};
use crate::node::{Compute, Network, Role};
use crate::training::Replica;
use crate::transport::retry::{Backoff, RetryStore};
use crate::transport::{Hotkey, Identity};

/// How often to look for outside events: the run's start, a signal to stop.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// Real time that nodes on a paused clock get to end their round.
const VIRTUAL_GRACE: Duration = Duration::from_secs(2);

/// A node to run.
pub struct NodePlan {
    /// One for each key of a peer, first those that its slots are registered with first; the first of all stands for the
    /// node.
    pub identities: Vec<Identity>,
    pub role: Role,
    /// The node's folder on this machine.
    pub state: PathBuf,
    /// URL of the bucket of its own that it uploads to, if any.
    pub own_bucket: Option<String>,
}

impl NodePlan {
    /// The identity that stands for the node.
    pub(super) fn first(&self) -> &Identity {
        self.identities.first().expect("a node has an identity")
    }
}

/// The clock that the nodes use.
#[derive(Clone, Copy, Debug)]
pub enum ClockKind {
    /// The store's.
    Real {
        /// Time from a validator being ready to the start of the run.
        start_in: Duration,
    },
    /// The launcher's, at this address.
    Virtual(SocketAddr),
}

/// What the nodes of a process share.
pub(crate) struct World {
    pub clock: Clock,
    pub store: Arc<dyn ObjectStore>,
    pub compute: Compute,
}

/// A process: nodes of one run on one device. They share the model.
pub struct Process {
    pub run: Arc<Run>,
    pub network: Arc<Network>,
    pub nodes: Vec<NodePlan>,
    pub clock: ClockKind,
    pub threads: usize,
    pub metrics: Metrics,
    /// Set from outside to end the process after this round.
    pub stop: Arc<AtomicBool>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over, or all of its nodes have left it.
    Finished,
    /// The process was asked to stop.
    Stopped,
    /// All of its nodes have ended, and these peers have never had a slot.
    WithoutSlot(Vec<Hotkey>),
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
    #[error("{hotkey} is no validator of this run; its genesis lists them")]
    NotAValidator { hotkey: Hotkey },
    #[error("{hotkey} is a validator of this run, which gets no slot; `sim key new` makes a key for a peer")]
    IsValidator { hotkey: Hotkey },
    #[error("the launcher at {address} does not answer: {source}")]
    Launcher { address: SocketAddr, source: std::io::Error },
    #[error("{url}: this run does not read uploads there; chain.peer_buckets in its settings says where it does")]
    OwnBucket { url: String },
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("the process's clock and sockets cannot be set up: {0}; raise the limit of open files (ulimit -n)")]
    System(std::io::Error),
    #[error("a node stopped unexpectedly ({0}): a defect; please report it with the scenario and the seed")]
    Node(JoinError),
}

impl ProcessError {
    /// Whether another command line or run is needed, so that retrying is useless.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Run(error) => error.is_usage(),
            Self::Bucket(error) => error.is_usage(),
            Self::Ledger(_) | Self::NotAValidator { .. } | Self::IsValidator { .. } | Self::OwnBucket { .. } => true,
            Self::State(_) | Self::System(_) | Self::Restore { .. } | Self::Launcher { .. } | Self::Node(_) => false,
        }
    }
}

impl Process {
    /// Runs all nodes to the end of the run, or until they are told to stop.
    ///
    /// # Errors
    /// A node cannot be started. Once nodes run, they tolerate failures.
    pub fn live(self) -> Result<Ended, ProcessError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all();
        if matches!(self.clock, ClockKind::Virtual(_)) {
            runtime.start_paused(true);
        }
        runtime.build().map_err(ProcessError::System)?.block_on(self.run())
    }

    async fn run(mut self) -> Result<Ended, ProcessError> {
        for node in &self.nodes {
            for hotkey in node.identities.iter().map(Identity::hotkey) {
                match (&node.role, self.run.is_validator(&hotkey)) {
                    (Role::Validator { .. }, false) => return Err(ProcessError::NotAValidator { hotkey }),
                    (Role::Peer { .. }, true) => return Err(ProcessError::IsValidator { hotkey }),
                    _ => {}
                }
            }
            if let Some(url) = node.own_bucket.clone().filter(|url| !allows(&self.network.rules.chain, url)) {
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
        let (mut tasks, mut hosts) = (JoinSet::new(), Vec::new());
        for node in std::mem::take(&mut self.nodes) {
            let world = World { clock: clock.clone(), store: store.clone(), compute: compute.clone() };
            let slots = node.role.slots();
            let first: Vec<Hotkey> = node.identities.iter().take(slots).map(Identity::hotkey).collect();
            let (ports, host) = self.outfit(node.identities, node.own_bucket, &node.state, world)?;
            let life = start(&self.network, node.role, &node.state, ports, &host).await?;
            let over = over.clone();
            hosts.push((first, host.clone()));
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
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Ended::Stopped);
        }
        let never = hosts.iter().map(|(first, host)| {
            let mut never = host.never_had_slot.lock().expect("no panic while held").clone();
            never.retain(|hotkey| first.contains(hotkey));
            // A node that had one of its slots has done its work.
            if never.len() == first.len() { never } else { Vec::new() }
        });
        let never: Vec<Hotkey> = never.flatten().collect();
        Ok(if never.is_empty() { Ended::Finished } else { Ended::WithoutSlot(never) })
    }

    /// The ports of a node under each of its identities, and their host.
    pub(crate) fn outfit(
        &self,
        identities: Vec<Identity>,
        own_bucket: Option<String>,
        folder: &Path,
        world: World,
    ) -> Result<(Vec<Ports>, Arc<NodeHost>), ProcessError> {
        let settings = &self.network.rules.chain;
        let identities: Vec<Arc<Identity>> = identities.into_iter().map(Arc::new).collect();
        let first = identities.first().expect("a node has an identity").clone();
        let state = Saver::new(StateFolder::open(folder, self.run.id, first.hotkey())?);
        let state = if world.compute.is_in_place() { state.in_place() } else { state };
        let metrics = self.metrics.of_node(&first.hotkey());
        let patient = |store| {
            let counted = Arc::new(CountedStore::new(store, metrics.clone()));
            Arc::new(RetryStore::new(counted, Backoff::default())) as Arc<dyn ObjectStore>
        };
        let bucket = patient(world.store);
        let own_uploads = match &own_bucket {
            None => bucket.clone(),
            Some(url) => patient(bucket::open(url, true)?.store),
        };
        let host = Arc::new(NodeHost {
            run: self.run.id,
            identity: first,
            bucket: bucket.clone(),
            clock: world.clock.clone(),
            state,
            metrics: metrics.clone(),
            save_every: NodeHost::save_every(
                self.network.core.layout.total(),
                self.network.rules.training.checkpoint_every,
            ),
            stop: self.stop.clone(),
            stopped: Notify::new(),
            under_way: Arc::new(AtomicUsize::new(0)),
            never_had_slot: Mutex::default(),
        });
        let peer_buckets = Arc::new(OpenBuckets::new(settings.clone(), metrics));
        let ports = identities.into_iter().map(|identity| {
            let (id, genesis, clock) = (self.run.id, self.run.chain(), world.clock.clone());
            let chain =
                BucketChain::new(id, identity.clone(), bucket.clone(), clock.clone(), settings.clone(), genesis)?;
            Ok(Ports {
                identity,
                clock,
                bucket: bucket.clone(),
                own_uploads: own_uploads.clone(),
                peer_buckets: peer_buckets.clone(),
                chain: Arc::new(chain.with_own_bucket(own_bucket.clone())),
                compute: world.compute.clone(),
                host: host.clone(),
            })
        });
        Ok((ports.collect::<Result<_, ProcessError>>()?, host))
    }
}

/// Starts a node, from its saved state if it has one, and runs it.
pub(crate) async fn start(
    network: &Arc<Network>,
    role: Role,
    folder: &Path,
    ports: Vec<Ports>,
    host: &NodeHost,
) -> Result<futures::future::BoxFuture<'static, ()>, ProcessError> {
    let saved = host.state.folder().load(network.core.layout.total())?;
    if let Some(saved) = &saved {
        tracing::info!(hotkey = %host.identity.hotkey(), round = saved.round, "resuming from the saved state");
    }
    let unfit = |what| ProcessError::Restore { path: folder.into(), what };
    // Moved, not copied: the state of a large model takes gigabytes.
    let (state, replicas) = saved.map_or_else(Default::default, |saved| (Some(saved.bytes), saved.replicas));
    let replicas: BTreeMap<Digest, Arc<Replica>> =
        replicas.into_iter().map(|(digest, theta)| (digest, network.core.replica(theta))).collect();
    let replica = |digest: &Digest| replicas.get(digest).cloned();
    for ports in &ports {
        sweep::sweep(network, ports, matches!(role, Role::Validator { .. })).await;
    }
    let clock = host.clock.clone();
    let starts = match &role {
        // Peers that join together register one after the other.
        Role::Peer { plan, joins } => {
            Some(clock.round_start(*joins) + Duration::from_millis(if *joins > 0 { plan.index } else { 0 }))
        }
        Role::Validator { .. } => None,
    };
    let node = role.build(network, ports, state.as_deref(), replica).map_err(unfit)?;
    let was_stopped = state.is_some();
    #[cfg(test)]
    let was_stopped = was_stopped && !crate::planted::is(crate::planted::Defect::StaleState);
    let node = if was_stopped { node.after_a_stop() } else { node };
    Ok(Box::pin(async move {
        if let Some(starts) = starts {
            clock.sleep_until(starts).await;
        }
        node.run().await;
    }))
}

/// Notifies when stopping nodes have had time to end their round, since they may wait for something that never comes.
/// It counts real time, because that passes for nodes on a paused clock too.
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
