//! What peers do instead of the honest thing, and how TOML says it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize as DeriveDeserialize, Serialize};

/// What a peer does. In TOML: `behaviour = "lazy"`, or with settings `behaviour = { kind = "lazy", fraction = 0.5 }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Behaviour {
    /// Trains on its assigned pages; `data` times as many as assigned (default 1).
    Honest { data: f64 },
    /// Trains on a fraction of its assigned pages only (default 0.5).
    Lazy { fraction: f64 },
    /// Trains on pages that were not assigned to it.
    FreeRider,
    /// Computes on the model of `rounds` ago (default 5).
    Stale { rounds: u64 },
    /// Stops for `pause` rounds (default 10) at round `at` (default 30), then goes on with the model it has.
    Desync { at: u64, pause: u64 },
    /// Posts another's pseudo-gradient (default: the best's) under its own name, values multiplied by 1 + `noise` *
    /// N(0, 1) (default 0).
    Copycat { of: Copied, noise: f64 },
    /// Offline at random: goes away with `leave` (default 0.1) and comes back with `return` (default 0.3) probability a
    /// round.
    Offline {
        leave: f64,
        #[serde(rename = "return")]
        come_back: f64,
    },
    /// Uploads `seconds` after the put window has closed (default 5).
    Late { seconds: f64 },
    /// Uploads random coefficients.
    Noise,
    /// Uploads its pseudo-gradient with the sign flipped.
    SignFlip,
    /// Uploads its values multiplied by `factor` (default 1e6).
    Rescaled { factor: f64 },
    /// Uploads what no honest peer would (default: any of the ways).
    Malformed { how: Malformation },
}

/// Whom a copycat copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copied {
    /// The peer with the highest incentive.
    Best,
    /// A random peer, another each round.
    Random,
}

/// Ways in which an upload can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformation {
    /// Too few coefficients in a tensor.
    Shape,
    /// An index outside of its chunk.
    Index,
    /// A value that is not a number.
    Nan,
    /// Many times the size it should have.
    Oversized,
    /// Cut off in the middle.
    Truncated,
    /// Another of these each round.
    Any,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Honest { data: 1.0 }
    }
}

impl Behaviour {
    /// The kinds, as a scenario file spells them.
    pub const KINDS: [&'static str; 12] = [
        "honest",
        "lazy",
        "free-rider",
        "stale",
        "desync",
        "copycat",
        "offline",
        "late",
        "noise",
        "sign-flip",
        "rescaled",
        "malformed",
    ];

    /// What tables, plots and CSV files call the peer: the kind, and an honest peer's amount of data if it is not the
    /// usual.
    pub fn label(&self) -> String {
        match self {
            Self::Honest { data } if *data != 1.0 => format!("honest x{data}"),
            other => other.kind().into(),
        }
    }

    /// The kind, as a scenario file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Honest { .. } => "honest",
            Self::Lazy { .. } => "lazy",
            Self::FreeRider => "free-rider",
            Self::Stale { .. } => "stale",
            Self::Desync { .. } => "desync",
            Self::Copycat { .. } => "copycat",
            Self::Offline { .. } => "offline",
            Self::Late { .. } => "late",
            Self::Noise => "noise",
            Self::SignFlip => "sign-flip",
            Self::Rescaled { .. } => "rescaled",
            Self::Malformed { .. } => "malformed",
        }
    }
}

/// The settings of all kinds, as a file gives them; each kind takes its own.
#[derive(Default, DeriveDeserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    kind: Option<String>,
    data: Option<f64>,
    fraction: Option<f64>,
    rounds: Option<u64>,
    at: Option<u64>,
    pause: Option<u64>,
    of: Option<Copied>,
    noise: Option<f64>,
    leave: Option<f64>,
    #[serde(rename = "return")]
    come_back: Option<f64>,
    seconds: Option<f64>,
    factor: Option<f64>,
    how: Option<Malformation>,
}

