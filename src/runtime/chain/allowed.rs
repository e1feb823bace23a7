//! Which buckets of their own peers may name.

use crate::chain::ChainSettings;

/// Whether a run's peers may keep their uploads in the bucket at this URL. What comes after the allowed beginning is
/// plain names, so that nothing in it leads out again, as `..` would and `%2e%2e`.
pub fn allows(settings: &ChainSettings, url: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let is_name = |name: &str| name.chars().all(is_plain) && name != "." && name != "..";
    let mut rests = settings.peer_buckets.iter().filter_map(|prefix| url.strip_prefix(prefix.as_str()));
    rests.any(|rest| rest.split('/').all(is_name))
}
