//! A strategy built from parts: how much a peer works and when, what it mixes into its upload, what it sends when it
//! does not work, and when it leaves. Most ways to be paid for less are points in this space. Some behaviours are named
//! points (`lazy`, `free-rider`, `stale`, `sign-flip`, `rescaled`).
//!
//! | file | what it holds |
//! |---|---|
//! | `settings` | the parts, and their settings in a scenario |
//! | `source` | whose payloads it mixes in, and when they are available |
//! | `schedule` | the rounds in which it works |
//!
//! It sees what any node can see at that time: the chain, the bucket, and its own state.

mod schedule;
mod settings;
mod source;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::settings::{Idle, Samples};
use super::seam::{Behaviour, BehaviourSettings, Claim, Surroundings};
use super::state::Shared;
use super::values::map_values;
use crate::corpus::PageId;
use crate::random::normal;
use crate::settings::Findings;
use crate::training::aggregate::exact::rms;
use crate::training::coefficients::bounded;
use crate::training::mix::{Part, mix};
use crate::training::{Kept, PseudoGradient};

pub use self::settings::StrategySettings;
pub use self::source::{Of, Source, uploads};

impl BehaviourSettings for StrategySettings {
    fn check(&self, found: &mut Findings) {
        self.check_all(found);
    }

    fn renews(&self) -> Option<u64> {
        self.leaves.map(|leaves| leaves.after)
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Strategy::new(self.clone()))
    }
}

/// A peer that follows a strategy.
pub struct Strategy {
    settings: StrategySettings,
    state: Shared<State>,
}

/// The state of all slots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// What each slot sent when it last worked, if it may send it again.
    last: Vec<Option<PseudoGradient>>,
    /// The moving average of others' payloads as each slot saw them, with its newest round.
    average: Vec<Option<(u64, PseudoGradient)>>,
    /// The last round of which a validator has asked for each slot's work, if that matters.
    asked: Vec<Option<u64>>,
}

/// The entry of a slot, which is created if missing.
fn of_slot<T: Clone>(entries: &mut Vec<Option<T>>, slot: usize) -> &mut Option<T> {
    let slots = entries.len().max(slot + 1);
    entries.resize(slots, None);
    &mut entries[slot]
}

#[async_trait]
impl Behaviour for Strategy {
    async fn works(&mut self, around: &Surroundings<'_>) -> bool {
        let mut asked = *of_slot(&mut self.state.lock().asked, around.slot);
        let works = self.settings.works.now(around, &mut asked).await;
        *of_slot(&mut self.state.lock().asked, around.slot) = asked;
        works
    }

    fn forgets(&self) -> f64 {
        self.settings.fresh.part()
    }

    fn part_of_page(&self) -> f64 {
        self.settings.tokens
    }

    fn part_of_model(&self) -> Kept {
        Kept { blocks: self.settings.blocks, width: self.settings.width }
    }

    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        let part = |of: f64| (around.expected as f64 * of).round() as usize;
        let (own, extra) = (part(self.settings.pages), part(self.settings.extra));
        let mut pages = around.pages(if extra == 0 { own.max(1) } else { own });
        pages.extend(around.further(extra));
        pages
    }

    fn pages_said(&self, expected: usize) -> usize {
        let said = self.settings.says.unwrap_or(1.0 + self.settings.extra);
        (expected as f64 * said).round().max(1.0) as usize
    }

    fn model_age(&self) -> usize {
        self.settings.stale
    }

    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let worked = own.is_some();
        if !worked && self.settings.idle == Idle::Nothing {
            return None;
        }
        if !worked && self.settings.idle == Idle::Last {
            return of_slot(&mut self.state.lock().last, around.slot).clone();
        }
        let made = match (own, self.others(around).await) {
            (Some(own), Some(others)) => {
                let weight = self.settings.own;
                let parts = [Part { payload: &own, weight }, Part { payload: &others, weight: 1.0 - weight }];
                mix(&around.network.shape, &parts)
            }
            // Without others' payloads, its own stays as it is.
            (own, others) => own.or(others),
        };
        let sent = self.finished(made?, around);
        if worked && self.settings.idle == Idle::Last {
            *of_slot(&mut self.state.lock().last, around.slot) = Some(sent.clone());
        }
        Some(sent)
    }

    async fn claim(&self, own: Claim, around: &Surroundings<'_>) -> Claim {
        if self.settings.samples == Samples::Own {
            return own;
        }
        around.ports.clock.sleep_until(around.part_of_window(self.settings.wait)).await;
        let copied = source::claim(around, self.settings.of).await;
        copied.map_or(own.clone(), |copied| Claim { pages: own.pages, ..copied })
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        // It has already waited for others, and must not be late.
        let waited = self.settings.mix == Source::Now || self.settings.samples == Samples::Copied;
        if waited { around.window.opens } else { around.put_spread() }
    }

    fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.state.restore(saved)
    }
}

