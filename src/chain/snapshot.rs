//! A view of plain lists: what a chain of one's own can answer with.

use std::collections::BTreeMap;

use super::registry::Hotkey;
use super::view::ChainView;
use crate::Uid;

/// A chain at the start of a block, as lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub block: u64,
    /// Slots and the hotkeys of their owners, by uid.
    pub peers: Vec<(Uid, Hotkey)>,
    /// The share of each round's pay that a slot gets; those that are not there get none.
    pub pay: BTreeMap<Uid, f64>,
    /// Hotkeys and stakes of the validators, in the order in which they may decide.
    pub validators: Vec<(Hotkey, f64)>,
}

impl ChainView for Snapshot {
    fn block(&self) -> u64 {
        self.block
    }

    fn peers(&self) -> Vec<(Uid, Hotkey)> {
        self.peers.clone()
    }

    fn incentive(&self, uid: Uid) -> f64 {
        self.pay.get(&uid).copied().unwrap_or(0.0)
    }

    fn validators(&self) -> Vec<(Hotkey, f64)> {
        self.validators.clone()
    }
}
