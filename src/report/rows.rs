//! Turns a validator's report on a round into lines of the CSV files.

use std::collections::BTreeMap;

use super::{PeerRow, RoundRow, SlotRow};
use crate::Uid;
use crate::engine::{Cost, Traffic};
use crate::mechanism::Column;
use crate::node::{PeerReport, RoundReport};
use crate::scenario::Scenario;
use crate::transport::Hotkey;

/// The peers of a run, whose names and labels reports do not contain.
pub struct Rows {
    /// The mechanism's columns in the files.
    columns: Vec<Column>,
    /// Index and label of each peer by its key.
    peers: BTreeMap<Hotkey, (u32, String)>,
    /// Whether the run has an average of its last models.
    has_average: bool,
    /// The holder of each slot.
    holders: BTreeMap<Uid, u32>,
}

/// The lines of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRows {
    pub round: RoundRow,
    pub peers: Vec<PeerRow>,
    /// Slots with a new holder.
    pub slots: Vec<SlotRow>,
}

impl Rows {
    /// Starts from the slot changes of a run so far.
    pub fn new(scenario: &Scenario, columns: &[Column], slots: &[SlotRow]) -> Self {
        let mut peers: BTreeMap<Hotkey, (u32, String)> = BTreeMap::new();
        for operator in scenario.each_operator() {
            // A peer that registers again under another key keeps its index.
            let (slots, label) = (operator.slots().cycle(), operator.label());
            let keys = scenario.all_identities(&operator).into_iter().zip(slots);
            peers.extend(keys.map(|(identity, slot)| (identity.hotkey(), (slot as u32, label.clone()))));
        }
        // Strangers keep the indices that they had before the writer was restarted.
        for slot in slots {
            if let Ok(hotkey) = slot.hotkey.parse() {
                peers.entry(hotkey).or_insert_with(|| (slot.peer, slot.behaviour.clone()));
            }
        }
        let holders = slots.iter().map(|slot| (slot.uid, slot.peer)).collect();
        Self { columns: columns.to_vec(), peers, has_average: scenario.training.average.is_some(), holders }
    }

    /// The lines of a report. Traffic and costs are known only for a simulated network.
    pub fn of(&mut self, report: &RoundReport, traffic: Option<&Traffic>) -> RoundRows {
        let mut slots = Vec::new();
        let cost = |peer: &PeerReport| traffic.and_then(|traffic| traffic.peers.get(&peer.hotkey)).copied();
        let peers: Vec<PeerRow> =
            report.peers.iter().map(|peer| self.peer(report, peer, cost(peer), &mut slots)).collect();
        let round = RoundRow {
            round: report.round,
            virtual_seconds: report.at.as_secs_f64(),
            lr: report.lr,
            loss: report.loss,
            train_loss: report.train_loss,
            aggregated: peers.iter().filter(|peer| peer.aggregated).count(),
            uploads: report.uploads,
            forward_passes: Some(report.forward_passes),
            bytes_up: traffic.map(|traffic| traffic.up),
            bytes_down: traffic.map(|traffic| traffic.down),
            replica_digest: report.model,
            average_loss: self.has_average.then_some(report.average_loss),
        };
        RoundRows { round, peers, slots }
    }

    fn peer(
        &mut self,
        report: &RoundReport,
        peer: &PeerReport,
        cost: Option<Cost>,
        slots: &mut Vec<SlotRow>,
    ) -> PeerRow {
        let (round, next) = (report.round, self.peers.len() as u32);
        // Matched by name, as another validator may run a version whose mechanism has other columns.
        let numbers = self.columns.iter().map(|column| report.number(peer, &column.name)).collect();
        // Anybody may join a real network, and the behaviour of strangers is not known.
        let (owner, behaviour) = self.peers.entry(peer.hotkey).or_insert_with(|| (next, "peer".into())).clone();
        if self.holders.insert(peer.uid, owner) != Some(owner) {
            let (uid, hotkey, behaviour) = (peer.uid, peer.hotkey.to_string(), behaviour.clone());
            slots.push(SlotRow { round, uid, peer: owner, hotkey, behaviour });
        }
        PeerRow {
            round,
            uid: peer.uid,
            owner,
            behaviour,
            status: peer.status,
            steps_behind: peer.steps_behind,
            numbers,
            incentive: peer.incentive,
            aggregated: peer.aggregated,
            tokens: cost.map(|cost| cost.tokens),
            bytes_up: cost.map(|cost| cost.up),
            bytes_down: cost.map(|cost| cost.down),
        }
    }
}
