//! `sweep.csv`: a line for each network and label of its peers.

use super::plan::Plan;
use crate::lab::summary::{Group, MEASURES};

/// The whole file: values of the axes, seed, label and every measure, with those of networks without adversaries if
/// requested. An empty cell means not known.
pub fn csv(plan: &Plan, groups: &[Group]) -> Vec<u8> {
    let measures = || MEASURES.iter().filter(|measure| plan.control || !measure.of_control);
    let mut lines = csv::Writer::from_writer(Vec::new());
    let mut head: Vec<&str> = plan.axes.iter().map(|axis| axis.key.as_str()).collect();
    head.extend(["seed", "behaviour", "peers"]);
    head.extend(measures().map(|measure| measure.name));
    let mut write = |cells: &[String]| lines.write_record(cells).expect("memory takes lines of equal length");
    write(&head.into_iter().map(String::from).collect::<Vec<_>>());
    for group in groups {
        for network in &group.networks {
            for label in network.figures.labels() {
                let peers = network.figures.peers_of(label).count();
                let mut cells = group.names.clone();
                cells.extend([network.seed.to_string(), label.to_string(), peers.to_string()]);
                let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                cells.extend(measures().map(|measure| cell((measure.of)(network, label))));
                write(&cells);
            }
        }
    }
    lines.into_inner().expect("memory takes everything")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::summary::tests::groups;
    use crate::lab::sweep::Axis;

    #[test]
    fn a_line_says_all_of_a_label_of_a_network() {
        let axes = vec![Axis::parse("peers.1.count=1,2").unwrap()];
        let plan = |control| Plan { axes: axes.clone(), seeds: vec![0, 1, 2], combinations: Vec::new(), control };
        let mut groups = groups();
        groups[0].names[0] = "{kind=\"lazy\", fraction=0.5}".into();
        let text = String::from_utf8(csv(&plan(true), &groups)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 * 3 * 2);
        assert_eq!(
            lines[..3],
            [
                "peers.1.count,seed,behaviour,peers,loss,pay,pay_ratio,work,profit,gini,variation,control_loss,control_pay",
                "\"{kind=\"\"lazy\"\", fraction=0.5}\",0,honest,2,2,0.25,1,,,0.25,0.5,1.5,0.5",
                "\"{kind=\"\"lazy\"\", fraction=0.5}\",0,copycat,1,2,0.1,0.4,,,,,1.5,0.5",
            ]
        );
        assert!(!String::from_utf8(csv(&plan(false), &groups)).unwrap().contains("control"));
    }
}
