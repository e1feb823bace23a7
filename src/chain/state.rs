//! The state of the chain at a block, and how calls and time change it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::blocks::RoundClock;
use super::call::{Call, Genesis, Objection};
use super::commitment::{Commitments, commitment};
use super::registry::{Hotkey, Registration, Registry};
use super::settings::ChainSettings;
use super::view::ChainView;
use super::watch::Watch;
use super::yuma;
use crate::digest::Digest;
use crate::{NOBODY, Uid};

/// The state of the chain at the start of a block, after all calls of earlier blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainState {
    /// The block that is about to start.
    pub block: u64,
    /// In the order of genesis.
    pub validators: Vec<Validator>,
    /// Share of each round's pay by slot, from the last epoch. They sum to 1 if any peer got a weight in that epoch,
    /// less what is for nobody, and the shares of peers pushed out since.
    pub incentives: BTreeMap<Uid, f64>,
    /// Share of the pay that validators have given to nobody, likewise.
    pub to_nobody: f64,
    /// Total pay of the current owner of each slot; a round pays 1 in all.
    pub paid: BTreeMap<Uid, f64>,
    /// Total pay of each hotkey, over all its slots.
    pub paid_hotkeys: BTreeMap<Hotkey, f64>,
    /// Pay that no peer got, because no peer had a weight yet or the owner of the slot was pushed out.
    pub unpaid: f64,
    /// Refused calls: block, hotkey, reason.
    pub refused: Vec<(u64, Hotkey, Refusal)>,
    registry: Registry,
    /// The buckets of hotkeys that do not use the network's.
    buckets: BTreeMap<Hotkey, String>,
    watch: Watch,
}

/// A validator on the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validator {
    pub hotkey: Hotkey,
    pub stake: f64,
    /// Share of the dividends since the last epoch.
    pub dividend: f64,
    /// Total of its dividends; a round pays 1 in all.
    pub earned: f64,
    /// The last weights it posted.
    pub posted: Option<Posted>,
    bonds: BTreeMap<Uid, f64>,
    commitments: Commitments,
}

/// Weights that a validator posted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posted {
    /// The block of the call, or of the commitment to the weights.
    pub block: u64,
    /// Finite and not negative, on any scale.
    pub weights: Vec<(Uid, f64)>,
}

/// Why a call has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    #[error("the hotkey is registered already")]
    AlreadyRegistered,
    #[error("the hotkey is a validator's; register peers under hotkeys of their own")]
    IsValidator,
    #[error("the chain has no slots")]
    NoSlots,
    #[error("slot {0} is taken, and its owner is not the next to be pushed out")]
    SlotTaken(Uid),
    #[error("only validators set weights")]
    NotAValidator,
    #[error("a weight for slot {0}, which nobody holds")]
    UnknownUid(Uid),
    #[error("two weights for slot {0}")]
    RepeatedUid(Uid),
    #[error("the weight for slot {0} is negative or not finite")]
    InvalidWeight(Uid),
    #[error("validators of this chain commit to weights first")]
    NotCommitted,
    #[error("the validator has committed to weights for this epoch before")]
    CommittedBefore,
    #[error("no open commitment of an earlier epoch is to these weights")]
    UnknownCommitment,
    #[error("round {0} is still to come")]
    RoundToCome(u64),
}

impl ChainState {
    /// The state at block 0. The ledger has checked `genesis`.
    pub(super) fn new(settings: &ChainSettings, genesis: &Genesis) -> Self {
        let immunity_blocks = settings.immunity_rounds.saturating_mul(settings.blocks_per_round);
        let mut registry = Registry::new(settings.slots, immunity_blocks);
        for hotkey in &genesis.peers {
            registry.register(*hotkey, 0, |_| 0.0);
        }
        let validators = genesis.validators.iter().map(|&(hotkey, stake)| Validator {
            hotkey,
            stake,
            dividend: 0.0,
            earned: 0.0,
            posted: None,
            bonds: BTreeMap::new(),
            commitments: Commitments::default(),
        });
        Self {
            block: 0,
            validators: validators.collect(),
            incentives: BTreeMap::new(),
            to_nobody: 0.0,
            paid: BTreeMap::new(),
            paid_hotkeys: BTreeMap::new(),
            unpaid: 0.0,
            refused: Vec::new(),
            registry,
            buckets: BTreeMap::new(),
            watch: Watch::default(),
        }
    }

    /// Slots and their owners, by uid.
    pub fn registrations(&self) -> &BTreeMap<Uid, Registration> {
        self.registry.owners()
    }

