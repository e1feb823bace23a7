//! Python classes as kinds that a scenario may name: their settings, and the registry with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use gauntlet::scenario::Registry;
use gauntlet::settings::{Findings, KindError, Resolved};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use toml::{Table, Value};

use super::behaviour::ClassBehaviour;
use super::errors::Failure;
use super::mechanism::ClassMechanism;
use super::values::{to_dict, to_toml};

/// A class, and how a scenario names and sets it.
pub struct Class {
    object: Py<PyAny>,
    pub kind: String,
    is_mechanism: bool,
    fields: Vec<Field>,
    /// The hooks and attributes that the class has of its own; all others keep the honest answers.
    own: BTreeSet<String>,
}

/// A setting of a class.
struct Field {
    name: String,
    of: String,
    /// `None` if a scenario must give it.
    default: Option<Value>,
}

/// A Python class that scenarios may name. Made by the package, which has looked at the class.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Kind(pub Arc<Class>);

#[pymethods]
impl Kind {
    /// `fields`: name, type (`bool`, `int`, `float`, `str`, `list`, `dict`), whether there is a default, the default.
    #[new]
    fn new(
        object: Py<PyAny>,
        kind: String,
        is_mechanism: bool,
        fields: Vec<(String, String, bool, Bound<'_, PyAny>)>,
        own: BTreeSet<String>,
    ) -> PyResult<Self> {
        let field = |(name, of, has_default, default): (String, String, bool, Bound<'_, PyAny>)| {
            let default = has_default.then(|| to_toml(&default)).transpose()?;
            Ok(Field { name, of, default })
        };
        let fields = fields.into_iter().map(field).collect::<PyResult<_>>()?;
        Ok(Self(Arc::new(Class { object, kind, is_mechanism, fields, own })))
    }
}

impl Class {
    /// Whether the class has this hook or attribute of its own.
    pub fn has(&self, name: &str) -> bool {
        self.own.contains(name)
    }

    /// An object of the class.
    pub fn build(&self, py: Python<'_>, settings: &Table, secret: Option<u64>) -> PyResult<Py<PyAny>> {
        let class = self.object.bind(py);
        let object = class.call_method1("__new__", (class,))?;
        if let Some(secret) = secret {
            object.setattr("secret", secret)?;
        }
        object.getattr("__init__")?.call((), Some(&to_dict(py, settings)?))?;
        Ok(object.unbind())
    }

    /// An attribute of an object with these settings, which it has even before a run.
    pub fn attribute<T>(
        &self,
        failure: &Failure,
        settings: &Table,
        ask: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
    ) -> T {
        let place = || format!("while an object of `{}` is made for its settings", self.kind);
        failure.guard(place, |py| ask(self.build(py, settings, self.is_mechanism.then_some(0))?.bind(py)))
    }

    /// Lets the class check its settings.
    pub fn check(&self, failure: &Failure, settings: &Table, found: &mut Findings) {
        if !self.has("check") {
            return;
        }
        let refused = self.attribute(failure, settings, |object| match object.call_method0("check") {
            Err(error) if error.is_instance_of::<PyValueError>(object.py()) => {
                Ok(Some(error.value(object.py()).to_string()))
            }
            other => other.map(|_| None),
        });
        if let Some(reason) = refused {
            let settings = Value::Table(settings.clone());
            found.require(false, "", settings, format!("settings that `{}.check` accepts: {reason}", self.kind));
        }
    }

    /// The whole table of settings of what a scenario says.
    fn complete(&self, said: &Table) -> Result<Table, KindError> {
        if let Some(unknown) = said.keys().find(|key| self.fields.iter().all(|field| field.name != **key)) {
            let names: Vec<String> = self.fields.iter().map(|field| format!("`{}`", field.name)).collect();
            let expected = if names.is_empty() {
                "there are no fields".into()
            } else {
                format!("expected one of {}", names.join(", "))
            };
            return Err(KindError { key: unknown.clone(), message: format!("unknown field `{unknown}`, {expected}") });
        }
        let mut table = Table::new();
        for field in &self.fields {
            let value = match (said.get(&field.name), &field.default) {
                (Some(Value::Table(said)), Some(Value::Table(default))) => {
                    let mut whole = default.clone();
                    whole.extend(said.clone());
                    Value::Table(whole)
                }
                (Some(value), _) => value.clone(),
                (None, Some(default)) => default.clone(),
                (None, None) => {
                    let message = format!("missing field `{}`", field.name);
                    return Err(KindError { key: String::new(), message });
                }
            };
            table.insert(field.name.clone(), field.fitted(value)?);
        }
        Ok(table)
    }
}

impl Field {
    /// The value, if it is of the field's type. A whole number will do for any number.
    fn fitted(&self, value: Value) -> Result<Value, KindError> {
        match (self.of.as_str(), value) {
            ("float", Value::Integer(number)) => Ok(Value::Float(number as f64)),
            ("float", value @ Value::Float(_))
            | ("int", value @ Value::Integer(_))
            | ("bool", value @ Value::Boolean(_))
            | ("str", value @ Value::String(_))
            | ("list", value @ Value::Array(_))
            | ("dict", value @ Value::Table(_)) => Ok(value),
            (of, value) => {
                let message = format!("invalid type: {value}, expected {of}");
                Err(KindError { key: self.name.clone(), message })
            }
        }
    }
}

/// The shipped kinds, with classes beside or in place of them.
pub fn registry(classes: &[Arc<Class>], failure: &Arc<Failure>) -> Registry {
    let mut registry = Registry::default();
    for class in classes {
        let (class, failure, kind) = (class.clone(), failure.clone(), class.kind.clone());
        if class.is_mechanism {
            registry.mechanisms = registry.mechanisms.with_reader(&kind, move |said| {
                let table = class.complete(said)?;
                let settings =
                    ClassMechanism { class: class.clone(), settings: table.clone(), failure: failure.clone() };
                Ok(Resolved { settings: Box::new(settings), table })
            });
        } else {
            registry.behaviours = registry.behaviours.with_reader(&kind, move |said| {
                let table = class.complete(said)?;
                let settings =
                    ClassBehaviour { class: class.clone(), settings: table.clone(), failure: failure.clone() };
                Ok(Resolved { settings: Box::new(settings), table })
            });
        }
    }
    registry
}

/// The classes of some kinds.
pub fn classes(kinds: &[Py<Kind>]) -> Vec<Arc<Class>> {
    kinds.iter().map(|kind| kind.get().0.clone()).collect()
}
