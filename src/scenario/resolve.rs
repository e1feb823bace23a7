//! Resolves the names of kinds to their settings: fills in defaults, and reports mistakes.

use serde::Deserialize;

use super::error::{Place, Problem};
use super::message::{not_of_kind, retell};
use super::overrides::{Override, last_on};
use super::peers::is_honest;
use super::place::Source;
use super::registry::Registry;
use super::sections::Scenario;
use crate::node::behaviour::BehaviourSettings;
use crate::settings::{Findings, KindError, Kinded, Kinds};
use crate::training::aggregate::AggregationSettings;

/// Completes everything that a scenario names by its kind. Returns a problem for each that cannot be completed.
pub fn resolve(scenario: &mut Scenario, source: &Source, overrides: &[Override]) -> Vec<Problem> {
    let Scenario { registry, training, scheme, aggregation, mechanism, validators, peers, operators, .. } = scenario;
    let mut resolver = Resolver { source, overrides, problems: Vec::new() };
    let said = scheme.clone();
    resolver.complete(&registry.schemes, scheme, "scheme", "scheme");
    if let Ok(resolved) = registry.schemes.resolve(&said) {
        let silent = resolved.settings.dependent_defaults(training.pages_per_round).into_iter();
        scheme.settings.extend(silent.filter(|(key, _)| !said.settings.contains_key(key)));
        resolver.complete_rule(registry, aggregation, resolved.settings.default_rule());
    }
    resolver.complete(&registry.mechanisms, mechanism, "mechanism", "mechanism");
    for (index, validator) in validators.iter_mut().enumerate() {
        let section = format!("validators.{index}.behaviour");
        resolver.complete(&registry.validator_behaviours, &mut validator.behaviour, "validator's behaviour", &section);
        if is_honest(&validator.behaviour) {
            // Honest is the default and is not written, so it reads back as unset.
            validator.behaviour = Kinded::default();
        }
    }
    let peers = peers.iter_mut().map(|group| &mut group.behaviour).enumerate();
    let peers = peers.map(|(index, behaviour)| (format!("peers.{index}.behaviour"), behaviour));
    let operators = operators.iter_mut().map(|group| &mut group.behaviour).enumerate();
    let operators = operators.map(|(index, behaviour)| (format!("operators.{index}.behaviour"), behaviour));
    for (section, behaviour) in peers.chain(operators) {
        resolver.complete(&registry.behaviours, behaviour, "behaviour", &section);
    }
    resolver.problems
}

impl Registry {
    /// The behaviour that a text describes in a scenario's words: `lazy`, or `{ kind = "lazy", fraction = 0.25 }`.
    ///
    /// # Errors
    /// What is wrong with it, one line per problem.
    pub fn behaviour(&self, text: &str) -> Result<Box<dyn BehaviourSettings>, String> {
        #[derive(Deserialize)]
        struct File {
            behaviour: Kinded,
        }
        let value = if text.trim_start().starts_with('{') { text.to_string() } else { format!("{text:?}") };
        let file = format!("behaviour = {value}");
        let source = Source::parse("", &file).map_err(|error| error.message().to_string())?;
        let File { behaviour } = toml::from_str(&file).map_err(|error| retell(error.message(), "behaviour"))?;
        let resolved = self.behaviours.resolve(&behaviour).map_err(|error| {
            let resolver = Resolver { source: &source, overrides: &[], problems: Vec::new() };
            resolver.problem(error, "behaviour", self.behaviours.kind_of(&behaviour), "behaviour").message
        })?;
        let mut found = Findings::default();
        found.within("behaviour", |found| {
            found.finite("", &resolved.table.into());
            resolved.settings.check(found);
        });
        let found = found.into_vec().into_iter();
        let lines: Vec<String> = found
            .map(|finding| format!("{} is {}; expected {}", finding.path, finding.got, finding.expected))
            .collect();
        if lines.is_empty() { Ok(resolved.settings) } else { Err(lines.join("\n")) }
    }
}

struct Resolver<'a> {
    source: &'a Source<'a>,
    overrides: &'a [Override],
    problems: Vec<Problem>,
}

impl Resolver<'_> {
    /// Completes the `what` at `section`.
    fn complete<S: ?Sized + 'static>(&mut self, kinds: &Kinds<S>, kinded: &mut Kinded, what: &str, section: &str) {
        if let Err(error) = kinds.complete(kinded) {
            self.problems.push(self.problem(error, what, kinds.kind_of(kinded), section));
        }
    }

    /// Completes the rule of aggregation, if the scenario sets anything of it. The check that the rule fits the scheme
    /// handles an unknown rule.
    fn complete_rule(&mut self, registry: &Registry, aggregation: &mut AggregationSettings, own: &str) {
        let mut rule = aggregation.rule(own);
        let name = registry.aggregations.kind_of(&rule).to_string();
        if !aggregation.is_default() && registry.aggregations.names().any(|known| known == name) {
            self.complete(&registry.aggregations, &mut rule, "rule", "aggregation");
            *aggregation = AggregationSettings { rule: rule.kind, settings: rule.settings, ..*aggregation };
        }
    }

    fn problem(&self, error: KindError, what: &str, kind: &str, section: &str) -> Problem {
        if error.key == "kind" {
            let (key, place) = self.named(section);
            return Problem { place, message: retell(&error.message, &key), key };
        }
        let within = |key: &str| if key.is_empty() { section.to_string() } else { format!("{section}.{key}") };
        let Some(unknown) = unknown_field(&error.message) else {
            let key = within(&error.key);
            let place = self.place(&key, self.source.place_of_value(&key), section);
            return Problem { place, message: retell(&error.message, &key), key };
        };
        // The path may end with the unknown field, or with the table that lacks it.
        let table = error.key.strip_suffix(unknown).unwrap_or(&error.key).trim_end_matches('.');
        let key = if table.is_empty() { within(unknown) } else { within(&format!("{table}.{unknown}")) };
        let message = match table {
            "" => not_of_kind(&error.message, section, what, kind),
            _ => retell(&error.message, &key),
        };
        // A change of the kind makes the settings of the former kind invalid.
        let renamed = last_on(self.overrides, &format!("{section}.kind")).map(Override::place);
        let place = self.place(&key, renamed.or_else(|| self.source.place_of(&key)), section);
        Problem { place, message, key }
    }

    /// The key that names the kind, and its place: `behaviour = "..."`, or `kind` in its table.
    fn named(&self, section: &str) -> (String, Place) {
        let kind = format!("{section}.kind");
        if let Some(change) = last_on(self.overrides, &kind) {
            let key = if change.path == kind { kind } else { section.to_string() };
            return (key, change.place());
        }
        match self.source.place_of_value(&kind) {
            Some(place) => (kind, place),
            None => {
                let place = self.source.place_of_value(section).unwrap_or_else(|| self.source.file());
                (section.to_string(), place)
            }
        }
    }

    /// What set a key: an override, or the place of the key or its section in the file.
    fn place(&self, key: &str, in_file: Option<Place>, section: &str) -> Place {
        let touched = last_on(self.overrides, key).map(Override::place);
        let found = touched.or(in_file).or_else(|| self.source.place_of(section));
        found.unwrap_or_else(|| self.source.file())
    }
}

/// The field that serde does not know, if the message is about one.
fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}
