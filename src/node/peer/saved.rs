//! A peer's state between two rounds, as bytes.
//!
//! The training state of each slot comes first, as it can be gigabytes and is written once. The rest and its length
//! follow.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Peer;
use crate::Uid;
use crate::digest::Digest;
use crate::node::agreed::Agreed;
use crate::node::audit::Start;
use crate::node::ports::NodeState;
use crate::training::Replica;

/// The state without the training state, which precedes it.
#[derive(Serialize, Deserialize)]
struct Saved {
    slots: Vec<SavedSlot>,
    replicas: Vec<Digest>,
    at: u64,
    began: Option<u64>,
    agreed: Agreed,
    answers: Option<u64>,
    behaviour: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct SavedSlot {
    key: u32,
    uid: Option<Uid>,
    is_over: bool,
    uploaded: VecDeque<(u64, u32)>,
    /// Bytes of the slot's training state.
    training: u64,
    start: Option<SavedStart>,
}

/// What the slot's last work started from. The state follows the slot's training state.
#[derive(Serialize, Deserialize)]
struct SavedStart {
    key: u32,
    round: u64,
    uid: Uid,
    /// Bytes of the state.
    state: u64,
}

impl Peer {
    /// Restores a saved state; `replica` returns the replica of a digest.
    pub fn restore(&mut self, bytes: &[u8], replica: impl Fn(&Digest) -> Option<Arc<Replica>>) -> Result<(), String> {
        let cut_short = || "the state is cut short".to_string();
        let (bytes, length) = bytes.split_last_chunk::<8>().ok_or_else(cut_short)?;
        let start =
            usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| bytes.len().checked_sub(length));
        let (mut of_training, saved) = bytes.split_at(start.ok_or_else(cut_short)?);
        let saved: Saved = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        if saved.slots.len() != self.slots.len() {
            return Err(format!("it is of a node with {} slots, this one has {}", saved.slots.len(), self.slots.len()));
        }
        let replicas: Option<VecDeque<_>> = saved.replicas.iter().map(replica).collect();
        self.replicas = replicas.filter(|found| !found.is_empty()).ok_or("a replica is missing")?;
        (self.at, self.began, self.agreed) = (saved.at, saved.began, saved.agreed);
        self.answers = saved.answers;
        for (slot, saved) in self.slots.iter_mut().zip(saved.slots) {
            slot.restore_key(saved.key as usize)?;
            (slot.uid, slot.is_over, slot.uploaded) = (saved.uid, saved.is_over, saved.uploaded);
            let mut next = |length| {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let (own, rest) = of_training.split_at_checked(length).ok_or_else(cut_short)?;
                of_training = rest;
                Ok::<_, String>(own)
            };
            slot.local.as_mut().expect("it does not train yet").restore(next(saved.training)?)?;
            slot.digest = None;
            slot.start = match saved.start {
                Some(SavedStart { key, round, uid, state }) => {
                    Some((key, Start { round, uid, state: Bytes::copy_from_slice(next(state)?) }))
                }
                None => None,
            };
        }
        self.behaviour.restore(&saved.behaviour)?;
        Ok(())
    }

    pub(super) fn state(&self) -> NodeState {
        let (mut bytes, mut slots) = (Vec::new(), Vec::new());
        for slot in &self.slots {
            let before = bytes.len();
            slot.local.as_ref().expect("it does not train between rounds").save(&mut bytes);
            slots.push(SavedSlot {
                key: slot.key() as u32,
                uid: slot.uid,
                is_over: slot.is_over,
                uploaded: slot.uploaded.clone(),
                training: (bytes.len() - before) as u64,
                start: slot.start.as_ref().map(|(key, Start { round, uid, state })| SavedStart {
                    key: *key,
                    round: *round,
                    uid: *uid,
                    state: state.len() as u64,
                }),
            });
            if let Some((_, start)) = &slot.start {
                bytes.extend_from_slice(&start.state);
            }
        }
        let saved = Saved {
            slots,
            replicas: self.replicas.iter().map(|replica| replica.digest).collect(),
            at: self.at,
            began: self.began,
            agreed: self.agreed.clone(),
            answers: self.answers,
            behaviour: self.behaviour.save(),
        };
        let saved = postcard::to_stdvec(&saved).expect("a plain structure");
        bytes.reserve_exact(saved.len() + 8);
        bytes.extend_from_slice(&saved);
        bytes.extend((saved.len() as u64).to_le_bytes());
        NodeState { bytes, replicas: self.replicas.iter().cloned().collect(), average: None }
    }
}
