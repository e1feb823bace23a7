//! Turns a file and overrides into a scenario that can be run.

use std::io::ErrorKind;
use std::path::Path;

use toml::Value;

use super::check::check;
use super::error::{Place, Problem, ScenarioError};
use super::message::{nearest, retell};
use super::moved;
use super::overrides::{Override, last_on};
use super::place::{Source, place};
use super::registry::Registry;
use super::resolve::resolve;
use super::sections::Scenario;
use super::shipped::shipped;
use crate::settings::Finding;
use crate::words::other_encoding;

/// Reads a scenario, applies `key=value` overrides in order, and checks the result.
///
/// If a path does not exist but its file name is that of a shipped scenario (`scenarios/copycat.toml`, `copycat`), the
/// shipped one is used, so that an installed program needs no files beside it.
///
/// # Errors
/// [`ScenarioError`]: the file does not exist or cannot be read, or problems with file, line, column and key.
pub fn load(path: impl AsRef<Path>, overrides: &[String]) -> Result<Scenario, ScenarioError> {
    load_with(Registry::default(), path, overrides)
}

/// Like [`load`], with the kinds of this registry.
///
/// # Errors
/// Like [`load`].
pub fn load_with(registry: Registry, path: impl AsRef<Path>, overrides: &[String]) -> Result<Scenario, ScenarioError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    let reason = match std::fs::read(path).and_then(|bytes| text(bytes).map_err(std::io::Error::other)) {
        Ok(text) => return Scenario::from_toml_with(registry, &text, &name, overrides),
        Err(reason) => reason,
    };
    let stem = path.file_name().and_then(|file| file.to_str()).map(|file| file.strip_suffix(".toml").unwrap_or(file));
    let is_absent = reason.kind() == ErrorKind::NotFound || path.is_dir();
    match shipped().into_iter().find(|scenario| is_absent && Some(scenario.name) == stem) {
        Some(scenario) => {
            let name = format!("{} (shipped)", scenario.file());
            Scenario::from_toml_with(registry, scenario.text, &name, overrides)
        }
        None if reason.kind() == ErrorKind::NotFound => {
            let names: Vec<&str> = shipped().iter().map(|scenario| scenario.name).collect();
            let asked = stem.unwrap_or(&name).to_lowercase().replace('_', "-");
            let hint = match nearest(&asked, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("shipped are {}", names.join(", ")),
            };
            Err(ScenarioError::NotFound { path: name, hint })
        }
        None => Err(ScenarioError::Unreadable { path: name, reason }),
    }
}

/// The text of a file, or what is wrong with its bytes.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        other_encoding(error.as_bytes()).unwrap_or_else(|| format!("not UTF-8 in line {line}"))
    })
}

impl Scenario {
    /// Reads a scenario from the text of `file` (its name, for messages), applies `key=value` overrides in order, and
    /// checks the result.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], with all problems found.
    pub fn from_toml(text: &str, file: &str, overrides: &[String]) -> Result<Self, ScenarioError> {
        Self::from_toml_with(Registry::default(), text, file, overrides)
    }

    /// Like [`Scenario::from_toml`], with the kinds of this registry.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], with all problems found.
    pub fn from_toml_with(
        registry: Registry,
        text: &str,
        file: &str,
        overrides: &[String],
    ) -> Result<Self, ScenarioError> {
        let source = Source::parse(file, text).map_err(|error| syntax_error(file, text, &error))?;
        let overrides = overrides.iter().map(|text| Override::parse(text)).collect::<Result<Vec<_>, _>>();
        let mut overrides = overrides.map_err(one)?;
        let moved = moved::problems(&source, &overrides);
        if !moved.is_empty() {
            return Err(ScenarioError::Invalid(moved));
        }
        let mut scenario: Self = toml::from_str(text).map_err(|error| wrong_key(&source, file, text, &error))?;
        for change in &mut overrides {
            scenario = change.apply(&scenario).map_err(one)?;
        }
        scenario.registry = registry;
        let problems = resolve(&mut scenario, &source, &overrides);
        if !problems.is_empty() {
            return Err(ScenarioError::Invalid(problems));
        }
        let findings = check(&scenario);
        if findings.is_empty() {
            return Ok(scenario);
        }
        Err(ScenarioError::Invalid(findings.into_iter().map(|finding| locate(finding, &source, &overrides)).collect()))
    }

    /// All settings, defaults included, as a scenario file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every setting has a TOML form")
    }

    /// All settings, defaults included, always in the same order. It names a run.
    pub fn canonical(&self) -> String {
        let settings = Value::try_from(self).expect("every setting has a TOML form");
        toml::to_string(&sorted(settings)).expect("it was TOML before")
    }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Table(table) => {
            let mut entries: Vec<_> = table.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Table(entries.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn one(problem: Problem) -> ScenarioError {
    ScenarioError::Invalid(vec![problem])
}

fn syntax_error(file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let place = error.span().map_or(Place::File(file.to_string()), |span| place(file, text, span.start));
    one(Problem { place, key: String::new(), message: format!("not TOML: {}", error.message()) })
}

/// A key that is unknown, missing, or of another type.
fn wrong_key(source: &Source, file: &str, text: &str, error: &toml::de::Error) -> ScenarioError {
    let known = error.span().and_then(|span| Some((source.path_at(&span)?.to_string(), place(file, text, span.start))));
    let (key, place) = known.unwrap_or_else(|| (String::new(), source.file()));
    one(Problem { place, message: retell(error.message(), &key), key })
}

/// Finds what set the value of a finding: an override, the file, or neither (a default).
fn locate(finding: Finding, source: &Source, overrides: &[Override]) -> Problem {
    let touched = |path: &str| last_on(overrides, path).map(Override::place);
    let ancestors = || {
        let parents = finding.path.match_indices('.').rev().map(|(at, _)| &finding.path[..at]);
        parents.filter_map(|parent| source.place_of(parent)).next()
    };
    let own = touched(&finding.path).or_else(|| source.place_of(&finding.path));
    let note = if own.is_some() { "" } else { " (the default)" };
    let message = format!("{} is {}{note}; expected {}", finding.path, finding.got, finding.expected);
    let related = finding.related.and_then(|path| touched(path).or_else(|| source.place_of(path)));
    let related_override = related.clone().filter(|place| matches!(place, Place::Override(_)));
    let place = match own {
        Some(place @ Place::Override(_)) => place,
        own => related_override.or(own).or_else(ancestors).or(related).unwrap_or_else(|| source.file()),
    };
    Problem { place, key: finding.path, message }
}
