//! What the nodes of a storm tell, kept for the verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::corpus::PageError;
use crate::digest::Digest;
use crate::mechanism::audit;
use crate::node::RoundReport;
use crate::node::ports::{Host, NodeState};
use crate::runtime::NodeHost;
use crate::transport::Hotkey;
use crate::transport::simulated::SimClock;

/// What all nodes have told so far.
pub struct Watch(Mutex<Told>);

/// What is kept of it.
pub struct Told {
    /// A chain of all that each node told, over all its lives.
    pub traces: Vec<Digest>,
    /// The models that each node had before a round: when, which round, the digest in words.
    pub models: Vec<Vec<(u64, u64, String)>>,
    /// Shares of a round's pay that a validator reported: validator, round, their sum.
    pub pay: Vec<(usize, u64, f64)>,
    /// Peers whose work came out differently when a validator did it again: validator, round, peer.
    pub differs: Vec<(usize, u64, Hotkey)>,
    /// The newest round that each node has begun, to see whether it goes on.
    pub begun: BTreeMap<usize, u64>,
}

impl Watch {
    /// Of this many nodes.
    pub fn new(nodes: usize) -> Self {
        let (traces, models) = (vec![Digest::of(b""); nodes], vec![Vec::new(); nodes]);
        Self(Mutex::new(Told { traces, models, pay: Vec::new(), differs: Vec::new(), begun: BTreeMap::new() }))
    }

    /// What has been told.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().expect("no panic while held")
    }
}

/// The host of a node in a storm: the one of a real node, and a listener.
pub struct Watched {
    pub host: Arc<NodeHost>,
    pub watch: Arc<Watch>,
    pub node: usize,
    pub clock: SimClock,
}

impl Watched {
    fn note_model(&self, told: &mut Told, event: &str) {
        let words: Vec<&str> = event.split(' ').collect();
        if let ["model" | "checkpoint", round, digest] = words[..]
            && let Ok(round) = round.parse()
        {
            told.models[self.node].push((self.clock.now_ms(), round, digest.to_string()));
        }
    }
}

impl Host for Watched {
    fn trace(&self, event: &str) {
        let told = &mut *self.watch.told();
        let trace = &mut told.traces[self.node];
        *trace = Digest::of_parts([&trace.0[..], &self.clock.now_ms().to_le_bytes(), event.as_bytes()]);
        self.note_model(told, event);
        self.host.trace(event);
    }

    fn between_rounds(&self, round: u64, state: &dyn Fn() -> NodeState) {
        self.watch.told().begun.insert(self.node, round);
        #[cfg(test)]
        if crate::planted::is(crate::planted::Defect::HalfState) {
            let half = |state: NodeState| NodeState { bytes: state.bytes[..state.bytes.len() / 2].to_vec(), ..state };
            return self.host.between_rounds(round, &|| half(state()));
        }
        self.host.between_rounds(round, state);
    }

    fn slot_over(&self, hotkey: &Hotkey, had_one: bool) {
        self.host.slot_over(hotkey, had_one);
    }

    fn without_slot(&self) {
        self.host.without_slot();
    }

    fn without_page(&self, error: &PageError) {
        self.host.without_page(error);
    }

    fn trained(&self, hotkey: &Hotkey, tokens: u64) {
        self.host.trained(hotkey, tokens);
    }

    fn phase(&self, phase: &'static str, took: Duration) {
        self.host.phase(phase, took);
    }

    fn report(&self, report: RoundReport) {
        let sum = report.peers.iter().map(|peer| peer.incentive).sum();
        let audit = report.columns.iter().position(|column| column.name == audit::COLUMN);
        let differs =
            report.peers.iter().filter(|peer| audit.is_some_and(|at| peer.numbers[at] == Some(audit::DIFFERS)));
        let told = &mut *self.watch.told();
        told.differs.extend(differs.map(|peer| (self.node, report.round, peer.hotkey)));
        told.pay.push((self.node, report.round, sum));
        self.host.report(report);
    }
}
