//! What happens in a storm's course, and when.

use super::fault::{Fault, Left, What};

/// What happens in a storm's course at a time.
#[derive(Clone, Copy)]
pub enum Action {
    /// Copies a node's state, for a later start from it.
    Keep(usize),
    Kill(usize),
    Restart(usize),
    SetClock(usize),
    Disk {
        node: usize,
        is_full: bool,
    },
    Litter(usize),
}

/// What happens when, in the order of times. `round` is the length of one in milliseconds.
pub fn timeline(faults: &[Fault], round: u64) -> Vec<(u64, Action)> {
    let mut line = Vec::new();
    for fault in faults {
        let Fault { index, from_ms, until_ms, .. } = *fault;
        match fault.what {
            What::Kill { left, .. } => {
                if let Left::OldState { age_ms } = left {
                    line.push((from_ms.saturating_sub(age_ms), Action::Keep(index)));
                }
                line.push((from_ms, Action::Kill(index)));
                line.push((until_ms, Action::Restart(index)));
            }
            What::KillTogether { .. } => {
                line.push((from_ms, Action::Kill(index)));
                line.push((until_ms, Action::Restart(index)));
            }
            What::Clock { node, .. } => line.extend([from_ms, until_ms].map(|ms| (ms, Action::SetClock(node)))),
            What::DiskFull { node } => {
                line.push((from_ms, Action::Disk { node, is_full: true }));
                line.push((until_ms, Action::Disk { node, is_full: false }));
            }
            What::Litter { .. } => {
                let times = (from_ms..until_ms).step_by(round as usize / 2);
                line.extend(times.map(|ms| (ms, Action::Litter(index))));
            }
            _ => {}
        }
    }
    line.sort_by_key(|(ms, _)| *ms);
    line
}
