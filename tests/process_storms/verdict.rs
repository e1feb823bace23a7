//! What must hold after a storm of real processes, as far as it can be seen from outside.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use gauntlet::chain::{Chain, ChainView};
use gauntlet::digest::Digest;
use gauntlet::node::get_checkpoint;
use gauntlet::node::ports::Clock;
use gauntlet::report;
use gauntlet::runtime::BucketChain;
use gauntlet::runtime::report as reports;
use gauntlet::storm::Broken;
use gauntlet::transport::simulated::SimClock;
use gauntlet::transport::{Hotkey, keys};
use object_store::ObjectStoreExt;

use super::s3::{ACCESS_KEY, BUCKET, SECRET_KEY};
use super::seat::Life;
use super::storm::Storm;

/// Sums of shares may be off by their rounding.
const ROUNDING: f64 = 1e-9;

fn broken(what: &'static str, detail: String) -> Broken {
    Broken { what, detail }
}

impl Storm {
    /// All that does not hold.
    pub fn verdict(&mut self) -> Vec<Broken> {
        let mut found = self.broken.clone();
        self.runtime.block_on(self.records.look(&*self.reader));
        let (clock, chain) = self.ledger();
        found.extend(self.ends());
        found.extend(self.records.broken(&*chain, &clock, |_| true));
        let void = chain.void_rounds();
        let last = self.follow(&void, &mut found);
        found.extend(self.models(last));
        found.extend(self.checkpoints(&void));
        found.extend(self.pay(&*chain));
        found.extend(self.collected(&void));
        found
    }

    /// The ledger, as somebody computes it who comes after the storm, and that one's clock.
    fn ledger(&self) -> (Clock, Arc<dyn ChainView>) {
        let scenario = &self.field.scenario;
        let now = Duration::from_millis(self.now_ms());
        let clock = Clock::starting(now, SimClock::stamp(0), &scenario.chain, scenario.protocol.put_window_seconds)
            .with_stamp_resolution(Duration::from_secs(1));
        let run = &self.field.run;
        let nobody = Arc::new(scenario.peer_identity(scenario.peers_total()));
        let chain =
            BucketChain::new(run.id, nobody, self.reader.clone(), clock.clone(), scenario.chain.clone(), run.chain());
        (clock, self.runtime.block_on(chain.unwrap().view()))
    }

    /// No node panics or is stuck.
    fn ends(&self) -> Vec<Broken> {
        let mut found = Vec::new();
        for seat in &self.seats {
            let (name, said) = (&seat.node.name, seat.node.said());
            if let Some(line) = said.lines().find(|line| line.contains("panicked")) {
                found.push(broken("no panic", format!("{name}: {line}")));
            }
            if seat.is_honest && seat.life != Life::Finished {
                found.push(broken("no node is stuck", format!("{name} does not come to its end: {:?}", seat.life)));
            }
        }
        found
    }

    /// Every round is decided once, about the model that the round before left; a void one leaves the model that it found.
    /// Returns the model after the last one.
    fn follow(&self, void: &[u64], found: &mut Vec<Broken>) -> Option<Digest> {
        let mut before = None;
        for round in (0..self.field.scenario.rounds).filter(|round| !void.contains(round)) {
            let Some(record) = self.records.of(round) else {
                found.push(broken("one record a round", format!("round {round} has none")));
                return None;
            };
            if let Some(left) = before.filter(|left| *left != record.model_before) {
                let detail = format!("round {round} is about {}, those before it left {left}", record.model_before);
                found.push(broken("records follow from one another", detail));
            }
            before = Some(record.model_after);
        }
        before
    }

    /// Every honest node has ended with the model after the last round; so has the one that began with nothing.
    fn models(&self, last: Option<Digest>) -> Vec<Broken> {
        let rounds = self.field.scenario.rounds;
        let mut found = Vec::new();
        for seat in self.seats.iter().filter(|seat| seat.is_honest) {
            let saved = saved_model(&seat.node.state());
            if saved != last.map(|last| (rounds, last)) {
                let detail = format!("{} has {saved:?}, expected {last:?} after {rounds} rounds", seat.node.name);
                found.push(broken("honest replicas are those of the records", detail));
            }
        }
        found
    }

