//! What is asked of a chain, and who is on it from the start: what every back end understands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::registry::{Hotkey, MAX_SLOTS};
use super::settings::ChainSettings;
use crate::Uid;

/// A call and the hotkey that makes it. Whoever keeps the log has checked its signature.
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

/// Why a chain does not start, or does not take a call.
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
    /// What the rules of another back end say.
    #[error("{0}")]
    Other(String),
}

impl Genesis {
    /// Whether a chain of these settings can start so.
    ///
    /// # Errors
    /// No validator, a stake that is none, more peers than slots, or a hotkey twice.
    pub fn check(&self, settings: &ChainSettings) -> Result<(), LedgerError> {
        if self.validators.is_empty() {
            return Err(LedgerError::NoValidator);
        }
        for (nth, &(_, stake)) in self.validators.iter().enumerate() {
            if !stake.is_finite() || stake <= 0.0 {
                return Err(LedgerError::InvalidStake(nth, stake));
            }
        }
        let (peers, slots) = (self.peers.len(), settings.slots.min(MAX_SLOTS));
        if peers > slots {
            return Err(LedgerError::TooManyPeers { peers, slots });
        }
        let hotkeys = self.validators.iter().map(|(hotkey, _)| hotkey).chain(&self.peers);
        if hotkeys.collect::<BTreeSet<_>>().len() < self.validators.len() + peers {
            return Err(LedgerError::RepeatedHotkey);
        }
        Ok(())
    }
}
