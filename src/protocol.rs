//! What a scenario's `[protocol]` says: what is the network's, whoever judges its peers.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Put window, how many are aggregated, and how often the list of them is renewed (arXiv 2505.21684).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProtocolSettings {
    /// Peers aggregated.
    pub top_peers: usize,
    /// Peers aggregated at least, drawn from the active ones when too few have a score.
    pub min_peers: usize,
    /// Width of the put window in seconds, centred on the round's end.
    pub put_window_seconds: f64,
    /// The lead validator renews the list of peers to aggregate every so many rounds ...
    pub list_every: u64,
    /// ... effective so many rounds later.
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
