//! Somebody who only reads: the ports of a node that no fault meets, and that writes nothing.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;

use super::field::Field;
use crate::node::ports::{Clock, Host, NodeState, OneBucket, Ports};
use crate::node::{Compute, RoundReport};
use crate::runtime::BucketChain;
use crate::transport::simulated::SimClock;

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
