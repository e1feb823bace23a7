//! Records a run: events and reports, which form its digest, and checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::chain::{Account, SharedLedger};
use super::checkpoint::{Checkpoint, NodeCheckpoint};
use super::cost::{self, Trained};
use super::observer::{ObserverError, SharedObserver, Traffic};
use super::options::{Outcome, RunError};
use crate::corpus::PageError;
use crate::digest::Digest;
use crate::node::RoundReport;
use crate::node::ports::{Clock, Host, NodeState};
use crate::training::{Average, Replica};
use crate::transport::simulated::{BucketState, SimBucket, SimLink};
use crate::transport::{Hotkey, keys};

/// What the recorder knows of each node.
pub struct NodeEntry {
    pub link: SimLink,
    /// One account for each of its identities.
    pub accounts: Vec<Arc<Account>>,
    /// The round in which the engine starts the node.
    pub joins: u64,
}

/// Collects events, reports and states of all nodes.
pub struct Recorder {
    pub run: Digest,
    pub bucket: SimBucket,
    pub ledger: Arc<SharedLedger>,
    pub nodes: Vec<NodeEntry>,
    pub checkpoint_every: u64,
    /// Number of validators. They are the first nodes.
    pub validators: usize,
    /// Rounds of the run.
    pub length: u64,
    pub interrupt: Arc<AtomicBool>,
    pub observer: SharedObserver,
    /// Notified when the world must end before all nodes have.
    pub stopped: Notify,
    pub inner: Mutex<Inner>,
}

pub struct Inner {
    pub failed: Option<ObserverError>,
    pub traces: Vec<Digest>,
    /// What each node has trained on.
    pub trained: Vec<Trained>,
    /// Number of rounds whose reports are in. `reports` is the digest over them.
    pub rounds: u64,
    pub reports: Digest,
    /// Digests over the reports, by number of rounds, since the last checkpoint.
    pub digests: BTreeMap<u64, Digest>,
    /// Reports that came before an earlier round's report.
    pub early: BTreeMap<u64, RoundReport>,
    /// The highest round that a node has begun.
    pub highest: u64,
    /// Number of rounds in the last checkpoint.
    pub saved_rounds: u64,
    /// The round before which the next checkpoint is taken.
    pub next_checkpoint: u64,
    /// The last round whose model the observer was shown.
    pub shown: u64,
    /// Whether the run ends with the next checkpoint.
    pub stopping: bool,
    pub deposits: BTreeMap<usize, Deposit>,
    /// Those of nodes that have ended, for all checkpoints after that.
    pub ended: BTreeMap<usize, Deposit>,
}

/// A node's part of a checkpoint in progress.
#[derive(Clone)]
pub struct Deposit {
    node: NodeCheckpoint,
    replicas: Vec<Arc<Replica>>,
}

impl Inner {
    /// Of nodes with these traces and counts, after so many rounds.
    pub fn new(nodes: Vec<(Digest, Trained)>, rounds: u64, reports: Digest, every: u64) -> Self {
        let (traces, trained) = nodes.into_iter().unzip();
        Self {
            failed: None,
            traces,
            trained,
            rounds,
            reports,
            digests: BTreeMap::from([(rounds, reports)]),
            early: BTreeMap::new(),
            highest: rounds,
            saved_rounds: rounds,
            next_checkpoint: (rounds / every + 1) * every,
            shown: rounds,
            stopping: false,
            deposits: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }
}

impl Recorder {
    fn trace(&self, node: usize, at: Duration, event: &str) {
        tracing::trace!(node, at = at.as_secs_f64(), event);
        let mut inner = self.lock();
        let trace = &mut inner.traces[node];
        *trace = Digest::of_parts([&trace.0[..], &at.as_millis().to_le_bytes(), event.as_bytes()]);
        self.observer.lock().expect("no panic while held").event(node, at, event);
    }

    fn report(&self, report: &RoundReport) {
        // Of several validators, the one that decided the round counts.
        if !report.decided {
            return;
        }
        let mut inner = self.lock();
        // A round that became void after it was decided is told once.
        if report.round < inner.rounds {
            return;
        }
        inner.early.entry(report.round).or_insert_with(|| report.clone());
        // Where validators take turns, a round's report may come before the previous round's.
        while let Some(next) = {
            let rounds = inner.rounds;
            inner.early.remove(&rounds)
        } {
            self.take_report(&mut inner, &next);
        }
    }

    /// Records the report of the next round.
    fn take_report(&self, inner: &mut Inner, report: &RoundReport) {
        inner.reports = Digest::of_parts([&inner.reports.0[..], &report.digested()]);
        inner.rounds = report.round + 1;
        let (rounds, reports) = (inner.rounds, inner.reports);
        inner.digests.insert(rounds, reports);
        let traffic = self.traffic(inner, report);
        if let Err(error) = self.observer.lock().expect("no panic while held").round(report, traffic) {
            inner.failed.get_or_insert(error);
            self.stopped.notify_one();
        }
    }

