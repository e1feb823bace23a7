//! Summarises networks by label of their peers: single figures, and means with intervals over seeds, as a table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::figures::{Figures, HONEST};
use super::statistics::Interval;
use crate::report::tables::{Look, Ruled};
use crate::report::{gini, variation};

/// Networks that differ only in the seed.
#[derive(Clone, Debug)]
pub struct Group {
    /// What distinguishes the group, one cell per title.
    pub names: Vec<String>,
    pub networks: Vec<Seeded>,
}

/// A network of a group.
#[derive(Clone, Debug)]
pub struct Seeded {
    pub seed: u64,
    pub figures: Figures,
    /// Figures of the same network without its adversaries.
    pub control: Option<Figures>,
}

/// A figure of a network for each label.
pub struct Measure {
    /// Its column in a CSV file.
    pub name: &'static str,
    title: &'static str,
    /// Factor and digits of the number in a table.
    scale: f64,
    digits: usize,
    /// Whether a table shows the change from the first group.
    is_compared: bool,
    /// Whether a table shows the measure at all.
    is_shown: bool,
    /// Whether it comes from the network without adversaries.
    pub of_control: bool,
    pub of: fn(&Seeded, &str) -> Option<f64>,
}

const PLAIN: Measure = Measure {
    name: "",
    title: "",
    scale: 1.0,
    digits: 2,
    is_compared: false,
    is_shown: true,
    of_control: false,
    of: |_, _| None,
};

pub const LOSS: usize = 0;
pub const PAY_RATIO: usize = 2;
pub const CONTROL_LOSS: usize = 7;

/// All measures, in the order of columns.
pub const MEASURES: [Measure; 9] = [
    Measure {
        name: "loss",
        title: "loss",
        digits: 4,
        is_compared: true,
        of: |network, _| network.figures.loss,
        ..PLAIN
    },
    Measure {
        name: "pay",
        title: "pay of one, %",
        scale: 100.0,
        of: |network, label| network.figures.pay(label),
        ..PLAIN
    },
    Measure {
        name: "pay_ratio",
        title: "pay ratio",
        is_compared: true,
        of: |network, label| network.figures.pay_ratio(label),
        ..PLAIN
    },
    Measure { name: "work", title: "work", of: |network, label| network.figures.work(label), ..PLAIN },
    Measure { name: "profit", title: "profit", of: |network, label| network.figures.profit(label), ..PLAIN },
    Measure { name: "gini", title: "Gini", of: |network, label| gini(&shares(&network.figures, label)?), ..PLAIN },
    Measure {
        name: "variation",
        is_shown: false,
        of: |network, label| variation(&shares(&network.figures, label)?),
        ..PLAIN
    },
    Measure {
        name: "control_loss",
        title: "control: loss",
        digits: 4,
        of_control: true,
        of: |network, _| network.control.as_ref()?.loss,
        ..PLAIN
    },
    Measure {
        name: "control_pay",
        title: "control: pay of one, %",
        scale: 100.0,
        of_control: true,
        of: |network, _| network.control.as_ref()?.pay(HONEST),
        ..PLAIN
    },
];

/// The legend below a table.
pub const LEGEND: &str = "\
Means over the networks of a line ± half of the 95 % interval (Student's t). pay ratio: pay of a peer by that of an honest
peer of the same network; work: tokens trained on, honest = 1; profit: pay ratio by work; Gini: inequality of pay among the
peers of a line; change: against the first group, by pairs of the same seed; control: the same networks without
adversaries, and their honest peers.";

/// Pay of the peers with a label, if there are several.
fn shares(figures: &Figures, label: &str) -> Option<Vec<f64>> {
    let shares: Vec<f64> = figures.peers_of(label).map(|peer| peer.pay).collect();
    (shares.len() > 1).then_some(shares)
}

/// A label of a group: intervals over the group's networks.
#[derive(Clone, Debug)]
pub struct Line {
    pub group: usize,
    pub label: String,
    /// Peers with the label in one network.
    pub peers: usize,
    pub networks: usize,
    /// One per measure; `None` if no network has it.
    pub measured: Vec<Option<Interval>>,
    /// The difference from the first group.
    pub changes: Vec<Option<Interval>>,
}

