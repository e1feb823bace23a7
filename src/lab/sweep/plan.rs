//! Turns axes and seeds into the networks of a sweep. Every scenario is checked before the first network runs.

use super::axis::Axis;
use super::control::control;
use super::error::SweepError;
use crate::scenario::Scenario;

/// Most networks of a sweep, and most combinations, as `sweep.json` holds the settings of each.
pub(super) const MOST_NETWORKS: usize = 100_000;
pub(super) const MOST_COMBINATIONS: usize = 4_096;

/// The networks of a sweep. How they are run is not part of it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub axes: Vec<Axis>,
    /// The same for all combinations, so that differences can be taken in pairs.
    pub seeds: Vec<u64>,
    /// All combinations of values; the last axis changes fastest.
    pub combinations: Vec<Combination>,
    /// Whether each network also runs without its adversaries.
    pub control: bool,
}

/// One value of each axis.
#[derive(Clone, Debug)]
pub struct Combination {
    /// One per axis, as the user wrote it.
    pub values: Vec<String>,
    /// The network with the first seed.
    pub scenario: Scenario,
    /// The same network without its adversaries, if requested.
    pub control: Option<Scenario>,
}

impl Plan {
    /// Builds all networks of a sweep. `load` takes `key=value` settings and returns the scenario with the first seed,
    /// or an error message.
    ///
    /// # Errors
    /// Conflicting axes, too many networks, or a combination that `load` refuses.
    pub fn new(
        axes: Vec<Axis>,
        seeds: usize,
        with_control: bool,
        load: impl Fn(&[String]) -> Result<Scenario, String>,
    ) -> Result<Self, SweepError> {
        go_together(&axes)?;
        let count = axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
        let Some(count) = count.filter(|count| *count <= MOST_COMBINATIONS) else {
            let found =
                count.map_or("more combinations than can be counted".into(), |count| format!("{count} combinations"));
            return Err(SweepError::TooMany { found, most: MOST_COMBINATIONS });
        };
        let networks = count.saturating_mul(seeds);
        if networks > MOST_NETWORKS {
            return Err(SweepError::TooMany { found: format!("{networks} networks"), most: MOST_NETWORKS });
        }
        let mut combinations = Vec::new();
        for nth in 0..count {
            let places = places(&axes, nth);
            let settings: Vec<String> = axes.iter().zip(&places).map(|(axis, value)| axis.setting(*value)).collect();
            let name = settings.join(", ");
            let scenario = load(&settings).map_err(|problem| {
                // The combination already names the source of the value.
                let named =
                    settings.iter().fold(problem, |told, setting| told.replace(&format!("--set {setting}: "), ""));
                SweepError::Refused { combination: name.clone(), problem: named }
            })?;
            let control = with_control.then(|| control(&scenario)).transpose();
            let control = control.map_err(|problem| SweepError::Control { combination: name, problem })?;
            let values = axes.iter().zip(places).map(|(axis, value)| axis.values[value].clone()).collect();
            combinations.push(Combination { values, scenario, control });
        }
        let first = combinations.first().map_or(0, |combination| combination.scenario.seed);
        if seeds > 0 && (i64::MAX as u64).checked_sub(first).is_none_or(|room| room < seeds as u64 - 1) {
            return Err(SweepError::Seeds { first, count: seeds });
        }
        let seeds = (0..seeds as u64).map(|nth| first + nth).collect();
        Ok(Self { axes, seeds, combinations, control: with_control })
    }

    /// All networks: those of each combination by seed, then those without adversaries if requested.
    pub fn networks(&self) -> Vec<Scenario> {
        let all = self.combinations.iter().map(|combination| Some(&combination.scenario));
        let controls = self.combinations.iter().map(|combination| combination.control.as_ref());
        let seeded = |scenario: &Scenario| {
            let scenario = scenario.clone();
            self.seeds.iter().map(move |seed| Scenario { seed: *seed, ..scenario.clone() }).collect::<Vec<_>>()
        };
        all.chain(controls).flatten().flat_map(seeded).collect()
    }
}

/// The value of each axis in the nth combination.
fn places(axes: &[Axis], nth: usize) -> Vec<usize> {
    let mut rest = nth;
    let mut places: Vec<usize> = Vec::with_capacity(axes.len());
    for axis in axes.iter().rev() {
        places.push(rest % axis.values.len());
        rest /= axis.values.len();
    }
    places.reverse();
    places
}

