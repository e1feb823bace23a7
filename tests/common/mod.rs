//! Networks small enough to run in a test, and an observer that keeps what they tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gauntlet::engine::{
    BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Outcome, RunOptions, Traffic,
};
use gauntlet::engine::{RunError, simulate};
use gauntlet::model::Device;
use gauntlet::node::{PeerReport, RoundReport};
use gauntlet::scenario::{Scenario, World};

/// The network of a scenario, with settings replaced as `--set` does.
pub fn network(scenario: &str, overrides: &[&str]) -> Arc<World> {
    let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
    let scenario = Scenario::from_toml(scenario, "test.toml", &overrides).unwrap_or_else(|error| panic!("{error}"));
    Arc::new(World::open(scenario, Device::Cpu).unwrap())
}

/// An event of a node: number, time, text.
pub type Event = (usize, Duration, String);

/// What a run told.
#[derive(Default)]
pub struct Told {
    pub reports: Vec<RoundReport>,
    pub traffic: Vec<Traffic>,
    pub events: Vec<Event>,
    /// As files would hold them, with the number of rounds that were done.
    pub checkpoints: Vec<(Vec<u8>, usize)>,
    pub baseline: Vec<BaselineStep>,
    pub baseline_states: Vec<BaselineState>,
    stop: Stop,
    interrupt: Arc<AtomicBool>,
}

/// When to interrupt a run.
#[derive(Clone, Copy, Default)]
#[allow(dead_code)] // Not every test binary interrupts runs.
pub enum Stop {
    #[default]
    Never,
    /// As the report of this round comes in.
    Round(u64),
    /// As the baseline has taken the step of this round.
    BaselineStep(u64),
}

impl Observer for Told {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        if matches!(self.stop, Stop::Round(round) if round == report.round) {
            self.interrupt.store(true, Ordering::Relaxed);
        }
        self.reports.push(report.clone());
        self.traffic.push(traffic);
        Ok(())
    }

    fn event(&mut self, node: usize, at: Duration, event: &str) {
        self.events.push((node, at, event.to_string()));
    }

    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        if matches!(self.stop, Stop::BaselineStep(round) if round == step.round) {
            self.interrupt.store(true, Ordering::Relaxed);
        }
        self.baseline.push(step);
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.checkpoints.push((checkpoint.to_bytes(), checkpoint.rounds as usize));
        Ok(())
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        self.baseline_states.push(state.clone());
        Ok(())
    }
}

/// How to run a network.
#[derive(Default)]
pub struct Run {
    pub threads: usize,
    pub baseline: bool,
    pub resume: Option<Vec<u8>>,
    pub resume_baseline: Option<BaselineState>,
    pub stop: Stop,
}

impl Run {
    /// Runs it.
    pub fn of(self, network: &Arc<World>) -> Result<(Outcome, Told), RunError> {
        let interrupt = Arc::new(AtomicBool::new(false));
        let told = Told { stop: self.stop, interrupt: interrupt.clone(), ..Told::default() };
        let told = Arc::new(Mutex::new(told));
        let resume = self.resume.map(|bytes| Checkpoint::from_bytes(&bytes).unwrap());
        let options = RunOptions {
            threads: self.threads.max(1),
            baseline: self.baseline,
            resume,
            resume_baseline: self.resume_baseline,
            interrupt,
        };
        let outcome = simulate(network.clone(), options, told.clone())?;
        let told = std::mem::take(&mut *told.lock().unwrap());
        Ok((outcome, told))
    }
}

/// Runs a network on two threads to its end.
pub fn finished(network: &Arc<World>) -> Told {
    let (outcome, told) = Run { threads: 2, ..Run::default() }.of(network).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
    assert_eq!(told.reports.len() as u64, network.scenario.rounds);
    told
}

impl Told {
    /// What a peer was told to be in a round; `None` where it holds no slot. Peers are numbered in the scenario's
    /// order.
    pub fn peer<'a>(&'a self, network: &World, peer: usize, round: u64) -> Option<&'a PeerReport> {
        let hotkey = network.scenario.peer_identity(peer).hotkey();
        self.reports[round as usize].peers.iter().find(|report| report.hotkey == hotkey)
    }
}
