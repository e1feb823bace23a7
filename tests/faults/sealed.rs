//! Sealed uploads while things go wrong between upload and key: whoever's key is missing loses that round and nothing
//! else.

use std::collections::BTreeMap;
use std::time::Duration;

use gauntlet::transport::sealed;

use super::killed::{self, KILLED, VICTIM};
use super::schedule::{More, PEERS};
use super::{Network, ROUND};

/// The round in which the store is down while keys are due.
const DOWN: u64 = 8;

#[test]
fn a_missing_key_costs_a_round_and_nothing_else() {
    let mut network = killed::run_until(DOWN, More::Seals);
    network.go_down_while_keys_are_due(DOWN);
    network.finish();

    killed::assert_went_on(&mut network);
    let records = network.records();
    assert!(records[&DOWN].included.is_empty(), "{:?}", records[&DOWN].included);
    let statuses = network.statuses();
    // In the first round they register.
    for round in 1..12 {
        for peer in 0..PEERS {
            let status = statuses[&(round, network.peers[peer].hotkey.clone())].as_str();
            let expected: &[&str] = match round {
                // Keys arrive when the store is there again. A validator that has tried until then may see them.
                DOWN => &["absent", "late_key"],
                KILLED if peer == VICTIM => &["absent"],
                _ => &["passed"],
            };
            assert!(expected.contains(&status), "peer {peer} in round {round}: {status}");
        }
    }
}

impl Network {
    /// From when validators have fetched the sealed uploads of a round until a while after its keys were due.
    fn go_down_while_keys_are_due(&mut self, round: u64) {
        let window = ROUND.mul_f64(super::SEALED_WINDOW / 2.0);
        let closes = ROUND * (round as u32 + 1) + window;
        while self.time.now() < closes + Duration::from_millis(100) {
            assert!(self.time.step(), "time stands still\n{}", self.said());
        }
        self.server.go_down();
        let time = ROUND.mul_f64(super::SEALED_REVEAL) + Duration::from_millis(1500);
        assert!(self.time.pass(time), "time stands still without a store\n{}", self.said());
        self.server.come_back();
    }

    /// Each peer's status in each round, by its hotkey, as the validator that decided reported it.
    fn statuses(&self) -> BTreeMap<(u64, String), String> {
        let status =
            |(of, peer): ((u64, String), serde_json::Value)| (of, peer["status"].as_str().unwrap().to_string());
        self.reported().into_iter().map(status).collect()
    }

    /// All that the validator that decided a round reported of each peer, by round and hotkey.
    pub fn reported(&self) -> BTreeMap<(u64, String), serde_json::Value> {
        let mut reported = BTreeMap::new();
        for (key, bytes) in self.server.bucket().history("nodes/") {
            if !key.contains("/reports/") {
                continue;
            }
            let (told, _) = sealed::open::<serde_json::Value>("report", &bytes, 1 << 20).unwrap();
            let report = &told["report"];
            for peer in report["peers"].as_array().unwrap().iter().filter(|_| report["decided"] == true) {
                let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
                let of = (report["round"].as_u64().unwrap(), text(&peer["hotkey"]));
                reported.insert(of, peer.clone());
            }
        }
        reported
    }
}
