//! Finds the settings in which scenarios differ.

use std::collections::BTreeMap;

use toml::Value;

use crate::scenario::Scenario;

/// A setting by its `--set` path, and its value in each scenario; `None` if a scenario lacks it.
pub type Difference = (String, Vec<Option<String>>);

/// The settings in which scenarios differ, by path. `name` and `summary` are left out, as they do not affect a run.
pub fn differences(scenarios: &[&Scenario]) -> Vec<Difference> {
    let mut settings: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (nth, scenario) in scenarios.iter().enumerate() {
        let mut put = |path: &str, value: String| {
            settings.entry(path.to_string()).or_insert_with(|| vec![None; scenarios.len()])[nth] = Some(value);
        };
        flatten("", &Value::try_from(*scenario).expect("every setting has a TOML form"), &mut put);
    }
    let is_told = |path: &str| !matches!(path, "name" | "summary");
    settings
        .into_iter()
        .filter(|(path, values)| is_told(path) && values.iter().any(|value| *value != values[0]))
        .collect()
}

/// Lists every single value with its path. An empty table or list counts as a value.
fn flatten(path: &str, value: &Value, put: &mut impl FnMut(&str, String)) {
    let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) if !table.is_empty() => {
            table.iter().for_each(|(key, value)| flatten(&below(key), value, put));
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items.iter().enumerate().for_each(|(nth, item)| flatten(&below(&nth.to_string()), item, put));
        }
        Value::String(text) => put(path, text.clone()),
        value => put(path, value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(overrides: &[&str]) -> Scenario {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::from_toml("name = 'x'\npeers = [{ count = 20 }]", "x.toml", &overrides).unwrap()
    }

    #[test]
    fn differences_are_listed_by_set_path() {
        let base = read(&[]);
        assert_eq!(differences(&[&base, &read(&["name=y", "summary=other"])]), []);
        let other = read(&["peers.0.behaviour={kind='lazy', fraction=0.25}", "seed=7", "peers.0.leaves=9"]);
        let some = |text: &str| Some(text.to_string());
        assert_eq!(
            differences(&[&base, &other]),
            [
                ("peers.0.behaviour.data".to_string(), vec![some("1.0"), None]),
                ("peers.0.behaviour.fraction".to_string(), vec![None, some("0.25")]),
                ("peers.0.behaviour.kind".to_string(), vec![some("honest"), some("lazy")]),
                ("peers.0.leaves".to_string(), vec![None, some("9")]),
                ("seed".to_string(), vec![some("0"), some("7")]),
            ]
        );
    }
}
