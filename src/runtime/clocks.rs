//! The clock of a process's nodes: the store's, from a start that a validator names, or the launcher's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::Bucket;
use super::bucket::{self, BucketError};
use super::gated::GatedStore;
use super::lockstep::LockstepGate;
use super::process::{ClockKind, LOOK, Process, ProcessError};
use super::stamps::StampedStore;
use super::store_clock::{self, StoreTime};
use crate::bucket::FolderStore;
use crate::node::Role;
use crate::node::ports::Clock;
use crate::transport::simulated::SimClock;
use crate::transport::{Hotkey, Identity};

/// How often to read the store's clock. Clocks of two machines drift apart by some milliseconds in that time.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(600);
/// How long a validator waits for each one before it in the succession to start the run.
const START_TURN: Duration = Duration::from_secs(60);

impl Process {
    /// The network's clock, and the bucket on that clock; `None` if the process was asked to stop meanwhile.
    pub(super) async fn clock_and_store(&self) -> Result<Option<(Clock, Arc<dyn ObjectStore>)>, ProcessError> {
        let (settings, protocol) = (&self.network.rules.chain, &self.network.rules.protocol);
        let ClockKind::Virtual(address) = self.clock else {
            return self.real_clock().await;
        };
        let launcher = |source| ProcessError::Launcher { address, source };
        let (gate, now) = LockstepGate::connect(address).map_err(launcher)?;
        let bucket = &self.run.bucket;
        let clock = Clock::starting(now, SimClock::stamp(0), settings, protocol.put_window_seconds)
            .with_reveal_window(protocol.reveal_seconds())
            .with_gate(Arc::new(gate))
            .with_stamp_resolution(bucket.stamp_resolution);
        let store: Arc<dyn ObjectStore> = match &bucket.folder {
            Some(folder) => {
                let gone = |source| BucketError::Folder { url: bucket.url.clone(), source: io::Error::other(source) };
                let folder = LocalFileSystem::new_with_prefix(folder).map_err(gone)?;
                Arc::new(StampedStore::new(FolderStore::new(folder), clock.clone()))
            }
            None => Arc::new(GatedStore::new(bucket::open_without_retries(&bucket.url)?.store, clock.clone())),
        };
        Ok(Some((clock, store)))
    }

    async fn real_clock(&self) -> Result<Option<(Clock, Arc<dyn ObjectStore>)>, ProcessError> {
        let bucket = &self.run.bucket;
        let node = self.nodes.first().expect("a process has nodes").first().hotkey();
        let Some(read) = self.store_time(bucket, &node).await else { return Ok(None) };
        let Some(genesis) = self.genesis_time(read.now()).await else { return Ok(None) };
        // Nodes do nothing before round 0.
        while read.now() < genesis {
            tokio::time::sleep((genesis - read.now()).to_std().unwrap_or_default().min(LOOK)).await;
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
        let rules = &self.network.rules;
        let now = (read.now() - genesis).to_std().unwrap_or_default();
        let clock = Clock::starting(now, genesis, &rules.chain, rules.protocol.put_window_seconds)
            .with_reveal_window(rules.protocol.reveal_seconds())
            .with_stamp_resolution(bucket.stamp_resolution);
        let (kept, bucket) = (clock.clone(), bucket.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_AT_CLOCK).await;
                match store_clock::read(&bucket, &node).await {
                    Ok(read) => kept.set((read.now() - genesis).to_std().unwrap_or_default()),
                    Err(error) => tracing::warn!(%error, "the store's clock cannot be read"),
                }
            }
        });
        Ok(Some((clock, self.run.bucket.store.clone())))
    }

    /// The store's clock, as soon as it can be read; `None` if the process is told to stop first.
    async fn store_time(&self, bucket: &Bucket, node: &Hotkey) -> Option<StoreTime> {
        while !self.stop.load(Ordering::Relaxed) {
            match store_clock::read(bucket, node).await {
                Ok(read) => return Some(read),
                Err(error) => tracing::warn!(%error, "the store's clock cannot be read; trying again"),
            }
            tokio::time::sleep(LOOK * 5).await;
        }
        None
    }

    /// The time when round 0 begins. A validator sets it if none has.
    async fn genesis_time(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let waiting = tokio::time::Instant::now();
        let mut told = false;
        while !self.stop.load(Ordering::Relaxed) {
            match self.run.start().await {
                Ok(Some(start)) => return DateTime::from_timestamp_millis(start.unix_ms),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the run's start cannot be read; trying again");
                    tokio::time::sleep(LOOK * 5).await;
                    continue;
                }
            }
            let ClockKind::Real { start_in } = self.clock else { return None };
            if let Some((validator, turn)) = self.starter()
                && waiting.elapsed() >= turn
            {
                let delay = TimeDelta::from_std(waiting.elapsed() + start_in).unwrap_or_default();
                if let Err(error) = self.run.write_start((now + delay).timestamp_millis(), validator).await {
                    tracing::warn!(%error, "the run's start cannot be written; trying again");
                }
            }
            if !told {
                tracing::info!("waiting for a validator to start the run");
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// A validator of this process, and when it is its turn to start the run.
    fn starter(&self) -> Option<(&Identity, Duration)> {
        let validator = self.nodes.iter().find(|node| matches!(node.role, Role::Validator { .. }))?;
        let hotkey = validator.first().hotkey();
        let own = self.run.genesis.validators.iter().find(|(validator, _)| *validator == hotkey)?.1;
        let before = self.run.genesis.validators.iter().filter(|(_, stake)| *stake > own).count();
        Some((validator.first(), START_TURN * before as u32))
    }
}
