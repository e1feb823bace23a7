//! `sim peer` and `sim validator`: run nodes of a real network.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use gauntlet::model::LlamaConfig;
use gauntlet::node::behaviour::BehaviourSettings;
use gauntlet::node::{PeerPlan, Processor, Role};
use gauntlet::runtime::process::{ClockKind, Ended, NodePlan};
use gauntlet::runtime::{Metrics, Process, Run, bucket};
use gauntlet::scenario::{Machines, Registry, Scenario};
use gauntlet::settings::Kinded;
use gauntlet::transport::Identity;

use super::{UsageError, block_on, interrupt, key, leash, open};

/// Maximum of --start-in: some days.
const MOST_SECONDS: f64 = 1e6;

/// Options of peers and validators.
#[derive(clap::Args)]
pub struct NodeArgs {
    /// Bucket of the run: a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH
    #[arg(long, value_name = "URL")]
    bucket: String,
    /// Key file of `sim key new`; several keys make several nodes that share device and model
    #[arg(long, value_name = "FILE", required_unless_present = "parts")]
    key: Vec<PathBuf>,
    /// Play node N of the scenario instead of using a key. Its keys follow from the seed, so this is for trials
    #[arg(long = "as", value_name = "N", conflicts_with = "key")]
    parts: Vec<usize>,
    /// Where to compute: cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads that compute [default: all cores; 1 for a GPU]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Folder for the nodes' saved states [default: FILE.state beside each key]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Serve metrics for Prometheus at this address, such as 0.0.0.0:9100, under /metrics
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Refuse any run but this one, given by the first digits of its digest
    #[arg(long, value_name = "DIGEST")]
    run: Option<String>,
    /// Use the launcher's clock
    #[arg(long, hide = true, value_name = "ADDR")]
    clock: Option<SocketAddr>,
    /// End as soon as standard input does, which the launcher holds
    #[arg(long, hide = true)]
    leash: bool,
}

#[derive(clap::Args)]
pub struct PeerArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Behaviour instead of the honest one: a name, or `{ kind = "lazy", fraction = 0.25 }`
    #[arg(long, value_name = "BEHAVIOUR", conflicts_with = "parts")]
    behaviour: Option<String>,
    /// Inner steps of a round, if this machine is faster or slower than most [default: the scheme's]
    #[arg(long, value_name = "N", conflicts_with = "parts")]
    inner_steps: Option<usize>,
    /// Keep the uploads in the peer's own bucket, which the run must allow (`chain.peer_buckets`)
    #[arg(long, value_name = "URL", conflicts_with = "parts")]
    own_bucket: Option<String>,
}

#[derive(clap::Args)]
pub struct ValidatorArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Seconds until round 0 begins, if this validator starts the run
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    start_in: f64,
}

/// Trains until the run ends or the process is stopped.
pub fn peer(args: PeerArgs) -> anyhow::Result<()> {
    let node = args.node;
    let behaviour = parse_behaviour(args.behaviour.as_deref().unwrap_or("honest"))?;
    let (run, stop) = (read_run(&node)?, interrupt::on_stop());
    let scenario = &run.scenario;
    if let Some((steps, expected)) = args.inner_steps.and_then(|steps| Some((steps, scenario.expected_steps(steps)?))) {
        bail!(UsageError(format!("--inner-steps is {steps}; expected {expected}")));
    }
    let mut nodes = Vec::new();
    for path in &node.key {
        let identity = key::read(path)?;
        // A peer outside the scenario keys its draws by its hotkey.
        let index = u64::from_le_bytes(*identity.hotkey().0.first_chunk().expect("32 bytes"));
        let plan = PeerPlan {
            index,
            processor: Processor::real(),
            behaviour: behaviour.build(),
            slots: 1,
            leaves: None,
            renews: behaviour.renews(),
            inner_steps: args.inner_steps,
            pages: scenario.pages_of_steps(args.inner_steps),
        };
        let keys = (0..behaviour.keys(scenario.rounds)).map(|number| identity.successor(number)).collect();
        let role = Role::Peer { plan, joins: 0 };
        let own_bucket = args.own_bucket.clone();
        nodes.push(NodePlan { own_bucket, ..plan_node(&node, Some(path), keys, role) });
    }
    for &part in &node.parts {
        let Some(operator) = scenario.each_operator().nth(part) else {
            let last = scenario.each_operator().count() - 1;
            bail!(UsageError(format!("--as {part}: the scenario has peers 0 to {last}")));
        };
        let role = scenario.operator_role(&operator, machines(&node, scenario)?);
        nodes.push(plan_node(&node, None, scenario.all_identities(&operator), role));
    }
    live(node, run, nodes, stop, Duration::ZERO)
}

