//! A fault: what happens to which nodes, from when to when.

use std::fmt;

use crate::settings::Kinded;

/// A fault of a storm. Times are milliseconds since genesis, by the store's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its number in the storm; with the seed it keys all draws of this fault, so that they stay when others go.
    pub index: usize,
    pub from_ms: u64,
    pub until_ms: u64,
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A node is killed when the fault begins, and started again when it ends.
    Kill { node: usize, moment: Moment, left: Left },
    /// These nodes are killed when the fault begins, all at once, and started again with what they saved last when it ends.
    KillTogether { nodes: Nodes },
    /// So many requests are refused, half of them after they have had their effect.
    Errors { nodes: Nodes, share: f64 },
    /// So many requests or answers are lost: the node learns of it only after a while.
    Lossy { nodes: Nodes, share: f64 },
    /// So many bodies come with another bit, cut short, or break off.
    Garbled { nodes: Nodes, share: f64 },
    /// The store does not answer.
    Outage { nodes: Nodes },
    /// Reads do not see what is younger than this.
    Behind { nodes: Nodes, lag_ms: u64 },
    /// Requests take this much longer.
    Slow { nodes: Nodes, delay_ms: u64 },
    /// These nodes and all others cannot read one another's objects.
    Partition { nodes: Nodes },
    /// A node's clock is off by this much: it jumps there, and back at the end.
    Clock { node: usize, off_ms: i64 },
    /// A node cannot save its state.
    DiskFull { node: usize },
    /// A peer puts garbage where its uploads and registrations belong, beside its work.
    Litter { node: usize },
    /// A peer is of this behaviour from the start to the end.
    Adversary { node: usize, behaviour: &'static str },
    /// A validator is of this behaviour from the start to the end; without the fault it is honest.
    Dishonest { node: usize, behaviour: Kinded },
}

/// When in its round a node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At that time, whatever it does.
    AtOnce,
    /// As it sends its next request, which has no effect.
    BeforeRequest,
    /// When its next request has had its effect, before it gets the answer.
    AfterRequest,
    /// As it puts the next object, which does not come to be there.
    BeforePut,
    /// When its next object is there, before it gets the answer.
    AfterPut,
}

/// What a killed node finds of its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// What it saved last.
    State,
    /// What it had saved so long before.
    OldState {
        age_ms: u64,
    },
    Nothing,
}

/// Numbers of nodes, in order: validators first, then peers and operators in the scenario's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nodes(pub Vec<usize>);

impl Nodes {
    /// Whether a node is one of them.
    pub fn has(&self, node: usize) -> bool {
        self.0.binary_search(&node).is_ok()
    }
}

/// Names of the kinds of faults, in the order of [`What::kind`].
pub const KINDS: [&str; 16] = [
    "kill",
    "kill, old state",
    "kill, no state",
    "kill, together",
    "errors",
    "lossy",
    "garbled",
    "outage",
    "behind",
    "slow",
    "partition",
    "clock",
    "disk full",
    "litter",
    "adversary",
    "dishonest",
];

impl What {
    /// The number of its kind in [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Kill { left: Left::State, .. } => 0,
            Self::Kill { left: Left::OldState { .. }, .. } => 1,
            Self::Kill { left: Left::Nothing, .. } => 2,
            Self::KillTogether { .. } => 3,
            Self::Errors { .. } => 4,
            Self::Lossy { .. } => 5,
            Self::Garbled { .. } => 6,
            Self::Outage { .. } => 7,
            Self::Behind { .. } => 8,
            Self::Slow { .. } => 9,
            Self::Partition { .. } => 10,
            Self::Clock { .. } => 11,
            Self::DiskFull { .. } => 12,
            Self::Litter { .. } => 13,
            Self::Adversary { .. } => 14,
            Self::Dishonest { .. } => 15,
        }
    }

    fn nodes(&self) -> Vec<usize> {
        match self {
            Self::Kill { node, .. }
            | Self::Clock { node, .. }
            | Self::DiskFull { node }
            | Self::Litter { node }
            | Self::Adversary { node, .. }
            | Self::Dishonest { node, .. } => vec![*node],
            Self::KillTogether { nodes }
            | Self::Errors { nodes, .. }
            | Self::Lossy { nodes, .. }
            | Self::Garbled { nodes, .. }
            | Self::Outage { nodes }
            | Self::Behind { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Partition { nodes } => nodes.0.clone(),
        }
    }
}

impl Fault {
    /// The nodes that it kills when it begins, whatever they are at.
    pub fn kills_at_once(&self) -> Vec<usize> {
        match &self.what {
            What::Kill { node, moment: Moment::AtOnce, .. } => vec![*node],
            What::KillTogether { nodes } => nodes.0.clone(),
            _ => Vec::new(),
        }
    }

    /// Whether it is there at a time.
    pub fn is_at(&self, ms: u64) -> bool {
        (self.from_ms..self.until_ms).contains(&ms)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<String> = self.what.nodes().iter().map(ToString::to_string).collect();
        let seconds = |ms: u64| ms as f64 / 1e3;
        let (from, until) = (seconds(self.from_ms), seconds(self.until_ms));
        write!(
            f,
            "{}: {from:.3} s to {until:.3} s, {} of node {}",
            self.index,
            KINDS[self.what.kind()],
            nodes.join(" ")
        )?;
        match &self.what {
            What::Kill { moment, left, .. } => {
                match moment {
                    Moment::AtOnce => {}
                    Moment::BeforeRequest => write!(f, ", before its next request")?,
                    Moment::AfterRequest => write!(f, ", after its next request")?,
                    Moment::BeforePut => write!(f, ", before its next put")?,
                    Moment::AfterPut => write!(f, ", after its next put")?,
                }
                if let Left::OldState { age_ms } = left {
                    write!(f, ", state of {:.3} s before", seconds(*age_ms))?;
                }
                Ok(())
            }
            What::Errors { share, .. } | What::Lossy { share, .. } | What::Garbled { share, .. } => {
                write!(f, ", {:.0} % of requests", 100.0 * share)
            }
            What::Behind { lag_ms: ms, .. } | What::Slow { delay_ms: ms, .. } => {
                write!(f, ", by {:.3} s", seconds(*ms))
            }
            What::Clock { off_ms, .. } => write!(f, ", by {:+.3} s", *off_ms as f64 / 1e3),
            What::Adversary { behaviour, .. } => write!(f, ", {behaviour}"),
            What::Dishonest { behaviour, .. } => {
                write!(f, ", {}", behaviour.kind.as_deref().unwrap_or_default())?;
                behaviour.settings.iter().try_for_each(|(key, value)| write!(f, ", {key} = {value}"))
            }
            What::KillTogether { .. }
            | What::Outage { .. }
            | What::Partition { .. }
            | What::DiskFull { .. }
            | What::Litter { .. } => Ok(()),
        }
    }
}
