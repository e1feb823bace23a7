//! The host of a real node: saves its state to disk, puts its reports into the bucket, counts its numbers for
//! Prometheus.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::Notify;

use super::metrics::NodeMetrics;
use super::report;
use super::saver::Saver;
use crate::bucket::untrusted::create;
use crate::digest::Digest;
use crate::node::RoundReport;
use crate::node::ports::{Clock, Host, NodeState};
use crate::transport::{Hotkey, Identity, keys};

/// A state of up to this many bytes is saved every round, a larger one only with checkpoints.
const SMALL_STATE: usize = 64 << 20;

/// The host of one node.
pub struct NodeHost {
    pub run: Digest,
    /// The node's first identity, which stands for it.
    pub identity: Arc<Identity>,
    pub bucket: Arc<dyn ObjectStore>,
    pub clock: Clock,
    pub state: Saver,
    pub metrics: NodeMetrics,
    /// Rounds between two saved states.
    pub save_every: u64,
    /// Set from outside to end the node after its round.
    pub stop: Arc<AtomicBool>,
    /// Notified when the node has ended for that reason.
    pub stopped: Notify,
    /// Number of reports under way.
    pub under_way: Arc<AtomicUsize>,
    /// The node's identities that could not register.
    pub never_had_slot: Mutex<Vec<Hotkey>>,
}

impl NodeHost {
    /// How often to save a node's state.
    pub fn save_every(parameters: usize, checkpoint_every: u64) -> u64 {
        // Replica and momentum.
        if parameters.saturating_mul(8) <= SMALL_STATE { 1 } else { checkpoint_every }
    }

    /// Waits until all reports are in the bucket and the state is on disk.
    pub async fn settle(&self) {
        self.state.settle().await;
        while self.under_way.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Host for NodeHost {
    fn trace(&self, event: &str) {
        if event.starts_with("diverged") {
            self.metrics.diverged();
            tracing::warn!(hotkey = %self.identity.hotkey(), event);
        } else {
            tracing::debug!(hotkey = %self.identity.hotkey(), event);
        }
    }

    fn between_rounds(&self, round: u64, state: &dyn Fn() -> NodeState) {
        self.metrics.round(round, self.clock.round());
        let stopping = self.stop.load(Ordering::Relaxed);
        if stopping || round.is_multiple_of(self.save_every) {
            self.state.save(round, state());
        }
        if stopping {
            self.stopped.notify_one();
        }
    }

    fn slot_over(&self, hotkey: &Hotkey, had_one: bool) {
        if had_one {
            tracing::warn!(%hotkey, "pushed out of its slot");
        } else {
            tracing::warn!(%hotkey, "could not register");
            self.never_had_slot.lock().expect("no panic while held").push(*hotkey);
        }
    }

    fn without_slot(&self) {
        tracing::warn!(hotkey = %self.identity.hotkey(), "no slot is left; the same command registers anew");
        self.state.clear();
    }

    fn phase(&self, phase: &'static str, took: Duration) {
        self.metrics.phase(phase, took);
    }

    fn report(&self, report: RoundReport) {
        tracing::info!(
            round = report.round, decided = report.decided, uploads = report.uploads, loss = report.loss,
            model = %report.model.short(), "round"
        );
        self.metrics.report(&report);
        let key = keys::report(&self.identity.hotkey(), report.round);
        let bytes = report::encode(&self.run, &report, &self.identity);
        let (bucket, under_way) = (self.bucket.clone(), self.under_way.clone());
        under_way.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            // A round that became void after it was decided is told once.
            if let Err(error) = create(&*bucket, &key, bytes).await {
                tracing::warn!(%key, %error, "the round's report was not put");
            }
            under_way.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
