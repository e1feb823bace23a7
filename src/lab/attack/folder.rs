//! A search in its folder or bucket: starts or resumes it and writes the report.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::report;
use super::search::{Found, Search};
use crate::lab::differences::differences;
use crate::lab::error::LabError;
use crate::scenario::Scenario;

const FORMAT: u64 = 1;
const ATTACK: &str = "attack.json";

/// `attack.json`: what the search covers. A search with a larger budget continues the same search.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u64,
    seed: u64,
    /// Settings of the scenario.
    scenario: String,
}

impl Search<'_> {
    /// Searches and writes the report beside the results. Returns the findings and the report's text, or `None` after
    /// an interrupt.
    ///
    /// # Errors
    /// The place holds another search, a network cannot be run, or the place cannot be written.
    pub fn record(&self, scenario: &Scenario) -> Result<Option<(Found, String)>, LabError> {
        self.begin(scenario)?;
        let Some(found) = self.run()? else { return Ok(None) };
        for (name, bytes) in report::files(self, scenario, &found)? {
            self.shelf.write(&Path::from(name), bytes)?;
        }
        let text = report::report(self, scenario, &found);
        Ok(Some((found, text)))
    }

    /// Records in the place what the search covers.
    fn begin(&self, scenario: &Scenario) -> Result<(), LabError> {
        let path = Path::from(ATTACK);
        let other = |differs: String| LabError::Other { url: self.shelf.url().to_string(), differs };
        match self.shelf.read(&path)? {
            Some(Ok(bytes)) => {
                let stored: Stored =
                    serde_json::from_slice(&bytes).map_err(|error| other(format!("{ATTACK}: {error}")))?;
                if stored.format != FORMAT {
                    return Err(other(format!("format {} then, {FORMAT} now", stored.format)));
                }
                if stored.seed != self.seed {
                    return Err(other(format!("search seed {} then, {} now", stored.seed, self.seed)));
                }
                self.compare(scenario, &stored.scenario).map_err(other)
            }
            Some(Err(size)) => Err(other(format!("{ATTACK} is {size} bytes long"))),
            None => {
                let stored = Stored { format: FORMAT, seed: self.seed, scenario: scenario.canonical() };
                let mut bytes = serde_json::to_vec_pretty(&stored).expect("plain data");
                bytes.push(b'\n');
                self.shelf.write(&path, bytes)
            }
        }
    }

    /// Checks that the scenario is the one of the search; otherwise returns the first setting that differs.
    fn compare(&self, scenario: &Scenario, stored: &str) -> Result<(), String> {
        if stored == scenario.canonical() {
            return Ok(());
        }
        let before = Scenario::from_toml_with(scenario.registry.clone(), stored, ATTACK, &[]);
        let before = before.map_err(|error| error.to_string())?;
        let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        let differs = differences(&[&before, scenario]);
        let first = differs
            .first()
            .map(|(key, values)| format!("{key} is {} then, {} now", told(&values[0]), told(&values[1])));
        Err(first.unwrap_or_else(|| "another name or summary".into()))
    }
}
