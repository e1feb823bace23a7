//! Traffic of a round in bytes.

use std::time::Duration;

use chrono::DateTime;

use super::counts::Plan;
use crate::node::ports::Clock;
use crate::transport::{bundle, checkpoint, envelope, record, wire};

/// Bytes that nodes send and receive, without requests, calls to the chain and retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// One peer's upload in a round, sealed if uploads are, and then with its key.
    pub upload: u64,
    /// What one peer receives in a round: the included uploads and the record.
    pub peer_down: u64,
    /// What the deciding validator sends in a round: the bundle of included uploads and the record.
    pub validator_up: u64,
    /// What a validator receives in a round: all uploads.
    pub validator_down: u64,
    /// A checkpoint. The deciding validator sends one at a fixed interval, and each newcomer receives one.
    pub checkpoint: u64,
    /// Megabits per second at which an upload takes the whole put window.
    pub put_window_mbps: f64,
    /// The training state that an audited peer puts and a validator fetches; 0 if nobody audits.
    pub state: u64,
    /// Megabits per second at which a state takes all of the time in which it must be put.
    pub state_mbps: f64,
}

/// Megabits per second that move `bytes` in `seconds`.
pub(super) fn mbps(bytes: u64, seconds: f64) -> f64 {
    8.0 * bytes as f64 / seconds / 1e6
}

impl Plan {
    /// Traffic of a round.
    pub fn traffic(&self) -> Traffic {
        let settings = &self.scenario.protocol;
        let (included, plain) = (settings.top_peers, wire::encoded_len(self.form()));
        let upload = if settings.sealed { envelope::sealed_len(plain) + envelope::KEY_LEN } else { plain };
        let record = record::max_len(included);
        let state = if self.scenario.judge().audits() { 4 * self.scheme.kept_values() as u64 } else { 0 };
        let chain = &self.scenario.chain;
        let clock = Clock::starting(Duration::ZERO, DateTime::UNIX_EPOCH, chain, settings.put_window_seconds)
            .with_reveal_window(settings.reveal_seconds());
        let showing = clock.audit_window(0);
        Traffic {
            upload: upload as u64,
            peer_down: (included * upload + record) as u64,
            validator_up: (bundle::encoded_len(included, plain) + record) as u64,
            validator_down: (self.registered() * upload) as u64,
            checkpoint: checkpoint::encoded_len(self.parameters()) as u64,
            put_window_mbps: mbps(upload as u64, settings.put_window_seconds),
            state,
            state_mbps: mbps(state, (showing.closes - showing.opens).as_secs_f64()),
        }
    }
}
