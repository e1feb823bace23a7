//! `--grid key=value,value,...`: a setting and its values.

use serde::{Deserialize, Serialize};

use super::error::SweepError;
use crate::scenario::Override;

/// A setting and its values as the user wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// Path of the key, as in `--set`.
    pub key: String,
    pub values: Vec<String>,
}

impl Axis {
    /// Parses `key=value,value,...`. A comma within quotes, brackets or braces belongs to its value.
    ///
    /// # Errors
    /// [`SweepError::Grid`].
    pub fn parse(text: &str) -> Result<Self, SweepError> {
        let wrong = |reason: String| SweepError::Grid { grid: text.to_string(), reason };
        let expected = "expected key=value,value,..., such as training.lr=1e-3,3e-3";
        let (_, values) = text.split_once('=').ok_or_else(|| wrong(expected.into()))?;
        let key = Override::parse(text).map_err(|_| wrong(expected.into()))?.path;
        if values.trim().is_empty() {
            return Err(wrong(format!("an empty grid: {key} has no values; {expected}")));
        }
        let values = split(values).map_err(wrong)?;
        for (nth, value) in values.iter().enumerate() {
            if value.is_empty() {
                return Err(wrong(format!("value {} is empty; write \"\" for an empty text", nth + 1)));
            }
            if values[..nth].contains(value) {
                return Err(wrong(format!("the value {value} stands there twice")));
            }
        }
        Ok(Self { key, values })
    }

    /// The setting with one of its values, as in `--set`.
    pub fn setting(&self, value: usize) -> String {
        format!("{}={}", self.key, self.values[value])
    }

    /// Whether setting one of two axes would overwrite the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.key.split('.').zip(other.key.split('.')).all(|(a, b)| a == b)
    }
}

/// Splits at commas outside of quotes, brackets and braces.
fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let mut open: Vec<char> = Vec::new();
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, ',') if open.is_empty() => {
                values.push(std::mem::take(&mut value).trim().to_string());
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => open.push(']'),
            (None, '{') => open.push('}'),
            (None, ']' | '}') if open.pop() != Some(letter) => return Err(format!("a `{letter}` closes nothing")),
            (Some('"'), '\\') => {
                value.push(letter);
                value.extend(letters.next());
                continue;
            }
            (Some(closing), _) if closing == letter => quote = None,
            _ => {}
        }
        value.push(letter);
    }
    match (quote, open.last()) {
        (Some(quote), _) => Err(format!("a {quote} is missing at the end of the text")),
        (None, Some(bracket)) => Err(format!("a `{bracket}` is missing")),
        (None, None) => {
            values.push(value.trim().to_string());
            Ok(values)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_hold_commas_where_toml_has_them() {
        let axis =
            Axis::parse("peers[1].behaviour=copycat, {kind=\"strategy\", mix=[\"a\", 'b']} ,\"x, \\\"y\"").unwrap();
        assert_eq!(axis.key, "peers.1.behaviour");
        assert_eq!(axis.values, ["copycat", "{kind=\"strategy\", mix=[\"a\", 'b']}", "\"x, \\\"y\""]);
        assert_eq!(axis.setting(0), "peers.1.behaviour=copycat");
    }

    #[test]
    fn malformed_grids_are_refused() {
        let expected = "expected key=value,value,..., such as training.lr=1e-3,3e-3";
        for (text, reason) in [
            ("", expected),
            ("training.lr", expected),
            ("=1,2", expected),
            ("a..b=1", expected),
            ("training.lr= ", &format!("an empty grid: training.lr has no values; {expected}")),
            ("a=1,,2", "value 2 is empty; write \"\" for an empty text"),
            ("a=1,", "value 2 is empty; write \"\" for an empty text"),
            ("a=1,2,1", "the value 1 stands there twice"),
            ("a=[1,2", "a `]` is missing"),
            ("a={x=[1}", "a `}` closes nothing"),
            ("a=1],2", "a `]` closes nothing"),
            ("a=\"x,y", "a \" is missing at the end of the text"),
        ] {
            assert_eq!(Axis::parse(text).unwrap_err().to_string(), format!("--grid {text}: {reason}"));
        }
    }

    #[test]
    fn keys_overlap_where_one_is_a_part_of_the_other() {
        let axis = |text: &str| Axis::parse(text).unwrap();
        assert!(axis("peers.1=1").overlaps(&axis("peers.1.count=2")));
        assert!(axis("peers.1.count=1").overlaps(&axis("peers[1].count=2")));
        assert!(!axis("peers.1.count=1").overlaps(&axis("peers.1.joins=2")));
    }
}
