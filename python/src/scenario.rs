//! A scenario: read from a file, a shipped name or a text, with settings changed and classes beside the shipped kinds.

use std::sync::Arc;

use gauntlet::scenario::{self, Registry};
use pyo3::prelude::*;

use super::errors::{Failure, Raised, raised};
use super::kinds::{Class, Kind, classes, registry};

/// A network to run, checked.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Scenario {
    source: String,
    text: Option<String>,
    overrides: Vec<String>,
    classes: Vec<Arc<Class>>,
    checked: scenario::Scenario,
}

#[pymethods]
impl Scenario {
    /// `source` is a path or a shipped name, or names the `text` in messages.
    #[new]
    fn new(source: String, text: Option<String>, overrides: Vec<String>, kinds: Vec<Py<Kind>>) -> PyResult<Self> {
        let classes = classes(&kinds);
        let failure = Arc::new(Failure::default());
        let checked = failure.caught(|| {
            let read = read(registry(&classes, &failure), &source, text.as_deref(), &overrides);
            read.map_err(|message| raised(Raised::Scenario, message))
        })?;
        Ok(Self { source, text, overrides, classes, checked })
    }

    /// All settings, defaults included, as a scenario file.
    fn toml(&self) -> String {
        self.checked.to_toml()
    }

    #[getter]
    fn name(&self) -> &str {
        &self.checked.name
    }

    #[getter]
    fn summary(&self) -> &str {
        &self.checked.summary
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.checked.seed
    }

    #[getter]
    fn rounds(&self) -> u64 {
        self.checked.rounds
    }

    /// Name of the mechanism's kind.
    #[getter]
    fn mechanism(&self) -> &str {
        self.checked.registry.mechanisms.kind_of(&self.checked.mechanism)
    }
}

impl Scenario {
    /// The scenario for one run or experiment, whose hooks report to `failure`.
    pub fn with(&self, failure: &Arc<Failure>) -> scenario::Scenario {
        scenario::Scenario { registry: registry(&self.classes, failure), ..self.checked.clone() }
    }

    /// Reads the scenario again, with further settings.
    pub fn reader(
        &self,
        failure: &Arc<Failure>,
    ) -> impl Fn(&[String]) -> Result<scenario::Scenario, String> + Send + use<> {
        let registry = registry(&self.classes, failure);
        let (source, text, overrides) = (self.source.clone(), self.text.clone(), self.overrides.clone());
        move |settings| {
            let overrides = [overrides.as_slice(), settings].concat();
            read(registry.clone(), &source, text.as_deref(), &overrides)
        }
    }
}

/// Reads a scenario as the command line does: one that starts from a model gets its sizes.
fn read(
    registry: Registry,
    source: &str,
    text: Option<&str>,
    overrides: &[String],
) -> Result<scenario::Scenario, String> {
    let read = match text {
        Some(text) => scenario::Scenario::from_toml_with(registry, text, source, overrides),
        None => scenario::load_with(registry, source, overrides),
    };
    read.map_err(|error| error.to_string())?.with_initial_sizes().map_err(|error| error.to_string())
}

/// Names and summaries of the shipped scenarios.
#[pyfunction]
pub fn shipped() -> Vec<(String, String)> {
    scenario::shipped().iter().map(|shipped| (shipped.name.to_string(), shipped.summary())).collect()
}
