//! A row of a task's data, column by column.

use serde_json::{Map, Value};

/// The columns of a row; errors name them.
pub(super) struct Row<'a> {
    columns: &'a Map<String, Value>,
}

impl<'a> Row<'a> {
    pub(super) fn new(row: &'a Value) -> Result<Self, String> {
        let columns = row.as_object().ok_or("expected an object with a value for each column")?;
        Ok(Self { columns })
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    fn value<T>(&self, column: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<T, String> {
        match self.columns.get(column) {
            None => Err(format!("`{column}` is missing")),
            Some(value) => read(value).ok_or_else(|| format!("`{column}` is {value}, expected {expected}")),
        }
    }

    pub(super) fn text(&self, column: &str) -> Result<String, String> {
        self.value(column, "a text", |value| value.as_str().map(str::to_string))
    }

    pub(super) fn texts(&self, column: &str) -> Result<Vec<String>, String> {
        let text = |value: &Value| value.as_str().map(str::to_string);
        self.value(column, "a list of texts", |value| value.as_array()?.iter().map(text).collect())
    }

    /// The number of an answer, as a number or as text.
    pub(super) fn number(&self, column: &str) -> Result<usize, String> {
        self.value(column, "the number of an answer, counted from 0", |value| match value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_u64().and_then(|number| usize::try_from(number).ok()),
        })
    }

    pub(super) fn object(&self, column: &str) -> Result<Self, String> {
        self.value(column, "an object", |value| Some(Self { columns: value.as_object()? }))
    }
}
