//! One storm of real processes: what happens to them, and when.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gauntlet::random;
use gauntlet::storm::fault::{Fault, KINDS, Left, Moment, What};
use gauntlet::storm::records::Records;
use gauntlet::storm::schedule::{calm_from, round_ms};
use gauntlet::storm::timeline::{Action, timeline};
use gauntlet::storm::{Broken, Field};
use gauntlet::transport::keys;
use object_store::ObjectStore;
use rand::RngExt;
use tokio::runtime::Runtime;

use super::s3::S3Server;
use super::seat::{Life, Seat, copy_states};
use super::sky::StormSky;
use super::time::Time;

/// Rounds that nodes get to come to their end after the last one.
const PATIENCE_ROUNDS: u64 = 16;
/// Nothing between two looks takes longer, however slow the machine: after that the network hangs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A storm under way, or over.
pub struct Storm {
    pub seed: u64,
    /// First, so that no process outlives the clock and the server.
    pub seats: Vec<Seat>,
    pub field: Field,
    pub records: Records,
    pub broken: Vec<Broken>,
    /// Sees the whole bucket, and meets no fault.
    pub reader: Arc<dyn ObjectStore>,
    pub server: S3Server,
    pub runtime: Runtime,
    pub folder: tempfile::TempDir,
    pub sky: Arc<StormSky>,
    pub time: Time,
    /// Somebody who begins with nothing when the calm begins.
    pub newcomer: Option<usize>,
}

