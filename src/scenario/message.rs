//! Rewrites messages of serde in a scenario's terms.

use toml::{Table, Value};

use super::sections::Scenario;

/// Rewrites serde's message about the key at `path`.
pub fn retell(message: &str, path: &str) -> String {
    let names = quoted(message);
    let name = names.first().copied().unwrap_or_default();
    if message.starts_with("unknown field") {
        return unknown_key(name, path, &names[1..]);
    }
    if message.starts_with("unknown variant") {
        let hint =
            nearest(name, names[1..].iter().copied()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return format!("{path} is `{name}`; expected one of {}{hint}", names[1..].join(", "));
    }
    if message.starts_with("missing field") {
        return format!("the key `{name}` is missing in {}; expected `{name} = ...`", section(path));
    }
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match mismatch.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, expected)) => {
            let (value, kind) = (plain_value(got), plain_type(expected));
            let digits = value.trim_matches('"');
            // TOML ends at 2^63, and a setting takes what it cannot read as a text.
            let too_large = digits.len() > 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
            match too_large && kind.starts_with("a whole number") {
                true => format!("{path} is {digits}; expected a whole number below 2^63"),
                false => format!("{path} is {value}; expected {kind}"),
            }
        }
        None if path.is_empty() => message.to_string(),
        None => format!("{path}: {message}"),
    }
}

fn unknown_key(name: &str, path: &str, siblings: &[&str]) -> String {
    let segments: Vec<&str> = path.split('.').collect();
    let depth = segments.iter().rposition(|segment| *segment == name).unwrap_or(segments.len());
    let place = section(&segments[..depth].join("."));
    let hint = meant(name, siblings).or_else(|| elsewhere(name));
    let hint = hint.unwrap_or_else(|| format!("expected one of {}", siblings.join(", ")));
    format!("unknown key `{name}` in {place}; {hint}")
}

/// A message that a setting does not belong to a kind, as in "the behaviour `honest`"; `message` is serde's.
pub fn not_of_kind(message: &str, section: &str, what: &str, kind: &str) -> String {
    let names = quoted(message);
    let (name, settings) = names.split_first().map_or(("", &[][..]), |(name, settings)| (*name, settings));
    // A key in a top-level section may belong to another section.
    let strayed = || if section.contains('.') { None } else { elsewhere(name) };
    // The key that names the kind belongs to the section too.
    let named_by = if what == "rule" { "rule" } else { "kind" };
    let hint = match meant(name, &[settings, &[named_by]].concat()).or_else(strayed) {
        Some(hint) => format!("; {hint}"),
        None if settings.is_empty() => ", which has none".to_string(),
        None => format!(", which has {}", settings.join(", ")),
    };
    format!("{section}: `{name}` is not a setting of the {what} `{kind}`{hint}")
}

fn meant(name: &str, siblings: &[&str]) -> Option<String> {
    nearest(name, siblings.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

/// Keys of this name in other sections.
fn elsewhere(name: &str) -> Option<String> {
    let keys = known_keys().into_iter().filter(|key| key.rsplit('.').next() == Some(name));
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    let top = if keys.iter().any(|key| !key.contains('.')) { ", above the first [section]" } else { "" };
    (!keys.is_empty()).then(|| format!("did you mean {}{top}?", keys.join(" or ")))
}

/// Paths of a scenario's keys, without those of peers, operators and validators.
pub fn known_keys() -> Vec<String> {
    let mut bare: Scenario =
        toml::from_str("name = ''\npeers = []\nvalidators = []").expect("all other keys have defaults");
    let completed = bare.registry.schemes.complete(&mut bare.scheme);
    completed.and_then(|()| bare.registry.mechanisms.complete(&mut bare.mechanism)).expect("defaults are complete");
    let mut keys = Vec::new();
    collect("", &Table::try_from(&bare).expect("a scenario is a table"), &mut keys);
    keys
}

fn collect(parent: &str, table: &Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            Value::Table(section) => collect(&format!("{parent}{key}."), section, keys),
            _ => keys.push(format!("{parent}{key}")),
        }
    }
}

/// A section in a file's notation.
fn section(path: &str) -> String {
    if path.is_empty() { "the file's top level".to_string() } else { format!("[{path}]") }
}

/// The parts of a message between backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// "integer `-3`" is -3, "string "abc"" is "abc".
fn plain_value(got: &str) -> String {
    let value =
        ["integer ", "floating point ", "string ", "boolean "].into_iter().find_map(|kind| got.strip_prefix(kind));
    match (value, got) {
        // Of a large number the type is told too: "integer `9` as i128".
        (Some(value), _) => value.split("` as ").next().unwrap_or_default().trim_matches('`').to_string(),
        (None, "map") => "a table".to_string(),
        (None, "sequence") => "an array".to_string(),
        (None, other) => other.to_string(),
    }
}

fn plain_type(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "an array of tables",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    }
}

/// The name that was probably meant by `name`.
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|other| (strsim::levenshtein(name, other), other)).min()?;
    (near.0 <= 1 + name.chars().count() / 4).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_from_other_names() {
        assert_eq!(nearest("copycta", ["honest", "copycat"].into_iter()), Some("copycat"));
        assert_eq!(nearest("xyz", ["honest", "copycat"].into_iter()), None);
        // One slip, and one more for every four characters.
        assert_eq!(nearest("lrr", ["lr"].into_iter()), Some("lr"));
        assert_eq!(nearest("sitting", ["kitten"].into_iter()), None);
        assert_eq!(nearest("sittings", ["kittens"].into_iter()), Some("kittens"));
        assert_eq!(nearest("", ["a", "bc"].into_iter()), Some("a"));
        assert_eq!(nearest("", ["abc"].into_iter()), None);
    }

    #[test]
    fn serde_is_retold() {
        for (message, path, expected) in [
            (
                "unknown field `lrr`, expected `lr` or `topk`",
                "training.lrr",
                "unknown key `lrr` in [training]; did you mean `lr`?",
            ),
            (
                "unknown field `lr`, expected `name`",
                "lr",
                "unknown key `lr` in the file's top level; did you mean `baseline.lr` or `training.lr`?",
            ),
            (
                "unknown field `rounds`, expected `count`",
                "peers.0.rounds",
                "unknown key `rounds` in [peers.0]; did you mean `rounds`, above the first [section]?",
            ),
            (
                "unknown field `trainin`, expected `training`",
                "trainin.lr",
                "unknown key `trainin` in the file's top level; did you mean `training`?",
            ),
            (
                "invalid value: integer `-3`, expected usize",
                "peers.0.count",
                "peers.0.count is -3; expected a whole number, 0 or more",
            ),
            (
                "invalid value: integer `99999999999999999999` as i128, expected u64",
                "rounds",
                "rounds is 99999999999999999999; expected a whole number below 2^63",
            ),
            (
                "invalid type: string \"9223372036854775808\", expected u64",
                "seed",
                "seed is 9223372036854775808; expected a whole number below 2^63",
            ),
            ("invalid type: string \"abc\", expected f64", "training.lr", "training.lr is \"abc\"; expected a number"),
            ("missing field `peers`", "", "the key `peers` is missing in the file's top level; expected `peers = ...`"),
        ] {
            assert_eq!(retell(message, path), expected);
        }
    }
}
