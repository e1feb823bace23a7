//! Builds a world from a scenario, and runs it to its end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::baseline;
use super::chain::{Account, SharedLedger};
use super::checkpoint::{Checkpoint, NodeCheckpoint};
use super::cost::Trained;
use super::observer::SharedObserver;
use super::options::{Outcome, RunError, RunOptions};
use super::recorder::{Inner, NodeEntry, Recorder, SimulatedHost};
use crate::chain::{Genesis, Ledger, OpenBooks};
use crate::digest::Digest;
use crate::node::ports::{Clock, OneBucket, Ports};
use crate::node::{Compute, Network, Role};
use crate::scenario::{Machines, World};
use crate::transport::retry::{Backoff, RetryStore};
use crate::transport::simulated::{Link, LinkOptions, SimBucket, SimClock, SimLink};
use crate::transport::{Identity, keys};

/// Runs a network to its end, on the [`Ledger`].
///
/// # Errors
/// See [`RunError`].
pub fn simulate(world: Arc<World>, options: RunOptions, observer: SharedObserver) -> Result<Outcome, RunError> {
    simulate_on(&Ledger::open, world, options, observer)
}

/// Runs a network to its end, on the caller's own chain.
///
/// The run's name does not include its chain, so a run must be resumed on the chain that it began on.
///
/// # Errors
/// See [`RunError`].
pub fn simulate_on(
    chain: &OpenBooks,
    world: Arc<World>,
    options: RunOptions,
    observer: SharedObserver,
) -> Result<Outcome, RunError> {
    let compute = Compute::new(options.threads);
    std::thread::scope(|scope| {
        let baseline = options.baseline.then(|| {
            let (world, compute, observer) = (&world, &compute, &observer);
            let (resume, interrupt) = (options.resume_baseline, &options.interrupt);
            scope.spawn(move || {
                let from = baseline::untrained(world);
                let trained = baseline::train(world, from, compute, resume, interrupt, observer);
                // Without the observer, the network must not go on either.
                trained.inspect_err(|_| interrupt.store(true, Ordering::Relaxed))
            })
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        let ended = runtime.block_on(live(chain, &world, &compute, options.resume, &options.interrupt, &observer));
        if ended.is_err() {
            options.interrupt.store(true, Ordering::Relaxed);
        }
        let Some(baseline) = baseline else { return ended };
        let trained = baseline.join().expect("the baseline does not panic");
        match (ended?, trained?) {
            (Outcome::Finished(_), Outcome::Interrupted(_)) => Ok(Outcome::Interrupted(world.scenario.rounds)),
            (outcome, _) => Ok(outcome),
        }
    })
}

/// A node of the world before it starts.
struct NodePlan {
    /// One for each key of a peer: first those that its slots are registered with first.
    identities: Vec<Arc<Identity>>,
    slots: usize,
    link: Link,
    /// The round in which it starts.
    joins: u64,
    role: Role,
}

async fn live(
    chain: &OpenBooks,
    world: &World,
    compute: &Compute,
    resume: Option<Checkpoint>,
    interrupt: &Arc<AtomicBool>,
    observer: &SharedObserver,
) -> Result<Outcome, RunError> {
    let World { scenario, network } = world;
    if resume.as_ref().is_some_and(|checkpoint| checkpoint.run != network.run) {
        return Err(RunError::Checkpoint("it is of another scenario, seed or corpus".into()));
    }
    let plans = plan(world);
    let start = start_time(resume.as_ref());
    let protocol = &scenario.protocol;
    let clock = Clock::starting(start, SimClock::stamp(0), &scenario.chain, protocol.put_window_seconds)
        .with_reveal_window(protocol.reveal_seconds());
    let recorder = Arc::new(build(chain, world, &plans, &clock, resume.as_ref(), interrupt, observer)?);

    let saved = Saved::new(network, resume);
    let mut tasks = JoinSet::new();
    for (node, plan) in plans.into_iter().enumerate() {
        let bucket = RetryStore::new(Arc::new(recorder.nodes[node].link.clone()), Backoff::default());
        let bucket: Arc<dyn ObjectStore> = Arc::new(bucket);
        let host = Arc::new(SimulatedHost { recorder: recorder.clone(), node, clock: clock.clone() });
        let accounts = plan.identities.iter().zip(&recorder.nodes[node].accounts);
        let ports = accounts.map(|(identity, account)| Ports {
            identity: identity.clone(),
            clock: clock.clone(),
            own_uploads: bucket.clone(),
            bucket: bucket.clone(),
            peer_buckets: Arc::new(OneBucket),
            chain: account.clone(),
            compute: compute.clone(),
            host: host.clone(),
        });
        let ports = ports.collect();
        let part = saved.node(node);
        if part.is_some_and(|part| part.state.is_none()) {
            recorder.ended(node, part.map_or(start, |part| part.at));
            continue;
        }
        let from = part.map_or(clock.round_start(plan.joins), |part| part.at);
        let state = part.and_then(|part| part.state.as_deref());
        let replica = |digest: &Digest| saved.replicas.get(digest).cloned();
        let living = plan.role.build(network, ports, state, replica).map_err(RunError::Checkpoint)?;
        let (recorder, clock) = (recorder.clone(), clock.clone());
        tasks.spawn(async move {
            clock.sleep_until(from).await;
            living.run().await;
            recorder.ended(node, clock.now());
        });
    }

    loop {
        tokio::select! {
            biased;
            () = recorder.stopped.notified() => break,
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(RunError::Node(error)),
            },
        }
    }
    let everybody_ended = tasks.is_empty();
    tasks.shutdown().await;
    recorder.outcome(everybody_ended)
}

/// The nodes: validators first, then peers and operators in the scenario's order.
fn plan(world: &World) -> Vec<NodePlan> {
    let scenario = &world.scenario;
    let machines = Machines::Simulated { sequence_length: world.network.core.config.sequence_length };
    let validators = scenario.validators.iter().enumerate().map(|(index, validator)| NodePlan {
        identities: vec![Arc::new(scenario.validator_identity(index))],
        slots: 1,
        link: validator.link.clone(),
        joins: 0,
        role: scenario.validator_role(validator, machines),
    });
    let operators = scenario.each_operator().map(|operator| NodePlan {
        identities: scenario.all_identities(&operator).into_iter().map(Arc::new).collect(),
        slots: operator.uids,
        link: operator.link.clone(),
        joins: operator.joins,
        role: scenario.operator_role(&operator, machines),
    });
    validators.chain(operators).collect()
}

/// The time at which the first node resumes.
fn start_time(resume: Option<&Checkpoint>) -> Duration {
    let nodes = resume.iter().flat_map(|checkpoint| checkpoint.nodes.iter().flatten());
    nodes.filter(|node| node.state.is_some()).map(|node| node.at).min().unwrap_or_default()
}

fn build(
    chain: &OpenBooks,
    world: &World,
    plans: &[NodePlan],
    clock: &Clock,
    resume: Option<&Checkpoint>,
    interrupt: &Arc<AtomicBool>,
    observer: &SharedObserver,
) -> Result<Recorder, RunError> {
    let (scenario, start) = (&world.scenario, start_time(resume));
    let bucket = SimBucket::new(SimClock::showing(start.as_millis() as u64));
    let (validators, peers) = plans.split_at(scenario.validators.len());
    let hotkeys = |plan: &NodePlan| {
        let first = plan.identities.iter().take(plan.slots);
        first.map(|identity| identity.hotkey().0).collect::<Vec<_>>()
    };
    let stakes = scenario.validators.iter().map(|validator| validator.stake);
    let genesis = Genesis {
        validators: validators.iter().flat_map(hotkeys).zip(stakes).collect(),
        peers: peers.iter().filter(|plan| plan.joins == 0).flat_map(hotkeys).collect(),
    };
    let mut books = chain(&scenario.chain, genesis)?;
    if let Some(checkpoint) = resume {
        bucket.import(&checkpoint.bucket).map_err(|error| RunError::Checkpoint(error.to_string()))?;
        for (block, extrinsic) in &checkpoint.chain {
            books.submit(*block, extrinsic.clone())?;
        }
    }
    let ledger = Arc::new(SharedLedger::new(books));
    let part = |node: usize| resume.and_then(|checkpoint| checkpoint.nodes[node].as_ref());
    let nodes = plans.iter().enumerate().map(|(node, plan)| {
        let own = plan.identities.iter().map(|identity| keys::prefix(&identity.hotkey()));
        let records = (node < scenario.validators.len()).then(keys::records);
        let options = LinkOptions {
            seed: scenario.seed,
            node: node as u64,
            link: plan.link.clone(),
            writes: own.chain(records).collect(),
            window: clock.round_length(),
        };
        let link = SimLink::new(bucket.clone(), options);
        if let Some(part) = part(node) {
            link.restore(part.link.clone());
        }
        let accounts = plan.identities.iter().enumerate().map(|(slot, identity)| {
            let sent = part(node).and_then(|part| part.sent.get(slot)).copied().unwrap_or_default();
            let (ledger, clock, hotkey) = (ledger.clone(), clock.clone(), identity.hotkey());
            Arc::new(Account { ledger, clock, hotkey, sent: AtomicU64::new(sent) })
        });
        let accounts = accounts.collect();
        NodeEntry { link, accounts, joins: plan.joins }
    });
    let told = (0..plans.len()).map(|node| {
        part(node).map_or((Digest::of(b""), Trained::default()), |part| (part.trace, part.trained.clone()))
    });
    let told = told.collect();
    let (done, reports) = resume.map_or((0, Digest::of(b"")), |checkpoint| (checkpoint.rounds, checkpoint.reports));
    let every = scenario.training.checkpoint_every;
    Ok(Recorder {
        run: world.network.run,
        bucket: bucket.clone(),
        nodes: nodes.collect(),
        ledger: ledger.clone(),
        checkpoint_every: every,
        validators: validators.len(),
        length: scenario.rounds,
        interrupt: interrupt.clone(),
        observer: observer.clone(),
        stopped: Notify::new(),
        inner: Mutex::new(Inner::new(told, done, reports, every)),
    })
}

/// The nodes' part of a checkpoint.
struct Saved {
    replicas: std::collections::BTreeMap<Digest, Arc<crate::training::Replica>>,
    nodes: Vec<Option<NodeCheckpoint>>,
}

impl Saved {
    fn new(network: &Network, resume: Option<Checkpoint>) -> Self {
        let Some(checkpoint) = resume else { return Self { replicas: Default::default(), nodes: Vec::new() } };
        let replicas = checkpoint.replicas.into_iter();
        let replicas = replicas.map(|(digest, theta)| (Digest(digest), network.core.replica(theta))).collect();
        Self { replicas, nodes: checkpoint.nodes }
    }

    fn node(&self, node: usize) -> Option<&NodeCheckpoint> {
        self.nodes.get(node)?.as_ref()
    }
}