impl Storm {
    /// Runs from genesis until all honest nodes have ended, or have had time enough for it.
    pub fn run(&mut self) {
        let scenario = self.field.scenario.clone();
        let (round, calm) = (round_ms(&scenario), calm_from(&scenario));
        let faults = self.sky.weather.faults.clone();
        faults.iter().filter(|fault| matches!(fault.what, What::Adversary { .. })).for_each(|fault| {
            self.sky.weather.strikes(fault);
        });
        for node in 0..self.seats.len() {
            self.start(node);
        }
        let looks = (0..=2 * scenario.rounds).map(|half| (half * round / 2, None));
        let actions = timeline(&faults, round).into_iter().map(|(ms, action)| (ms, Some(action)));
        let mut line: Vec<(u64, Option<Action>)> = actions.chain(looks).collect();
        line.sort_by_key(|(ms, _)| *ms);
        for (ms, action) in line {
            if !self.wait_until(ms) {
                return;
            }
            match action {
                Some(action) => self.act(action),
                None => self.look(),
            }
            if ms >= calm && self.newcomer.is_none() {
                self.begin_with_nothing();
            }
        }
        let last = round * (scenario.rounds + PATIENCE_ROUNDS);
        let is_under_way = |seat: &Seat| seat.is_honest && seat.life != Life::Finished;
        while self.seats.iter().any(is_under_way) && self.now_ms() < last {
            if !self.wait_until(self.now_ms() + round / 2) {
                return;
            }
            self.look();
        }
        // Who has left the clock still has to end, which held time does not wait for.
        let left = Instant::now();
        while self.seats.iter().any(is_under_way) && left.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
            self.tend();
        }
        self.time.let_go();
    }

    pub fn now_ms(&self) -> u64 {
        self.time.now().as_millis() as u64
    }

    /// Lets time go on; whether it did.
    fn wait_until(&mut self, ms: u64) -> bool {
        let goes_on = self.time.pass(Duration::from_millis(ms.saturating_sub(self.now_ms())));
        if !goes_on {
            let detail = format!("time stands still at {:.3} s for {PATIENCE:?}", self.now_ms() as f64 / 1e3);
            self.broken.push(Broken { what: "no node is stuck", detail });
        }
        self.tend();
        goes_on
    }

    /// Notes which processes have ended.
    fn tend(&mut self) {
        for seat in &mut self.seats {
            let node = seat.number;
            let felled = || self.sky.felled(node);
            if let Err(detail) = seat.tend(felled) {
                self.broken.push(Broken { what: "every node starts again", detail });
            }
        }
    }

    /// Starts a node, and holds time until it lives by the clock, or has ended.
    fn start(&mut self, node: usize) {
        let before = self.time.connections();
        // Of an earlier life.
        self.sky.felled(node);
        self.seats[node].start();
        let start = Instant::now();
        while self.time.connections() == before && self.seats[node].life == Life::Starts {
            assert!(start.elapsed() < PATIENCE, "a node does not start\n{}", self.said());
            std::thread::sleep(Duration::from_millis(2));
            self.tend();
        }
        if self.seats[node].life == Life::Starts {
            self.seats[node].life = Life::Lives;
            self.seats[node].limit_disk();
        }
    }

    fn fault(&self, index: usize) -> Fault {
        let found = self.sky.weather.faults.iter().find(|fault| fault.index == index);
        found.expect("a fault of this storm").clone()
    }

    /// Looks at the records, and starts nodes again whose start has failed, as whoever keeps nodes running does.
    fn look(&mut self) {
        self.runtime.block_on(self.records.look(&*self.reader));
        let refused: Vec<usize> =
            self.seats.iter().filter(|seat| seat.life == Life::Refused).map(|seat| seat.number).collect();
        refused.into_iter().for_each(|node| self.start(node));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::SetClock(node) => {
                let now = self.now_ms();
                let of_node = |fault: &&Fault| matches!(fault.what, What::Clock { node: of, .. } if of == node);
                let mut clocks = self.sky.weather.faults.iter().filter(of_node);
                if let Some(fault) = clocks.find(|fault| fault.from_ms == now) {
                    self.sky.weather.strikes(fault);
                }
            }
            Action::Disk { node, is_full } => {
                let full = |fault: &&Fault| matches!(fault.what, What::DiskFull { node: of } if of == node);
                if let Some(fault) = self.sky.weather.faults.iter().find(full).filter(|_| is_full) {
                    self.sky.weather.strikes(fault);
                }
                let seat = &mut self.seats[node];
                seat.full_disks = if is_full { seat.full_disks + 1 } else { seat.full_disks.saturating_sub(1) };
                seat.limit_disk();
            }
            Action::Litter(index) => self.litter(index),
            Action::Keep(index) => {
                let What::Kill { node, .. } = self.fault(index).what else { return };
                copy_states(&self.seats[node].node.state(), &self.seats[node].beside(index));
            }
            Action::Kill(index) => {
                let fault = self.fault(index);
                for node in fault.kills_at_once() {
                    if self.seats[node].kill(Some(index)) {
                        self.sky.weather.strikes(&fault);
                    }
                }
            }
            Action::Restart(index) => self.restart(index),
        }
    }

    fn restart(&mut self, index: usize) {
        let fault = self.fault(index);
        if let What::KillTogether { nodes } = &fault.what {
            let killed = nodes.0.iter().copied().filter(|node| self.seats[*node].life == Life::Killed(Some(index)));
            killed.collect::<Vec<_>>().into_iter().for_each(|node| self.start(node));
            return;
        }
        let What::Kill { node, moment, left } = fault.what else { return };
        // Its request has killed it by now, unless it made none.
        if moment != Moment::AtOnce && self.seats[node].kill(Some(index)) {
            self.sky.weather.strikes(&fault);
        }
        let seat = &self.seats[node];
        if seat.life != Life::Killed(Some(index)) {
            return;
        }
        match left {
            Left::State => {}
            Left::Nothing => drop(std::fs::remove_dir_all(seat.node.state())),
            Left::OldState { .. } => copy_states(&seat.beside(index), &seat.node.state()),
        }
        self.start(node);
    }

    /// A peer that has lost everything comes when the calm begins: it gets all from the bucket.
    fn begin_with_nothing(&mut self) {
        let peers = self.field.scenario.validators.len()..self.seats.len();
        let honest: Vec<usize> = peers.filter(|node| self.seats[*node].is_honest).collect();
        let node = honest[random::rng(self.seed, "storm newcomer", 0, 0).random_range(0..honest.len())];
        self.newcomer = Some(node);
        self.seats[node].kill(None);
        drop(std::fs::remove_dir_all(self.seats[node].node.state()));
        self.start(node);
    }

    /// Puts garbage where a peer may.
    fn litter(&mut self, index: usize) {
        let fault = self.fault(index);
        let What::Litter { node } = fault.what else { return };
        let (now, scenario) = (self.now_ms(), &self.field.scenario);
        let mut rng = random::rng(self.seed, "storm litter", index as u64, now);
        let hotkey = self.field.plan(node, &[]).identities[0].hotkey();
        let round = now / round_ms(scenario);
        let slot = rng.random_range(0..scenario.chain.slots.min(300)) as gauntlet::Uid;
        let place = match rng.random_range(0..4) {
            0 => keys::slot(slot, rng.random_range(0..3)),
            1 => keys::upload(&hotkey, round.saturating_sub(1)),
            2 => keys::upload(&hotkey, round),
            _ => keys::upload(&hotkey, round + 1),
        };
        let bytes: Vec<u8> = (0..rng.random_range(0..2000)).map(|_| rng.random()).collect();
        self.sky.weather.strikes(&fault);
        let bucket = self.server.bucket();
        if place.prefix_matches(&keys::slots()) {
            bucket.create(place.as_ref(), bytes);
        } else {
            bucket.put(place.as_ref(), bytes);
        }
    }

    /// How often each kind of fault has struck.
    pub fn struck(&self) -> [u64; KINDS.len()] {
        self.sky.weather.struck()
    }

    /// What all nodes said, and what happened to them.
    pub fn said(&self) -> String {
        let mut text = String::new();
        for fault in &self.sky.weather.faults {
            writeln!(text, "{fault}").unwrap();
        }
        for seat in &self.seats {
            writeln!(text, "--- {} ({})\n{}", seat.node.name, seat.node.hotkey, seat.node.said()).unwrap();
        }
        text
    }
}
