//! How peers train together, and how TOML says it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

/// The scheme of a network. In TOML: `scheme = "demo"`, or with settings `[scheme]`, `kind = "demo"`, `topk = 256`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SchemeSettings {
    Demo(DemoSettings),
}

/// DeMo: Peng et al., arXiv 2411.19870.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DemoSettings {
    /// Side of a chunk; a side of a tensor that it does not divide uses its largest divisor not above it.
    pub chunk: usize,
    /// Coefficients sent of each chunk (all of a smaller chunk).
    pub topk: usize,
    /// Decay of the momentum a round.
    pub decay: f64,
    /// What was sent is subtracted from the momentum from this round on.
    pub feedback_from_round: u64,
    /// Bits of a value that is sent: 2, 4, 8, or 32 to send it as it is.
    pub bits: u32,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self { chunk: 64, topk: 32, decay: 0.999, feedback_from_round: 0, bits: 32 }
    }
}

impl Default for SchemeSettings {
    fn default() -> Self {
        Self::Demo(DemoSettings::default())
    }
}

impl SchemeSettings {
    /// The kinds, as a scenario file spells them.
    pub const KINDS: [&'static str; 1] = ["demo"];

    /// The kind, as a scenario file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Demo(_) => "demo",
        }
    }
}

/// The settings of all kinds, as a file gives them; each kind takes its own.
#[derive(Default, DeriveDeserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    kind: Option<String>,
    chunk: Option<usize>,
    topk: Option<usize>,
    decay: Option<f64>,
    feedback_from_round: Option<u64>,
    bits: Option<u32>,
}

impl Settings {
    /// The scheme of this kind, which takes its settings out of `self`; `None`: there is no such kind.
    fn take(&mut self, kind: &str) -> Option<SchemeSettings> {
        Some(match kind {
            "demo" => {
                let mut demo = DemoSettings::default();
                replace(&mut demo.chunk, &mut self.chunk);
                replace(&mut demo.topk, &mut self.topk);
                replace(&mut demo.decay, &mut self.decay);
                replace(&mut demo.feedback_from_round, &mut self.feedback_from_round);
                replace(&mut demo.bits, &mut self.bits);
                SchemeSettings::Demo(demo)
            }
            _ => return None,
        })
    }

    /// Name of a setting that is still there.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("chunk", self.chunk.is_some()),
            ("topk", self.topk.is_some()),
            ("decay", self.decay.is_some()),
            ("feedback_from_round", self.feedback_from_round.is_some()),
            ("bits", self.bits.is_some()),
        ];
        given.into_iter().find_map(|(name, there)| there.then_some(name))
    }

    fn into_scheme<E: de::Error>(mut self) -> Result<SchemeSettings, E> {
        let kind = self.kind.take().unwrap_or_else(|| SchemeSettings::default().kind().into());
        let scheme = self.take(&kind).ok_or_else(|| E::unknown_variant(&kind, &SchemeSettings::KINDS))?;
        match self.left_over() {
            None => Ok(scheme),
            Some(setting) => Err(E::custom(format_args!("`{setting}` is not a setting of the scheme `{kind}`"))),
        }
    }
}

/// A setting that the file gives replaces the default.
fn replace<T>(default: &mut T, given: &mut Option<T>) {
    if let Some(given) = given.take() {
        *default = given;
    }
}

impl<'de> Deserialize<'de> for SchemeSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindOrTable)
    }
}

struct KindOrTable;

impl<'de> Visitor<'de> for KindOrTable {
    type Value = SchemeSettings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the name of a scheme, or a table such as {{ kind = \"demo\", topk = 256 }}")
    }

    fn visit_str<E: de::Error>(self, kind: &str) -> Result<SchemeSettings, E> {
        Settings { kind: Some(kind.to_string()), ..Settings::default() }.into_scheme()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SchemeSettings, A::Error> {
        Settings::deserialize(MapAccessDeserializer::new(map))?.into_scheme()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(DeriveDeserialize)]
    struct File {
        scheme: SchemeSettings,
    }

    fn read(value: &str) -> Result<SchemeSettings, String> {
        let file = toml::from_str::<File>(&format!("scheme = {value}"));
        file.map(|file| file.scheme).map_err(|error| error.message().to_string())
    }

    #[test]
    fn a_bare_kind_has_the_settings_of_an_empty_table() {
        for kind in SchemeSettings::KINDS {
            let bare = read(&format!("\"{kind}\"")).unwrap();
            assert_eq!(bare.kind(), kind);
            assert_eq!(bare, read(&format!("{{ kind = \"{kind}\" }}")).unwrap());
        }
        assert_eq!(read("{}").unwrap(), SchemeSettings::default());
    }

    #[test]
    fn settings_replace_defaults() {
        let demo = DemoSettings { topk: 256, feedback_from_round: 5, ..DemoSettings::default() };
        assert_eq!(read("{ topk = 256, feedback_from_round = 5 }").unwrap(), SchemeSettings::Demo(demo));
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused() {
        assert!(read("\"dmeo\"").unwrap_err().contains("`demo`"));
        assert!(read("{ kind = \"demo\", topkk = 5 }").unwrap_err().contains("unknown field `topkk`"));
        assert!(read("3").unwrap_err().contains("the name of a scheme"));
    }
}
