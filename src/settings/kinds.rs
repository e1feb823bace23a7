//! Settings chosen by kind: `mechanism = "equal"`, or a table `[mechanism]` with `kind = "equal"` and settings.
//!
//! A [`Kinded`] is what the scenario says. [`Kinds`] is the table of known kinds; it resolves a [`Kinded`] to the
//! settings of its kind, with defaults filled in. To add a kind, add a line to the table.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// A kind and its settings, as a scenario gives them. A bare name will do too.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kinded {
    /// Name of the kind; `None` for the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its settings.
    #[serde(flatten)]
    pub settings: Table,
}

impl Kinded {
    /// A kind with its default settings.
    pub fn of(kind: &str) -> Self {
        Self { kind: Some(kind.to_string()), settings: Table::new() }
    }
}

impl<'de> Deserialize<'de> for Kinded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Kinded;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name, or a table such as { kind = \"...\", ... }")
            }

            fn visit_str<E>(self, kind: &str) -> Result<Kinded, E> {
                Ok(Kinded::of(kind))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kinded, A::Error> {
                #[derive(Deserialize)]
                struct Raw {
                    kind: Option<String>,
                    #[serde(flatten)]
                    settings: Table,
                }
                let Raw { kind, settings } = Raw::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Kinded { kind, settings })
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}

/// Why a kind or its settings are invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindError {
    /// The key, relative to the table. It is `kind` for an unknown kind, and empty where the whole table is at fault.
    pub key: String,
    /// The message from serde.
    pub message: String,
}

/// The settings of a kind, also as a table with all defaults.
pub struct Resolved<S: ?Sized> {
    pub settings: Box<S>,
    pub table: Table,
}

type Read<S> = dyn Fn(&Table) -> Result<Resolved<S>, KindError> + Send + Sync;

/// A table of known kinds. `S` is the trait of their settings.
pub struct Kinds<S: ?Sized> {
    default: &'static str,
    known: Vec<(String, Arc<Read<S>>)>,
}

impl<S: ?Sized> Clone for Kinds<S> {
    fn clone(&self) -> Self {
        Self { default: self.default, known: self.known.clone() }
    }
}

impl<S: ?Sized + 'static> Kinds<S> {
    /// An empty table. `default` is the kind of a scenario that names none.
    pub fn new(default: &'static str) -> Self {
        Self { default, known: Vec::new() }
    }

    /// Adds a kind, or replaces the one of that name. Its settings are a `T`, which must deny unknown fields.
    pub fn with<T: Serialize + DeserializeOwned + 'static>(self, kind: &str, boxed: fn(T) -> Box<S>) -> Self {
        self.with_reader(kind, move |table: &Table| {
            let value: T = serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
                let key = error.path().to_string();
                KindError { key: if key == "." { String::new() } else { key }, message: error.inner().message().into() }
            })?;
            let whole = |message: String| KindError { key: String::new(), message };
            let table = Table::try_from(&value).map_err(|error| whole(error.to_string()))?;
            Ok(Resolved { settings: boxed(value), table })
        })
    }

    /// Adds a kind, or replaces the one of that name, whose settings `read` takes from their table. For kinds that come
    /// at run time, such as classes of another language.
    pub fn with_reader(
        mut self,
        kind: &str,
        read: impl Fn(&Table) -> Result<Resolved<S>, KindError> + Send + Sync + 'static,
    ) -> Self {
        self.known.retain(|(known, _)| known != kind);
        self.known.push((kind.to_string(), Arc::new(read)));
        self
    }

    /// Names of the kinds, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(kind, _)| kind.as_str())
    }

    /// The kind that a scenario asks for.
    pub fn kind_of<'a>(&self, kinded: &'a Kinded) -> &'a str {
        kinded.kind.as_deref().unwrap_or(self.default)
    }

    /// Names the kind, and fills in the settings that are left to defaults.
    ///
    /// # Errors
    /// No such kind, or settings that it does not have.
    pub fn complete(&self, kinded: &mut Kinded) -> Result<(), KindError> {
        let Resolved { table, .. } = self.resolve(kinded)?;
        *kinded = Kinded { kind: Some(self.kind_of(kinded).to_string()), settings: table };
        Ok(())
    }

    /// The settings that a scenario asks for.
    ///
    /// # Errors
    /// The kind is unknown, or its settings are invalid.
    pub fn resolve(&self, kinded: &Kinded) -> Result<Resolved<S>, KindError> {
        let kind = self.kind_of(kinded);
        let Some((_, read)) = self.known.iter().find(|(known, _)| known == kind) else {
            let names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
            let message = format!("unknown variant `{kind}`, expected one of {}", names.join(", "));
            return Err(KindError { key: "kind".into(), message });
        };
        read(&kinded.settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Weight {
        fn grams(&self) -> f64;
    }

    #[derive(Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Stone {
        grams: f64,
    }

    impl Default for Stone {
        fn default() -> Self {
            Self { grams: 5.0 }
        }
    }

    impl Weight for Stone {
        fn grams(&self) -> f64 {
            self.grams
        }
    }

    #[derive(Deserialize)]
    struct File {
        thing: Kinded,
    }

    fn read(value: &str) -> Result<(f64, Table), KindError> {
        let kinds = Kinds::<dyn Weight>::new("stone").with::<Stone>("stone", |stone| Box::new(stone));
        let file: File = toml::from_str(&format!("thing = {value}")).unwrap();
        kinds.resolve(&file.thing).map(|resolved| (resolved.settings.grams(), resolved.table))
    }

    #[test]
    fn a_name_and_a_table_mean_the_same_and_defaults_are_filled_in() {
        let whole: Table = toml::from_str("grams = 5.0").unwrap();
        for value in ["\"stone\"", "{ kind = \"stone\" }", "{}", "{ grams = 5.0 }"] {
            assert_eq!(read(value).unwrap(), (5.0, whole.clone()), "{value}");
        }
        assert_eq!(read("{ grams = 7 }").unwrap().0, 7.0);
    }

    #[test]
    fn what_is_completed_says_all() {
        let kinds = Kinds::<dyn Weight>::new("stone").with::<Stone>("stone", |stone| Box::new(stone));
        let mut thing = Kinded::default();
        kinds.complete(&mut thing).unwrap();
        assert_eq!(toml::to_string(&thing).unwrap(), "kind = \"stone\"\ngrams = 5.0\n");
        assert!(kinds.complete(&mut Kinded::of("ston")).is_err());
    }

    #[test]
    fn errors_name_the_key() {
        let error = read("\"ston\"").unwrap_err();
        assert!(error.key == "kind" && error.message.contains("`stone`"), "{error:?}");
        let error = read("{ gram = 1.0 }").unwrap_err();
        assert!(error.message.contains("unknown field `gram`"), "{error:?}");
        let error = read("{ grams = \"a\" }").unwrap_err();
        assert!(error.key == "grams" && error.message.contains("expected f64"), "{error:?}");
    }
}
