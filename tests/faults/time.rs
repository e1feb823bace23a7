//! The network's time: a clock that stands still while anybody works, and goes on when the test lets it.

#![allow(dead_code)] // Not every test binary uses everything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gauntlet::node::ports::Gate;
use gauntlet::runtime::lockstep::{Lockstep, LockstepGate};
use gauntlet::transport::simulated::SimClock;
use tokio::runtime::{Builder, Runtime};

/// How far time goes on between two looks of the test.
const STEP: Duration = Duration::from_millis(10);

/// The clock of all nodes, and the test's hand on it.
pub struct Time {
    lockstep: Arc<Lockstep>,
    /// The test takes part as a process does: while it does not ask to go on, it is never later for anybody.
    gate: Option<LockstepGate>,
    /// Nothing takes longer, however slow the machine: after that the network hangs.
    patience: Duration,
    runtime: Option<Runtime>,
}

impl Time {
    /// A clock that stands at the network's genesis.
    pub fn start(patience: Duration) -> Self {
        let lockstep = Arc::new(Lockstep::start(1, Duration::ZERO).unwrap());
        let (gate, _) = LockstepGate::connect(lockstep.address()).unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        Self { lockstep, gate: Some(gate), patience, runtime: Some(runtime) }
    }

    /// Where nodes find it.
    pub fn address(&self) -> SocketAddr {
        self.lockstep.address()
    }

    /// What it shows, since genesis.
    pub fn now(&self) -> Duration {
        self.lockstep.now()
    }

    /// What tells it, as a store stamps.
    pub fn stamps(&self) -> impl Fn() -> DateTime<Utc> + Send + Sync + 'static {
        let lockstep = self.lockstep.clone();
        move || SimClock::stamp(lockstep.now().as_millis() as u64)
    }

    /// What tells it in milliseconds.
    pub fn milliseconds(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let lockstep = self.lockstep.clone();
        move || lockstep.now().as_millis() as u64
    }

    /// How many have ever come to live by it.
    pub fn connections(&self) -> usize {
        self.lockstep.connections()
    }

    /// A little later, when all that is to happen until then has happened; whether that came to pass.
    pub fn step(&self) -> bool {
        self.pass(STEP)
    }

    /// `time` later.
    pub fn pass(&self, time: Duration) -> bool {
        let (runtime, gate) = (self.runtime.as_ref().unwrap(), self.gate.as_ref().expect("not let go"));
        let later = gate.pass(self.lockstep.now() + time);
        runtime.block_on(async { tokio::time::timeout(self.patience, later).await.is_ok() })
    }

    /// From now on the network lives without the test.
    pub fn let_go(&mut self) {
        self.gate = None;
    }
}

impl Drop for Time {
    /// A hanging network must not hang the test.
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
