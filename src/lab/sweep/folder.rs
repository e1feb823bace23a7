//! A sweep in its folder or bucket: starts or resumes it, runs it and writes the tables.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::axis::Axis;
use super::control::control;
use super::error::SweepError;
use super::plan::{Combination, MOST_COMBINATIONS, MOST_NETWORKS, Plan};
use super::rows::csv;
use crate::bucket::Bucket;
use crate::lab::figures::Figures;
use crate::lab::pictures;
use crate::lab::place::{self, Described, first_difference};
use crate::lab::pool::{self, PoolOptions};
use crate::lab::shelf::{Kept, Key, Shelf};
use crate::lab::summary::{Group, LEGEND, Seeded, lines, table};
use crate::report::tables::Look;
use crate::scenario::Scenario;
use crate::words::counted;

/// `sweep.json`: the definition of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u64,
    /// Version of the program that made the figures.
    version: String,
    axes: Vec<Axis>,
    seeds: Vec<u64>,
    control: bool,
    /// Settings of each combination, with the first seed.
    combinations: Vec<StoredCombination>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCombination {
    values: Vec<String>,
    scenario: Scenario,
}

impl Described for Stored {
    const FILE: &'static str = "sweep.json";
    const WHAT: &'static str = "sweep";
    const FORMAT: u64 = 1;
}

impl Stored {
    fn of(plan: &Plan) -> Self {
        let combination =
            |of: &Combination| StoredCombination { values: of.values.clone(), scenario: of.scenario.clone() };
        Self {
            format: Self::FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            axes: plan.axes.clone(),
            seeds: plan.seeds.clone(),
            control: plan.control,
            combinations: plan.combinations.iter().map(combination).collect(),
        }
    }

    /// Checks what a damaged or foreign file may say and a plan never does.
    fn check(&self) -> Result<(), String> {
        let networks = self.combinations.len().saturating_mul(self.seeds.len());
        if self.combinations.len() > MOST_COMBINATIONS || networks > MOST_NETWORKS {
            return Err(format!("{networks} networks; expected {MOST_NETWORKS} at most"));
        }
        if let Some(seed) = self.seeds.iter().find(|seed| i64::try_from(**seed).is_err()) {
            return Err(format!("seed {seed}; expected {} at most", i64::MAX));
        }
        for (nth, of) in self.combinations.iter().enumerate() {
            if of.values.len() != self.axes.len() {
                return Err(format!(
                    "combination {nth} has {}, not one for each axis",
                    counted(of.values.len(), "value")
                ));
            }
            // A number may be larger than a scenario's file can hold.
            toml::Value::try_from(&of.scenario).map_err(|error| format!("combination {nth}: {error}"))?;
        }
        Ok(())
    }

    /// The difference from another sweep, in words; `None` if it is the same.
    fn differs(&self, here: &Self) -> Option<String> {
        let grids = |sweep: &Self| {
            let axis = |axis: &Axis| format!("--grid {}={}", axis.key, axis.values.join(","));
            sweep.axes.iter().map(axis).collect::<Vec<_>>().join(" ")
        };
        let seeds = |sweep: &Self| match (sweep.seeds.first(), sweep.seeds.last()) {
            (Some(first), Some(last)) => format!("seeds {first} to {last}"),
            _ => "no seeds".into(),
        };
        let control = |sweep: &Self| if sweep.control { "with --control" } else { "without --control" }.to_string();
        let version = |sweep: &Self| format!("gauntlet {}", sweep.version);
        let told: [&dyn Fn(&Self) -> String; 4] = [&version, &grids, &seeds, &control];
        if let Some(told) = told.iter().find(|told| told(self) != told(here)) {
            return Some(format!("{} there, {} here", told(self), told(here)));
        }
        let mut pairs = self.combinations.iter().zip(&here.combinations);
        let (there, here) = pairs.find(|(there, here)| there != here)?;
        Some(first_difference(&there.scenario, &here.scenario))
    }
}

/// The state of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All networks are done: the printed tables, and the names of the written files.
    Whole { summary: String, files: Vec<String> },
    /// Number of finished networks, and of all.
    Part { there: usize, of: usize },
}

/// A sweep in its place.
pub struct Sweep {
    plan: Plan,
    name: String,
    shelf: Shelf,
}

impl Sweep {
    /// Starts a sweep in a place, or resumes the one there.
    ///
    /// # Errors
    /// The place holds another sweep or a run, or cannot be read or written.
    pub fn begin(plan: Plan, bucket: &Bucket) -> Result<Self, SweepError> {
        let shelf = Shelf::new(bucket);
        let stored = Stored::of(&plan);
        place::begin(&shelf, &stored, |there: &Stored| there.check().map(|()| there.differs(&stored)))?;
        let name = plan.combinations.first().map_or_else(String::new, |first| first.scenario.name.clone());
        Ok(Self { plan, name, shelf })
    }

    /// Runs the missing networks. Writes the tables and pictures once all are done.
    ///
    /// # Errors
    /// A network fails, or the place cannot be read or written.
    pub fn run(&self, options: &PoolOptions<'_>, look: Look) -> Result<Outcome, SweepError> {
        let networks = self.plan.networks();
        let figures = pool::run(&networks, &self.shelf, options)?;
        let of = figures.len();
        let Some(figures) = figures.into_iter().collect::<Option<Vec<_>>>() else {
            let keys: Vec<Key> = networks.iter().map(Key::of).collect();
            return Ok(Outcome::Part { there: self.shelf.count(&keys)?, of });
        };
        let groups = groups(&self.plan, figures);
        let files = self.files(&groups)?;
        for (name, bytes) in &files {
            self.shelf.write(&Path::from(name.as_str()), bytes.clone())?;
        }
        let files = files.into_iter().map(|(name, _)| name).collect();
        Ok(Outcome::Whole { summary: self.summary(&groups, look), files })
    }

