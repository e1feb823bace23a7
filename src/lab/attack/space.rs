//! The strategies that a search can try. Each part of a strategy has a few values; the first is the honest one.

use rand::RngExt;
use toml::{Table, Value};

use crate::random::ChaCha8Rng;

/// Slots of the operator in a search.
pub const CARTEL: usize = 5;

/// The chance that a change touches one more part.
const ANOTHER: f64 = 0.4;

/// A part of a strategy and its possible values.
struct Part {
    key: &'static str,
    values: Vec<Value>,
}

/// All parts of a strategy.
pub struct Space(Vec<Part>);

/// A strategy: for each part of the space, the index of its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Strategy(Vec<u8>);

/// The number of slots of one operator. It is a part of a strategy but no setting of the behaviour.
const SLOTS: &str = "slots";

/// What a strategy meets, as far as its parts depend on it.
#[derive(Clone, Copy, Default)]
pub struct Conditions {
    /// The number of the mechanism's bins, if it has any: a strategy may work only in the turns of its bin.
    pub bins: Option<u64>,
    /// Whether the mechanism audits: a strategy may rest after an audit.
    pub audits: bool,
    /// How much more than its assigned pages a peer may say it did, 1 where the network does not ask.
    pub most_pages: f64,
}

impl Space {
    /// All parts of the behaviour `strategy`. Where what is said is paid, a strategy may say too much, do more, leave out a little,
    /// or say the same of a gradient of the last layers, which spares most of the way back through the model, or of a model without
    /// its blocks or a part of their width; and may forget a part of what it kept, or send more of what it is sure of.
    pub fn new(Conditions { bins, audits, most_pages }: Conditions) -> Self {
        let part = |key, values: &str| {
            let table: Table = format!("values = [{values}]").parse().expect("TOML");
            let Some(Value::Array(values)) = table.get("values") else { unreachable!("it is an array") };
            Part { key, values: values.clone() }
        };
        let turns = bins.filter(|bins| *bins > 1).map_or(String::new(), |bins| format!(", {{ bin-of = {bins} }}"));
        let rests = if audits { ", { after-audit = 6 }, { after-audit = 20 }" } else { "" };
        let mut parts = vec![
            part(SLOTS, &format!("1, {CARTEL}")),
            part("pages", &format!("1.0, 0.5, 0.25, 0.125{}", if most_pages > 1.0 { ", 0.875" } else { "" })),
            part("tokens", &format!("1.0, 0.5, 0.25{}", if most_pages > 1.0 { ", 0.75" } else { "" })),
            part("fresh", &format!("false, true{}", if most_pages > 1.0 { ", 0.5" } else { "" })),
            part("stale", "0, 1, 4"),
            part("works", &format!("'always', {{ every = 2 }}, {{ every = 4 }}, 'unpaid'{turns}{rests}")),
            part("mix", "'none', 'now', 'past', 'average', 'aggregate', 'operator'"),
            part("of", "'best', 'random'"),
            part("top", "6, 1, 3, 12"),
            part("own", "0.5, 0.0, 0.25, 0.75"),
            part("wait", "0.5, 0.3, 0.7"),
            part("decay", "0.9, 0.5"),
            part("idle", "'nothing', 'last', 'mix'"),
            part("noise", "0.0, 0.1, 1.0"),
            part("scale", "1.0, 0.5, 4.0, -1.0"),
            part("samples", "'own', 'copied'"),
            part("leaves", "false, { after = 10 }, { after = 30 }"),
        ];
        if most_pages > 1.0 {
            parts.push(part("says", &format!("1.0, 0.5, {most_pages:?}")));
            parts.push(part("extra", &format!("0.0, {:?}", most_pages - 1.0)));
            parts.push(part("layers", "1.0, 0.5, 0.05"));
            parts.push(part("blocks", "1.0, 0.0"));
            parts.push(part("width", "1.0, 0.5, 0.75"));
            parts.push(part("power", "1.0, 2.0"));
        }
        Self(parts)
    }

    /// The number of strategies, counting those that behave alike.
    pub fn size(&self) -> f64 {
        self.0.iter().map(|part| part.values.len() as f64).product()
    }

    /// The strategy of an honest peer.
    pub fn honest(&self) -> Strategy {
        Strategy(vec![0; self.0.len()])
    }