impl Settings {
    /// The behaviour of this kind, which takes its settings out of `self`; `None`: there is no such kind.
    fn take(&mut self, kind: &str) -> Option<Behaviour> {
        Some(match kind {
            "honest" => Behaviour::Honest { data: self.data.take().unwrap_or(1.0) },
            "lazy" => Behaviour::Lazy { fraction: self.fraction.take().unwrap_or(0.5) },
            "free-rider" => Behaviour::FreeRider,
            "stale" => Behaviour::Stale { rounds: self.rounds.take().unwrap_or(5) },
            "desync" => Behaviour::Desync { at: self.at.take().unwrap_or(30), pause: self.pause.take().unwrap_or(10) },
            "copycat" => Behaviour::Copycat {
                of: self.of.take().unwrap_or(Copied::Best),
                noise: self.noise.take().unwrap_or(0.0),
            },
            "offline" => Behaviour::Offline {
                leave: self.leave.take().unwrap_or(0.1),
                come_back: self.come_back.take().unwrap_or(0.3),
            },
            "late" => Behaviour::Late { seconds: self.seconds.take().unwrap_or(5.0) },
            "noise" => Behaviour::Noise,
            "sign-flip" => Behaviour::SignFlip,
            "rescaled" => Behaviour::Rescaled { factor: self.factor.take().unwrap_or(1e6) },
            "malformed" => Behaviour::Malformed { how: self.how.take().unwrap_or(Malformation::Any) },
            _ => return None,
        })
    }

    /// Name of a setting that is still there.
    fn left_over(&self) -> Option<&'static str> {
        let given = [
            ("data", self.data.is_some()),
            ("fraction", self.fraction.is_some()),
            ("rounds", self.rounds.is_some()),
            ("at", self.at.is_some()),
            ("pause", self.pause.is_some()),
            ("of", self.of.is_some()),
            ("noise", self.noise.is_some()),
            ("leave", self.leave.is_some()),
            ("return", self.come_back.is_some()),
            ("seconds", self.seconds.is_some()),
            ("factor", self.factor.is_some()),
            ("how", self.how.is_some()),
        ];
        given.into_iter().find_map(|(name, there)| there.then_some(name))
    }

    fn into_behaviour<E: de::Error>(mut self) -> Result<Behaviour, E> {
        let kind = self.kind.take().ok_or_else(|| E::missing_field("kind"))?;
        let behaviour = self.take(&kind).ok_or_else(|| E::unknown_variant(&kind, &Behaviour::KINDS))?;
        match self.left_over() {
            None => Ok(behaviour),
            Some(setting) => Err(E::custom(format_args!("`{setting}` is not a setting of the behaviour `{kind}`"))),
        }
    }
}

impl<'de> Deserialize<'de> for Behaviour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindOrTable)
    }
}

struct KindOrTable;

impl<'de> Visitor<'de> for KindOrTable {
    type Value = Behaviour;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the name of a behaviour, or a table such as {{ kind = \"lazy\", fraction = 0.5 }}")
    }

    fn visit_str<E: de::Error>(self, kind: &str) -> Result<Behaviour, E> {
        Settings { kind: Some(kind.to_string()), ..Settings::default() }.into_behaviour()
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Behaviour, A::Error> {
        Settings::deserialize(MapAccessDeserializer::new(map))?.into_behaviour()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(DeriveDeserialize)]
    struct File {
        behaviour: Behaviour,
    }

    fn read(value: &str) -> Result<Behaviour, String> {
        let file = toml::from_str::<File>(&format!("behaviour = {value}"));
        file.map(|file| file.behaviour).map_err(|error| error.message().to_string())
    }

    #[test]
    fn a_bare_kind_has_the_settings_of_an_empty_table() {
        for kind in Behaviour::KINDS {
            let bare = read(&format!("\"{kind}\"")).unwrap();
            assert_eq!(bare.kind(), kind);
            assert_eq!(bare, read(&format!("{{ kind = \"{kind}\" }}")).unwrap());
        }
    }

    #[test]
    fn settings_replace_defaults() {
        assert_eq!(read("{ fraction = 0.25, kind = \"lazy\" }").unwrap(), Behaviour::Lazy { fraction: 0.25 });
        let offline = Behaviour::Offline { leave: 0.1, come_back: 0.9 };
        assert_eq!(read("{ kind = \"offline\", return = 0.9 }").unwrap(), offline);
        let copycat = Behaviour::Copycat { of: Copied::Random, noise: 0.0 };
        assert_eq!(read("{ kind = \"copycat\", of = \"random\" }").unwrap(), copycat);
    }

    #[test]
    fn what_a_kind_does_not_have_is_refused() {
        assert!(read("\"lasy\"").unwrap_err().contains("`free-rider`"));
        assert!(read("{ kind = \"honest\", fraction = 0.5 }").unwrap_err().contains("`fraction` is not a setting"));
        assert!(read("{ kind = \"lazy\", fractoin = 0.5 }").unwrap_err().contains("unknown field `fractoin`"));
        assert!(read("{ fraction = 0.5 }").unwrap_err().contains("missing field `kind`"));
        assert!(read("3").unwrap_err().contains("the name of a behaviour"));
    }
}
