//! The `[protocol]` section of a scenario: rules of the network that hold for any mechanism.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Put window, number of peers aggregated, and renewal of the list of them (arXiv 2505.21684); sealed uploads.
///
/// Later settings are written only if they are set, because the names of runs cover what is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProtocolSettings {
    /// Peers to aggregate.
    pub top_peers: usize,
    /// The fewest peers to aggregate. When too few have a score, active peers are drawn to fill up.
    pub min_peers: usize,
    /// Width of the put window in seconds, centred on the end of the round.
    pub put_window_seconds: f64,
    /// Whether peers encrypt their uploads, and put the keys when the put window has closed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// Seconds after the put window in which the keys of sealed uploads must arrive.
    #[serde(skip_serializing_if = "is_default_reveal")]
    pub reveal_window_seconds: f64,
    /// The most pages that a peer may say it trains on, as a multiple of `training.pages_per_round`. With 1 it says nothing,
    /// and is expected to train on as many as that.
    #[serde(skip_serializing_if = "is_one")]
    pub most_pages: f64,
    /// Rounds between two lists of peers to aggregate by the lead validator.
    pub list_every: u64,
    /// Rounds from a list to when it takes effect.
    pub list_delay: u64,
}

/// A late peer's clock, the store's stamps of whole seconds, and a put that is tried again fit in.
const REVEAL_SECONDS: f64 = 5.0;
/// In a shorter reveal window an honest peer has no time: it waits for stamps of whole seconds and for clocks that are
/// behind.
const LEAST_REVEAL_SECONDS: f64 = 2.0;

fn is_default_reveal(seconds: &f64) -> bool {
    *seconds == REVEAL_SECONDS
}

/// Largest value of `most_pages`.
const MOST_PAGES: f64 = 100.0;

fn is_one(multiple: &f64) -> bool {
    *multiple == 1.0
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        Self {
            top_peers: 15,
            min_peers: 5,
            put_window_seconds: 10.0,
            sealed: false,
            reveal_window_seconds: REVEAL_SECONDS,
            most_pages: 1.0,
            list_every: 5,
            list_delay: 2,
        }
    }
}

impl ProtocolSettings {
    /// Seconds from the end of the put window to when a round can be judged: the reveal window, if uploads are sealed.
    pub fn reveal_seconds(&self) -> f64 {
        if self.sealed { self.reveal_window_seconds } else { 0.0 }
    }

    /// Whether uploads say how many pages their peers trained on.
    pub fn says_pages(&self) -> bool {
        self.most_pages > 1.0
    }

    /// The most pages that count, if `assigned` are expected of everybody.
    pub fn pages_that_count(&self, assigned: usize) -> usize {
        (self.most_pages * assigned as f64).floor() as usize
    }

    /// Checks what a type cannot tell.
    pub fn check(&self, found: &mut Findings) {
        let top = self.top_peers;
        found.at_least_one("top_peers", top as u64);
        let expected = format!("{top} at most, as protocol.top_peers");
        found.require_with(self.min_peers <= top, "min_peers", self.min_peers, expected, Some("protocol.top_peers"));
        found.positive("put_window_seconds", self.put_window_seconds);
        let (reveal, least) = (self.reveal_window_seconds, LEAST_REVEAL_SECONDS);
        found.require(reveal >= least, "reveal_window_seconds", reveal, format!("{least} or more"));
        let most = self.most_pages;
        found.require((1.0..=MOST_PAGES).contains(&most), "most_pages", most, format!("1 to {MOST_PAGES}"));
        found.at_least_one("list_every", self.list_every);
    }
}
