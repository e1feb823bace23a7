//! `sim compare`: puts runs and sweeps beside one another, by the settings in which they differ.

use std::path::Path;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::differences::differences;
use super::figures::Figures;
use super::pictures;
use super::summary::{Group, LEGEND, Line, Seeded, lines, table};
use super::sweep::{self, SweepError};
use crate::bucket::{self, BucketError};
use crate::report::tables::{Look, Ruled};
use crate::report::{self, ReportError, RunData, plots};
use crate::scenario::Scenario;

/// Why runs or sweeps cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    #[error("{0}: there is no run and no sweep here; expected a folder with manifest.json or sweep.json")]
    Nothing(String),
    #[error("{0}: the baseline alone, in which nobody is paid; `sim plot` draws its loss beside that of runs")]
    Central(String),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

/// The networks to compare. Networks that differ only in the seed form one group.
pub struct Comparison {
    /// Each has one name, which begins with the group's number.
    groups: Vec<Group>,
    /// Settings of each group, with a seed of 0.
    scenarios: Vec<Scenario>,
    /// Rounds done by each run of a group.
    rounds: Vec<Vec<u64>>,
    /// The runs, which have loss curves.
    runs: Vec<RunData>,
}

impl Comparison {
    /// Reads run folders, and folders or URLs of sweeps. Runs come first, then the combinations of each sweep.
    ///
    /// # Errors
    /// [`CompareError`].
    pub fn read(places: &[String]) -> Result<Self, CompareError> {
        let (mut runs, mut sweeps) = (Vec::new(), Vec::new());
        for place in places {
            if Path::new(place).join("manifest.json").exists() {
                let run = report::load(Path::new(place))?;
                if run.manifest.central {
                    return Err(CompareError::Central(place.clone()));
                }
                runs.push(run);
            } else if place.contains("://") || Path::new(place).join("sweep.json").exists() {
                sweeps.push((place, sweep::load(&bucket::open(place, false)?)?));
            } else {
                return Err(CompareError::Nothing(place.clone()));
            }
        }
        let mut this = Self { groups: Vec::new(), scenarios: Vec::new(), rounds: Vec::new(), runs: Vec::new() };
        for group in plots::groups(&runs.iter().collect::<Vec<_>>()) {
            let network = |run: &&RunData| Seeded { seed: run.manifest.seed, figures: Figures::of(run), control: None };
            let rounds = group.iter().map(|run| run.manifest.rounds_done).collect();
            let networks = group.iter().map(network).collect();
            this.add(plots::name(&group), networks, &group[0].manifest.scenario, rounds);
        }
        for (place, (scenarios, groups)) in sweeps {
            for (scenario, group) in scenarios.iter().zip(groups) {
                let name = format!("{place}: {}", group.names.join(", "));
                this.add(name, group.networks, scenario, vec![scenario.rounds]);
            }
        }
        this.runs = runs;
        Ok(this)
    }

    fn add(&mut self, name: String, networks: Vec<Seeded>, scenario: &Scenario, rounds: Vec<u64>) {
        let names = vec![format!("{}: {name}", self.groups.len() + 1)];
        self.groups.push(Group { names, networks });
        self.scenarios.push(Scenario { seed: 0, ..scenario.clone() });
        self.rounds.push(rounds);
    }

    /// The groups for programs: name, seeds, settings that differ, and the measures by label of the peers, each a mean with
    /// half of its 95 % interval.
    pub fn figures(&self) -> Vec<Value> {
        let differences = differences(&self.scenarios.iter().collect::<Vec<_>>());
        let lines = lines(&self.groups);
        let each = self.groups.iter().zip(&self.rounds).enumerate().map(|(nth, (group, rounds))| {
            let settings: Map<String, Value> =
                differences.iter().map(|(path, values)| (path.clone(), json!(values[nth]))).collect();
            let own = lines.iter().filter(|line| line.group == nth);
            json!({
                "name": group.names[0],
                "seeds": group.networks.iter().map(|network| network.seed).collect::<Vec<_>>(),
                "rounds_done": rounds.iter().min(),
                "settings": settings,
                "peers": own.map(Line::figures).collect::<Vec<_>>(),
            })
        });
        each.collect()
    }

    /// A text with the settings that differ, loss and pay with their intervals, and which curves end early.
    pub fn summary(&self, look: Look) -> String {
        let mut parts = vec![self.settings(look)];
        let lines = lines(&self.groups);
        parts.push(format!("{}\n\n{LEGEND}", table(&["group".into()], &self.groups, &lines, look)));
        parts.extend(self.lengths());
        parts.join("\n\n")
    }

    /// One line per setting or, if there are more groups than settings, one line per group.
    fn settings(&self, look: Look) -> String {
        let differences = differences(&self.scenarios.iter().collect::<Vec<_>>());
        if differences.is_empty() {
            return "no setting differs".into();
        }
        let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let numbers = (1..=self.groups.len()).map(|nth| nth.to_string());
        if self.groups.len() <= differences.len() {
            let titles: Vec<String> = std::iter::once("setting".to_string()).chain(numbers).collect();
            let mut table = Ruled::new(look, 1, &titles);
            for (path, values) in &differences {
                table.line(std::iter::once(path.clone()).chain(values.iter().map(cell)));
            }
            return table.text();
        }
        let paths = differences.iter().map(|(path, _)| path.clone());
        let titles: Vec<String> = std::iter::once("group".to_string()).chain(paths).collect();
        let mut table = Ruled::new(look, 1, &titles);
        for (nth, group) in self.groups.iter().enumerate() {
            table.line(group.names.iter().cloned().chain(differences.iter().map(|(_, values)| cell(&values[nth]))));
        }
        table.text()
    }

