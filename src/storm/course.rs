//! The course of a storm: starts the nodes, kills and restarts them, moves their clocks, fills their disks, and looks at
//! the bucket all the while.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::{ObjectStore, PutMode, PutOptions};
use rand::RngExt;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::fault::{Fault, Left, Moment, What};
use super::field::Field;
use super::onlooker::{self, Onlooker};
use super::schedule::round_ms;
use super::seat::{End, Living, Seat, copy_states};
use super::store::{Diary, StormStore, over};
use super::timeline::{Action, timeline};
use super::watch::{Watch, Watched};
use super::weather::Weather;
use crate::node::ports::{Clock, Ports};
use crate::node::{Compute, Network};
use crate::random;
use crate::runtime::process::{World, start};
use crate::transport::simulated::{Link, LinkOptions, SimBucket, SimClock, SimLink};
use crate::transport::{Hotkey, keys};

/// Rounds after the last one in which nodes still may come to their end.
const PATIENCE_ROUNDS: u64 = 16;
/// How often somebody looks at the records in the bucket.
const LOOKS_A_ROUND: u64 = 24;

/// A storm under way.
pub struct Course<'a> {
    pub field: &'a Field,
    pub weather: Arc<Weather>,
    pub watch: Arc<Watch>,
    pub onlooker: Arc<Mutex<Onlooker>>,
    pub seats: Vec<Seat>,
    /// A link without faults, for those who look on.
    pub observer: Arc<dyn ObjectStore>,
    pub clock: SimClock,
    /// What each node has of the run, and at the end somebody who comes after the storm.
    pub networks: Vec<Arc<Network>>,
    seed: u64,
    bucket: SimBucket,
    pub compute: Compute,
    looks: JoinHandle<()>,
    diary: Diary,
}

impl<'a> Course<'a> {
    /// Nobody has started yet. `folder` is for the nodes' states.
    pub fn new(field: &'a Field, seed: u64, faults: Vec<Fault>, folder: &Path) -> Self {
        let clock = SimClock::showing(0);
        let bucket = SimBucket::new(clock);
        let nodes = 0..field.nodes();
        let link = |node: usize, link: Link, writes| {
            let window = Duration::from_millis(round_ms(&field.scenario));
            SimLink::new(bucket.clone(), LinkOptions { seed, node: node as u64, link, writes, window })
        };
        let seats = nodes.clone().map(|node| {
            let (of_node, writes) = field.link(node);
            Seat {
                is_honest: field.plan(node, &faults).is_honest,
                ports: Vec::new(),
                end: None,
                wrong_ends: Vec::new(),
                link: link(node, of_node, writes),
                folder: folder.join(node.to_string()),
                clock: None,
                living: None,
                killed_by: None,
                full_disks: 0,
            }
        });
        let seats: Vec<Seat> = seats.collect();
        let owners = nodes.map(|node| {
            let hotkeys: Vec<_> = field.plan(node, &[]).identities.iter().map(|identity| identity.hotkey()).collect();
            super::weather::prefixes(&hotkeys)
        });
        let owners = owners.collect();
        let instant = Link { latency_ms: 0.0, bandwidth_mbps: 1e6, loss: 0.0 };
        let observer: Arc<dyn ObjectStore> = Arc::new(link(field.nodes(), instant, Vec::new()));
        let (compute, every) = (Compute::in_place(), round_ms(&field.scenario) / LOOKS_A_ROUND);
        let ports = onlooker::ports(field, observer.clone(), clock, compute.clone());
        let diary = Diary::default();
        let networks: Vec<_> = (0..=field.nodes()).map(|_| field.network()).collect();
        let last = networks.last().expect("of whoever comes after").clone();
        let dishonest = (diary.clone(), dishonest(field, &seats));
        let onlooker = Arc::new(Mutex::new(Onlooker::new(field, last, ports, dishonest)));
        let looks = onlooker::look_on(onlooker.clone(), clock, every.max(1));
        Self {
            observer,
            weather: Arc::new(Weather::new(seed, faults, owners)),
            watch: Arc::new(Watch::new(field.nodes())),
            onlooker,
            looks,
            diary,
            networks,
            compute,
            field,
            seats,
            clock,
            seed,
            bucket,
        }
    }

    /// Runs from genesis until all honest nodes have ended, or have had time enough for it.
    pub async fn run(&mut self) {
        let lasting = |fault: &&Fault| matches!(fault.what, What::Adversary { .. } | What::Dishonest { .. });
        self.weather.faults.iter().filter(lasting).for_each(|fault| self.weather.strikes(fault));
        for node in 0..self.seats.len() {
            self.start(node);
        }
        let scenario = &self.field.scenario;
        for (ms, action) in timeline(&self.weather.faults, round_ms(scenario)) {
            self.clock.sleep_until_ms(ms).await;
            self.act(action).await;
        }
        let round = round_ms(&self.field.scenario);
        let last = round * (self.field.scenario.rounds + PATIENCE_ROUNDS);
        while self.clock.now_ms() < last && !self.is_over().await {
            self.clock.sleep_until_ms(self.clock.now_ms() + round / 2).await;
        }
        self.looks.abort();
        self.onlooker.lock().await.look().await;
    }

