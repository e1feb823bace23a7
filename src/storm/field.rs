//! What all storms over one network share: its scenario, its genesis, and the parts that every node has.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use object_store::memory::InMemory;
use object_store::path::Path;

use super::fault::{Fault, What};
use super::schedule::is_honest;
use super::weather::prefixes;
use crate::model::Device;
use crate::node::{Network, Role};
use crate::runtime::process::{ClockKind, Process};
use crate::runtime::run::RunError;
use crate::runtime::{Bucket, Metrics, Run};
use crate::scenario::{Machines, Scenario, World};
use crate::settings::Kinded;
use crate::training::Replica;
use crate::transport::simulated::Link;
use crate::transport::{Identity, keys};

/// A network that storms come over.
pub struct Field {
    pub scenario: Scenario,
    pub run: Arc<Run>,
    /// The model that everybody starts from.
    genesis: Arc<Replica>,
}

/// A node of the network, as a storm starts it.
pub struct Plan {
    pub identities: Vec<Identity>,
    pub role: Role,
    /// Whether it does what the network asks of it.
    pub is_honest: bool,
}

impl Field {
    /// Opens a scenario, and writes its genesis as `sim genesis` does.
    ///
    /// # Errors
    /// The scenario makes no network.
    pub fn open(scenario: Scenario) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime without I/O needs nothing of the system").block_on(Self::write(scenario))
    }

    async fn write(mut scenario: Scenario) -> Result<Self, RunError> {
        // Nobody here has the keys of a real network.
        scenario.validators.iter_mut().for_each(|validator| validator.hotkey = None);
        let world = World::open(scenario, Device::Cpu)?;
        let from_start = world.scenario.each_operator().filter(|operator| operator.joins == 0);
        let peers = from_start.flat_map(|operator| world.scenario.identities(&operator));
        let peers = peers.map(|identity| identity.hotkey()).collect();
        let store = Arc::new(InMemory::new());
        let bucket = Bucket { store, url: "memory".into(), stamp_resolution: Duration::ZERO, folder: None };
        let (run, _) = Run::create(bucket, &world, peers, 0).await?;
        let genesis = run.network(Device::Cpu).await?.genesis.clone();
        Ok(Self { scenario: world.scenario, run: Arc::new(run), genesis })
    }

    /// What one process of the run has. Processes that shared it would share what they compute too, and one of them would
    /// not notice that it was given something else.
    pub fn network(&self) -> Arc<Network> {
        let mut network = self.scenario.network(Device::Cpu).expect("it was opened before");
        (network.run, network.genesis) = (self.run.id, self.genesis.clone());
        Arc::new(network)
    }

    /// What the nodes of a process know of their run.
    pub fn process(&self, network: Arc<Network>) -> Process {
        Process {
            run: self.run.clone(),
            network,
            nodes: Vec::new(),
            clock: ClockKind::Real { start_in: Duration::ZERO },
            threads: 1,
            metrics: Metrics::default(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.scenario.validators.len() + self.scenario.each_operator().count()
    }

    /// A node, as these faults leave it.
    pub fn plan(&self, node: usize, faults: &[Fault]) -> Plan {
        let scenario = &self.scenario;
        if let Some(validator) = scenario.validators.get(node) {
            let mut validator = validator.clone();
            let turned = faults.iter().find_map(|fault| match &fault.what {
                What::Dishonest { node: of, behaviour } if *of == node => Some(behaviour.clone()),
                _ => None,
            });
            validator.behaviour = turned.unwrap_or_default();
            return Plan {
                identities: vec![scenario.validator_identity(node)],
                role: scenario.validator_role(&validator, Machines::Real),
                is_honest: is_honest(&validator.behaviour),
            };
        }
        let peer = node - scenario.validators.len();
        let mut operator = scenario.each_operator().nth(peer).expect("a node of the scenario");
        let turned = faults.iter().find_map(|fault| match fault.what {
            What::Adversary { node: of, behaviour } if of == node => Some(Kinded::of(behaviour)),
            _ => None,
        });
        if let Some(turned) = &turned {
            operator.behaviour = turned;
        }
        Plan {
            identities: scenario.all_identities(&operator),
            role: scenario.operator_role(&operator, Machines::Real),
            is_honest: is_honest(operator.behaviour),
        }
    }

    /// A node's link, and where it may write.
    pub fn link(&self, node: usize) -> (Link, Vec<Path>) {
        let own = prefixes(&self.plan(node, &[]).identities.iter().map(Identity::hotkey).collect::<Vec<_>>());
        match self.scenario.validators.get(node) {
            Some(validator) => (validator.link.clone(), own.into_iter().chain([keys::records()]).collect()),
            None => {
                let peer = node - self.scenario.validators.len();
                let link = self.scenario.each_operator().nth(peer).expect("a node of the scenario").link.clone();
                (link, own.into_iter().chain([keys::slots()]).collect())
            }
        }
    }
}