    /// The groups that end before others, as their losses are of different rounds.
    fn lengths(&self) -> Option<String> {
        let end = |rounds: &[u64]| rounds.iter().copied().min().unwrap_or(0);
        let longest = self.rounds.iter().flatten().copied().max()?;
        let short: Vec<String> = self
            .groups
            .iter()
            .zip(&self.rounds)
            .filter(|(_, rounds)| end(rounds) < longest)
            .map(|(group, rounds)| format!("{} after {}", group.names[0], end(rounds)))
            .collect();
        let told = format!("Losses and curves end where a group's shortest run ends: {}", short.join(", "));
        (!short.is_empty()).then(|| format!("{told}; the longest run has {longest} rounds."))
    }

    /// One picture: the runs' losses by round, then pay and loss of all groups with their intervals.
    ///
    /// # Errors
    /// [`ReportError::Plot`].
    pub fn picture(&self) -> Result<String, ReportError> {
        let lines = lines(&self.groups);
        let title = format!("{} groups", self.groups.len());
        let mut parts = Vec::new();
        if !self.runs.is_empty() {
            parts.push(plots::compared_losses(&self.runs.iter().collect::<Vec<_>>())?);
        }
        parts.extend(pictures::pay(&title, "", &self.groups, &lines)?);
        parts.extend(pictures::loss(&title, "", &self.groups, &lines)?);
        Ok(plots::stacked(&parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RunFolder, sample};

    /// A run like the sample in a folder of its own.
    fn recorded(root: &Path, name: &str, change: impl Fn(&mut RunData)) -> String {
        let mut run = sample::copycat();
        change(&mut run);
        let path = root.join(name);
        let mut folder = RunFolder::create(&path, &run.manifest.columns).unwrap();
        folder.write_manifest(&run.manifest).unwrap();
        for round in run.rounds.iter().filter(|row| row.round < run.manifest.rounds_done) {
            let peers: Vec<_> = run.peers.iter().filter(|row| row.round == round.round).cloned().collect();
            folder.append_round(round, &peers).unwrap();
        }
        path.to_str().unwrap().into()
    }

    #[test]
    fn runs_are_compared_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let seed = |run: &mut RunData, seed: u64| (run.manifest.seed, run.manifest.scenario.seed) = (seed, seed);
        let places = [
            recorded(folder.path(), "copycat-1", |_| {}),
            recorded(folder.path(), "other", |run| {
                run.manifest.scenario.training.lr = 0.5;
                (run.manifest.rounds_done, run.manifest.finished) = (100, false);
            }),
            recorded(folder.path(), "copycat-2", |run| seed(run, 2)),
        ];
        let comparison = Comparison::read(&places).unwrap();
        let summary = comparison.summary(Look::Plain);
        let settings = "\
            | setting     |     1 |   2 |\n\
            |-------------|-------|-----|\n\
            | training.lr | 0.003 | 0.5 |\n";
        let transposed = "\
            | group                | training.lr |\n\
            |----------------------|-------------|\n\
            | 1: copycat (2 seeds) |       0.003 |\n\
            | 2: other             |         0.5 |\n";
        assert!(summary.starts_with(transposed) && !summary.contains(settings), "{summary}");
        let group = summary.lines().find(|line| line.starts_with("| 1: copycat (2 seeds) | honest ")).unwrap();
        assert!(group.contains("|    12 |        2 |") && group.contains(" ± "), "{group}");
        assert!(summary.ends_with(
            "\n\nLosses and curves end where a group's shortest run ends: 2: other after 100; the longest run has 150 rounds."
        ));
        let picture = comparison.picture().unwrap();
        for text in ["communication rounds done", "2: other: copycat of best", "nats per token", "copycat (2 seeds)"] {
            assert!(picture.contains(text), "{text}");
        }
        assert_eq!((picture.matches("<svg").count(), picture.matches("</svg>").count()), (4, 4), "three in one");

        let alone = Comparison::read(&places[..1]).unwrap().summary(Look::Plain);
        assert!(alone.starts_with("no setting differs\n") && !alone.contains("shortest run"), "{alone}");
    }

    #[test]
    fn more_settings_than_groups_have_a_line_each() {
        let folder = tempfile::tempdir().unwrap();
        let other = |run: &mut RunData| {
            let scenario = &mut run.manifest.scenario;
            (scenario.training.lr, scenario.protocol.top_peers, scenario.peers[0].leaves) = (0.5, 7, Some(9));
        };
        let places = [recorded(folder.path(), "one", |_| {}), recorded(folder.path(), "two", other)];
        let summary = Comparison::read(&places).unwrap().summary(Look::Plain);
        let settings = "\
            | setting            |     1 |   2 |\n\
            |--------------------|-------|-----|\n\
            | peers.0.leaves     |     - |   9 |\n\
            | protocol.top_peers |    15 |   7 |\n\
            | training.lr        | 0.003 | 0.5 |\n";
        assert!(summary.starts_with(settings), "{summary}");
    }

    #[test]
    fn a_folder_that_is_neither_run_nor_sweep_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |place: &str| Comparison::read(&[place.into()]).err().unwrap().to_string();
        let nothing = folder.path().to_str().unwrap();
        let expected = "there is no run and no sweep here; expected a folder with manifest.json or sweep.json";
        assert_eq!(read(nothing), format!("{nothing}: {expected}"));
        let central =
            recorded(folder.path(), "central", |run| (run.manifest.central, run.manifest.finished) = (true, false));
        let expected = "the baseline alone, in which nobody is paid; `sim plot` draws its loss beside that of runs";
        assert_eq!(read(&central), format!("{central}: {expected}"));
    }
}
