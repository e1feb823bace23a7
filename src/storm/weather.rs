//! What the faults of a storm do to a request: a function of the node, the request and the time, so that no order of
//! tasks matters.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::path::Path;
use rand::RngExt;

use super::fault::{Fault, KINDS, Moment, Nodes, What};
use crate::random::{self, ChaCha8Rng};
use crate::transport::{Hotkey, keys};

/// What a fault does to a request before or after it reaches the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Passes,
    /// Refused, without or with an effect.
    Refused {
        has_effect: bool,
    },
    /// Lost on its way there, or its answer on its way back.
    Lost {
        has_effect: bool,
    },
}

/// What a fault does to a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Harm {
    /// A bit turns at this share of its length.
    Flip(f64),
    /// It ends at this share of its length, as if that were all of it.
    Cut(f64),
    /// It breaks off there with an error.
    BreakOff(f64),
}

/// The faults of a storm, and how often each kind has struck.
pub struct Weather {
    seed: u64,
    pub faults: Vec<Fault>,
    /// Prefix of each node's objects, by its hotkeys.
    owners: Vec<Vec<Path>>,
    struck: [AtomicU64; KINDS.len()],
    /// Faults that have struck at least once.
    met: Mutex<BTreeSet<usize>>,
}

impl Weather {
    /// `owners` are the prefixes below which each node writes.
    pub fn new(seed: u64, faults: Vec<Fault>, owners: Vec<Vec<Path>>) -> Self {
        let (struck, met) = (std::array::from_fn(|_| AtomicU64::new(0)), Mutex::default());
        Self { seed, faults, owners, struck, met }
    }

    /// How often each kind of [`KINDS`] has struck.
    pub fn struck(&self) -> [u64; KINDS.len()] {
        std::array::from_fn(|kind| self.struck[kind].load(Ordering::Relaxed))
    }

    /// Notes that a fault strikes.
    pub fn strikes(&self, fault: &Fault) {
        self.struck[fault.what.kind()].fetch_add(1, Ordering::Relaxed);
        self.met.lock().expect("no panic while held").insert(fault.index);
    }

    fn now(&self, ms: u64) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.is_at(ms))
    }

    /// How far a node's clock is off.
    pub fn clock_off_ms(&self, node: usize, ms: u64) -> i64 {
        let off = self.now(ms).filter_map(|fault| match fault.what {
            What::Clock { node: of, off_ms } if of == node => Some(off_ms),
            _ => None,
        });
        off.sum()
    }

    /// Whether this request of a node is its last: `Some(true)` if it still has its effect.
    pub fn dies_at(&self, node: usize, request: &str, ms: u64) -> Option<bool> {
        self.now(ms).find_map(|fault| match fault.what {
            What::Kill { node: of, moment, .. } if of == node => match moment {
                Moment::AtOnce => None,
                Moment::BeforeRequest => Some(false),
                Moment::AfterRequest => Some(true),
                Moment::BeforePut => (request == "put").then_some(false),
                Moment::AfterPut => (request == "put").then_some(true),
            },
            _ => None,
        })
    }

    /// How much longer a node's requests take.
    pub fn delay_ms(&self, node: usize, ms: u64) -> u64 {
        let delays = self.now(ms).filter_map(|fault| match &fault.what {
            What::Slow { nodes, delay_ms } if nodes.has(node) => {
                self.strikes(fault);
                Some(*delay_ms)
            }
            _ => None,
        });
        delays.sum()
    }

    /// What happens to a request that a node sends now.
    pub fn fate(&self, node: usize, request: &str, path: &Path, ms: u64) -> Fate {
        for fault in self.now(ms) {
            let draw = || self.rng(fault, node, request, path, ms);
            // Whether it strikes, and if so, whether the request has its effect all the same.
            let strikes = |share: f64| {
                let mut rng = draw();
                rng.random_bool(share).then(|| rng.random_bool(0.5))
            };
            let fate = match &fault.what {
                What::Outage { nodes } if nodes.has(node) => match draw().random_bool(0.5) {
                    true => Fate::Refused { has_effect: false },
                    false => Fate::Lost { has_effect: false },
                },
                What::Partition { nodes } if self.is_across(nodes, node, path) => Fate::Lost { has_effect: false },
                What::Errors { nodes, share } if nodes.has(node) => {
                    strikes(*share).map_or(Fate::Passes, |has_effect| Fate::Refused { has_effect })
                }
                What::Lossy { nodes, share } if nodes.has(node) => {
                    strikes(*share).map_or(Fate::Passes, |has_effect| Fate::Lost { has_effect })
                }
                _ => Fate::Passes,
            };
            if fate != Fate::Passes {
                self.strikes(fault);
                return fate;
            }
        }
        Fate::Passes
    }

    /// Whether an object is of a node on the other side of a partition.
    fn is_across(&self, group: &Nodes, node: usize, path: &Path) -> bool {
        let is_of = |prefixes: &Vec<Path>| prefixes.iter().any(|prefix| path.prefix_matches(prefix));
        let owner = self.owners.iter().position(is_of);
        owner.is_some_and(|owner| owner != node && group.has(owner) != group.has(node))
    }

    /// What is younger than this, a node's reads do not see.
    pub fn lag_ms(&self, node: usize, ms: u64) -> u64 {
        let lags = self.now(ms).filter_map(|fault| match &fault.what {
            What::Behind { nodes, lag_ms } if nodes.has(node) => Some(*lag_ms),
            _ => None,
        });
        lags.max().unwrap_or(0)
    }

    /// Notes that a read has not seen an object.
    pub fn hides(&self, node: usize, ms: u64) {
        let hides = |fault: &&Fault| matches!(&fault.what, What::Behind { nodes, .. } if nodes.has(node));
        if let Some(fault) = self.now(ms).find(hides) {
            self.strikes(fault);
        }
    }

    /// What happens to a body that a node receives now.
    pub fn harm(&self, node: usize, path: &Path, ms: u64) -> Option<Harm> {
        self.now(ms).find_map(|fault| match &fault.what {
            What::Garbled { nodes, share } if nodes.has(node) => {
                let mut rng = self.rng(fault, node, "body", path, ms);
                if !rng.random_bool(*share) {
                    return None;
                }
                self.strikes(fault);
                let place = rng.random::<f64>();
                Some([Harm::Flip(place), Harm::Cut(place), Harm::BreakOff(place)][rng.random_range(0..3)])
            }
            _ => None,
        })
    }

    /// The draws of a fault for a request.
    fn rng(&self, fault: &Fault, node: usize, request: &str, path: &Path, ms: u64) -> ChaCha8Rng {
        let parts = [&(fault.index as u64).to_le_bytes(), &(node as u64).to_le_bytes()[..], request.as_bytes()];
        let key = crate::digest::Digest::of_parts(parts.into_iter().chain([path.as_ref().as_bytes()]));
        let key = u64::from_le_bytes(*key.0.first_chunk().expect("a digest has 32 bytes"));
        random::rng(self.seed, "storm request", key, ms)
    }

    /// The indices of the faults that have struck.
    pub fn met(&self) -> Vec<usize> {
        self.met.lock().expect("no panic while held").iter().copied().collect()
    }
}

/// The prefixes below which the hotkeys of a node write.
pub fn prefixes<'a>(hotkeys: impl IntoIterator<Item = &'a Hotkey>) -> Vec<Path> {
    hotkeys.into_iter().map(keys::prefix).collect()
}