    /// What passed through the nodes' links during a reported round, and what it cost each of the report's peers.
    fn traffic(&self, inner: &mut Inner, report: &RoundReport) -> Traffic {
        let registered: BTreeSet<Hotkey> = report.peers.iter().map(|peer| peer.hotkey).collect();
        // A resumed run tells the rounds after the checkpoint again, so what is told of them goes into it.
        let needed = report.round.min(inner.next_checkpoint);
        let mut traffic = Traffic::default();
        for (entry, trained) in self.nodes.iter().zip(&mut inner.trained) {
            let counted = entry.link.traffic(report.round);
            traffic.up += counted.up;
            traffic.down += counted.down;
            let slots = entry.accounts.iter().enumerate();
            let slots = slots.filter(|(_, account)| registered.contains(&account.hotkey));
            let slots: Vec<_> = slots.map(|(slot, account)| (account.hotkey, trained.of(report.round, slot))).collect();
            traffic.peers.extend(cost::shared(counted, &slots));
            entry.link.forget_traffic_before(needed);
            trained.forget_before(needed);
        }
        traffic
    }

    /// Notes that a slot begins to train on so many tokens.
    fn trained(&self, node: usize, hotkey: &Hotkey, round: u64, tokens: u64) {
        let slot = self.nodes[node].accounts.iter().position(|account| account.hotkey == *hotkey);
        if let Some(slot) = slot {
            self.lock().trained[node].add(round, slot, tokens);
        }
    }

    /// Ends the run because of an error.
    fn fail(&self, error: ObserverError) {
        self.lock().failed.get_or_insert(error);
        self.stopped.notify_one();
    }

    /// Takes a node's state if a checkpoint needs it.
    fn between_rounds(&self, node: usize, at: Duration, round: u64, state: &dyn Fn() -> NodeState) {
        let mut inner = self.lock();
        inner.highest = inner.highest.max(round);
        if node < self.validators {
            self.show_model(&mut inner, round, state);
        }
        if self.interrupt.load(Ordering::Relaxed) && !inner.stopping {
            inner.stopping = true;
            // States that some nodes gave for an earlier round stay valid: each node resumes at its own time.
            inner.next_checkpoint = inner.next_checkpoint.min(inner.highest + 1);
        }
        if round >= inner.next_checkpoint && !inner.deposits.contains_key(&node) {
            let deposit = self.deposit_of(&inner, node, at, Some(state()));
            inner.deposits.insert(node, deposit);
            self.finish_checkpoints(&mut inner);
        }
    }

    /// Shows the observer the first validator's model before a round with a checkpoint, and after the last.
    fn show_model(&self, inner: &mut Inner, round: u64, state: &dyn Fn() -> NodeState) {
        let due = round.is_multiple_of(self.checkpoint_every) || round == self.length;
        if !due || round <= inner.shown || inner.failed.is_some() {
            return;
        }
        inner.shown = round;
        let NodeState { replicas, average, .. } = state();
        let Some(replica) = replicas.into_iter().next() else { return };
        let mut observer = self.observer.lock().expect("no panic while held");
        let average = average.as_ref().and_then(Average::theta);
        let shown = observer.model(round, &replica);
        let shown = shown.and_then(|()| average.map_or(Ok(()), |theta| observer.average(round, theta)));
        if let Err(error) = shown {
            inner.failed = Some(error);
            self.stopped.notify_one();
        }
    }

    /// Notes that a node has ended.
    pub fn ended(&self, node: usize, at: Duration) {
        let mut inner = self.lock();
        let deposit = self.deposit_of(&inner, node, at, None);
        inner.ended.insert(node, deposit.clone());
        // What it has left for a checkpoint that still waits for a slow node stays good: of the rounds since then, that
        // checkpoint knows nothing.
        inner.deposits.entry(node).or_insert(deposit);
        self.finish_checkpoints(&mut inner);
    }

    fn deposit_of(&self, inner: &Inner, node: usize, at: Duration, state: Option<NodeState>) -> Deposit {
        let entry = &self.nodes[node];
        let (bytes, replicas) = state.map_or((None, Vec::new()), |state| (Some(state.bytes), state.replicas));
        Deposit {
            node: NodeCheckpoint {
                at,
                state: bytes,
                link: entry.link.state(),
                trained: inner.trained[node].clone(),
                sent: entry.accounts.iter().map(|account| account.sent.load(Ordering::Relaxed)).collect(),
                trace: inner.traces[node],
            },
            replicas,
        }
    }

    /// Finishes the checkpoint in progress if no node is missing, and the last one too if all nodes have ended meanwhile.
    fn finish_checkpoints(&self, inner: &mut Inner) {
        let is_complete = |inner: &Inner| {
            let next = inner.next_checkpoint;
            (0..self.nodes.len()).all(|node| inner.deposits.contains_key(&node) || self.nodes[node].joins > next)
        };
        while is_complete(inner) && !self.finish_checkpoint(inner) {}
    }