    /// Applies a call of the current block.
    pub(super) fn apply(&mut self, settings: &ChainSettings, clock: &RoundClock, hotkey: &Hotkey, call: &Call) {
        let round = clock.round_of(self.block);
        let epoch = round / settings.weights_every.max(1);
        let applied = match call {
            Call::Register => self.register(*hotkey, None),
            Call::Claim { uid, bucket } => self.claim(*hotkey, *uid, bucket.as_ref()),
            Call::SetWeights(_) if settings.commit_reveal => Err(Refusal::NotCommitted),
            Call::SetWeights(weights) => self.set_weights(hotkey, weights, self.block),
            Call::CommitWeights(digest) => self.commit_weights(hotkey, epoch, digest),
            Call::RevealWeights { weights, salt } => self.reveal_weights(hotkey, epoch, weights, salt),
            Call::Object(objection) => self.object(hotkey, objection, round, settings.suspended_rounds),
        };
        if let Err(refusal) = applied {
            self.refused.push((self.block, *hotkey, refusal));
        }
    }

    fn claim(&mut self, hotkey: Hotkey, uid: Uid, bucket: Option<&String>) -> Result<(), Refusal> {
        self.register(hotkey, Some(uid))?;
        match bucket {
            Some(bucket) => self.buckets.insert(hotkey, bucket.clone()),
            None => self.buckets.remove(&hotkey),
        };
        Ok(())
    }

    /// The slot that a newcomer should claim in the current block, leaving out slots that others are about to get.
    pub fn slot_to_claim(&self, taken: &BTreeSet<Uid>) -> Option<Uid> {
        self.registry.next(self.block, |uid| self.incentive(uid), |uid| !taken.contains(&uid))
    }

    fn register(&mut self, hotkey: Hotkey, claimed: Option<Uid>) -> Result<(), Refusal> {
        if self.validators.iter().any(|validator| validator.hotkey == hotkey) {
            return Err(Refusal::IsValidator);
        }
        if self.uid_of(&hotkey).is_some() {
            return Err(Refusal::AlreadyRegistered);
        }
        let incentives = &self.incentives;
        let pay = |uid: Uid| incentives.get(&uid).copied().unwrap_or(0.0);
        let uid = match claimed {
            None => self.registry.register(hotkey, self.block, pay).ok_or(Refusal::NoSlots)?,
            Some(uid) => {
                let claimed = self.registry.claim(uid, hotkey, self.block, pay);
                claimed.then_some(uid).ok_or(Refusal::SlotTaken(uid))?
            }
        };
        // The slot's new owner inherits neither pay nor bonds.
        self.incentives.remove(&uid);
        self.paid.remove(&uid);
        self.validators.iter_mut().for_each(|validator| {
            validator.bonds.remove(&uid);
        });
        Ok(())
    }

    /// A single bad weight refuses the whole call, and the earlier weights stay, as on Bittensor.
    fn set_weights(&mut self, hotkey: &Hotkey, weights: &[(Uid, f64)], block: u64) -> Result<(), Refusal> {
        let nth = self.validator(hotkey)?;
        let mut seen = BTreeSet::new();
        for &(uid, weight) in weights {
            if uid != NOBODY && !self.registry.owners().contains_key(&uid) {
                return Err(Refusal::UnknownUid(uid));
            }
            if !seen.insert(uid) {
                return Err(Refusal::RepeatedUid(uid));
            }
            if !weight.is_finite() || weight < 0.0 {
                return Err(Refusal::InvalidWeight(uid));
            }
        }
        self.validators[nth].posted = Some(Posted { block, weights: weights.to_vec() });
        Ok(())
    }

    fn commit_weights(&mut self, hotkey: &Hotkey, epoch: u64, digest: &Digest) -> Result<(), Refusal> {
        let (nth, block) = (self.validator(hotkey)?, self.block);
        let is_first = self.validators[nth].commitments.commit(epoch, block, *digest);
        if is_first { Ok(()) } else { Err(Refusal::CommittedBefore) }
    }

    fn reveal_weights(
        &mut self,
        hotkey: &Hotkey,
        epoch: u64,
        weights: &[(Uid, f64)],
        salt: &Digest,
    ) -> Result<(), Refusal> {
        let nth = self.validator(hotkey)?;
        let opened = self.validators[nth].commitments.open(epoch, &commitment(hotkey, weights, salt));
        self.set_weights(hotkey, weights, opened.ok_or(Refusal::UnknownCommitment)?)
    }

    fn object(&mut self, hotkey: &Hotkey, objection: &Objection, now: u64, rounds: u64) -> Result<(), Refusal> {
        self.validator(hotkey)?;
        self.validator(&objection.author)?;
        if objection.round > now {
            return Err(Refusal::RoundToCome(objection.round));
        }
        self.watch.object(&ChainView::validators(self), *objection, *hotkey, now, rounds);
        Ok(())
    }

