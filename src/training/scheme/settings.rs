//! How peers train together, and how TOML says it.

use std::fmt;

use super::demo::{self, DemoSettings};
use super::dense::{self, DenseSettings, DenseUpdate};
use super::local_steps::InnerSettings;
use super::sparseloco::{self, SparseLocoSettings};
use crate::training::Basis;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

/// The scheme of a network. In TOML: `scheme = "demo"`, or with settings `[scheme]`, `kind = "demo"`, `topk = 256`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SchemeSettings {
    Demo(DemoSettings),
    Sparseloco(SparseLocoSettings),
    Dense(DenseSettings),
}

impl Default for SchemeSettings {
    fn default() -> Self {
        Self::Demo(DemoSettings::default())
    }
}

impl SchemeSettings {
    /// The kinds, as a scenario file spells them.
    pub const KINDS: [&'static str; 3] = ["demo", "sparseloco", "dense"];

    /// The kind, as a scenario file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Demo(_) => "demo",
            Self::Sparseloco(_) => "sparseloco",
            Self::Dense(_) => "dense",
        }
    }

    /// What a peer of the scheme sends.
    pub fn basis(&self) -> Basis {
        match self {
            Self::Demo(_) => demo::BASIS,
            Self::Sparseloco(_) => sparseloco::BASIS,
            Self::Dense(_) => dense::BASIS,
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
    inner_steps: Option<usize>,
    beta1: Option<f64>,
    beta2: Option<f64>,
    weight_decay: Option<f64>,
    clip_norm: Option<f64>,
    outer_lr: Option<f64>,
    update: Option<DenseUpdate>,
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
            "sparseloco" => {
                let mut sparseloco = SparseLocoSettings { inner: self.take_inner(), ..SparseLocoSettings::default() };
                replace(&mut sparseloco.chunk, &mut self.chunk);
                replace(&mut sparseloco.topk, &mut self.topk);
                replace(&mut sparseloco.decay, &mut self.decay);
                replace(&mut sparseloco.bits, &mut self.bits);
                replace(&mut sparseloco.outer_lr, &mut self.outer_lr);
                SchemeSettings::Sparseloco(sparseloco)
            }
            "dense" => {
                let mut dense = DenseSettings { inner: self.take_inner(), ..DenseSettings::default() };
                replace(&mut dense.update, &mut self.update);
                replace(&mut dense.outer_lr, &mut self.outer_lr);
                SchemeSettings::Dense(dense)
            }
            _ => return None,
        })
    }

    fn take_inner(&mut self) -> InnerSettings {
        let mut inner = InnerSettings::default();
        replace(&mut inner.inner_steps, &mut self.inner_steps);
        replace(&mut inner.beta1, &mut self.beta1);
        replace(&mut inner.beta2, &mut self.beta2);
        replace(&mut inner.weight_decay, &mut self.weight_decay);
        replace(&mut inner.clip_norm, &mut self.clip_norm);
        inner
    }

    /// Name of a setting that is still there.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("chunk", self.chunk.is_some()),
            ("topk", self.topk.is_some()),
            ("decay", self.decay.is_some()),
            ("feedback_from_round", self.feedback_from_round.is_some()),
            ("bits", self.bits.is_some()),
            ("inner_steps", self.inner_steps.is_some()),
            ("beta1", self.beta1.is_some()),
            ("beta2", self.beta2.is_some()),
            ("weight_decay", self.weight_decay.is_some()),
            ("clip_norm", self.clip_norm.is_some()),
            ("outer_lr", self.outer_lr.is_some()),
            ("update", self.update.is_some()),
        ];
        given.into_iter().find_map(|(name, there)| there.then_some(name))
    }

    fn into_scheme<E: de::Error>(mut self) -> Result<SchemeSettings, E> {
        let kind = self.kind.take().unwrap_or_else(|| SchemeSettings::default().kind().into());
        let scheme = self.take(&kind).ok_or_else(|| E::unknown_variant(&kind, &SchemeSettings::KINDS))?;
        match self.left_over() {
            None => Ok(scheme),
            Some(setting) => Err(E::custom(format_args!(
                "`{setting}` is not a setting of the scheme `{kind}`; `scheme = \"{kind}\"` alone means its defaults"
            ))),
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
        let inner = InnerSettings { inner_steps: 4, beta2: 0.99, ..InnerSettings::default() };
        let sparseloco = SparseLocoSettings { inner, bits: 8, ..SparseLocoSettings::default() };
        let read_back = read("{ kind = \"sparseloco\", inner_steps = 4, beta2 = 0.99, bits = 8 }").unwrap();
        assert_eq!(read_back, SchemeSettings::Sparseloco(sparseloco));
        let dense = DenseSettings { update: DenseUpdate::Gradient, outer_lr: 2.0, ..DenseSettings::default() };
        let read_back = read("{ kind = \"dense\", update = \"gradient\", outer_lr = 2.0 }").unwrap();
        assert_eq!(read_back, SchemeSettings::Dense(dense));
    }

    #[test]
    fn what_is_written_reads_back() {
        for kind in SchemeSettings::KINDS {
            let scheme = read(&format!("\"{kind}\"")).unwrap();
            let text = toml::to_string(&scheme).unwrap();
            assert_eq!(read(&format!("{{ {} }}", text.trim().replace('\n', ", "))).unwrap(), scheme);
        }
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused() {
        assert!(read("\"dmeo\"").unwrap_err().contains("`demo`"));
        assert!(read("{ kind = \"demo\", topkk = 5 }").unwrap_err().contains("unknown field `topkk`"));
        assert!(read("{ kind = \"dense\", topk = 5 }").unwrap_err().contains("`topk` is not a setting of the scheme"));
        assert!(read("3").unwrap_err().contains("the name of a scheme"));
    }
}