    /// Hands over a checkpoint for which all have left their state; whether it is the last of the run.
    fn finish_checkpoint(&self, inner: &mut Inner) -> bool {
        // When all nodes have ended, none reads the bucket any more; but the baseline may have rounds left.
        let ended = inner.deposits.values().all(|deposit| deposit.node.state.is_none());
        // Before its state, every validator has reported all earlier rounds. It repeats any report that it made since.
        let rounds = if ended { inner.rounds } else { inner.next_checkpoint.min(inner.rounds) };
        let mut checkpoint = Checkpoint::new(self.run, rounds, inner.digests[&rounds]);
        for node in 0..self.nodes.len() {
            let deposit = inner.deposits.get(&node);
            for replica in deposit.iter().flat_map(|deposit| &deposit.replicas) {
                checkpoint.replicas.entry(replica.digest.0).or_insert_with(|| replica.theta.clone());
            }
            checkpoint.nodes.push(deposit.map(|deposit| deposit.node.clone()));
        }
        if !ended {
            checkpoint.bucket = self.bucket_until(inner, rounds);
            checkpoint.chain = self.log_until(inner);
        }
        // After a failure, the observer may lack rounds that the checkpoint counts as done.
        if inner.failed.is_none()
            && let Err(error) = self.observer.lock().expect("no panic while held").checkpoint(&checkpoint)
        {
            inner.failed = Some(error);
        }
        inner.saved_rounds = checkpoint.rounds;
        inner.digests = inner.digests.split_off(&checkpoint.rounds);
        inner.deposits = inner.ended.clone();
        // While this one waited for a slow node, others went on: the next is before a round that nobody has begun, or it
        // would hold validators that have already told of rounds after it.
        inner.next_checkpoint = (inner.highest / self.checkpoint_every + 1) * self.checkpoint_every;
        if inner.stopping && !ended || inner.failed.is_some() {
            self.stopped.notify_one();
        }
        ended || inner.stopping
    }

    /// The bucket without what nodes put into it after their states before round `rounds`: they put it again.
    fn bucket_until(&self, inner: &Inner, rounds: u64) -> BucketState {
        let cuts: BTreeMap<String, u128> = inner
            .deposits
            .iter()
            .flat_map(|(&node, deposit)| {
                let accounts = self.nodes[node].accounts.iter();
                let prefixes = accounts.map(|account| format!("{}/", keys::prefix(&account.hotkey)));
                prefixes.map(|prefix| (prefix, deposit.node.at.as_millis()))
            })
            .collect();
        let mut state = self.bucket.export();
        state.retain(|path, stamp_ms| {
            if let Some(round) = keys::round_of_record(path) {
                return round < rounds;
            }
            let owner = cuts.range::<str, _>((Bound::Unbounded, Bound::Included(path))).next_back();
            owner.is_some_and(|(prefix, cut)| path.starts_with(prefix) && u128::from(stamp_ms) <= *cut)
        });
        state
    }

    /// The chain's log without what nodes sent after their states.
    fn log_until(&self, inner: &Inner) -> Vec<(u64, crate::chain::Extrinsic)> {
        let mut left: BTreeMap<_, u64> = inner
            .deposits
            .iter()
            .flat_map(|(&node, deposit)| {
                let accounts = self.nodes[node].accounts.iter().map(|account| account.hotkey.0);
                accounts.zip(deposit.node.sent.iter().copied())
            })
            .collect();
        let log = self.ledger.log().into_iter();
        log.filter(|(_, extrinsic)| {
            let left = left.entry(extrinsic.hotkey).or_default();
            let sent_before = *left > 0;
            *left = left.saturating_sub(1);
            sent_before
        })
        .collect()
    }

    /// How the run ended: by itself, or by a stop.
    pub fn outcome(&self, everybody_ended: bool) -> Result<Outcome, RunError> {
        let mut inner = self.lock();
        if let Some(error) = inner.failed.take() {
            return Err(RunError::Observer(error));
        }
        if !everybody_ended {
            return Ok(Outcome::Interrupted(inner.saved_rounds));
        }
        let parts = [&inner.reports].into_iter().chain(&inner.traces).map(|digest| &digest.0[..]);
        Ok(Outcome::Finished(Digest::of_parts(parts)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while held")
    }
}

/// The host of a simulated node: passes everything on to the recorder.
pub struct SimulatedHost {
    pub recorder: Arc<Recorder>,
    pub node: usize,
    pub clock: Clock,
}

impl Host for SimulatedHost {
    fn trace(&self, event: &str) {
        self.recorder.trace(self.node, self.clock.now(), event);
    }

    fn between_rounds(&self, round: u64, state: &dyn Fn() -> NodeState) {
        self.recorder.between_rounds(self.node, self.clock.now(), round, state);
    }

    fn trained(&self, hotkey: &Hotkey, tokens: u64) {
        self.recorder.trained(self.node, hotkey, self.clock.round(), tokens);
    }

    fn without_page(&self, error: &PageError) {
        self.recorder.fail(error.clone().into());
    }

    fn report(&self, report: RoundReport) {
        self.recorder.report(&report);
    }
}