fn go_together(axes: &[Axis]) -> Result<(), SweepError> {
    for (nth, axis) in axes.iter().enumerate() {
        let wrong = |reason: String| Err(SweepError::Grid { grid: written(axis), reason });
        if axis.key == "seed" {
            return wrong("seeds are no axis; give --seeds N, and --seed for the first".into());
        }
        match axes[..nth].iter().find(|other| other.overlaps(axis)) {
            Some(other) if other.key == axis.key => {
                return wrong(format!(
                    "{} has an axis already, --grid {}; put all values into one",
                    axis.key,
                    written(other)
                ));
            }
            Some(other) => return wrong(format!("--grid {} sets a part of the same; leave one out", written(other))),
            None => {}
        }
    }
    Ok(())
}

fn written(axis: &Axis) -> String {
    format!("{}={}", axis.key, axis.values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "name = 'x'\nseed = 7\npeers = [{ count = 20 }, { behaviour = 'noise' }]";

    fn load(overrides: &[String]) -> Result<Scenario, String> {
        Scenario::from_toml(NETWORK, "x.toml", overrides).map_err(|error| error.to_string())
    }

    fn plan(grids: &[&str], seeds: usize, control: bool) -> Result<Plan, String> {
        let axes = grids.iter().map(|grid| Axis::parse(grid).unwrap()).collect();
        Plan::new(axes, seeds, control, load).map_err(|error| error.to_string())
    }

    #[test]
    fn every_combination_has_the_same_seeds() {
        let plan = plan(&["peers.1.count=1,2", "training.lr=1e-3,2e-3"], 3, true).unwrap();
        let values: Vec<Vec<String>> = plan.combinations.iter().map(|one| one.values.clone()).collect();
        assert_eq!(values, [["1", "1e-3"], ["1", "2e-3"], ["2", "1e-3"], ["2", "2e-3"]]);
        let networks = plan.networks();
        assert_eq!(networks.len(), 24);
        let told = |at: usize| (networks[at].peers_total(), networks[at].training.lr, networks[at].seed);
        assert_eq!((told(0), told(5), told(11)), ((21, 1e-3, 7), (21, 2e-3, 9), (22, 2e-3, 9)));
        assert_eq!((told(12), told(23)), ((20, 1e-3, 7), (20, 2e-3, 9)), "without adversaries");
    }

    #[test]
    fn a_behaviour_may_be_a_whole_table() {
        let plan = plan(&["peers.1.behaviour={kind=\"lazy\", fraction=0.25},copycat"], 1, false).unwrap();
        let labels: Vec<String> =
            plan.networks().iter().map(|network| network.label(&network.peers[1].behaviour)).collect();
        assert_eq!(labels, ["lazy", "copycat"]);
        assert_eq!(plan.combinations[0].scenario.peers[1].behaviour.settings["fraction"].as_float(), Some(0.25));
    }

    #[test]
    fn conflicting_axes_are_refused_in_whole_sentences() {
        for (grids, message) in [
            (
                &["peers.1.count=1,2", "peers[1].count=3"][..],
                "--grid peers.1.count=3: peers.1.count has an axis already, --grid peers.1.count=1,2; put all values into one",
            ),
            (
                &["peers.1={count=2}", "peers.1.count=3"],
                "--grid peers.1.count=3: --grid peers.1={count=2} sets a part of the same; leave one out",
            ),
            (&["seed=1,2"], "--grid seed=1,2: seeds are no axis; give --seeds N, and --seed for the first"),
            (
                &["training.lr=1e-3", "training.lrr=1"],
                "the combination training.lr=1e-3, training.lrr=1: unknown key `lrr` in [training]; did you mean `lr`?",
            ),
            (
                &["peers.1.count=1,0", "rounds=5"],
                "the combination peers.1.count=0, rounds=5: peers.1.count is 0; expected 1 or more",
            ),
        ] {
            assert_eq!(plan(grids, 1, false).unwrap_err(), message);
        }
        let told = plan(&["peers.0.behaviour=noise"], 1, true).unwrap_err();
        let expected =
            "--control: the combination peers.0.behaviour=noise without its adversaries: no honest peer is left";
        assert_eq!(told, expected);
    }

    #[test]
    fn too_many_networks_are_refused() {
        let values: Vec<String> = (1..=100).map(|value| value.to_string()).collect();
        let axis = |key: &str| Axis { key: key.into(), values: values.clone() };
        let refused = |axes: Vec<Axis>, seeds| Plan::new(axes, seeds, false, load).unwrap_err().to_string();
        let refused_as =
            |found: &str, most: usize| format!("{found}; expected {most} at most: take fewer values or seeds");
        let told = refused(vec![axis("rounds"), axis("peers.1.count")], 5);
        assert_eq!(told, refused_as("10000 combinations", 4096));
        assert_eq!(refused(vec![axis("rounds")], 1001), refused_as("100100 networks", 100_000));
        let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(axis).into();
        assert_eq!(refused(many, 5), refused_as("more combinations than can be counted", 4096));
    }
}