    fn fault(&self, index: usize) -> Fault {
        let found = self.weather.faults.iter().find(|fault| fault.index == index);
        found.expect("a fault of this storm").clone()
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::SetClock(node) => {
                let now = self.clock.now_ms();
                if let Some(clock) = &self.seats[node].clock {
                    clock.set(self.shown(node));
                    let clocks = self.weather.faults.iter();
                    let of_node = |fault: &&Fault| matches!(fault.what, What::Clock { node: of, .. } if of == node);
                    if let Some(fault) = clocks.clone().find(|fault| of_node(fault) && fault.from_ms == now) {
                        self.weather.strikes(fault);
                    }
                }
            }
            Action::Disk { node, is_full } => self.set_disk(node, is_full),
            Action::Litter(index) => self.litter(index).await,
            Action::Keep(index) => {
                let What::Kill { node, .. } = self.fault(index).what else { return };
                let seat = &self.seats[node];
                copy_states(&seat.place(), &seat.beside(index));
            }
            Action::Kill(index) => {
                let fault = self.fault(index);
                let mut killed = Vec::new();
                for node in fault.kills_at_once() {
                    if self.end_life(node).await {
                        killed.push(node);
                    }
                }
                // Nobody acts while the others are buried.
                for node in killed {
                    self.seats[node].bury().await;
                    self.weather.strikes(&fault);
                    self.seats[node].killed_by = Some(index);
                }
            }
            Action::Restart(index) => self.restart(index).await,
        }
    }

    /// Ends a node's life and waits until nothing of it is under way; whether it lived.
    async fn kill(&mut self, node: usize) -> bool {
        let lived = self.end_life(node).await;
        if lived {
            self.seats[node].bury().await;
        }
        lived
    }

    /// Ends a node's life; whether it lived.
    async fn end_life(&mut self, node: usize) -> bool {
        let seat = &mut self.seats[node];
        let lived = seat.living.as_ref().is_some_and(|living| !*living.life.borrow());
        if !lived || seat.settle().await == Some(End::Finished) {
            return false;
        }
        if let Some(living) = &seat.living {
            living.life.send_replace(true);
        }
        true
    }

    async fn restart(&mut self, index: usize) {
        let fault = self.fault(index);
        if let What::KillTogether { nodes } = &fault.what {
            for node in &nodes.0 {
                self.revive(*node, index, Left::State).await;
            }
        }
        let What::Kill { node, moment, left } = fault.what else { return };
        if moment != Moment::AtOnce && self.seats[node].killed_by.is_none() {
            // Its request has killed it by now, unless it made none.
            let by_request = self.seats[node].living.as_ref().is_some_and(|living| *living.life.borrow());
            if by_request {
                self.seats[node].bury().await;
            }
            if by_request || self.kill(node).await {
                self.weather.strikes(&fault);
                self.seats[node].killed_by = Some(index);
            }
        }
        self.revive(node, index, left).await;
    }

    /// Starts a node again that this fault has killed.
    async fn revive(&mut self, node: usize, index: usize, left: Left) {
        if self.seats[node].killed_by != Some(index) {
            return;
        }
        // What the dead one was writing is on the disk by then.
        self.clock.sleep_until_ms(self.clock.now_ms() + 1).await;
        let seat = &mut self.seats[node];
        match left {
            Left::State => {}
            Left::Nothing => drop(std::fs::remove_dir_all(seat.place())),
            Left::OldState { .. } => {
                drop(std::fs::remove_dir_all(seat.place()));
                copy_states(&seat.beside(index), &seat.place());
            }
        }
        seat.killed_by = None;
        let full_disks = std::mem::take(&mut seat.full_disks);
        if full_disks > 0 {
            seat.free_disk();
        }
        self.start(node);
        if full_disks > 0 {
            // A full disk can still be read.
            self.clock.sleep_until_ms(self.clock.now_ms() + 1).await;
            self.seats[node].full_disks = full_disks;
            self.seats[node].fill_disk();
        }
    }

    /// What a node's clock shows now.
    fn shown(&self, node: usize) -> Duration {
        let now = self.clock.now_ms();
        let shown = now as i64 + self.weather.clock_off_ms(node, now);
        Duration::from_millis(u64::try_from(shown).unwrap_or(0))
    }

    /// Starts a life of a node, by the code that starts the nodes of real processes.
    fn start(&mut self, node: usize) {
        let (field, plan) = (self.field, self.field.plan(node, &self.weather.faults));
        let (chain, protocol) = (&field.scenario.chain, &field.scenario.protocol);
        let clock = Clock::starting(self.shown(node), SimClock::stamp(0), chain, protocol.put_window_seconds)
            .with_reveal_window(protocol.reveal_seconds());
        let (life, _) = watch::channel(false);
        let seat = &mut self.seats[node];
        let store = StormStore::new(seat.link.clone(), self.clock, self.weather.clone(), node, life.clone());
        let store = if seat.is_honest { store } else { store.with_diary(self.diary.clone()) };
        let world = World { clock: clock.clone(), store: Arc::new(store), compute: self.compute.clone() };
        let folder = seat.folder.clone();
        let network = self.networks[node].clone();
        let process = field.process(network.clone());
        let (ports, host) = match process.outfit(plan.identities, None, &folder, world) {
            Ok(both) => both,
            Err(error) => {
                seat.note(End::Refused(error.to_string()));
                return;
            }
        };
        let watched = Watched { host: host.clone(), watch: self.watch.clone(), node, clock: self.clock };
        let watched = Arc::new(watched);
        let with_watch = |ports: Ports| Ports { host: watched.clone(), ..ports };
        let ports: Vec<Ports> = ports.into_iter().map(with_watch).collect();
        (seat.ports, seat.clock) = (ports.clone(), Some(clock));
        let ends = life.subscribe();
        let task = tokio::spawn(async move {
            let living = async move {
                match start(&network, plan.role, &folder, ports, &host).await {
                    Ok(life) => life.await,
                    Err(error) => return End::Refused(error.to_string()),
                }
                host.settle().await;
                End::Finished
            };
            tokio::select! {
                biased;
                () = over(ends) => End::Killed,
                end = living => end,
            }
        });
        seat.living = Some(Living { life, task });
        seat.end = None;
    }

    fn set_disk(&mut self, node: usize, is_full: bool) {
        let full = |fault: &&Fault| matches!(fault.what, What::DiskFull { node: of } if of == node);
        if is_full && let Some(fault) = self.weather.faults.iter().find(full) {
            self.weather.strikes(fault);
        }
        let seat = &mut self.seats[node];
        match (is_full, seat.full_disks) {
            (true, before) => {
                seat.full_disks = before + 1;
                if before == 0 {
                    seat.fill_disk();
                }
            }
            (false, 0) => {}
            (false, before) => {
                seat.full_disks = before - 1;
                if before == 1 {
                    seat.free_disk();
                }
            }
        }
    }

    /// Puts garbage where a peer may.
    async fn litter(&mut self, index: usize) {
        let fault = self.fault(index);
        let What::Litter { node } = fault.what else { return };
        let now = self.clock.now_ms();
        let mut rng = random::rng(self.seed, "storm litter", index as u64, now);
        let hotkey = self.field.plan(node, &[]).identities[0].hotkey();
        let round = now / round_ms(&self.field.scenario);
        let slot = rng.random_range(0..self.field.scenario.chain.slots.min(300)) as crate::Uid;
        let place = match rng.random_range(0..4) {
            0 => keys::slot(slot, rng.random_range(0..3)),
            1 => keys::upload(&hotkey, round.saturating_sub(1)),
            2 => keys::upload(&hotkey, round),
            _ => keys::upload(&hotkey, round + 1),
        };
        let mode = if place.prefix_matches(&keys::slots()) { PutMode::Create } else { PutMode::Overwrite };
        let bytes: Vec<u8> = (0..rng.random_range(0..2000)).map(|_| rng.random()).collect();
        let (link, options) = (self.seats[node].link.clone(), PutOptions { mode, ..Default::default() });
        self.weather.strikes(&fault);
        // It takes its time, and nobody waits for it.
        tokio::spawn(async move { link.put_opts(&place, bytes.into(), options).await.is_ok() });
    }

    /// Whether all honest nodes have ended.
    async fn is_over(&mut self) -> bool {
        let mut is_over = true;
        for seat in &mut self.seats {
            let ended = seat.settle().await.is_some();
            is_over &= ended || !seat.is_honest;
        }
        is_over
    }

    /// Ends all lives that have not ended.
    pub async fn stop(&mut self) {
        for node in 0..self.seats.len() {
            self.kill(node).await;
        }
    }

    /// Bytes and number of the objects below a prefix.
    pub async fn objects(&self, prefix: &object_store::path::Path) -> (u64, usize) {
        let listed: Vec<_> = self.observer.list(Some(prefix)).try_collect().await.unwrap_or_default();
        (listed.iter().map(|meta| meta.size).sum(), listed.len())
    }

    /// A store for readers who came after the storm, who may write nothing.
    pub fn reader(&self) -> SimLink {
        let options = LinkOptions {
            seed: self.seed,
            node: 1 + self.seats.len() as u64,
            link: Link { latency_ms: 0.0, bandwidth_mbps: 1e6, loss: 0.0 },
            writes: Vec::new(),
            window: Duration::from_secs(1),
        };
        SimLink::new(self.bucket.clone(), options)
    }
}

/// The validators that do not do what the network asks of them.
pub fn dishonest(field: &Field, seats: &[Seat]) -> Vec<Hotkey> {
    let validators = field.run.genesis.validators.iter().zip(seats);
    validators.filter(|(_, seat)| !seat.is_honest).map(|((hotkey, _), _)| *hotkey).collect()
}
