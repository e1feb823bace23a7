//! Slots and their owners.
//!
//! Anybody may register. A newcomer takes the lowest free slot. When all slots are taken it pushes out a peer, as on
//! Bittensor: the lowest paid one that is past its immunity, or the lowest paid of all if all are immune; ties go to
//! the earliest registration. There is no other way to lose a slot. Bittensor charges for registration to keep out a
//! flood of new names. This chain has no coins, so a newcomer is protected by its immunity alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Uid;

/// Public key that a peer or validator signs with.
pub type Hotkey = [u8; 32];

/// The most slots that a chain can have.
pub const MAX_SLOTS: usize = 250;

/// The owner of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub hotkey: Hotkey,
    /// The block in which it registered.
    pub block: u64,
}

/// The slots and their owners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registry {
    slots: usize,
    immunity_blocks: u64,
    owners: BTreeMap<Uid, Registration>,
}

impl Registry {
    /// An empty registry of `slots` slots, `MAX_SLOTS` at most.
    pub fn new(slots: usize, immunity_blocks: u64) -> Self {
        Self { slots: slots.min(MAX_SLOTS), immunity_blocks, owners: BTreeMap::new() }
    }

    /// Slots and owners, by uid.
    pub fn owners(&self) -> &BTreeMap<Uid, Registration> {
        &self.owners
    }

    /// The slot of a hotkey.
    pub fn uid_of(&self, hotkey: &Hotkey) -> Option<Uid> {
        self.owners.iter().find(|(_, owner)| owner.hotkey == *hotkey).map(|(uid, _)| *uid)
    }

    /// Whether a registration in `block` cannot push out the owner of a slot (unless all owners are immune).
    pub fn is_immune(&self, uid: Uid, block: u64) -> bool {
        self.owners.get(&uid).is_some_and(|owner| block.saturating_sub(owner.block) < self.immunity_blocks)
    }

    /// Gives a hotkey a slot in `block`; `pay` is the current pay of a slot. `None` if the hotkey already has a slot.
    pub fn register(&mut self, hotkey: Hotkey, block: u64, pay: impl Fn(Uid) -> f64) -> Option<Uid> {
        if self.slots == 0 || self.uid_of(&hotkey).is_some() {
            return None;
        }
        let uid = self.next(block, pay, |_| true)?;
        self.owners.insert(uid, Registration { hotkey, block });
        Some(uid)
    }

    /// Gives a hotkey the slot it asks for in `block`, if that slot is free or is the next to change hands.
    pub fn claim(&mut self, uid: Uid, hotkey: Hotkey, block: u64, pay: impl Fn(Uid) -> f64) -> bool {
        let exists = usize::from(uid) < self.slots;
        let given = exists && (!self.owners.contains_key(&uid) || self.next(block, pay, |_| true) == Some(uid));
        if given {
            self.owners.insert(uid, Registration { hotkey, block });
        }
        given
    }

    /// The slot that a registration in `block` would get, among those that `may` allows: a free one, or that of the
    /// peer to be pushed out.
    pub fn next(&self, block: u64, pay: impl Fn(Uid) -> f64, may: impl Fn(Uid) -> bool) -> Option<Uid> {
        let free = (0..self.slots as Uid).find(|uid| !self.owners.contains_key(uid) && may(*uid));
        free.or_else(|| self.pushed_out(block, pay, may))
    }

    fn pushed_out(&self, block: u64, pay: impl Fn(Uid) -> f64, may: impl Fn(Uid) -> bool) -> Option<Uid> {
        let weakest = self.owners.iter().filter(|(uid, _)| may(**uid)).min_by(|(a, first), (b, second)| {
            let (immune, other_immune) = (self.is_immune(**a, block), self.is_immune(**b, block));
            let by_pay = pay(**a).total_cmp(&pay(**b));
            immune.cmp(&other_immune).then(by_pay).then(first.block.cmp(&second.block)).then(a.cmp(b))
        });
        weakest.map(|(uid, _)| *uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(slots: usize, immunity: u64) -> Registry {
        let mut registry = Registry::new(slots, immunity);
        for uid in 0..slots {
            assert_eq!(registry.register([uid as u8; 32], 10 * uid as u64, |_| 0.0), Some(uid as Uid));
        }
        registry
    }

    #[test]
    fn the_lowest_paid_is_pushed_out() {
        let mut registry = full(4, 5);
        let pay = |uid: Uid| [0.5, 0.1, 0.3, 0.1][usize::from(uid)];
        assert_eq!(registry.register([9; 32], 100, pay), Some(1), "ties go to the earliest registration");
        assert_eq!(registry.uid_of(&[9; 32]), Some(1));
        assert_eq!(registry.uid_of(&[1; 32]), None);
        assert_eq!(registry.register([9; 32], 200, pay), None, "it already has a slot");
        assert_eq!(registry.register([1; 32], 101, pay), Some(3), "the newcomer in slot 1 is immune");
    }

    #[test]
    fn immunity_ends_and_gives_way_when_all_have_it() {
        let mut registry = full(3, 50);
        let pay = |uid: Uid| [0.2, 0.0, 0.4][usize::from(uid)];
        assert!(registry.is_immune(0, 49) && !registry.is_immune(0, 50));
        assert_eq!(registry.clone().register([9; 32], 30, pay), Some(1), "all immune: the lowest paid");
        assert_eq!(registry.register([9; 32], 55, pay), Some(0), "the only one that is not immune");
    }

    #[test]
    fn a_claim_is_for_a_free_slot_or_the_weakest_owner() {
        let mut registry = Registry::new(3, 5);
        assert!(registry.claim(2, [2; 32], 0, |_| 0.0), "any free one");
        assert!(!registry.claim(2, [9; 32], 100, |_| 0.0), "others are free");
        assert!(!registry.claim(3, [9; 32], 0, |_| 0.0), "no such slot");
        assert!(registry.claim(0, [0; 32], 10, |_| 0.0) && registry.claim(1, [1; 32], 20, |_| 0.0));
        let pay = |uid: Uid| [0.5, 0.1, 0.3][usize::from(uid)];
        assert!(!registry.claim(2, [9; 32], 100, pay) && registry.claim(1, [9; 32], 100, pay));
        assert_eq!(registry.next(200, pay, |uid| uid != 1), Some(2));
    }

    #[test]
    fn without_slots_nobody_registers() {
        assert_eq!(Registry::new(0, 5).register([1; 32], 0, |_| 0.0), None);
    }
}
