//! The model of a real run, for readers that take no part in it.

use futures::TryStreamExt;
use object_store::ObjectStore;

use super::Run;
use super::run::RunError;
use crate::bucket::untrusted::get_bounded;
use crate::model::LlamaConfig;
use crate::node::{OpenError, get_checkpoint};
use crate::transport::verified::Verified;
use crate::transport::{Hotkey, keys, record};

impl Run {
    /// The newest model that validators have put into the bucket and vouch for, or the one after exactly this many
    /// rounds: `(rounds, theta)`. After 0 rounds it is the model that the run started from.
    ///
    /// # Errors
    /// There is no such model, or the store fails.
    pub async fn model(&self, rounds: Option<u64>) -> Result<(u64, Vec<f32>), RunError> {
        let config = LlamaConfig::from_settings(&self.scenario.model).map_err(OpenError::from)?;
        let parameters = config.layout().total();
        let found = self.checkpoints().await?;
        for &(at, validator) in found.iter().filter(|(at, _)| rounds.is_none_or(|rounds| rounds == *at)) {
            if let Some(theta) = self.vouched(at, &validator, parameters).await {
                return Ok((at, theta));
            }
        }
        if rounds.is_none_or(|rounds| rounds == 0) {
            return Ok((0, self.theta(parameters).await?));
        }
        let available: Vec<String> = found.iter().rev().map(|(at, _)| at.to_string()).collect();
        Err(RunError::NoModel {
            url: self.bucket.url.clone(),
            rounds: rounds.unwrap_or(0),
            available: match available.len() {
                0 => "no validator has saved one yet: leave --round out".into(),
                _ => format!("--round can be {}", available.join(", ")),
            },
        })
    }

    /// All checkpoints of the run's validators, the newest first.
    async fn checkpoints(&self) -> Result<Vec<(u64, Hotkey)>, RunError> {
        let mut found = Vec::new();
        for (validator, _) in &self.genesis.validators {
            let objects = self.bucket.store.list(Some(&keys::checkpoints(validator))).try_collect::<Vec<_>>().await;
            let objects = objects.map_err(|source| RunError::Store { url: self.bucket.url.clone(), source })?;
            found.extend(objects.iter().filter_map(|meta| keys::number(&meta.location)).map(|at| (at, *validator)));
        }
        found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Ok(found)
    }

    /// A validator's checkpoint, if it is the model that the record of the round before names.
    async fn vouched(&self, at: u64, validator: &Hotkey, parameters: usize) -> Option<Vec<f32>> {
        let round = at.checked_sub(1)?;
        let longest = record::max_len(self.scenario.protocol.top_peers);
        let bytes = get_bounded(&self.bucket.store, &keys::record(round), longest as u64).await?;
        let is_validator = |hotkey: &Hotkey| self.is_validator(hotkey);
        let record = record::decode(&bytes, longest, &self.id, round, is_validator, &Verified::default()).ok()?;
        let (key, expected) = (keys::checkpoint(validator, at), (at, record.model_after));
        Some(get_checkpoint(&self.bucket.store, &key, &self.id, parameters, expected).await?.theta)
    }
}