    /// The strategy with one part, or a few, changed.
    pub fn changed(&self, strategy: &Strategy, rng: &mut ChaCha8Rng) -> Strategy {
        let mut changed = strategy.clone();
        loop {
            let at = rng.random_range(0..self.0.len());
            let others = self.0[at].values.len() as u8 - 1;
            let step = rng.random_range(1..=others);
            changed.0[at] = (changed.0[at] + step) % (others + 1);
            if !rng.random_bool(ANOTHER) {
                return self.plain(changed);
            }
        }
    }

    /// A strategy that takes each part from one of two strategies.
    pub fn crossed(&self, a: &Strategy, b: &Strategy, rng: &mut ChaCha8Rng) -> Strategy {
        let parts = a.0.iter().zip(&b.0).map(|(a, b)| if rng.random_bool(0.5) { *a } else { *b });
        self.plain(Strategy(parts.collect()))
    }

    /// A strategy with all parts drawn at random.
    pub fn drawn(&self, rng: &mut ChaCha8Rng) -> Strategy {
        let parts = self.0.iter().map(|part| rng.random_range(0..part.values.len()) as u8);
        let drawn = Strategy(parts.collect());
        self.plain(drawn)
    }

    /// The same strategy, with settings that have no effect reset to the honest ones.
    fn plain(&self, mut strategy: Strategy) -> Strategy {
        let is = |strategy: &Strategy, key: &str, value: &str| {
            self.value(strategy, key).is_some_and(|found| found.as_str() == Some(value))
        };
        // Of no block there is no half of the width.
        if self.value(&strategy, "blocks").is_some_and(|blocks| blocks.as_float() == Some(0.0)) {
            self.reset(&mut strategy, "width");
        }
        // An operator of one slot has no other slots. A strategy that mixes nothing has no mixture to send.
        if self.slots(&strategy) == 1 && is(&strategy, "mix", "operator") {
            self.reset(&mut strategy, "mix");
        }
        if is(&strategy, "mix", "none") {
            ["of", "top", "own", "wait", "decay"].iter().for_each(|key| self.reset(&mut strategy, key));
            if is(&strategy, "idle", "mix") {
                self.reset(&mut strategy, "idle");
            }
        }
        if is(&strategy, "mix", "aggregate") || is(&strategy, "mix", "operator") {
            ["of", "top"].iter().for_each(|key| self.reset(&mut strategy, key));
        }
        if !is(&strategy, "mix", "now") {
            self.reset(&mut strategy, "wait");
        }
        if !is(&strategy, "mix", "average") {
            self.reset(&mut strategy, "decay");
        }
        if is(&strategy, "works", "always") {
            self.reset(&mut strategy, "idle");
        }
        strategy
    }

    fn at(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|part| part.key == key)
    }

    fn value(&self, strategy: &Strategy, key: &str) -> Option<&Value> {
        self.at(key).map(|at| &self.0[at].values[usize::from(strategy.0[at])])
    }

    fn reset(&self, strategy: &mut Strategy, key: &str) {
        if let Some(at) = self.at(key) {
            strategy.0[at] = 0;
        }
    }

    /// Slots of the operator that plays it.
    pub fn slots(&self, strategy: &Strategy) -> usize {
        let slots = self.value(strategy, SLOTS).and_then(Value::as_integer);
        slots.map_or(1, |slots| slots as usize)
    }

    /// The settings of the behaviour that differ from an honest peer's.
    pub fn settings(&self, strategy: &Strategy) -> Table {
        let parts = self.parts(strategy).into_iter().filter(|at| self.0[*at].key != SLOTS);
        parts.map(|at| (self.0[at].key.to_string(), self.0[at].values[usize::from(strategy.0[at])].clone())).collect()
    }

    /// The parts in which the strategy differs from an honest peer's.
    pub fn parts(&self, strategy: &Strategy) -> Vec<usize> {
        (0..self.0.len()).filter(|at| strategy.0[*at] != 0).collect()
    }

    /// The strategy with this part set to the honest value.
    pub fn without(&self, strategy: &Strategy, part: usize) -> Strategy {
        let mut without = strategy.clone();
        without.0[part] = 0;
        self.plain(without)
    }

    /// A part of a strategy in words: `mix = now`.
    pub fn part(&self, strategy: &Strategy, part: usize) -> String {
        let Part { key, values } = &self.0[part];
        format!("{key} = {}", said(&values[usize::from(strategy.0[part])]))
    }

    /// A strategy in words; `honest` for the honest one.
    pub fn words(&self, strategy: &Strategy) -> String {
        let parts: Vec<String> = self.parts(strategy).into_iter().map(|part| self.part(strategy, part)).collect();
        if parts.is_empty() { "honest".into() } else { parts.join(", ") }
    }
}

