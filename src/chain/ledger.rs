//! The log of calls, and the state it leads to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::blocks::RoundClock;
use super::registry::{Hotkey, MAX_SLOTS};
use super::state::ChainState;
use crate::Uid;
use crate::chain::ChainSettings;

/// Something that a hotkey asks of the chain. Who keeps the log has checked its signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extrinsic {
    pub hotkey: Hotkey,
    pub call: Call,
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// A slot for the hotkey.
    Register,
    /// This slot for the hotkey: refused unless it is free, or the one that whoever registers now would get. The
    /// hotkey may keep its uploads in a bucket of its own, at this URL.
    Claim { uid: Uid, bucket: Option<String> },
    /// A validator's weights for all peers, of any scale; slots that are not named get 0.
    SetWeights(Vec<(Uid, f64)>),
}

/// Who is there at block 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Genesis {
    /// Hotkey and stake of each validator; at least one.
    pub validators: Vec<(Hotkey, f64)>,
    /// Peers that hold slots 0, 1, 2, ... from the start.
    pub peers: Vec<Hotkey>,
}

/// What a ledger does not take.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LedgerError {
    #[error("a chain needs at least one validator")]
    NoValidator,
    #[error("stake of validator {0} is {1}: it must be positive and finite")]
    InvalidStake(usize, f64),
    #[error("{peers} peers at genesis, but the chain has {slots} slots")]
    TooManyPeers { peers: usize, slots: usize },
    #[error("two nodes have the same hotkey at genesis")]
    RepeatedHotkey,
    #[error("block {block} is over: the present block is {present}; submit for it or a later one")]
    BlockOver { block: u64, present: u64 },
    #[error("{0} weights in one call, more than the {MAX_SLOTS} slots a chain has")]
    TooManyWeights(usize),
}

/// The chain: its log, and the state at the latest block anybody asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    settings: ChainSettings,
    genesis: Genesis,
    /// Sorted so that it does not matter in which order nodes submit inside of a block; the number is the hotkey's own
    /// counting of its calls.
    log: BTreeMap<(u64, Hotkey, u64), Call>,
    submitted: BTreeMap<Hotkey, u64>,
    state: ChainState,
    /// The state at an earlier block that was asked for last.
    #[serde(skip)]
    past: Option<ChainState>,
}

impl Ledger {
    /// A chain at block 0.
    pub fn new(settings: &ChainSettings, genesis: Genesis) -> Result<Self, LedgerError> {
        if genesis.validators.is_empty() {
            return Err(LedgerError::NoValidator);
        }
        for (nth, &(_, stake)) in genesis.validators.iter().enumerate() {
            if !stake.is_finite() || stake <= 0.0 {
                return Err(LedgerError::InvalidStake(nth, stake));
            }
        }
        let (peers, slots) = (genesis.peers.len(), settings.slots.min(MAX_SLOTS));
        if peers > slots {
            return Err(LedgerError::TooManyPeers { peers, slots });
        }
        let hotkeys = genesis.validators.iter().map(|(hotkey, _)| hotkey).chain(&genesis.peers);
        if hotkeys.collect::<BTreeSet<_>>().len() < genesis.validators.len() + peers {
            return Err(LedgerError::RepeatedHotkey);
        }
        let state = ChainState::new(settings, &genesis);
        let settings = settings.clone();
        Ok(Self { settings, genesis, log: BTreeMap::new(), submitted: BTreeMap::new(), state, past: None })
    }

    /// Blocks, rounds and time of this chain.
    pub fn clock(&self) -> RoundClock {
        RoundClock::new(&self.settings)
    }

    /// Takes a call into a block. It has its effect in the state of the next block, or is refused there
    /// (`ChainState::refused`): whether it is valid may depend on calls that are not in yet.
    ///
    /// # Errors
    /// A block before the latest that `state_at` was asked for is over; more weights than slots are not kept.
    pub fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError> {
        let Extrinsic { hotkey, call } = extrinsic;
        if block < self.state.block {
            return Err(LedgerError::BlockOver { block, present: self.state.block });
        }
        match &call {
            Call::SetWeights(weights) if weights.len() > MAX_SLOTS => {
                return Err(LedgerError::TooManyWeights(weights.len()));
            }
            _ => {}
        }
        let number = self.submitted.entry(hotkey).or_default();
        self.log.insert((block, hotkey, *number), call);
        *number += 1;
        Ok(())
    }

    /// All calls, with their blocks, in the order in which they take effect.
    pub fn log(&self) -> impl Iterator<Item = (u64, Extrinsic)> {
        let entries = self.log.iter();
        entries.map(|((block, hotkey, _), call)| (*block, Extrinsic { hotkey: *hotkey, call: call.clone() }))
    }

    /// The state at the start of a block, all calls of earlier blocks applied. Asking for a block closes all earlier
    /// ones; asking for an earlier one again goes through the log from the start.
    pub fn state_at(&mut self, block: u64) -> &ChainState {
        if block >= self.state.block {
            advance(&mut self.state, &self.settings, &self.log, block);
            return &self.state;
        }
        let mut past = ChainState::new(&self.settings, &self.genesis);
        advance(&mut past, &self.settings, &self.log, block);
        self.past.insert(past)
    }
}

/// Folds the blocks before `block` into a state.
fn advance(state: &mut ChainState, settings: &ChainSettings, log: &BTreeMap<(u64, Hotkey, u64), Call>, block: u64) {
    let clock = RoundClock::new(settings);
    while state.block < block {
        let (from, to) = ((state.block, Hotkey::default(), 0), (state.block + 1, Hotkey::default(), 0));
        for ((_, hotkey, _), call) in log.range(from..to) {
            state.apply(hotkey, call);
        }
        state.next_block(settings, &clock);
    }
}

#[cfg(test)]
mod tests;
