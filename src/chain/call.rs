//! Calls to a chain, and its genesis: the part that every back end understands.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::registry::{Hotkey, MAX_SLOTS};
use super::settings::ChainSettings;
use crate::Uid;
use crate::digest::Digest;
use crate::words::counted;

/// A call and the hotkey that makes it. The keeper of the log has checked the signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extrinsic {
    pub hotkey: Hotkey,
    pub call: Call,
}

/// What a hotkey can ask of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Asks for any slot.
    Register,
    /// Asks for this slot. It is refused unless the slot is free or is the next one to be given away. The hotkey may
    /// name the URL of its own bucket for its uploads.
    Claim { uid: Uid, bucket: Option<String> },
    /// A validator's weights for the peers, on any scale; slots left out get 0. Not with `chain.commit_reveal`.
    SetWeights(Vec<(Uid, f64)>),
    /// A validator's [`commitment`](super::commitment()) to weights. The first before an epoch counts.
    CommitWeights(Digest),
    /// The weights of an earlier commitment.
    RevealWeights { weights: Vec<(Uid, f64)>, salt: Digest },
    /// A validator objects to a record.
    Object(Objection),
}

/// An objection to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    pub round: u64,
    /// The record's author.
    pub author: Hotkey,
    /// Whether the validator lacks payloads that the record names. Otherwise it could follow the record, and no honest
    /// validator would have written it.
    pub lacks: bool,
}

/// The nodes that are on the chain at block 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Genesis {
    /// Hotkey and stake of each validator. At least one is needed.
    pub validators: Vec<(Hotkey, f64)>,
    /// Peers that hold slots 0, 1, 2, ... from the start.
    pub peers: Vec<Hotkey>,
}

/// Why a chain does not start or does not take a call.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LedgerError {
    #[error("a chain needs at least one validator")]
    NoValidator,
    #[error("stake of validator {0} is {1}: it must be positive and finite")]
    InvalidStake(usize, f64),
    #[error("{} at genesis, but the chain has {}", counted(*.peers, "peer"), counted(*.slots, "slot"))]
    TooManyPeers { peers: usize, slots: usize },
    #[error("two nodes have the same hotkey at genesis")]
    RepeatedHotkey,
    #[error("block {block} is over; submit for the current block {present} or a later one")]
    BlockOver { block: u64, present: u64 },
    #[error("{0} weights in one call, more than the {MAX_SLOTS} slots a chain has")]
    TooManyWeights(usize),
    /// A message from another back end.
    #[error("{0}")]
    Other(String),
}

impl Genesis {
    /// Checks that a chain with these settings can start from here.
    ///
    /// # Errors
    /// No validator, a stake that is not positive and finite, more peers than slots, or a repeated hotkey.
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
