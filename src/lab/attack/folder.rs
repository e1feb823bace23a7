//! A search in its folder or bucket: starts or resumes it and writes the report.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::report;
use super::search::{Found, Search};
use crate::lab::error::LabError;
use crate::lab::place::{self, Described, first_difference};
use crate::scenario::Scenario;

/// `attack.json`: what the search covers. A search with a larger budget continues the same search.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u64,
    seed: u64,
    /// Settings of the scenario.
    scenario: String,
}

impl Described for Stored {
    const FILE: &'static str = "attack.json";
    const WHAT: &'static str = "search";
    const FORMAT: u64 = 1;
}

/// The outcome of a search that has been written.
pub struct Recorded {
    pub found: Found,
    /// The report's text.
    pub report: String,
    /// Names of the written files.
    pub files: Vec<String>,
}

impl Search<'_> {
    /// Searches and writes the report beside the results; `None` after an interrupt.
    ///
    /// # Errors
    /// The place holds another search, a network cannot be run, or the place cannot be written.
    pub fn record(&self, scenario: &Scenario) -> Result<Option<Recorded>, LabError> {
        self.begin(scenario)?;
        let Some(found) = self.run()? else { return Ok(None) };
        let mut names = Vec::new();
        for (name, bytes) in report::files(self, scenario, &found)? {
            self.shelf.write(&Path::from(name.as_str()), bytes)?;
            names.push(name);
        }
        let report = report::report(self, scenario, &found);
        Ok(Some(Recorded { found, report, files: names }))
    }

    /// Records in the place what the search covers.
    fn begin(&self, scenario: &Scenario) -> Result<(), LabError> {
        let here = Stored { format: Stored::FORMAT, seed: self.seed, scenario: scenario.canonical() };
        place::begin(self.shelf, &here, |there: &Stored| {
            if there.seed != here.seed {
                return Ok(Some(format!("search seed {} there, {} here", there.seed, here.seed)));
            }
            if there.scenario == here.scenario {
                return Ok(None);
            }
            let read = Scenario::from_toml_with(scenario.registry.clone(), &there.scenario, "its scenario", &[]);
            let there = read.map_err(|error| error.to_string())?;
            Ok(Some(first_difference(&there, scenario)))
        })
    }
}