/// A value as a person writes it.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Table(table) => table.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;
    use crate::scenario::Registry;

    fn space() -> Space {
        Space::new(Conditions { bins: Some(2), audits: false, most_pages: 2.0 })
    }

    /// A strategy with these parts changed.
    fn with(parts: &[(&str, u8)]) -> Strategy {
        let mut strategy = space().honest();
        parts.iter().for_each(|(key, value)| strategy.0[space().at(key).unwrap()] = *value);
        strategy
    }

    #[test]
    fn a_scenario_takes_every_strategy() {
        let (space, registry) = (space(), Registry::default());
        let mut rng = rng(1, "space test", 0, 0);
        for _ in 0..200 {
            let strategy = space.drawn(&mut rng);
            let mut settings = space.settings(&strategy);
            settings.insert("kind".into(), "strategy".into());
            let inline = Value::Table(settings).to_string();
            registry.behaviour(&inline).map(drop).unwrap_or_else(|error| panic!("{inline}: {error}"));
        }
    }

    #[test]
    fn what_has_no_effect_is_left_out() {
        let space = space();
        assert_eq!(space.plain(with(&[("of", 1), ("own", 2), ("wait", 1), ("idle", 1)])), space.honest());
        assert_eq!(space.plain(with(&[("mix", 5), ("own", 1)])), space.honest(), "alone, nobody shares");
        let cartel = with(&[("slots", 1), ("mix", 5), ("own", 1)]);
        assert_eq!(space.plain(cartel.clone()), cartel);
        let idle = with(&[("works", 1), ("idle", 2)]);
        assert_eq!(space.plain(idle), with(&[("works", 1)]), "without a mixture there is none to send");
        let now = with(&[("mix", 1), ("wait", 2), ("top", 3)]);
        assert_eq!(space.plain(now.clone()), now);
        assert_eq!(space.plain(with(&[("blocks", 1), ("width", 1)])), with(&[("blocks", 1)]));
        assert_eq!(space.words(&now), "mix = now, top = 12, wait = 0.7");
        assert_eq!(space.without(&now, space.at("mix").unwrap()), space.honest());
        assert_eq!(space.words(&with(&[("works", 4)])), "works = bin-of 2");
        let of = |bins, audits, most_pages| Space::new(Conditions { bins, audits, most_pages });
        assert_eq!(of(None, false, 2.0).size() * 5.0, space.size() * 4.0, "without bins there are no turns");
        assert_eq!(of(Some(2), true, 2.0).size() * 5.0, space.size() * 7.0, "after an audit it may rest");
        let silent = of(Some(2), false, 1.0);
        assert_eq!(silent.size() * 540.0, space.size(), "nothing is said where nobody asks");
        assert_eq!(space.words(&with(&[("says", 2), ("layers", 2)])), "says = 2.0, layers = 0.05");
    }

    #[test]
    fn changes_reach_every_value_of_every_part() {
        let space = space();
        let mut rng = rng(2, "space test", 0, 0);
        let mut seen: Vec<Vec<bool>> = space.0.iter().map(|part| vec![false; part.values.len()]).collect();
        let mut strategy = space.honest();
        for _ in 0..20_000 {
            strategy = space.changed(&strategy, &mut rng);
            strategy.0.iter().enumerate().for_each(|(at, value)| seen[at][usize::from(*value)] = true);
        }
        assert!(seen.iter().flatten().all(|seen| *seen), "{seen:?}");
        let (a, b) = (space.drawn(&mut rng), space.drawn(&mut rng));
        let child = space.crossed(&a, &b, &mut rng);
        let parts = child.0.iter().zip(a.0.iter().zip(&b.0));
        assert!(parts.clone().all(|(child, (a, b))| [a, b, &0].contains(&child)));
    }
}
