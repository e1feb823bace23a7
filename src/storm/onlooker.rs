//! Somebody whom no fault meets, and who only reads: sees the records of a storm with the payloads that they name, and the
//! models that dishonest validators put as checkpoints.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::checkpoints::Checkpoints;
use super::field::Field;
use super::records::Records;
use super::store::Diary;
use crate::node::ports::{Clock, Host, NodeState, OneBucket, Ports};
use crate::node::{Compute, KEPT_UPLOADS, Network, RoundReport};
use crate::runtime::BucketChain;
use crate::transport::Hotkey;
use crate::transport::simulated::SimClock;

/// Whoever looks on during a storm.
pub struct Onlooker {
    pub records: Records,
    pub checkpoints: Checkpoints,
    network: Arc<Network>,
    ports: Ports,
    /// What dishonest validators put, however soon they replace it.
    diary: Diary,
}

impl Onlooker {
    /// Has seen nothing yet. `dishonest` are the validators that do not do what the network asks of them.
    pub fn new(field: &Field, network: Arc<Network>, ports: Ports, (diary, dishonest): (Diary, Vec<Hotkey>)) -> Self {
        let checkpoints = Checkpoints::new(dishonest, network.clone());
        Self { records: Records::new(field.run.clone()), checkpoints, network, ports, diary }
    }

    /// Looks at the records that are in the bucket now, and at the payloads and checkpoints of the models that they name.
    pub async fn look(&mut self) {
        let put = std::mem::take(&mut *self.diary.lock().expect("no panic while held"));
        put.into_iter().for_each(|(stamp, location, bytes)| self.records.note(&location, bytes, stamp));
        self.records.look(&*self.ports.bucket).await;
        self.checkpoints.look(&self.ports.bucket, &self.records).await;
        // A round may be decided long after it is over, so what counts is when its record was written.
        let clock = &self.ports.clock;
        let lately = clock.now().saturating_sub(clock.round_length() * (KEPT_UPLOADS as u32 + 2));
        self.records.fetch_payloads(&self.network, &self.ports, SimClock::stamp(lately.as_millis() as u64)).await;
    }
}

/// Looks on every few milliseconds, beside all that happens.
pub fn look_on(onlooker: Arc<Mutex<Onlooker>>, clock: SimClock, every_ms: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            clock.sleep_until_ms(clock.now_ms() + every_ms).await;
            onlooker.lock().await.look().await;
        }
    })
}

/// Nobody listens.
struct Mute;

impl Host for Mute {
    fn trace(&self, _event: &str) {}

    fn between_rounds(&self, _round: u64, _state: &dyn Fn() -> NodeState) {}

    fn report(&self, _report: RoundReport) {}
}

/// The chain as somebody reads it afresh.
pub fn chain(field: &Field, bucket: &Arc<dyn ObjectStore>, clock: &Clock) -> BucketChain {
    let (run, settings) = (&field.run, field.scenario.chain.clone());
    let identity = Arc::new(field.scenario.validator_identity(0));
    let chain = BucketChain::new(run.id, identity, bucket.clone(), clock.clone(), settings, run.chain());
    chain.expect("the genesis of a run that was opened")
}

/// Ports of somebody who reads this bucket, from `now` on.
pub fn ports(field: &Field, bucket: Arc<dyn ObjectStore>, now: SimClock, compute: Compute) -> Ports {
    let (chain_settings, protocol) = (&field.scenario.chain, &field.scenario.protocol);
    let now = Duration::from_millis(now.now_ms());
    let clock = Clock::starting(now, SimClock::stamp(0), chain_settings, protocol.put_window_seconds)
        .with_reveal_window(protocol.reveal_seconds());
    Ports {
        identity: Arc::new(field.scenario.validator_identity(0)),
        chain: Arc::new(chain(field, &bucket, &clock)),
        own_uploads: bucket.clone(),
        peer_buckets: Arc::new(OneBucket),
        clock,
        bucket,
        compute,
        host: Arc::new(Mute),
    }
}
