//! What a scenario says of a strategy.

use serde::{Deserialize, Serialize};

use super::schedule::Works;
use super::source::{Of, Source};
use crate::settings::Findings;

/// Largest factor of a payload's values.
const MOST_SCALE: f64 = 1e9;
/// Times its assigned pages that it trains on beside them, at most.
const MOST_EXTRA: f64 = 100.0;
/// As many old models are kept, at most.
const MOST_STALE: usize = 1000;

/// The settings of `strategy`. The defaults are an honest peer's.
///
/// Settings that came later are not written while they are at their defaults: the names of runs cover what is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrategySettings {
    /// The part of its assigned pages that it trains on; one page at least, unless it trains on `extra` ones.
    pub pages: f64,
    /// Pages of its own choice that it trains on besides, as a part of the assigned ones.
    #[serde(skip_serializing_if = "is_default")]
    pub extra: f64,
    /// The part of each page that it trains on: its first tokens.
    pub tokens: f64,
    /// Starts every round without the momentum, error feedback and moments of earlier rounds.
    pub fresh: bool,
    /// It computes on the model of so many rounds ago.
    #[serde(skip_serializing_if = "is_default")]
    pub stale: usize,
    /// When it works.
    pub works: Works,
    /// Whose payloads it mixes into its own.
    pub mix: Source,
    /// Which of them.
    pub of: Of,
    /// How many of them, the best paid first.
    pub top: usize,
    /// Weight of its own pseudo-gradient in a mixture with the mean of the others. Both count as equally large before: a mean
    /// of payloads that have little in common is smaller than each of them.
    pub own: f64,
    /// The part of the put window that it lets pass before it looks for uploads of this round.
    pub wait: f64,
    /// What a moving average keeps of itself in a round.
    pub decay: f64,
    /// What it sends in rounds in which it does not work.
    pub idle: Idle,
    /// Adds normal noise of this many root mean squares to every value.
    pub noise: f64,
    /// Factor of all values; a negative one turns the sign.
    pub scale: f64,
    /// Which model's samples it signs.
    #[serde(skip_serializing_if = "is_default")]
    pub samples: Samples,
    /// When it leaves and registers anew.
    #[serde(skip_serializing_if = "is_default")]
    pub leaves: Option<Leaves>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a peer sends that has not worked in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// Nothing.
    Nothing,
    /// What it sent when it worked last.
    Last,
    /// What it would mix in, without anything of its own.
    Mix,
}

/// Which samples of a model a peer signs, by which validators tell how far away that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Samples {
    /// Those of the model that it computed on.
    #[default]
    Own,
    /// Those of another peer's upload of this round; its own where it finds none in time.
    Copied,
}

/// When a peer leaves its slot and registers anew under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaves {
    /// After so many rounds under a key.
    pub after: u64,
}

impl Default for StrategySettings {
    fn default() -> Self {
        Self {
            pages: 1.0,
            extra: 0.0,
            tokens: 1.0,
            fresh: false,
            stale: 0,
            works: Works::Always,
            mix: Source::None,
            of: Of::Best,
            top: 6,
            own: 0.5,
            wait: 0.5,
            decay: 0.9,
            idle: Idle::Nothing,
            noise: 0.0,
            scale: 1.0,
            samples: Samples::Own,
            leaves: None,
        }
    }
}

impl StrategySettings {
    /// Checks what a type cannot tell.
    pub fn check_all(&self, found: &mut Findings) {
        found.not_negative("extra", self.extra);
        found.at_most("extra", self.extra, MOST_EXTRA);
        if self.extra > 0.0 {
            found.fraction("pages", self.pages);
        } else {
            found.positive_fraction("pages", self.pages);
        }
        found.positive_fraction("tokens", self.tokens);
        found.at_most("stale", self.stale as f64, MOST_STALE as f64);
        found.at_least_one("top", self.top as u64);
        found.fraction("own", self.own);
        found.below_one("wait", self.wait);
        found.below_one("decay", self.decay);
        found.not_negative("noise", self.noise);
        found.at_most("noise", self.noise, MOST_SCALE);
        let expected = format!("-{MOST_SCALE} to {MOST_SCALE}, and not 0");
        found.require(self.scale != 0.0 && self.scale.abs() <= MOST_SCALE, "scale", self.scale, expected);
        self.works.check(found);
        let nothing = self.idle == Idle::Mix && self.mix == Source::None;
        found.require(!nothing, "idle", "`mix`", "`nothing` or `last`, as `mix` is `none`");
        found.at_least_one("leaves.after", self.leaves.map_or(1, |leaves| leaves.after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        assert!(refused("\"strategy\"").is_empty());
        assert!(refused("{ kind = \"strategy\", mix = \"now\", works = { every = 3 }, idle = \"mix\" }").is_empty());
        assert!(refused("{ kind = \"strategy\", pages = 0.0, extra = 1.0 }").is_empty());
        for (setting, key) in [
            ("pages = 0.0", "pages"),
            ("extra = 101.0", "extra"),
            ("extra = -1.0", "extra"),
            ("tokens = 1.5", "tokens"),
            ("stale = 1001", "stale"),
            ("top = 0", "top"),
            ("own = -0.1", "own"),
            ("wait = 1.0", "wait"),
            ("idle = \"mix\"", "idle"),
            ("noise = 1e30", "noise"),
            ("decay = 1.0", "decay"),
            ("noise = -1.0", "noise"),
            ("scale = 0.0", "scale"),
            ("works = { every = 0 }", "works.every"),
            ("works = { bin-of = 0 }", "works.bin-of"),
            ("works = { slots = 0 }", "works.slots"),
            ("leaves = { after = 0 }", "leaves.after"),
        ] {
            assert_eq!(refused(&format!("{{ kind = \"strategy\", {setting} }}")), [key], "{setting}");
        }
    }

    #[test]
    fn it_leaves_when_it_is_said_to() {
        assert_eq!(said("\"strategy\"").renews(), None);
        assert_eq!(said("{ kind = \"strategy\", leaves = { after = 7 } }").renews(), Some(7));
    }

    #[test]
    fn settings_that_came_later_are_written_only_where_they_say_something() {
        let written = toml::to_string(&StrategySettings::default()).unwrap();
        assert!(["extra", "stale", "samples", "leaves"].iter().all(|key| !written.contains(key)), "{written}");
        let leaves = StrategySettings { leaves: Some(Leaves { after: 3 }), ..StrategySettings::default() };
        assert!(toml::to_string(&leaves).unwrap().contains("after = 3"));
    }
}
