//! A run in a bucket: writes its genesis, and reads it.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use thiserror::Error;

use super::Bucket;
use crate::bucket::probe::{self, Broken};
use crate::bucket::untrusted::{Settled, create, read_until_settled};
use crate::bucket::words::explain;
use crate::chain;
use crate::digest::Digest;
use crate::model::Device;
use crate::node::{Network, OpenError, get_checkpoint, put_checkpoint};
use crate::scenario::{Scenario, ScenarioError, World};
use crate::transport::genesis::{self, Genesis, GenesisError, Start};
use crate::transport::{Hotkey, Identity, checkpoint, keys};
use crate::words::counted;

/// Maximum number of reads of the genesis until two agree.
const GENESIS_READS: usize = 8;

/// A run in a bucket.
pub struct Run {
    pub bucket: Bucket,
    pub genesis: Genesis,
    /// Digest that names the run.
    pub id: Digest,
    pub scenario: Scenario,
}

/// Why a run cannot be written, read or joined.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("bucket {url}: there is no run; `sim genesis SCENARIO.toml --bucket {url}` writes one")]
    NoRun { url: String },
    #[error("bucket {url}: genesis: {source}")]
    Genesis { url: String, source: GenesisError },
    #[error(
        "bucket {url}: each read of the genesis gives different content; the store or the connection to it is broken"
    )]
    Garbled { url: String },
    #[error("bucket {url}: genesis: its scenario does not fit this version of the program: {source}")]
    Scenario { url: String, source: Box<ScenarioError> },
    #[error("bucket {url}: another run is in it ({found}); take another bucket, or another path in it")]
    OtherRun { url: String, found: String },
    #[error("bucket {url}: it is not empty and has no run; take another bucket, or another path in it")]
    NotEmpty { url: String },
    #[error("bucket {url}: {broken}")]
    Word { url: String, broken: Broken },
    #[error("bucket {url}: {source}")]
    Store { url: String, source: object_store::Error },
    #[error("bucket {url}: theta: the model that the genesis names is unavailable")]
    Theta { url: String },
    #[error("the corpus of this machine is not the run's: digest {found}, the run has {expected}; see corpus.path")]
    Corpus { expected: String, found: String },
    #[error("bucket {url}: there is no model after {}; {available}", counted(*.rounds, "round"))]
    NoModel { url: String, rounds: u64, available: String },
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl RunError {
    /// Whether another bucket, scenario or program is needed, so that retrying is useless. A missing run may still
    /// come.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Scenario { .. }
                | Self::OtherRun { .. }
                | Self::NotEmpty { .. }
                | Self::Word { .. }
                | Self::Corpus { .. }
                | Self::Open(_)
        )
    }
}

/// Hotkey and stake of each validator of a scenario, as stated or derived from the seed.
pub fn validators_of(scenario: &Scenario) -> Vec<(Hotkey, f64)> {
    let validators = scenario.validators.iter().enumerate();
    let hotkey = |(index, settings): (usize, &crate::scenario::ValidatorSettings)| {
        let named = settings.hotkey.as_deref().and_then(|text| text.parse().ok());
        (named.unwrap_or_else(|| scenario.validator_identity(index).hotkey()), settings.stake)
    };
    validators.map(hotkey).collect()
}

