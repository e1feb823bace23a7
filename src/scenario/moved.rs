//! Tells where the keys of an earlier version have moved.

use super::error::Problem;
use super::overrides::Override;
use super::place::Source;

/// Keys of the former `[gauntlet]` that belong to the network and not to the mechanism.
const PROTOCOL: [&str; 5] = ["top_peers", "min_peers", "put_window_seconds", "list_every", "list_delay"];

/// A problem for each key that has moved.
pub fn problems(source: &Source, overrides: &[Override]) -> Vec<Problem> {
    let in_file = source.paths().filter_map(|path| {
        let place = source.place_of(path)?;
        Some((place, path))
    });
    let set = overrides.iter().map(|change| (change.place(), change.path.as_str()));
    let old = in_file.chain(set).filter_map(|(place, path)| {
        let key = path.strip_prefix("gauntlet.")?;
        // The keys of a table are reported, not the table.
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