impl Strategy {
    /// A peer in its initial state.
    pub fn new(settings: StrategySettings) -> Self {
        Self { settings, state: Shared::default() }
    }

    /// The payload to mix in: the mean of others'.
    async fn others(&self, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let settings = &self.settings;
        if settings.mix == Source::Now {
            around.ports.clock.sleep_until(around.part_of_window(settings.wait)).await;
        }
        let found = settings.mix.payloads(around, settings.of, settings.top).await;
        let share = 1.0 / found.len().max(1) as f64;
        let parts: Vec<Part> = found.iter().map(|payload| Part { payload, weight: share }).collect();
        let mean = mix(&around.network.shape, &parts);
        if settings.mix != Source::Average {
            return mean;
        }
        let mut state = self.state.lock();
        let average = of_slot(&mut state.average, around.slot);
        let is_new = average.as_ref().is_none_or(|(round, _)| *round < around.round);
        if let Some(mean) = mean.filter(|_| is_new) {
            let kept = average.as_ref().map_or(0.0, |_| settings.decay);
            let mut parts = vec![Part { payload: &mean, weight: 1.0 - kept }];
            parts.extend(average.as_ref().map(|(_, payload)| Part { payload, weight: kept }));
            *average = mix(&around.network.shape, &parts).map(|mixed| (around.round, mixed));
        }
        average.as_ref().map(|(_, payload)| payload.clone())
    }

    /// Adds power, noise and scale to a payload.
    fn finished(&self, made: PseudoGradient, around: &Surroundings) -> PseudoGradient {
        let (noise, scale) = (self.settings.noise, self.settings.scale);
        let mut made = made;
        let computed = (made.tensors.len() as f64 * self.settings.layers).ceil() as usize;
        let left_out = made.tensors.len().saturating_sub(computed);
        made.tensors[..left_out].iter_mut().for_each(|tensor| tensor.values.fill(0.0));
        if self.settings.power != 1.0 {
            made.tensors.iter_mut().for_each(|tensor| raise(&mut tensor.values, self.settings.power));
        }
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

/// Raises values to a power, relative to their root mean square. Their signs stay.
fn raise(values: &mut [f32], power: f64) {
    let size = rms(values);
    if size > 0.0 {
        let raised = |value: f64| size * (value.abs() / size).powf(power).copysign(value);
        values.iter_mut().for_each(|value| *value = bounded(raised(f64::from(*value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::said;
    use crate::training::SparseTensor;

    #[test]
    fn a_power_keeps_signs_and_spreads_sizes() {
        let mut values = [3.0, -1.0, 0.0, 0.5];
        let size = rms(&values);
        raise(&mut values, 2.0);
        let expected = [9.0, -1.0, 0.0, 0.25].map(|value| (value / size) as f32);
        assert!(values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-6), "{values:?}");
        let mut huge = [f32::MAX, 1e-30, 0.0];
        raise(&mut huge, 16.0);
        assert!(huge.iter().all(|value| value.is_finite()));
        let mut nothing = [0.0; 2];
        raise(&mut nothing, 2.0);
        assert_eq!(nothing, [0.0; 2]);
    }

    #[test]
    fn a_state_comes_back() {
        let sent = SparseTensor { indices: vec![1], values: vec![0.5] };
        let sent = PseudoGradient { tensors: vec![sent] };
        let strategy = Strategy::new(StrategySettings { idle: Idle::Last, ..StrategySettings::default() });
        *of_slot(&mut strategy.state.lock().last, 2) = Some(sent.clone());
        let mut again = Strategy::new(StrategySettings::default());
        again.restore(&strategy.save()).unwrap();
        assert_eq!(again.state.lock().last, [None, None, Some(sent)]);
        assert!(said("\"strategy\"").build().restore(&[1, 2, 3]).is_err());
    }
}