    /// A validator's place in the order of genesis.
    fn validator(&self, hotkey: &Hotkey) -> Result<usize, Refusal> {
        self.validators.iter().position(|validator| validator.hotkey == *hotkey).ok_or(Refusal::NotAValidator)
    }

    /// Moves to the next block. Pays each round at its end; every `weights_every` rounds an epoch follows.
    pub(super) fn next_block(&mut self, settings: &ChainSettings, clock: &RoundClock) {
        self.block += 1;
        let round = clock.round_of(self.block);
        if clock.first_block(round) == self.block {
            self.pay();
            if round.is_multiple_of(settings.weights_every.max(1)) {
                self.epoch(settings);
            }
        }
    }

    fn pay(&mut self) {
        for (uid, incentive) in &self.incentives {
            *self.paid.entry(*uid).or_default() += incentive;
            #[cfg(test)]
            let incentive =
                &if crate::planted::is(crate::planted::Defect::DoublePay) { 2.0 * incentive } else { *incentive };
            let owner = self.registry.owners()[uid].hotkey;
            *self.paid_hotkeys.entry(owner).or_default() += incentive;
        }
        self.unpaid += (1.0 - self.incentives.values().sum::<f64>()).max(0.0);
        for validator in &mut self.validators {
            validator.earned += validator.dividend;
        }
    }

    /// Runs Yuma consensus on the last posted weights.
    fn epoch(&mut self, settings: &ChainSettings) {
        let owners = self.registry.owners();
        let stake: Vec<f64> = self.validators.iter().map(|validator| validator.stake).collect();
        let weights: Vec<Vec<f64>> =
            self.validators.iter().map(|validator| weights_in_force(validator, owners)).collect();
        let bond = |validator: &Validator, uid| validator.bonds.get(uid).copied().unwrap_or(0.0);
        let columns = || owners.keys().chain([&NOBODY]);
        let bonds: Vec<Vec<f64>> =
            self.validators.iter().map(|validator| columns().map(|uid| bond(validator, uid)).collect()).collect();

        let outcome = yuma::epoch(settings, &stake, &weights, &bonds);
        self.to_nobody = outcome.incentives.last().copied().unwrap_or(0.0);
        self.incentives = owners.keys().copied().zip(outcome.incentives).collect();
        for (nth, validator) in self.validators.iter_mut().enumerate() {
            validator.dividend = outcome.dividends[nth];
            validator.bonds = columns().copied().zip(outcome.bonds[nth].iter().copied()).collect();
        }
    }
}

impl ChainView for ChainState {
    fn block(&self) -> u64 {
        self.block
    }

    fn peers(&self) -> Vec<(Uid, Hotkey)> {
        self.registry.owners().iter().map(|(&uid, registration)| (uid, registration.hotkey)).collect()
    }

    fn incentive(&self, uid: Uid) -> f64 {
        self.incentives.get(&uid).copied().unwrap_or(0.0)
    }

    /// By falling stake; ties in the order of genesis.
    fn validators(&self) -> Vec<(Hotkey, f64)> {
        let mut order: Vec<_> = self.validators.iter().map(|validator| (validator.hotkey, validator.stake)).collect();
        order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        order
    }

    fn succession(&self, round: u64) -> Vec<(Hotkey, f64)> {
        let mut order = ChainView::validators(self);
        order.sort_by_key(|(validator, _)| self.watch.is_suspended(validator, round));
        order
    }

    fn void_rounds(&self) -> Vec<u64> {
        self.watch.void().to_vec()
    }

    fn weights(&self) -> Vec<(Hotkey, Vec<(Uid, f64)>)> {
        let posted = |validator: &Validator| Some((validator.hotkey, validator.posted.as_ref()?.weights.clone()));
        self.validators.iter().filter_map(posted).collect()
    }

    fn uid_of(&self, hotkey: &Hotkey) -> Option<Uid> {
        self.registry.uid_of(hotkey)
    }

    fn bucket_of(&self, hotkey: &Hotkey) -> Option<&str> {
        self.buckets.get(hotkey).map(String::as_str)
    }
}

/// A validator's weight for each slot, by uid, and for nobody. If the owner of a slot registered in or after the block of the call, the
/// weight was not meant for it and counts as 0, as on Bittensor.
fn weights_in_force(validator: &Validator, owners: &BTreeMap<Uid, Registration>) -> Vec<f64> {
    let Some(posted) = &validator.posted else { return vec![0.0; owners.len() + 1] };
    let weights: BTreeMap<Uid, f64> = posted.weights.iter().copied().collect();
    let weight = |(uid, owner): (&Uid, &Registration)| {
        if owner.block < posted.block { weights.get(uid).copied().unwrap_or(0.0) } else { 0.0 }
    };
    owners.iter().map(weight).chain([weights.get(&NOBODY).copied().unwrap_or(0.0)]).collect()
}
