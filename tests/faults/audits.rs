//! Audits while things go wrong between an upload and what must be shown of it: it costs those who are audited then what the audit
//! is about, and the network nothing.

use std::time::Duration;

use super::killed::{self, KILLED, VICTIM};
use super::schedule::{More, PEERS};
use super::{Network, ROUND, SEALED_WINDOW};

/// The round after which the store is down while states are due.
const DOWN: u64 = 8;

#[test]
fn a_missing_state_costs_an_audit_and_nothing_else() {
    let mut network = killed::run_until(DOWN + 1, More::Audits);
    network.go_down_while_states_are_due(DOWN);
    network.finish();

    killed::assert_went_on(&mut network);
    let reported = network.reported();
    // In the first round they register, and after the last one nobody is asked.
    for round in 1..11 {
        for peer in 0..PEERS {
            let told = &reported[&(round, network.peers[peer].hotkey.clone())];
            let (status, audit) = (told["status"].as_str().unwrap(), told["numbers"][0].as_f64());
            let expected: (&[&str], &[Option<f64>]) = match round {
                // It is not there to show anything, and has lost the state that it ended with, so that it leaves out a round.
                KILLED if peer == VICTIM => (&["passed"], &[Some(0.0)]),
                5 if peer == VICTIM => (&["absent"], &[None]),
                6 if peer == VICTIM => (&["passed"], &[Some(1.0)]),
                // Validators could not ask, or nobody could answer.
                DOWN => (&["passed"], &[None, Some(0.0)]),
                _ => (&["passed"], &[Some(1.0)]),
            };
            let is_as_expected = expected.0.contains(&status) && expected.1.contains(&audit);
            assert!(is_as_expected, "peer {peer} in round {round}: {status}, {audit:?}");
        }
    }
}

impl Network {
    /// From when validators have asked for the states of a round until they have looked for them.
    fn go_down_while_states_are_due(&mut self, round: u64) {
        let window = ROUND.mul_f64(SEALED_WINDOW / 2.0);
        let from = ROUND * (round as u32 + 1) + window;
        let until = ROUND * (round as u32 + 2) - window;
        let at = |part| from + (until - from).mul_f64(part);
        while self.time.now() < at(0.2) {
            assert!(self.time.step(), "time stands still\n{}", self.said());
        }
        self.server.go_down();
        let time = at(0.6).saturating_sub(self.time.now());
        assert!(self.time.pass(time.max(Duration::from_millis(100))), "time stands still\n{}", self.said());
        self.server.come_back();
    }
}
