//! `--set key=value`.

use toml::{Table, Value};

use super::error::{Place, Problem};
use super::message::retell;
use super::sections::Scenario;

/// One `key=value` of the command line.
pub struct Override {
    text: String,
    /// Path of the key, `peers.0.count`.
    pub path: String,
    value: String,
}

impl Override {
    /// Splits `key=value`. `peers[0].count` means `peers.0.count`; `peers.+.count` adds a group with this count, and
    /// `peers.last.count` sets that of the last group.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let path = key.trim().replace('[', ".").replace(']', "");
        let parsed = Self { text: text.to_string(), path, value: value.trim().to_string() };
        if !text.contains('=') || parsed.path.split('.').any(str::is_empty) {
            return Err(parsed.problem("expected key=value, such as training.lr=1e-3 or peers.0.count=3".to_string()));
        }
        Ok(parsed)
    }

    /// The place to report for its settings.
    pub fn place(&self) -> Place {
        Place::Override(self.text.clone())
    }

    fn problem(&self, message: String) -> Problem {
        Problem { place: self.place(), key: self.path.clone(), message }
    }

    /// The scenario with this key replaced. The value is read as TOML. If that fails, it is a string, so a path needs
    /// no quotes. From then on the path has numbers in place of `+` and `last`.
    pub fn apply(&mut self, scenario: &Scenario) -> Result<Scenario, Problem> {
        let resolved = Table::try_from(scenario).map_err(|error| self.problem(error.to_string()))?;
        let (written, text) = (self.path.clone(), self.value.clone());
        let mut attempt = |value: Value| {
            let mut changed = Value::Table(resolved.clone());
            self.path = put(&mut changed, &written, value).map_err(|message| self.problem(message))?;
            let scenario = changed.try_into::<Scenario>();
            scenario.map_err(|error| self.problem(retell(error.message(), &self.path)))
        };
        match text.parse::<Value>() {
            Ok(value) => attempt(value).or_else(|problem| attempt(Value::String(text)).map_err(|_| problem)),
            Err(_) => attempt(Value::String(text)),
        }
    }
}

/// The last override that affects a key: it sets the key, a table around it, or a part of it.
pub fn last_on<'a>(overrides: &'a [Override], path: &str) -> Option<&'a Override> {
    overrides.iter().rev().find(|change| overlap(&change.path, path))
}

/// Whether the paths are equal, or one is a prefix of the other.
fn overlap(a: &str, b: &str) -> bool {
    a.split('.').zip(b.split('.')).all(|(a, b)| a == b)
}

/// Stands for one more group of a list, in a path.
const ONE_MORE: &str = "+";
/// Stands for the last group of a list.
const LAST: &str = "last";

/// Whether a key of the top level is a list of groups. A list without groups is not written.
fn is_list(key: &str) -> bool {
    matches!(key, "peers" | "operators" | "validators")
}

/// Puts a value at a path, and makes the tables on the way. Returns the path with the numbers of its groups.
fn put(root: &mut Value, path: &str, value: Value) -> Result<String, String> {
    let mut target = root;
    let mut walked = String::new();
    for key in path.split('.') {
        let mut key = key.to_string();
        target = match target {
            Value::Table(table) => {
                let empty = || match walked.is_empty() && is_list(&key) {
                    true => Value::Array(Vec::new()),
                    false => Value::Table(Table::new()),
                };
                table.entry(key.as_str()).or_insert_with(empty)
            }
            Value::Array(items) => {
                let count = items.len();
                if key == ONE_MORE {
                    items.push(Value::Table(Table::new()));
                    key = count.to_string();
                } else if key == LAST && count > 0 {
                    key = (count - 1).to_string();
                }
                let item = key.parse::<usize>().ok().and_then(|index| items.get_mut(index));
                item.ok_or_else(|| match count {
                    0 => format!("{walked} has no group; `{walked}.+` adds one"),
                    _ => {
                        format!("`{key}` is not one of {walked}; expected 0 to {}, or `+` for one more", count - 1)
                    }
                })?
            }
            _ => return Err(format!("{walked} is a single value; expected --set {walked}=...")),
        };
        walked = if walked.is_empty() { key } else { format!("{walked}.{key}") };
    }
    *target = value;
    Ok(walked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_adds_a_group_and_sets_the_last_one() {
        let read = |overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
            Scenario::from_toml("name = 'x'\n[[peers]]\ncount = 20\n", "x.toml", &overrides).unwrap()
        };
        let scenario = read(&[
            "peers.+.behaviour=copycat",
            "peers.last.count=3",
            "peers.+={behaviour='noise', joins=2}",
            "operators.+.uids=2",
            "operators.last.behaviour=copycat",
            "operators[+].name=ring",
        ]);
        let groups: Vec<_> =
            scenario.peers.iter().map(|group| (group.count, scenario.label(&group.behaviour))).collect();
        assert_eq!(groups[0], (20, "honest".to_string()));
        assert_eq!(groups[1].0, 3);
        assert!(groups[1].1.starts_with("copycat") && groups[2].1 == "noise", "{groups:?}");
        assert_eq!((scenario.peers.len(), scenario.peers[2].joins), (3, 2));
        assert_eq!((scenario.operators.len(), scenario.operators[0].uids), (2, 2));
        assert_eq!(scenario.operators[1].name.as_deref(), Some("ring"));
        let written = Scenario::from_toml(&scenario.to_toml(), "x.toml", &[]).unwrap();
        assert_eq!(written, scenario);
    }
}