impl Run {
    /// Writes a run of this network's scenario. `peers` hold its slots from the start, and `nonce` makes it differ from
    /// any earlier run. Returns whether it is new: a bucket that has a run of the same settings stays as it is.
    ///
    /// # Errors
    /// The bucket has other content, or refuses the run.
    pub async fn create(
        bucket: Bucket,
        world: &World,
        peers: Vec<Hotkey>,
        nonce: u64,
    ) -> Result<(Self, bool), RunError> {
        let World { scenario, network } = world;
        let genesis = Genesis::new(
            scenario.to_toml(),
            validators_of(scenario),
            peers,
            network.genesis.digest,
            network.core.corpus.fingerprint(),
            nonce,
        );
        let failed = |source| RunError::Store { url: bucket.url.clone(), source };
        match Self::read(bucket.clone()).await {
            Ok(found) => return found.if_same_settings(&genesis),
            Err(RunError::NoRun { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut objects = bucket.store.list(None);
        let parts = 0..checkpoint::parts(network.genesis.theta.len());
        let ours: Vec<Path> = parts.map(|part| keys::part(&keys::theta(), part)).chain([keys::genesis()]).collect();
        while let Some(meta) = objects.try_next().await.map_err(failed)? {
            if !ours.contains(&meta.location) {
                return Err(RunError::NotEmpty { url: bucket.url });
            }
        }
        drop(objects);
        // Nobody reads the initial model yet, and who may write a run may replace it.
        let kept = probe::keeps_its_word(bucket.store.as_ref(), &keys::theta()).await.map_err(failed)?;
        if let Err(broken) = kept {
            let _ = bucket.store.delete(&keys::theta()).await;
            return Err(RunError::Word { url: bucket.url, broken });
        }
        let bytes = genesis::encode(&genesis);
        let id = Digest::of(&bytes);
        // Theta goes first, so that a node that sees the genesis finds it.
        let model = (&network.genesis.digest, network.genesis.theta.as_slice());
        put_checkpoint(&bucket.store, &keys::theta(), &id, 0, model).await.map_err(failed)?;
        if create(&bucket.store, &keys::genesis(), bytes).await.map_err(failed)? {
            return Ok((Self { scenario: scenario.clone(), bucket, genesis, id }, true));
        }
        Self::read(bucket).await?.if_same_settings(&genesis)
    }

    fn if_same_settings(self, genesis: &Genesis) -> Result<(Self, bool), RunError> {
        if self.genesis.has_same_settings(genesis) {
            return Ok((self, false));
        }
        let found = format!("{}, seed {}, run {}", self.scenario.name, self.scenario.seed, self.id.short());
        Err(RunError::OtherRun { url: self.bucket.url, found })
    }

    /// The run that is in a bucket.
    ///
    /// # Errors
    /// There is none, or this program cannot read it.
    pub async fn read(bucket: Bucket) -> Result<Self, RunError> {
        let url = || bucket.url.clone();
        let bytes = genesis_bytes(&bucket).await?;
        let (genesis, id) = genesis::decode(&bytes).map_err(|source| RunError::Genesis { url: url(), source })?;
        let scenario = Scenario::from_toml(&genesis.scenario, "genesis", &[])
            .map_err(|source| RunError::Scenario { url: url(), source: Box::new(source) })?;
        Ok(Self { bucket, genesis, id, scenario })
    }

    /// Checks that the store keeps its word ([`probe`]), by an object of a node's own.
    ///
    /// # Errors
    /// It does not. A store that fails now may keep it.
    pub async fn check_store(&self, node: &Identity) -> Result<(), RunError> {
        // A folder does; and on a shared clock nothing may be waited for here.
        if self.bucket.folder.is_some() {
            return Ok(());
        }
        let url = self.bucket.url.clone();
        match probe::keeps_its_word(self.bucket.store.as_ref(), &keys::clock(&node.hotkey())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(broken)) => Err(RunError::Word { url, broken }),
            Err(error) => {
                tracing::warn!("bucket {url}: whether it keeps its word cannot be tried: {}", explain(&error));
                Ok(())
            }
        }
    }

    /// Everything that a node of the run shares with others, on a device.
    ///
    /// # Errors
    /// This machine's corpus differs, or the initial model is unavailable.
    pub async fn network(&self, device: Device) -> Result<Arc<Network>, RunError> {
        // The initial model is in the bucket; its original folder need not be here.
        let mut scenario = self.scenario.clone();
        scenario.model.init = None;
        let mut network = scenario.network(device)?;
        network.run = self.id;
        let fingerprint = network.core.corpus.fingerprint();
        if fingerprint != self.genesis.corpus {
            let (expected, found) = (self.genesis.corpus.short(), fingerprint.short());
            return Err(RunError::Corpus { expected, found });
        }
        if network.genesis.digest != self.genesis.theta {
            network.genesis = network.core.replica(self.theta(network.core.layout.total()).await?);
        }
        Ok(Arc::new(network))
    }

    /// The initial model, as the bucket has it.
    pub(super) async fn theta(&self, parameters: usize) -> Result<Vec<f32>, RunError> {
        let expected = (0, self.genesis.theta);
        let found = get_checkpoint(&self.bucket.store, &keys::theta(), &self.id, parameters, expected).await;
        Ok(found.ok_or_else(|| RunError::Theta { url: self.bucket.url.clone() })?.theta)
    }

    /// The chain's block 0.
    pub fn chain(&self) -> chain::Genesis {
        chain::Genesis {
            validators: self.genesis.validators.iter().map(|(hotkey, stake)| (hotkey.0, *stake)).collect(),
            peers: self.genesis.peers.iter().map(|hotkey| hotkey.0).collect(),
        }
    }

    /// When round 0 begins, if a validator has said so.
    ///
    /// # Errors
    /// The store fails.
    pub async fn start(&self) -> Result<Option<Start>, RunError> {
        let found = match self.bucket.store.get(&keys::start()).await {
            Ok(found) if found.meta.size <= genesis::START_LEN as u64 => found.bytes().await,
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error),
        };
        let bytes = found.map_err(|source| RunError::Store { url: self.bucket.url.clone(), source })?;
        let decoded = genesis::decode_start(&bytes).ok();
        Ok(decoded.filter(|(start, signer)| start.run == self.id && self.is_validator(signer)).map(|(start, _)| start))
    }

    /// States when round 0 begins, unless another validator has.
    ///
    /// # Errors
    /// The store refuses it.
    pub async fn write_start(&self, unix_ms: i64, validator: &Identity) -> Result<(), RunError> {
        let bytes = genesis::encode_start(&Start { run: self.id, unix_ms }, validator);
        let created = create(&self.bucket.store, &keys::start(), bytes).await;
        created.map(drop).map_err(|source| RunError::Store { url: self.bucket.url.clone(), source })
    }

    /// Whether a key belongs to a validator.
    pub fn is_validator(&self, hotkey: &Hotkey) -> bool {
        self.genesis.validators.iter().any(|(validator, _)| validator == hotkey)
    }
}

/// The bytes of the genesis. They name the run themselves, so nothing else can tell whether they arrived intact. Two
/// reads that agree prove it.
async fn genesis_bytes(bucket: &Bucket) -> Result<Bytes, RunError> {
    let url = || bucket.url.clone();
    let failed = |source| RunError::Store { url: url(), source };
    let read = || async {
        let found = match bucket.store.get(&keys::genesis()).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Err(RunError::NoRun { url: url() }),
            Err(source) => return Err(failed(source)),
        };
        if found.meta.size > genesis::MAX_LEN as u64 {
            let source = GenesisError::TooLong { found: found.meta.size as usize };
            return Err(RunError::Genesis { url: url(), source });
        }
        found.bytes().await.map_err(failed)
    };
    match read_until_settled(GENESIS_READS, read, |_| None::<Bytes>).await? {
        Settled::Recognised(bytes) | Settled::Confirmed(bytes) => Ok(bytes),
        Settled::Unsettled => Err(RunError::Garbled { url: url() }),
    }
}
