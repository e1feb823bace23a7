//! Rotary positions: which settings mean the plain ones, and their base.

use super::{HfError, keys::Keys};

/// The base of the rotary angles where the file does not say it.
const THETA: f64 = 10_000.0;

/// The base of the angles, from `rope_scaling` or `rope_parameters` and the older `rope_theta` beside them.
///
/// As in `transformers`, `rope_scaling` comes first unless it is empty, and a base inside of either comes before the one
/// beside it. A scaling by a factor of 1 is none.
pub(super) fn theta(config: &Keys) -> Result<f64, HfError> {
    let scaling = config.object("rope_scaling")?;
    let rope = if scaling.is_empty() { config.object("rope_parameters")? } else { scaling };
    if let Some(layers) = rope.nested() {
        return Err(rope.wrong(layers, "one set of rotary settings for all layers"));
    }
    let key = if rope.has("rope_type") { "rope_type" } else { "type" };
    let kind = rope.text(key)?.unwrap_or_else(|| "default".into());
    let factor = rope.number("factor")?;
    let attention = ["attention_factor", "mscale", "mscale_all_dim"].into_iter().find(|key| rope.get(key).is_some());
    match (kind.as_str(), factor) {
        ("default", _) | ("linear" | "dynamic" | "llama3", Some(1.0)) => {}
        ("yarn", Some(1.0)) if attention.is_none() => {}
        ("linear" | "dynamic" | "llama3" | "yarn", Some(factor)) if factor != 1.0 => {
            return Err(rope.wrong(key, format!("default: positions scaled by a factor of {factor} are not supported")));
        }
        _ => return Err(rope.wrong(key, "default: no other rotary positions are supported")),
    }
    let theta = match rope.number("rope_theta")? {
        Some(theta) => theta,
        None => config.number("rope_theta")?.unwrap_or(THETA),
    };
    match theta > 0.0 && theta.is_finite() {
        true => Ok(theta),
        false if rope.get("rope_theta").is_some() => Err(rope.wrong("rope_theta", "a number above 0")),
        false => Err(config.wrong("rope_theta", "a number above 0")),
    }
}
