//! The `[protocol]` section of a scenario: rules of the network that hold for any mechanism.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Put window, number of peers aggregated, and renewal of the list of them (arXiv 2505.21684).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProtocolSettings {
    /// Peers to aggregate.
    pub top_peers: usize,
    /// The fewest peers to aggregate. When too few have a score, active peers are drawn to fill up.
    pub min_peers: usize,
    /// Width of the put window in seconds, centred on the end of the round.
    pub put_window_seconds: f64,
    /// Rounds between two lists of peers to aggregate by the lead validator.
    pub list_every: u64,
    /// Rounds from a list to when it takes effect.
    pub list_delay: u64,
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        Self { top_peers: 15, min_peers: 5, put_window_seconds: 10.0, list_every: 5, list_delay: 2 }
    }
}

impl ProtocolSettings {
    /// Checks what a type cannot tell.
    pub fn check(&self, found: &mut Findings) {
        let top = self.top_peers;
        found.at_least_one("top_peers", top as u64);
        let expected = format!("{top} at most, as protocol.top_peers");
        found.require_with(self.min_peers <= top, "min_peers", self.min_peers, expected, Some("protocol.top_peers"));
        found.positive("put_window_seconds", self.put_window_seconds);
        found.at_least_one("list_every", self.list_every);
    }
}
