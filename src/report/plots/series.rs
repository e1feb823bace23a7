//! Turns the rows of `peers.csv` into lines of a picture: peers by behaviour, rounds in bins, quantiles over peers.

use std::collections::BTreeMap;

use super::palette::{Stroke, behaviour_strokes};
use crate::Uid;
use crate::report::record::PeerRow;

/// The peers of one behaviour.
pub struct Group<'a> {
    pub label: &'a str,
    pub stroke: Stroke,
    /// By uid, with rows in the order of rounds.
    pub peers: Vec<(Uid, Vec<&'a PeerRow>)>,
}

/// Groups peers by behaviour: honest ones first, then by label.
pub fn by_behaviour(rows: &[PeerRow]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(bool, &str), BTreeMap<Uid, Vec<&PeerRow>>> = BTreeMap::new();
    for row in rows {
        let label = row.behaviour.as_str();
        groups.entry((!label.starts_with("honest"), label)).or_default().entry(row.uid).or_default().push(row);
    }
    let labels: Vec<&str> = groups.keys().map(|(_, label)| *label).collect();
    let strokes = behaviour_strokes(&labels);
    let peers = groups.into_values().map(|peers| peers.into_iter().collect());
    labels.into_iter().zip(strokes).zip(peers).map(|((label, stroke), peers)| Group { label, stroke, peers }).collect()
}

/// Bins of neighbouring rounds, each drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bins {
    pub rounds: u64,
    /// Rounds per bin.
    pub width: u64,
}

impl Bins {
    /// Divides the rounds into at most `bins` bins.
    pub fn at_most(bins: u64, rounds: u64) -> Self {
        Self { rounds, width: rounds.div_ceil(bins.max(1)).max(1) }
    }

    pub fn count(&self) -> usize {
        self.rounds.div_ceil(self.width) as usize
    }

    pub fn of(&self, round: u64) -> usize {
        (round / self.width) as usize
    }

    /// Rounds done at the end of a bin.
    pub fn end(&self, bin: usize) -> f64 {
        ((bin as u64 + 1) * self.width).min(self.rounds) as f64
    }

    /// Words for an explanation; empty if each round is drawn.
    pub fn note(&self, how: &str) -> String {
        if self.width > 1 { format!("; {how} each {} rounds", self.width) } else { String::new() }
    }
}

/// Rounds that these rows cover.
pub fn rounds_of(rounds: impl Iterator<Item = u64>) -> u64 {
    rounds.map(|round| round.saturating_add(1)).max().unwrap_or(0)
}

/// The last known value in each bin.
pub fn last_in_bins<T>(rows: &[&PeerRow], bins: Bins, value: impl Fn(&PeerRow) -> Option<T>) -> Vec<Option<T>> {
    let mut values: Vec<Option<T>> = std::iter::repeat_with(|| None).take(bins.count()).collect();
    for row in rows {
        if let Some(value) = value(row) {
            values[bins.of(row.round)] = Some(value);
        }
    }
    values
}

/// The value below which a share of the sorted values lies, interpolated; NaN for no values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 5.0], 0.5), 2.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 1.0), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn bins_cover_all_rounds() {
        let bins = Bins::at_most(300, 20_001);
        assert_eq!((bins.width, bins.count()), (67, 299));
        assert_eq!(bins.of(20_000), 298);
        assert_eq!(bins.end(298), 20_001.0);
        assert_eq!(Bins::at_most(300, 150), Bins { rounds: 150, width: 1 });
        assert_eq!(Bins::at_most(300, 0).count(), 0);
    }
}