impl Line {
    /// The line for programs: its measures by the names of their columns in CSV files.
    pub fn figures(&self) -> Value {
        let named = |intervals: &[Option<Interval>], prefix: &str| -> Map<String, Value> {
            let named = MEASURES.iter().zip(intervals);
            named.map(|(measure, interval)| (format!("{prefix}{}", measure.name), json!(interval))).collect()
        };
        let mut figures = named(&self.measured, "");
        let changes = named(&self.changes, "change_of_");
        figures.extend(changes.into_iter().filter(|(_, change)| !change.is_null()));
        figures.extend([
            ("behaviour".to_string(), json!(self.label)),
            ("peers".to_string(), json!(self.peers)),
            ("networks".to_string(), json!(self.networks)),
        ]);
        Value::Object(figures)
    }
}

/// The lines of some groups: each group's labels, honest ones first.
pub fn lines(groups: &[Group]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (nth, group) in groups.iter().enumerate() {
        let labels: BTreeSet<(bool, &str)> = group
            .networks
            .iter()
            .flat_map(|network| network.figures.labels())
            .map(|label| (label != HONEST, label))
            .collect();
        for (_, label) in labels {
            let with_label = |network: &&Seeded| network.figures.peers_of(label).next().is_some();
            let networks: Vec<&Seeded> = group.networks.iter().filter(with_label).collect();
            let interval = |measure: &Measure| {
                let values: Vec<f64> = networks.iter().filter_map(|network| (measure.of)(network, label)).collect();
                Interval::of(&values)
            };
            let change = |measure: &Measure| {
                let first: BTreeMap<u64, f64> = groups[0]
                    .networks
                    .iter()
                    .filter_map(|network| Some((network.seed, (measure.of)(network, label)?)))
                    .collect();
                let pair = |network: &&Seeded| Some((*first.get(&network.seed)?, (measure.of)(network, label)?));
                let pairs: Vec<(f64, f64)> = networks.iter().filter_map(pair).collect();
                Interval::of_differences(&pairs).filter(|_| nth > 0 && measure.is_compared)
            };
            lines.push(Line {
                group: nth,
                label: label.to_string(),
                peers: networks.iter().map(|network| network.figures.peers_of(label).count()).max().unwrap_or(0),
                networks: networks.len(),
                measured: MEASURES.iter().map(interval).collect(),
                changes: MEASURES.iter().map(change).collect(),
            });
        }
    }
    lines
}

