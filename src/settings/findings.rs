//! Settings that cannot be run with, collected with the keys at which they stand.

use std::fmt::Display;

use toml::Value;

/// Longest time that a setting can state, in seconds: some days.
pub const MOST_SECONDS: f64 = 1e6;

/// A setting that cannot be run with.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path of the key.
    pub path: String,
    /// What the setting is.
    pub got: String,
    /// What it must be.
    pub expected: String,
    /// Another key that the setting does not fit, if any.
    pub related: Option<&'static str>,
}

/// Collects findings. Paths are relative to the section that is being checked ([`Findings::within`]).
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

    /// Whether everything is in order so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Checks a section: paths of findings made by `check` are relative to `section`.
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

    /// Notes a finding unless `holds`.
    pub fn require(&mut self, holds: bool, path: impl AsRef<str>, got: impl Display, expected: impl Display) {
        self.require_with(holds, path, got, expected, None);
    }

    /// Notes a finding unless `holds`; `related` is the full path of a key that must fit.
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

    /// 1 or more.
    pub fn at_least_one(&mut self, path: &str, got: impl Into<u128> + Copy) {
        self.require(got.into() >= 1, path, got.into(), "1 or more");
    }

    /// More than 0.
    pub fn positive(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got > 0.0, path, got, "more than 0");
    }

    /// 0 or more.
    pub fn not_negative(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got >= 0.0, path, got, "0 or more");
    }

    /// `most` or less.
    pub fn at_most(&mut self, path: impl AsRef<str>, got: f64, most: f64) {
        self.require(got <= most, path, got, format!("{most} at most"));
    }

    /// 0 to 1.
    pub fn fraction(&mut self, path: impl AsRef<str>, got: f64) {
        self.require((0.0..=1.0).contains(&got), path, got, "a fraction, 0 to 1");
    }

    /// Above 0, 1 at most.
    pub fn positive_fraction(&mut self, path: impl AsRef<str>, got: f64) {
        self.require(got > 0.0 && got <= 1.0, path, got, "a fraction above 0, 1 at most");
    }

    /// 0 or more, below 1.
    pub fn below_one(&mut self, path: impl AsRef<str>, got: f64) {
        self.require((0.0..1.0).contains(&got), path, got, "a fraction, 0 or more and below 1");
    }

    /// No number is infinite or not a number.
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
