//! The log of calls and the state it leads to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blocks::RoundClock;
use super::books::Books;
use super::call::{Call, Extrinsic, Genesis, LedgerError};
use super::registry::{Hotkey, MAX_SLOTS};
use super::settings::ChainSettings;
use super::state::ChainState;
use super::view::ChainView;

/// The chain: its log, and its state at the latest block asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(with = "as_text")]
    settings: ChainSettings,
    genesis: Genesis,
    /// Keyed by block, hotkey and the number of the hotkey's call, so that the order in which nodes submit within a
    /// block does not matter.
    log: BTreeMap<(u64, Hotkey, u64), Call>,
    submitted: BTreeMap<Hotkey, u64>,
    state: ChainState,
    /// The state at the earlier block that was asked for last.
    #[serde(skip)]
    past: Option<ChainState>,
}

impl Ledger {
    /// A chain at block 0.
    ///
    /// # Errors
    /// [`Genesis::check`] fails.
    pub fn new(settings: &ChainSettings, genesis: Genesis) -> Result<Self, LedgerError> {
        genesis.check(settings)?;
        let state = ChainState::new(settings, &genesis);
        let settings = settings.clone();
        Ok(Self { settings, genesis, log: BTreeMap::new(), submitted: BTreeMap::new(), state, past: None })
    }

    /// Opens a ledger as the books of an [`engine`](crate::engine): the default of [`OpenBooks`](super::OpenBooks).
    ///
    /// # Errors
    /// As [`Ledger::new`].
    pub fn open(settings: &ChainSettings, genesis: Genesis) -> Result<Box<dyn Books>, LedgerError> {
        Ok(Box::new(Self::new(settings, genesis)?))
    }

    /// The clock of this chain.
    pub fn clock(&self) -> RoundClock {
        RoundClock::new(&self.settings)
    }

    /// Takes a call into a block. The state of the next block applies it or refuses it (`ChainState::refused`), because
    /// its validity may depend on calls that have not arrived yet.
    ///
    /// # Errors
    /// The block is before the latest one that `state_at` was asked for, or the call has more weights than a chain has
    /// slots.
    pub fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError> {
        let Extrinsic { hotkey, call } = extrinsic;
        if block < self.state.block {
            return Err(LedgerError::BlockOver { block, present: self.state.block });
        }
        match &call {
            Call::SetWeights(weights) | Call::RevealWeights { weights, .. } if weights.len() > MAX_SLOTS => {
                return Err(LedgerError::TooManyWeights(weights.len()));
            }
            _ => {}
        }
        let number = self.submitted.entry(hotkey).or_default();
        self.log.insert((block, hotkey, *number), call);
        *number += 1;
        Ok(())
    }

    /// All calls with their blocks, in the order in which they take effect.
    pub fn log(&self) -> impl Iterator<Item = (u64, Extrinsic)> {
        let entries = self.log.iter();
        entries.map(|((block, hotkey, _), call)| (*block, Extrinsic { hotkey: *hotkey, call: call.clone() }))
    }

    /// The state at the start of a block, after all calls of earlier blocks. Asking for a block closes all earlier
    /// ones. Asking for an earlier block replays the log from the start.
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

impl Books for Ledger {
    fn view(&mut self, block: u64) -> Arc<dyn ChainView> {
        Arc::new(self.state_at(block).clone())
    }

    fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError> {
        Ledger::submit(self, block, extrinsic)
    }

    fn log(&self) -> Vec<(u64, Extrinsic)> {
        Ledger::log(self).collect()
    }
}

/// Settings as a text, because they leave out what is not set, which a format without names cannot tell.
mod as_text {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::chain::ChainSettings;

    pub fn serialize<S: Serializer>(settings: &ChainSettings, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(settings).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChainSettings, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Applies all blocks before `block` to a state.
fn advance(state: &mut ChainState, settings: &ChainSettings, log: &BTreeMap<(u64, Hotkey, u64), Call>, block: u64) {
    let clock = RoundClock::new(settings);
    while state.block < block {
        let (from, to) = ((state.block, Hotkey::default(), 0), (state.block + 1, Hotkey::default(), 0));
        for ((_, hotkey, _), call) in log.range(from..to) {
            state.apply(settings, &clock, hotkey, call);
        }
        state.next_block(settings, &clock);
    }
}

#[cfg(test)]
mod tests;
