//! Keys that an earlier version had elsewhere: an old scenario is told where each of them went.

use super::error::Problem;
use super::overrides::Override;
use super::place::Source;

/// Keys of the former `[gauntlet]` that are the network's and not the judge's.
const PROTOCOL: [&str; 5] = ["top_peers", "min_peers", "put_window_seconds", "list_every", "list_delay"];

/// What is said of keys that are not where they were.
pub fn problems(source: &Source, overrides: &[Override]) -> Vec<Problem> {
    let in_file = source.paths().filter_map(|path| {
        let place = source.place_of(path)?;
        Some((place, path))
    });
    let set = overrides.iter().map(|change| (change.place(), change.path.as_str()));
    let old = in_file.chain(set).filter_map(|(place, path)| {
        let key = path.strip_prefix("gauntlet.")?;
        // A table of settings is told by its keys.
        if key.is_empty() || key == "openskill" {
            return None;
        }
        let section = if PROTOCOL.contains(&key) { "protocol" } else { "mechanism" };
        let message =
            format!("gauntlet.{key} is {section}.{key} now; [gauntlet] has become [protocol] and [mechanism]");
        Some(Problem { place, key: path.to_string(), message })
    });
    let mut found: Vec<Problem> = old.collect();
    if found.is_empty()
        && let Some(place) = source.place_of("gauntlet")
    {
        let message = "[gauntlet] has become [protocol] and [mechanism]".to_string();
        found.push(Problem { place, key: "gauntlet".into(), message });
    }
    found
}