    fn files(&self, groups: &[Group]) -> Result<Vec<(String, Vec<u8>)>, SweepError> {
        let lines = lines(groups);
        let title = format!("{}, {}", self.name, seeds(&self.plan));
        let names = self.plan.axes.iter().map(|axis| axis.key.as_str()).collect::<Vec<_>>().join(", ");
        let markdown = format!("# Sweep of {}\n\n{}\n", self.name, self.summary(groups, Look::Plain));
        let mut files =
            vec![("sweep.csv".to_string(), csv(&self.plan, groups)), ("sweep.md".to_string(), markdown.into_bytes())];
        let pay =
            pictures::pay(&title, &names, groups, &lines)?.map(|svg| ("sweep-pay.svg".to_string(), svg.into_bytes()));
        let loss =
            pictures::loss(&title, &names, groups, &lines)?.map(|svg| ("sweep-loss.svg".to_string(), svg.into_bytes()));
        files.extend(pay.into_iter().chain(loss));
        Ok(files)
    }

    fn summary(&self, groups: &[Group], look: Look) -> String {
        let titles: Vec<String> = self.plan.axes.iter().map(|axis| axis.key.clone()).collect();
        let table = table(&titles, groups, &lines(groups), look);
        format!("{}, {} combinations\n\n{table}\n\n{LEGEND}", seeds(&self.plan), self.plan.combinations.len())
    }
}

fn seeds(plan: &Plan) -> String {
    match plan.seeds.as_slice() {
        [seed] => format!("seed {seed}"),
        [first, .., last] => format!("seeds {first} to {last}"),
        [] => "no seeds".into(),
    }
}

/// The figures of all networks of a plan by combination, in the plan's order.
fn groups(plan: &Plan, mut figures: Vec<Figures>) -> Vec<Group> {
    let mut controls = figures.split_off(plan.combinations.len() * plan.seeds.len()).into_iter();
    let mut figures = figures.into_iter();
    let mut network = |seed: &u64| Some(Seeded { seed: *seed, figures: figures.next()?, control: controls.next() });
    let group = |combination: &Combination| Group {
        names: combination.values.clone(),
        networks: plan.seeds.iter().filter_map(&mut network).collect(),
    };
    plan.combinations.iter().map(group).collect()
}

/// Reads a finished sweep: its combinations and the figures of their networks.
///
/// # Errors
/// There is no sweep, or some of its results are missing or damaged.
pub fn load(bucket: &Bucket) -> Result<(Vec<Scenario>, Vec<Group>), SweepError> {
    let shelf = Shelf::new(bucket);
    let url = || shelf.url().to_string();
    let Some(stored) = place::read::<Stored>(&shelf)? else { return Err(SweepError::None { url: url() }) };
    stored.check().map_err(|reason| place::damaged::<Stored>(&shelf, reason))?;
    let combination = |of: StoredCombination| {
        let control = stored.control.then(|| control(&of.scenario)).transpose();
        let control = control.map_err(|reason| place::damaged::<Stored>(&shelf, reason))?;
        Ok(Combination { values: of.values, scenario: of.scenario, control })
    };
    let combinations = stored.combinations.into_iter().map(combination).collect::<Result<Vec<_>, SweepError>>()?;
    let plan = Plan { axes: stored.axes, seeds: stored.seeds, combinations, control: stored.control };
    let networks = plan.networks();
    let mut figures = Vec::with_capacity(networks.len());
    for network in &networks {
        if let Kept::Figures(kept) = shelf.get(Key::by(&stored.version, network))? {
            figures.push(kept);
        }
    }
    if figures.len() < networks.len() {
        return Err(SweepError::Part { url: url(), there: figures.len(), of: networks.len() });
    }
    let names = |values: &[String]| {
        let values = plan.axes.iter().zip(values).map(|(axis, value)| format!("{}={value}", axis.key));
        values.collect::<Vec<_>>().join(", ")
    };
    let mut groups = groups(&plan, figures);
    groups.iter_mut().for_each(|group| group.names = vec![names(&group.names)]);
    Ok((plan.combinations.into_iter().map(|combination| combination.scenario).collect(), groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket;

    #[test]
    fn a_description_that_no_plan_makes_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let place = bucket::open(folder.path().to_str().unwrap(), true).unwrap();
        let text = "name = 'x'\nseed = 7\npeers = [{ count = 20 }]";
        let plan = || {
            let load =
                |settings: &[String]| Scenario::from_toml(text, "x.toml", settings).map_err(|error| error.to_string());
            Plan::new(vec![Axis::parse("rounds=5,6").unwrap()], 2, false, load).unwrap()
        };
        Sweep::begin(plan(), &place).unwrap();
        let file = folder.path().join("sweep.json");
        let good = std::fs::read_to_string(&file).unwrap();
        let rest = "; restore it, or begin the sweep in another place with --out";
        let too_large = u64::MAX.to_string();
        for (from, to, reason) in [
            ("    8\n", &*format!("    {too_large}\n"), &*format!("seed {too_large}; expected {} at most", i64::MAX)),
            ("\"rounds\": 6", &format!("\"rounds\": {too_large}"), "combination 1: "),
            (
                "\"values\": [\n        \"6\"\n      ]",
                "\"values\": []",
                "combination 1 has 0 values, not one for each axis",
            ),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            std::fs::write(&file, bad).unwrap();
            for told in [Sweep::begin(plan(), &place).map(drop), load(&place).map(drop)] {
                let told = told.unwrap_err().to_string();
                assert!(told.contains(&format!("/sweep.json: {reason}")) && told.ends_with(rest), "{told}");
            }
        }
    }
}