/// Validates until the run ends or the process is stopped.
pub fn validator(args: ValidatorArgs) -> anyhow::Result<()> {
    let node = args.node;
    if !(0.0..=MOST_SECONDS).contains(&args.start_in) {
        bail!(UsageError(format!("--start-in {}: expected 0 to {MOST_SECONDS} seconds", args.start_in)));
    }
    let start_in = Duration::from_secs_f64(args.start_in);
    let (run, stop) = (read_run(&node)?, interrupt::on_stop());
    let scenario = &run.scenario;
    let mut nodes = Vec::new();
    for path in &node.key {
        let behaviour = scenario.validator_behaviour(&Kinded::default()).build();
        let role = Role::Validator { processor: Processor::real(), behaviour, leaves: None };
        nodes.push(plan_node(&node, Some(path), vec![key::read(path)?], role));
    }
    for &part in &node.parts {
        let Some(settings) = scenario.validators.get(part) else {
            bail!(UsageError(format!(
                "--as {part}: the scenario has validators 0 to {}",
                scenario.validators.len() - 1
            )));
        };
        let role = scenario.validator_role(settings, machines(&node, scenario)?);
        nodes.push(plan_node(&node, None, vec![scenario.validator_identity(part)], role));
    }
    live(node, run, nodes, stop, start_in)
}

/// On the launcher's clock, work takes the scenario's virtual time.
fn machines(node: &NodeArgs, scenario: &Scenario) -> anyhow::Result<Machines> {
    if node.clock.is_none() {
        return Ok(Machines::Real);
    }
    let sequence_length = LlamaConfig::from_settings(&scenario.model)?.sequence_length;
    Ok(Machines::Simulated { sequence_length })
}

fn parse_behaviour(text: &str) -> anyhow::Result<Box<dyn BehaviourSettings>> {
    Ok(Registry::default().behaviour(text).map_err(|problem| UsageError(format!("--behaviour {text}: {problem}")))?)
}

/// The run, if it is the requested one.
fn read_run(node: &NodeArgs) -> anyhow::Result<Run> {
    if node.leash {
        leash::hold().context("the launcher cannot be watched")?;
    }
    let mut run = block_on(Run::read(bucket::open_patiently(&node.bucket, false)?))?;
    if let Some(expected) = &node.run
        && !run.id.to_string().starts_with(expected)
    {
        bail!(UsageError(format!("--run {expected}: the run in bucket {} is {}", node.bucket, run.id)));
    }
    // From here on nodes know themselves how long to wait.
    run.bucket = bucket::open(&node.bucket, false)?;
    Ok(run)
}

fn plan_node(node: &NodeArgs, key: Option<&PathBuf>, identities: Vec<Identity>, role: Role) -> NodePlan {
    let name = identities[0].hotkey().to_string()[..12].to_string();
    let state = match (&node.state, key) {
        (Some(folder), _) => folder.join(name),
        (None, Some(key)) => key.with_extension("state"),
        (None, None) => Path::new("state").join(name),
    };
    NodePlan { identities, role, state, own_bucket: None }
}

fn live(
    node: NodeArgs,
    run: Run,
    nodes: Vec<NodePlan>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    start_in: Duration,
) -> anyhow::Result<()> {
    let device = open::device(&node.device, format_args!("--device {}", node.device))?;
    let metrics = Metrics::default();
    if let Some(address) = node.metrics {
        metrics.serve(address).with_context(|| format!("--metrics {address}"))?;
    }
    for identity in nodes.iter().flat_map(|plan| plan.identities.iter().take(plan.role.slots())) {
        tracing::info!(hotkey = %identity.hotkey(), run = %run.id.short(), "node");
    }
    for plan in &nodes {
        block_on(run.check_store(plan.identities.first().expect("a node has an identity")))?;
    }
    let network = block_on(run.network(device))?;
    let clock = match node.clock {
        Some(address) => ClockKind::Virtual(address),
        None => ClockKind::Real { start_in },
    };
    let threads = open::threads(node.threads, &node.device);
    let process = Process { run: Arc::new(run), network, nodes, clock, threads, metrics, stop };
    match process.live()? {
        Ended::Finished => tracing::info!("done"),
        Ended::Stopped => {
            tracing::info!("stopped; the same command resumes");
            return Err(interrupt::StoppedError::told());
        }
        // For a node of the scenario this is a regular outcome, as in a simulation.
        Ended::WithoutSlot(_) if !node.parts.is_empty() => tracing::info!("done"),
        Ended::WithoutSlot(peers) => bail!(
            "{} got no slot: a warning above says why bucket {} did not take the registration (a peer must be allowed to \
             create below chain/slots/), or others were faster each time; the same command tries again",
            peers.iter().map(|hotkey| format!("peer {hotkey}")).collect::<Vec<_>>().join(", "),
            node.bucket
        ),
    }
    Ok(())
}
