//! Gathers the uploads of a round, and checks the network's rules: in time, well-formed, and how far from this model.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use object_store::ObjectStoreExt;

use super::Validator;
use crate::Uid;
use crate::mechanism::{PeerFacts, States, Status};
use crate::node::ports::Clock;
use crate::node::reveal::KeyFault;
use crate::node::upload::{self, Fetched, Received};
use crate::transport::wire::Commitment;
use crate::transport::{Hotkey, keys, samples};

/// The part of the time for asking after which a bucket of a peer's own counts as one without an upload, and the least time.
const FETCHING: f64 = 0.75;
const LEAST: Duration = Duration::from_secs(1);

/// The uploads of a round, by uid.
pub struct Gathered {
    pub peers: Vec<PeerFacts>,
    /// Those that are in time and well-formed.
    pub valid: BTreeMap<Uid, Received>,
    pub found: usize,
}

impl Validator {
    /// Fetches every registered peer's upload and looks at its stamp, its form and its samples of the model.
    pub async fn gather(&self) -> Gathered {
        let (network, round) = (&self.network, self.round);
        let ports = &self.ports;
        let uploads = join_all(self.owners.iter().map(|(&uid, &hotkey)| async move {
            let look = async {
                let fetched = upload::fetch(network, ports, round, uid, hotkey).await;
                let missing = matches!(fetched, Fetched::Absent | Fetched::Sealed { fault: KeyFault::Missing, .. });
                let late = if missing { self.was_late(hotkey).await } else { None };
                (fetched, late)
            };
            let is_own = async || ports.chain.view().await.bucket_of(&hotkey.0).is_some();
            let (fetched, late) = if network.rules.judge.audits() && is_own().await {
                in_time(&ports.clock, round, look).await.unwrap_or((Fetched::Absent, None))
            } else {
                look.await
            };
            (uid, fetched, late)
        }))
        .await;
        let found = uploads.iter().filter(|(_, fetched, _)| !matches!(fetched, Fetched::Absent)).count();
        let mut gathered = Gathered { peers: Vec::new(), valid: BTreeMap::new(), found };
        let own_samples = upload::samples_of(network, &self.replica, round);
        for (uid, fetched, late) in uploads {
            let arrival = late.unwrap_or_else(|| self.arrival(&fetched));
            let mut facts = PeerFacts {
                uid,
                arrival,
                stamp_ms: None,
                steps_behind: None,
                work: 1.0,
                paid: 0.0,
                same_model: false,
                states: None,
            };
            if let (Fetched::Valid(received), Status::Passed) = (fetched, arrival) {
                let step = network.core.step_size(round);
                let theirs = received.upload.samples.as_flattened();
                facts.stamp_ms = Some(received.stamp.as_millis() as u64);
                let assigned = network.rules.training.pages_per_round;
                facts.work = network.pages_said(&received.upload) as f64 / assigned as f64;
                facts.same_model = received.upload.model == self.replica.digest;
                facts.states =
                    received.upload.commitment.map(|Commitment { before, after, .. }| States { before, after });
                facts.steps_behind = Some(samples::steps_behind(own_samples.as_flattened(), theirs, step));
                gathered.valid.insert(uid, *received);
            }
            gathered.peers.push(facts);
        }
        gathered
    }

    /// The status of a peer whose upload of the previous round, or its key, was late: it was absent when that round was
    /// judged. `None` if neither was.
    async fn was_late(&self, hotkey: Hotkey) -> Option<Status> {
        let (before, clock) = (self.round.checked_sub(1)?, &self.ports.clock);
        let bucket = self.ports.uploads_of(&hotkey).await?;
        let is_after = async |key, closes| {
            bucket.head(&key).await.is_ok_and(|meta| clock.since_genesis(meta.last_modified) > closes)
        };
        if is_after(keys::upload(&hotkey, before), clock.put_window(before).closes).await {
            return Some(Status::TooLate);
        }
        let sealed = self.network.rules.protocol.sealed;
        let late_key = sealed && is_after(keys::upload_key(&hotkey, before), clock.reveal_window(before).closes).await;
        late_key.then_some(Status::LateKey)
    }

    fn arrival(&self, fetched: &Fetched) -> Status {
        let stamp = match fetched {
            Fetched::Absent => return Status::Absent,
            Fetched::Malformed { stamp } | Fetched::Sealed { stamp, .. } => *stamp,
            Fetched::Valid(received) => received.stamp,
        };
        let window = self.ports.clock.put_window(self.round);
        // A stamp in whole seconds may stand for a time almost a second later.
        let opens = window.opens.saturating_sub(self.ports.clock.stamp_resolution());
        match (mistimed(stamp, opens, window.closes), fetched) {
            (Some(status), _) => status,
            (None, Fetched::Valid(_)) => Status::Passed,
            (None, Fetched::Sealed { fault, .. }) => match fault {
                KeyFault::Missing => Status::Absent,
                KeyFault::Late => Status::LateKey,
                KeyFault::Wrong => Status::WrongKey,
                KeyFault::OfAnother => Status::MisplacedKey,
            },
            (None, _) => Status::Malformed,
        }
    }
}

/// What is found in a bucket of a peer's own, if it can be had soon. Validators ask for audits when they know who has uploaded, so one such bucket
/// could put off all audits. The network's store may take its time: without it nobody's upload can be had.
async fn in_time<T>(clock: &Clock, round: u64, look: impl Future<Output = T>) -> Option<T> {
    let (from, until) = (clock.reveal_window(round).closes, clock.audit_window(round).opens);
    let ends = from + until.saturating_sub(from).mul_f64(FETCHING);
    // A round may be judged later than that.
    let left = ends.saturating_sub(clock.now()).max(LEAST);
    tokio::time::timeout(left, look).await.ok()
}

/// What is wrong with an upload's stamp, if anything. It must be in the put window, both ends included. Times are since
/// genesis.
fn mistimed(stamp: Duration, opens: Duration, closes: Duration) -> Option<Status> {
    if stamp < opens {
        Some(Status::TooEarly)
    } else if stamp > closes {
        Some(Status::TooLate)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::chain::ChainSettings;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_never_answers_has_no_upload_before_audits_are_asked_for() {
        let clock = Clock::starting(Duration::ZERO, Utc::now(), &ChainSettings::default(), 10.0);
        clock.sleep_until(clock.put_window(3).closes).await;
        assert_eq!(in_time(&clock, 3, std::future::pending::<()>()).await, None);
        let asked_until = clock.audit_window(3).opens;
        assert!(clock.now() < asked_until - Duration::from_secs(1), "{:?}", clock.now());
        clock.sleep_until(asked_until * 2).await;
        assert_eq!(in_time(&clock, 3, clock.sleep(LEAST / 2)).await, Some(()), "a round that is judged late");
        // Keys of sealed uploads are waited for.
        let clock = clock.with_reveal_window(20.0);
        clock.sleep_until(clock.put_window(9).closes).await;
        let key = clock.sleep_until(clock.reveal_window(9).closes);
        assert_eq!(in_time(&clock, 9, key).await, Some(()));
    }

    #[test]
    fn both_ends_of_the_window_are_in_time() {
        let at = Duration::from_millis;
        let found = [99, 100, 150, 200, 201].map(|stamp| mistimed(at(stamp), at(100), at(200)));
        assert_eq!(found, [Some(Status::TooEarly), None, None, None, Some(Status::TooLate)]);
    }
}
