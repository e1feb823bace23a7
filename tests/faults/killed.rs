//! A peer that is killed between its upload and what has to follow it, and is started again one round later.

use super::Network;
use super::schedule::{Event, Moment, More, Planned, Schedule};

/// The round in which the peer is killed.
pub const KILLED: u64 = 4;
pub const VICTIM: usize = 1;

const ROUNDS: u64 = 12;

/// Runs such a network up to a round.
pub fn run_until(round: u64, more: More) -> Network {
    let planned = [
        (KILLED, Moment::Uploaded(VICTIM), Event::KillPeer(VICTIM)),
        (KILLED + 1, Moment::Begun, Event::StartPeer(VICTIM)),
    ];
    let planned = planned.map(|(round, moment, event)| Planned { round, moment, event });
    let mut network = Network::start(Schedule { seed: 5, rounds: ROUNDS, planned: planned.into(), more });
    for round in 1..round {
        for planned in network.schedule.planned.clone().into_iter().filter(|planned| planned.round == round) {
            network.wait_until(round, planned.moment);
            network.happen(planned);
        }
        network.wait_until(round, Moment::Decided);
    }
    network
}

/// Asserts that all rounds were decided, each on the model after the one before, and that no node has panicked.
pub fn assert_went_on(network: &mut Network) {
    let records = network.records();
    assert!(records.keys().copied().eq(0..ROUNDS), "a record for every round: {:?}", records.keys());
    for (before, after) in records.values().zip(records.values().skip(1)) {
        assert_eq!(before.model_after, after.model_before, "round {} goes on from the one before", after.round);
    }
    for node in network.nodes() {
        assert!(!node.said().contains("panicked"), "{}\n{}", node.name, node.said());
    }
}
