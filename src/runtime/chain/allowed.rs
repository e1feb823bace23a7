//! Which buckets of their own peers may name.

use crate::chain::ChainSettings;

/// Whether a run's peers may use the bucket at this URL for their uploads. Only plain names may follow the allowed
/// prefix, so that `..` or `%2e%2e` cannot lead out of it.
pub fn allows(settings: &ChainSettings, url: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let is_name = |name: &str| name.chars().all(is_plain) && name != "." && name != "..";
    let mut rests = settings.peer_buckets.iter().filter_map(|prefix| url.strip_prefix(prefix.as_str()));
    rests.any(|rest| rest.split('/').all(is_name))
}
