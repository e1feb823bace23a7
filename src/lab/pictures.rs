//! Pictures of groups of networks: pay by label, and loss, each with its interval.

use super::figures::HONEST;
use super::statistics::Interval;
use super::summary::{CONTROL_LOSS, Group, LOSS, Line, PAY_RATIO};
use crate::report::ReportError;
use crate::report::plots::{Dots, Mark, dots};

const INTERVALS: &str = "mean over the seeds and its 95 % interval";

/// Pay of each label relative to an honest peer; nothing to draw if all peers are honest.
pub fn pay(title: &str, names: &str, groups: &[Group], lines: &[Line]) -> Result<Option<String>, ReportError> {
    let mark = |line: &Line| {
        let interval = line.measured[PAY_RATIO].filter(|_| line.label != HONEST)?;
        Some(mark(format!("{}: {}", name(&groups[line.group]), line.label), 0, interval))
    };
    let marks: Vec<Mark> = lines.iter().filter_map(mark).collect();
    if marks.is_empty() {
        return Ok(None);
    }
    let picture = Dots {
        title: &format!("Pay: {title}"),
        explanation: &explanation(names),
        x_title: "pay of a peer, that of an honest one = 1",
        reference: Some(1.0),
        series: &[],
        marks: &marks,
    };
    dots(&picture).map(Some)
}

/// The loss of each group, with and without adversaries.
pub fn loss(title: &str, names: &str, groups: &[Group], lines: &[Line]) -> Result<Option<String>, ReportError> {
    let mut marks = Vec::new();
    for (nth, group) in groups.iter().enumerate() {
        let Some(line) = lines.iter().find(|line| line.group == nth) else { continue };
        let measured = [LOSS, CONTROL_LOSS].into_iter().enumerate();
        marks.extend(measured.filter_map(|(series, at)| Some(mark(name(group), series, line.measured[at]?))));
    }
    if marks.is_empty() {
        return Ok(None);
    }
    let series = ["the network", "without its adversaries"].map(String::from);
    let has_control = marks.iter().any(|mark| mark.series == 1);
    let picture = Dots {
        title: &format!("Held-out loss at the end: {title}"),
        explanation: &explanation(names),
        x_title: "held-out loss (nats per token)",
        reference: None,
        series: if has_control { &series } else { &[] },
        marks: &marks,
    };
    dots(&picture).map(Some)
}

/// The line below a title: the setting whose values are the groups' names, if any, and what is drawn.
fn explanation(names: &str) -> String {
    if names.is_empty() { INTERVALS.into() } else { format!("{names}; {INTERVALS}") }
}

fn name(group: &Group) -> String {
    group.names.join(", ")
}

fn mark(label: String, series: usize, interval: Interval) -> Mark {
    Mark { label, series, mean: interval.mean, ends: interval.ends() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::summary::{lines, tests::groups};

    #[test]
    fn both_pictures_name_what_they_show() {
        let mut groups = groups();
        let drawn = pay("net", "peers.1.count", &groups, &lines(&groups)).unwrap().unwrap();
        for text in ["Pay: net", "peers.1.count; mean over the seeds", "1: copycat", "2: copycat", "honest one = 1"] {
            assert!(drawn.contains(text), "{text}");
        }
        assert!(!drawn.contains(": honest\n") && !drawn.contains("NaN"));
        let drawn = loss("net", "", &groups, &lines(&groups)).unwrap().unwrap();
        assert!(drawn.contains("nats per token") && drawn.contains("without its adversaries"));
        for group in &mut groups {
            for network in &mut group.networks {
                (network.control, network.figures.loss) = (None, None);
                network.figures.peers.retain(|peer| peer.behaviour == HONEST);
            }
        }
        assert_eq!(pay("net", "peers.1.count", &groups, &lines(&groups)).unwrap(), None, "all are honest");
        assert_eq!(loss("net", "", &groups, &lines(&groups)).unwrap(), None, "no loss was measured");
    }
}