    /// Every checkpoint that a record vouches for is that model.
    fn checkpoints(&self, void: &[u64]) -> Vec<Broken> {
        let (run, bucket) = (&self.field.run, &self.reader);
        let parameters = self.field.network().core.layout.total();
        let mut found = Vec::new();
        for (validator, _) in &run.genesis.validators {
            let listed =
                self.runtime.block_on(bucket.list(Some(&keys::checkpoints(validator))).try_collect::<Vec<_>>());
            for at in listed.unwrap().iter().filter_map(|meta| keys::number(&meta.location)) {
                let Some(before) = at.checked_sub(1).filter(|before| !void.contains(before)) else { continue };
                let Some(record) = self.records.of(before) else { continue };
                let (key, expected) = (keys::checkpoint(validator, at), (at, record.model_after));
                let read = get_checkpoint(bucket, &key, &run.id, parameters, expected);
                if self.runtime.block_on(read).is_none() {
                    found.push(broken("checkpoints are the models of the records", key.to_string()));
                }
            }
        }
        found
    }

    /// Validators report the same pay for the last round, and it sums to one.
    fn pay(&self, chain: &dyn ChainView) -> Vec<Broken> {
        let (run, last) = (&self.field.run, self.field.scenario.rounds - 1);
        let mut found = Vec::new();
        let mut told: BTreeMap<Hotkey, Vec<(gauntlet::Uid, Hotkey, u64)>> = BTreeMap::new();
        for (validator, _) in &run.genesis.validators {
            let read = async {
                let object = self.reader.get(&keys::report(validator, last)).await.ok()?;
                object.bytes().await.ok()
            };
            let Some(bytes) = self.runtime.block_on(read) else { continue };
            let report = match reports::decode(&bytes, &run.id, last, validator) {
                Ok(report) => report,
                Err(error) => {
                    found.push(broken("pay sums to one", format!("{validator}: {error}")));
                    continue;
                }
            };
            let sum: f64 = report.peers.iter().map(|peer| peer.incentive).sum();
            if !((sum - 1.0).abs() < ROUNDING || sum == 0.0) {
                found.push(broken("pay sums to one", format!("{validator} reports {sum}")));
            }
            let pay = report.peers.iter().map(|peer| (peer.uid, peer.hotkey, peer.incentive.to_bits()));
            told.insert(*validator, pay.collect());
        }
        if told.len() != run.genesis.validators.len() {
            let detail = format!("{} of {} validators report the last round", told.len(), run.genesis.validators.len());
            found.push(broken("no node is stuck", detail));
        }
        let mut books = told.values();
        if let Some(first) = books.next()
            && books.any(|other| other != first)
        {
            found.push(broken("all honest nodes compute one ledger", format!("validators report {told:?}")));
        }
        let incentives: f64 = chain.peers().into_iter().map(|(uid, _)| chain.incentive(uid)).sum();
        if !((incentives - 1.0).abs() < ROUNDING || incentives == 0.0) {
            found.push(broken("pay sums to one", format!("incentives sum to {incentives}")));
        }
        found
    }

    /// `sim collect` writes the run's folder from the bucket, with the models of the records.
    fn collected(&self, void: &[u64]) -> Vec<Broken> {
        let out = self.folder.path().join("collected");
        let output = Command::new(env!("CARGO_BIN_EXE_sim"))
            .args(["collect", "--quiet", "--bucket", &format!("s3://{BUCKET}"), "--out"])
            .arg(&out)
            .envs(self.server.environment(ACCESS_KEY, SECRET_KEY))
            .output()
            .unwrap();
        if !output.status.success() {
            let detail = format!("sim collect: {}", String::from_utf8_lossy(&output.stderr));
            return vec![broken("every agreed round can be replayed", detail)];
        }
        let rounds = report::load_rounds(&out).unwrap();
        let differs = rounds
            .iter()
            .filter(|row| !void.contains(&row.round))
            .find(|row| self.records.of(row.round).is_none_or(|record| record.model_after != row.replica_digest));
        let differs = differs.map(|row| {
            let detail = format!("sim collect tells {} of round {}", row.replica_digest, row.round);
            broken("honest replicas are those of the records", detail)
        });
        differs.into_iter().collect()
    }
}

/// The round that a saved state is of, and the digest of its newest replica.
fn saved_model(folder: &Path) -> Option<(u64, Digest)> {
    let bytes = std::fs::read(folder.join("state.bin")).ok()?;
    // Magic, version, run, hotkey; round, number of replicas, the first replica's digest.
    let at = 4 + 2 + 32 + 32;
    let round = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
    Some((round, Digest(bytes.get(at + 12..at + 44)?.try_into().ok()?)))
}
