//! A strategy put together from parts: how much a peer works and when, what it mixes into its upload, and what it sends
//! when it does not work. Most ways to be paid for less are points in this space.
//!
//! | file | what it holds |
//! |---|---|
//! | `source` | whose payloads it mixes in, and when they can be had |
//! | `schedule` | the rounds in which it works |
//!
//! It sees what any node can see at that time: the chain, the bucket, and its own state.

mod schedule;
mod source;

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::schedule::Works;
use self::source::{Of, Source};
use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use super::values::map_values;
use crate::corpus::PageId;
use crate::random::normal;
use crate::settings::Findings;
use crate::training::PseudoGradient;
use crate::training::aggregate::exact::rms;
use crate::training::mix::{Part, bounded, mix};

/// Largest factor of a payload's values.
const MOST_SCALE: f64 = 1e9;

/// The settings of `strategy`. The defaults are an honest peer's.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrategySettings {
    /// The part of its assigned pages that it trains on; one page at least.
    pages: f64,
    /// The part of each page that it trains on: its first tokens.
    tokens: f64,
    /// Starts every round without the momentum, error feedback and moments of earlier rounds.
    fresh: bool,
    /// When it works.
    works: Works,
    /// Whose payloads it mixes into its own.
    mix: Source,
    /// Which of them.
    of: Of,
    /// How many of them, the best paid first.
    top: usize,
    /// Weight of its own pseudo-gradient in a mixture; the others share the rest.
    own: f64,
    /// The part of the put window that it lets pass before it looks for uploads of this round.
    wait: f64,
    /// What a moving average keeps of itself in a round.
    decay: f64,
    /// What it sends in rounds in which it does not work.
    idle: Idle,
    /// Adds normal noise of this many root mean squares to every value.
    noise: f64,
    /// Factor of all values; a negative one turns the sign.
    scale: f64,
}

/// What a peer sends that has not worked in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Idle {
    /// Nothing.
    Nothing,
    /// What it sent when it worked last.
    Last,
    /// What it would mix in, without anything of its own.
    Mix,
}

impl Default for StrategySettings {
    fn default() -> Self {
        Self {
            pages: 1.0,
            tokens: 1.0,
            fresh: false,
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
        }
    }
}

impl BehaviourSettings for StrategySettings {
    fn check(&self, found: &mut Findings) {
        found.positive_fraction("pages", self.pages);
        found.positive_fraction("tokens", self.tokens);
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
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Strategy { settings: self.clone(), state: Mutex::default() })
    }
}

struct Strategy {
    settings: StrategySettings,
    state: Mutex<State>,
}

/// What it remembers, of all of its slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// What each slot sent when it worked last.
    last: Vec<Option<PseudoGradient>>,
    /// The moving average of what each slot saw of others, and the round of its newest part.
    average: Vec<Option<(u64, PseudoGradient)>>,
}

#[async_trait]
impl Behaviour for Strategy {
    async fn works(&mut self, around: &Surroundings<'_>) -> bool {
        self.settings.works.now(around).await
    }

    fn forgets(&self) -> bool {
        self.settings.fresh
    }

    fn part_of_page(&self) -> f64 {
        self.settings.tokens
    }

    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        let mut pages = around.assigned();
        pages.truncate((pages.len() as f64 * self.settings.pages).round().max(1.0) as usize);
        pages
    }

    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let worked = own.is_some();
        if !worked && self.settings.idle == Idle::Nothing {
            return None;
        }
        if !worked && self.settings.idle == Idle::Last {
            return self.state().last.get(around.slot).cloned().flatten();
        }
        let others = self.others(around).await;
        let left = if worked { 1.0 - self.settings.own } else { 1.0 };
        let share = left / others.len().max(1) as f64;
        let mut parts: Vec<Part> = others.iter().map(|payload| Part { payload, weight: share }).collect();
        parts.extend(own.as_ref().map(|payload| Part { payload, weight: self.settings.own }));
        // Nothing to mix in leaves the own one as it is.
        let made = if others.is_empty() { own } else { mix(&around.network.shape, &parts) };
        let sent = self.finished(made?, around);
        if worked {
            let mut state = self.state();
            let slots = state.last.len().max(around.slot + 1);
            state.last.resize(slots, None);
            state.last[around.slot] = Some(sent.clone());
        }
        Some(sent)
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        // It has waited for others already, and must not be late.
        if self.settings.mix == Source::Now { around.window.opens } else { around.put_spread() }
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&*self.state()).expect("a plain structure")
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let state = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        self.state = Mutex::new(state);
        Ok(())
    }
}

impl Strategy {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// The payloads that it mixes in.
    async fn others(&self, around: &Surroundings<'_>) -> Vec<PseudoGradient> {
        let settings = &self.settings;
        if settings.mix == Source::Now {
            let window = around.window;
            let look = window.opens + (window.closes - window.opens).mul_f64(settings.wait);
            around.ports.clock.sleep_until(look).await;
        }
        let found = settings.mix.payloads(around, settings.of, settings.top).await;
        if settings.mix != Source::Average {
            return found;
        }
        let mut state = self.state();
        let slots = state.average.len().max(around.slot + 1);
        state.average.resize(slots, None);
        let average = &mut state.average[around.slot];
        let is_new = average.as_ref().is_none_or(|(round, _)| *round < around.round);
        if is_new && !found.is_empty() {
            let share = 1.0 / found.len() as f64;
            let kept = average.as_ref().map_or(0.0, |_| settings.decay);
            let mut parts: Vec<Part> =
                found.iter().map(|payload| Part { payload, weight: (1.0 - kept) * share }).collect();
            parts.extend(average.as_ref().map(|(_, payload)| Part { payload, weight: kept }));
            *average = mix(&around.network.shape, &parts).map(|mixed| (around.round, mixed));
        }
        average.iter().map(|(_, payload)| payload.clone()).collect()
    }

    /// The payload with noise and scale.
    fn finished(&self, made: PseudoGradient, around: &Surroundings) -> PseudoGradient {
        let (noise, scale) = (self.settings.noise, self.settings.scale);
        let mut made = made;
        if noise > 0.0 {
            let mut rng = around.rng("strategy noise");
            for tensor in &mut made.tensors {
                let size = noise * rms(&tensor.values);
                let noisy = |value: f32, draw: f32| bounded(f64::from(value) + size * f64::from(draw));
                tensor.values.iter_mut().for_each(|value| *value = noisy(*value, normal(&mut rng)));
            }
        }
        if scale == 1.0 { made } else { map_values(made, |value| bounded(f64::from(value) * scale)) }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        assert!(refused("\"strategy\"").is_empty());
        assert!(refused("{ kind = \"strategy\", mix = \"now\", works = { every = 3 }, idle = \"mix\" }").is_empty());
        for (setting, key) in [
            ("pages = 0.0", "pages"),
            ("tokens = 1.5", "tokens"),
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
        ] {
            assert_eq!(refused(&format!("{{ kind = \"strategy\", {setting} }}")), [key], "{setting}");
        }
    }

    #[test]
    fn a_state_comes_back() {
        let strategy = said("{ kind = \"strategy\", idle = \"last\" }").build();
        let mut again = said("{ kind = \"strategy\", idle = \"last\" }").build();
        again.restore(&strategy.save()).unwrap();
        assert!(again.restore(&[1, 2, 3]).is_err());
    }
}
