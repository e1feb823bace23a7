//! Says one thing first and another later: replaces its records, and its weights, when others have read them.

use async_trait::async_trait;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::chain::{Call, commitment};
use crate::digest::Digest;
use crate::transport::keys;
use crate::transport::record::{self, RoundRecord};

/// The settings of `equivocate`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EquivocateSettings {}

impl ValidatorBehaviourSettings for EquivocateSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Equivocate)
    }
}

struct Equivocate;

impl Equivocate {
    /// Sets other weights, or commits to them, in the block after the first ones.
    async fn weigh_again(around: &ValidatorSurroundings<'_>) {
        let (ports, rules) = (around.ports, &around.network.rules.chain);
        let Some((uid, _)) = around.chain.peers().into_iter().next() else { return };
        let others = vec![(uid, 1.0)];
        ports.clock.sleep_until_next_block().await;
        let call = if rules.commit_reveal {
            let salt = Digest::of(&around.round.to_le_bytes());
            Call::CommitWeights(commitment(&ports.identity.hotkey().0, &others, &salt))
        } else {
            Call::SetWeights(others)
        };
        ports.chain.submit(call).await;
    }

    /// Replaces its record by one without the last peer, half a round after the put window.
    async fn decide_again(own: &RoundRecord, around: &ValidatorSurroundings<'_>) {
        let (ports, mut other) = (around.ports, own.clone());
        if other.included.pop().is_none() {
            return;
        }
        let clock = &ports.clock;
        clock.sleep_until(clock.reveal_window(around.round).closes + clock.round_length() / 2).await;
        let bytes = record::encode(&other, &ports.identity);
        if let Err(error) = ports.bucket.put(&keys::record(own.round), bytes.into()).await {
            tracing::warn!(round = own.round, %error, "the record could not be replaced");
        }
    }
}

#[async_trait]
impl ValidatorBehaviour for Equivocate {
    async fn afterwards(&mut self, own: Option<&RoundRecord>, around: &ValidatorSurroundings<'_>) {
        if (around.round + 2).is_multiple_of(around.network.rules.chain.weights_every) {
            Self::weigh_again(around).await;
        }
        if let Some(own) = own {
            Self::decide_again(own, around).await;
        }
    }
}
