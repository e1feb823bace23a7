//! A strategy's settings in a scenario.

use serde::{Deserialize, Serialize};

use super::schedule::Works;
use super::source::{Of, Source};
use crate::settings::Findings;

/// Largest factor for a payload's values.
const MOST_SCALE: f64 = 1e9;
/// Largest power of a payload's values.
const MOST_POWER: f64 = 16.0;
/// Most extra pages, as a multiple of the assigned ones.
const MOST_EXTRA: f64 = 100.0;
/// Most old models to keep.
const MOST_STALE: usize = 1000;

/// The settings of `strategy`. The defaults are an honest peer's.
///
/// Later settings are written only if they differ from their defaults, because the names of runs cover what is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrategySettings {
    /// The part of its assigned pages on which it trains. At least one page, unless it trains on `extra` ones.
    pub pages: f64,
    /// Additional pages of its own choice, relative to the assigned ones.
    #[serde(skip_serializing_if = "is_default")]
    pub extra: f64,
    /// How many pages it says it trains on, relative to the assigned ones, where the network asks for it. By default the
    /// assigned and the `extra` ones, whatever it leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub says: Option<f64>,
    /// The part of each page on which it trains, from the first token.
    pub tokens: f64,
    /// The part of the model's tensors, from the last one, whose gradient it computes. Those of the others are zero.
    #[serde(skip_serializing_if = "is_one")]
    pub layers: f64,
    /// The part of the model's transformer blocks that it computes, from the first. It skips the others as if they were not
    /// there.
    #[serde(skip_serializing_if = "is_one")]
    pub blocks: f64,
    /// The part of the heads and neurons of each block that it computes, likewise.
    #[serde(skip_serializing_if = "is_one")]
    pub width: f64,
    /// Which part of momentum and error feedback it drops before every round. `true` or 1 drops all, moments too.
    pub fresh: Fresh,
    /// Age in rounds of the model that it computes on.
    #[serde(skip_serializing_if = "is_default")]
    pub stale: usize,
    /// When it works.
    pub works: Works,
    /// Which payloads it mixes into its own.
    pub mix: Source,
    /// Which peers' payloads.
    pub of: Of,
    /// Most payloads to mix in.
    pub top: usize,
    /// Weight of its own pseudo-gradient in a mixture with the mean of the others. Both are scaled to the same size
    /// first, because a mean of payloads that have little in common is smaller than each of them.
    pub own: f64,
    /// The part of the put window that it waits before it looks for uploads of this round.
    pub wait: f64,
    /// The part of a moving average that remains after a round.
    pub decay: f64,
    /// What it sends in rounds without work.
    pub idle: Idle,
    /// Normal noise on every value, in root mean squares.
    pub noise: f64,
    /// Factor of all values; a negative one flips the sign.
    pub scale: f64,
    /// The power to which it raises its values, relative to their root mean square and with their signs. Above 1, it sends more of
    /// what it is sure of, and less of the rest.
    #[serde(skip_serializing_if = "is_one")]
    pub power: f64,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// What a peer sends in a round without work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// Nothing.
    Nothing,
    /// What it sent when it last worked.
    Last,
    /// Only what it would mix in.
    Mix,
}

/// The model whose samples a peer signs. Validators estimate a peer's distance from their model by these samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Samples {
    /// Samples of the model that it computed on.
    #[default]
    Own,
    /// Samples from another peer's upload of this round, or its own if it finds none in time.
    Copied,
}

/// When a peer leaves its slot and registers anew under another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaves {
    /// Rounds under each key.
    pub after: u64,
}

/// How much a peer drops of what it keeps of earlier rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "true, false or a number from 0 to 1")]
pub enum Fresh {
    /// All or nothing.
    All(bool),
    /// A part, from 0 to 1.
    Part(f64),
}

impl Fresh {
    /// The part that it drops.
    pub fn part(self) -> f64 {
        match self {
            Self::All(all) => f64::from(u8::from(all)),
            Self::Part(part) => part,
        }
    }
}

impl Default for StrategySettings {
    fn default() -> Self {
        Self {
            pages: 1.0,
            extra: 0.0,
            says: None,
            tokens: 1.0,
            layers: 1.0,
            blocks: 1.0,
            width: 1.0,
            fresh: Fresh::All(false),
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
            power: 1.0,
            samples: Samples::Own,
            leaves: None,
        }
    }
}

impl StrategySettings {
    /// Checks what types cannot express.
    pub fn check_all(&self, found: &mut Findings) {
        found.not_negative("extra", self.extra);
        found.at_most("extra", self.extra, MOST_EXTRA);
        found.positive("says", self.says.unwrap_or(1.0));
        found.at_most("says", self.says.unwrap_or(1.0), MOST_EXTRA);
        if self.extra > 0.0 {
            found.fraction("pages", self.pages);
        } else {
            found.positive_fraction("pages", self.pages);
        }
        found.fraction("fresh", self.fresh.part());
        found.positive_fraction("tokens", self.tokens);
        found.positive_fraction("layers", self.layers);
        found.fraction("blocks", self.blocks);
        found.positive_fraction("width", self.width);
        found.at_most("stale", self.stale as f64, MOST_STALE as f64);
        found.at_least_one("top", self.top as u64);
        found.fraction("own", self.own);
        found.below_one("wait", self.wait);
        found.below_one("decay", self.decay);
        found.not_negative("noise", self.noise);
        found.at_most("noise", self.noise, MOST_SCALE);
        let expected = format!("-{MOST_SCALE} to {MOST_SCALE}, and not 0");
        found.require(self.scale != 0.0 && self.scale.abs() <= MOST_SCALE, "scale", self.scale, expected);
        found.positive("power", self.power);
        found.at_most("power", self.power, MOST_POWER);
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
            ("says = 0.0", "says"),
            ("says = 101.0", "says"),
            ("tokens = 1.5", "tokens"),
            ("fresh = 1.5", "fresh"),
            ("layers = 0.0", "layers"),
            ("blocks = -0.5", "blocks"),
            ("width = 0.0", "width"),
            ("stale = 1001", "stale"),
            ("top = 0", "top"),
            ("own = -0.1", "own"),
            ("wait = 1.0", "wait"),
            ("idle = \"mix\"", "idle"),
            ("noise = 1e30", "noise"),
            ("decay = 1.0", "decay"),
            ("noise = -1.0", "noise"),
            ("scale = 0.0", "scale"),
            ("power = 0.0", "power"),
            ("power = 17.0", "power"),
            ("works = { every = 0 }", "works.every"),
            ("works = { bin-of = 0 }", "works.bin-of"),
            ("works = { slots = 0 }", "works.slots"),
            ("works = { after-audit = 0 }", "works.after-audit"),
            ("leaves = { after = 0 }", "leaves.after"),
        ] {
            assert_eq!(refused(&format!("{{ kind = \"strategy\", {setting} }}")), [key], "{setting}");
        }
    }

    #[test]
    fn it_leaves_after_the_set_number_of_rounds() {
        assert_eq!(said("\"strategy\"").renews(), None);
        assert_eq!(said("{ kind = \"strategy\", leaves = { after = 7 } }").renews(), Some(7));
    }

    #[test]
    fn later_settings_are_written_only_if_set() {
        let written = toml::to_string(&StrategySettings::default()).unwrap();
        assert!(["extra", "stale", "samples", "leaves"].iter().all(|key| !written.contains(key)), "{written}");
        let leaves = StrategySettings { leaves: Some(Leaves { after: 3 }), ..StrategySettings::default() };
        assert!(toml::to_string(&leaves).unwrap().contains("after = 3"));
    }
}
