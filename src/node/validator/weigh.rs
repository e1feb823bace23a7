//! Sets a validator's weights: at once, or by a commitment that it opens at the next time.

use super::Validator;
use super::behaviour::ValidatorSurroundings;
use crate::Uid;
use crate::chain::{Call, ChainView, commitment};
use crate::digest::Digest;

impl Validator {
    /// Sets the weights that the mechanism and the behaviour say, when the behaviour wants.
    pub async fn weigh(&mut self, chain: &dyn ChainView) {
        let (network, ports, round) = (self.network.clone(), self.ports.clone(), self.round);
        let around = ValidatorSurroundings { network: &network, ports: &ports, round, chain };
        let judged = self.mechanism.pay();
        let weights = match self.behaviour.weighs_at(&around) {
            None => self.behaviour.weights(judged, &around),
            Some(at) => {
                ports.clock.sleep_until(at).await;
                let now = ports.chain.view().await;
                self.behaviour.weights(judged, &ValidatorSurroundings { chain: &*now, ..around })
            }
        };
        if network.rules.chain.commit_reveal {
            self.commit(weights).await;
        } else {
            ports.chain.submit(Call::SetWeights(weights)).await;
        }
    }

    /// Reveals the weights of the last commitment, and commits to these.
    async fn commit(&mut self, weights: Vec<(Uid, f64)>) {
        let chain = &self.ports.chain;
        if let Some((weights, salt)) = self.committed.take() {
            chain.submit(Call::RevealWeights { weights, salt }).await;
        }
        // Nobody else knows the secret, so nobody can try likely weights.
        let salt = Digest::of_parts([&b"salt"[..], &self.secret.to_le_bytes(), &self.round.to_le_bytes()]);
        let digest = commitment(&self.ports.identity.hotkey().0, &weights, &salt);
        chain.submit(Call::CommitWeights(digest)).await;
        self.committed = Some((weights, salt));
    }
}