/// Lines as a table that starts with the names of the groups. Columns without any number are left out.
pub fn table(titles: &[String], groups: &[Group], lines: &[Line], look: Look) -> String {
    let is_known = |at: &usize| lines.iter().any(|line| line.measured[*at].is_some());
    let is_changed = |at: &usize| lines.iter().any(|line| line.changes[*at].is_some());
    let measured: Vec<usize> = (0..MEASURES.len()).filter(|at| MEASURES[*at].is_shown).filter(is_known).collect();
    let changed: Vec<usize> = (0..MEASURES.len()).filter(is_changed).collect();

    let mut head = titles.to_vec();
    head.extend(["behaviour", "peers", "networks"].map(String::from));
    head.extend(measured.iter().map(|at| MEASURES[*at].title.to_string()));
    head.extend(changed.iter().map(|at| format!("change of {}", MEASURES[*at].title)));
    let mut table = Ruled::new(look, 0, &head).left(0..titles.len() + 1);
    for line in lines {
        let mut cells = groups[line.group].names.clone();
        cells.extend([line.label.clone(), line.peers.to_string(), line.networks.to_string()]);
        let scaled = |interval: Option<Interval>, at: usize| interval.map(|found| found.scaled(MEASURES[at].scale));
        cells.extend(measured.iter().map(|at| {
            let interval = scaled(line.measured[*at], *at);
            interval.map_or("-".into(), |found| found.text_of(MEASURES[*at].digits, line.networks))
        }));
        cells.extend(changed.iter().map(|at| {
            let interval = scaled(line.changes[*at], *at);
            interval.map_or("-".into(), |found| found.text(MEASURES[*at].digits, true))
        }));
        table.line(cells);
    }
    table.text()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lab::figures::tests::made;

    /// Two groups of three seeds; the copycat of the second earns more, and its loss is higher.
    pub fn groups() -> Vec<Group> {
        let network = |seed: u64, pay: f64, loss: f64| {
            let figures = made(&[("copycat", pay, None), ("honest", 0.125, None), ("honest", 0.375, None)]);
            let control = Some(Figures { loss: Some(1.5), ..made(&[("honest", 0.5, None), ("honest", 0.5, None)]) });
            Seeded { seed, figures: Figures { loss: Some(loss), ..figures }, control }
        };
        let group = |name: &str, pay: f64, loss: f64| Group {
            names: vec![name.into()],
            networks: (0..3).map(|seed| network(seed, pay * (1 + seed) as f64, loss + seed as f64)).collect(),
        };
        vec![group("1", 0.1, 2.0), group("2", 0.2, 2.25)]
    }

    #[test]
    fn lines_are_means_with_intervals_and_changes_by_pairs() {
        let groups = groups();
        let lines = lines(&groups);
        insta::assert_snapshot!(table(&["peers.1.count".into()], &groups, &lines, Look::Plain), @"
        | peers.1.count | behaviour | peers | networks |            loss | pay of one, % |   pay ratio |        Gini |   control: loss | control: pay of one, % |   change of loss | change of pay ratio |
        |---------------|-----------|-------|----------|-----------------|---------------|-------------|-------------|-----------------|------------------------|------------------|---------------------|
        | 1             | honest    |     2 |        3 | 3.0000 ± 2.4841 |  25.00 ± 0.00 | 1.00 ± 0.00 | 0.25 ± 0.00 | 1.5000 ± 0.0000 |           50.00 ± 0.00 |                - |                   - |
        | 1             | copycat   |     1 |        3 | 3.0000 ± 2.4841 | 20.00 ± 24.84 | 0.80 ± 0.99 |           - | 1.5000 ± 0.0000 |           50.00 ± 0.00 |                - |                   - |
        | 2             | honest    |     2 |        3 | 3.2500 ± 2.4841 |  25.00 ± 0.00 | 1.00 ± 0.00 | 0.25 ± 0.00 | 1.5000 ± 0.0000 |           50.00 ± 0.00 | +0.2500 ± 0.0000 |        +0.00 ± 0.00 |
        | 2             | copycat   |     1 |        3 | 3.2500 ± 2.4841 | 40.00 ± 49.68 | 1.60 ± 1.99 |           - | 1.5000 ± 0.0000 |           50.00 ± 0.00 | +0.2500 ± 0.0000 |        +0.80 ± 0.99 |
        ");
    }

    #[test]
    fn one_network_has_no_interval_and_a_label_that_is_not_there_no_line() {
        let mut groups = groups();
        groups[0].networks.truncate(1);
        groups[1].networks[0].figures.peers.retain(|peer| peer.behaviour == HONEST);
        groups[1].networks.iter_mut().for_each(|network| network.control = None);
        let lines = lines(&groups);
        let told: Vec<(usize, &str, usize, usize)> =
            lines.iter().map(|line| (line.group, line.label.as_str(), line.peers, line.networks)).collect();
        assert_eq!(told, [(0, "honest", 2, 1), (0, "copycat", 1, 1), (1, "honest", 2, 3), (1, "copycat", 1, 2)]);
        assert_eq!(lines[0].measured[LOSS], Some(Interval { mean: 2.0, half: None, count: 1 }));
        assert_eq!(
            lines[2].changes[LOSS],
            Some(Interval { mean: 0.25, half: None, count: 1 }),
            "of the seed that both have"
        );
        assert_eq!(lines[3].changes[LOSS], None, "no seed has the label in both");
        assert_eq!(lines[2].measured[CONTROL_LOSS], None);
        groups[1].networks[2].figures.loss = None;
        let lines = super::lines(&groups);
        let told = table(&["peers.1.count".into()], &groups, &lines, Look::Plain);
        assert!(told.contains("|        3 | 2.7500 ± 6.3531 (2 of 3) |"), "{told}");
        assert_eq!(lines[1].measured[PAY_RATIO].unwrap().mean, 0.4);
    }
}
