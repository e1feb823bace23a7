//! Collects invalid settings with the keys where they stand.

use std::fmt::Display;

use toml::Value;

/// Longest time that a setting can state, in seconds: some days.
pub const MOST_SECONDS: f64 = 1e6;

/// An invalid setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path of its key.
    pub path: String,
    /// Its value.
    pub got: String,
    /// What the value must be.
    pub expected: String,
    /// Another key that the setting conflicts with, if any.
    pub related: Option<&'static str>,
}

/// Collects findings. Paths are relative to the section being checked ([`Findings::within`]).
#[derive(Default)]
pub struct Findings {
    section: String,
    found: Vec<Finding>,
}

impl Findings {
    /// All findings so far.
    pub fn into_vec(self) -> Vec<Finding> {
        self.found
    }

    /// Whether there are no findings so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Checks a section: findings of `check` get paths under `section`.
    pub fn within(&mut self, section: &str, check: impl FnOnce(&mut Self)) {
        let inner = self.path_of(section);
        let outer = std::mem::replace(&mut self.section, inner);
        check(self);
        self.section = outer;
    }

    fn path_of(&self, key: &str) -> String {
        match (self.section.as_str(), key) {
            ("", key) => key.to_string(),
            (section, "") => section.to_string(),
            (section, key) => format!("{section}.{key}"),
        }
    }

    /// Adds a finding unless `holds`.
    pub fn require(&mut self, holds: bool, path: impl AsRef<str>, got: impl Display, expected: impl Display) {
        self.require_with(holds, path, got, expected, None);
    }

    /// Adds a finding unless `holds`; `related` is the full path of the key that the setting conflicts with.
    pub fn require_with(
        &mut self,
        holds: bool,
        path: impl AsRef<str>,
        got: impl Display,
        expected: impl Display,
        related: Option<&'static str>,
    ) {
        if !holds {
            let (path, got, expected) = (self.path_of(path.as_ref()), got.to_string(), expected.to_string());
            self.found.push(Finding { path, got, expected, related });
        }
    }

    /// Requires 1 or more.
    pub fn at_least_one(&mut self, path: &str, got: impl Into<u128> + Copy) {
        self.require(got.into() >= 1, path, got.into(), "1 or more");
    }

    /// Requires more than 0.
    pub fn positive(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got > 0.0, path, got, "more than 0");
    }

    /// Requires 0 or more.
    pub fn not_negative(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got >= 0.0, path, got, "0 or more");
    }

    /// Requires `most` or less.
    pub fn at_most(&mut self, path: impl AsRef<str>, got: f64, most: f64) {
        self.require(got <= most, path, got, format!("{most} at most"));
    }

    /// Requires a number from 0 to 1.
    pub fn fraction(&mut self, path: impl AsRef<str>, got: f64) {
        self.require((0.0..=1.0).contains(&got), path, got, "a fraction, 0 to 1");
    }

    /// Requires a number above 0 and at most 1.
    pub fn positive_fraction(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got > 0.0 && got <= 1.0, path, got, "a fraction above 0, 1 at most");
    }

    /// Requires a number from 0 up to, but not including, 1.
    pub fn below_one(&mut self, path: impl AsRef<str>, got: f64) {
        self.require((0.0..1.0).contains(&got), path, got, "a fraction, 0 or more and below 1");
    }

    /// Requires all numbers in `value` to be finite.
    pub fn finite(&mut self, path: &str, value: &Value) {
        let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        match value {
            Value::Float(number) => self.require(number.is_finite(), path, number, "a finite number"),
            Value::Table(table) => table.iter().for_each(|(key, value)| self.finite(&below(key), value)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.finite(&below(&index.to_string()), item));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_stand_at_their_full_paths() {
        let mut findings = Findings::default();
        findings.within("mechanism", |found| {
            found.within("openskill", |found| found.positive("sigma", -1.0));
            found.at_least_one("bins", 0u64);
        });
        findings.fraction("x", 2.0);
        let paths: Vec<String> = findings.into_vec().into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["mechanism.openskill.sigma", "mechanism.bins", "x"]);
    }
}
