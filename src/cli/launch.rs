//! `sim launch`: runs a whole network of real processes on this machine.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use gauntlet::report;
use gauntlet::runtime::lockstep::Lockstep;
use gauntlet::runtime::{Run, bucket};
use gauntlet::scenario::Scenario;
use gauntlet::transport::simulated::SimClock;
use gauntlet::words::counted;

use super::collect::Collector;
use super::json::Printed;
use super::{UsageError, block_on, genesis, interrupt, limits, open, run, say, show, targets};

/// Maximum number of restarts of a node that fails.
const RESTARTS: u32 = 5;
/// Open files of the launcher: its own, those for each node, and for each node's paused clock.
const FILES: u64 = 32;
const FILES_EACH: u64 = 2;
const FILES_OF_CLOCK: u64 = 2;
const LOOK: Duration = Duration::from_millis(200);
/// File with the time of a stopped network on a paused clock.
const CLOCK_FILE: &str = "clock";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Bucket where the nodes meet [default: a folder in --out]
    #[arg(long, value_name = "URL")]
    bucket: Option<String>,
    /// Run folder, also for the nodes' states and logs [default: runs/<name>-<seed>-launch]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to compute: cpu (one process per node), or cuda:0,cuda:1,... (one process per device, whose peers share
    /// the model)
    #[arg(long, value_name = "DEVICES", default_value = "cpu", value_delimiter = ',')]
    devices: Vec<String>,
    /// real: rounds last as long as the scenario says. virtual: time jumps to the next event, as in `sim run`; needs a
    /// folder as bucket
    #[arg(long, value_name = "CLOCK", default_value = "real", value_parser = ["real", "virtual"])]
    clock: String,
    /// Serve metrics for Prometheus: the first process at this address, such as 127.0.0.1:9100, each further one at the next
    /// port. nodes/metrics.json lists them for Prometheus' file_sd_configs
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Print no progress line and no tables
    #[arg(long, short)]
    quiet: bool,
}

/// Starts all nodes of a scenario, follows them, and writes the run folder.
pub fn launch(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    let root = args.out.clone();
    let root = root.unwrap_or_else(|| Path::new("runs").join(format!("{}-{}-launch", scenario.name, scenario.seed)));
    // A run that goes on calls its files as it did when it began.
    let scenario = match report::load_manifest(&root) {
        Ok(manifest) => run::with_names_of(&scenario, &manifest.scenario),
        Err(_) => scenario,
    };
    let url = args.bucket.clone().unwrap_or_else(|| root.join("bucket").to_string_lossy().into_owned());
    let is_virtual = args.clock == "virtual";
    if is_virtual && url.contains("://") && !url.starts_with("file://") {
        bail!(UsageError(format!("--clock virtual needs a folder as bucket, not {url}")));
    }
    for device in &args.devices {
        open::device(device, format_args!("--devices {device}"))?;
    }
    let plans = plan(&scenario, &args.devices);
    let metrics = args.metrics.map(|first| targets::addresses(first, plans.len())).transpose()?;
    let world = open::world(scenario, "cpu")?;
    let scenario = &world.scenario.clone();
    let mut collector = Collector::open(scenario, &url, &root, &args.devices.join(","), args.quiet)?;
    let operators = scenario.each_operator().filter(|operator| operator.joins == 0);
    let identities = operators.flat_map(|operator| scenario.identities(&operator));
    let peers = identities.map(|identity| identity.hotkey()).collect();
    let (mut run, _) = genesis::create(&url, &world, peers)?;
    // What is not there now is looked for again a moment later; Ctrl-C is not to wait for it.
    run.bucket = bucket::open(&url, false)?;
    // This frees gigabytes of a large model, which only the nodes need from here on.
    drop(world);
    std::fs::create_dir_all(root.join("nodes")).with_context(|| root.display().to_string())?;

    check_files(plans.len(), is_virtual)?;
    let lockstep = is_virtual.then(|| start_clock(&root, &run, plans.len())).transpose()?;
    if !args.quiet && !is_virtual {
        let (rounds, seconds) = (scenario.rounds, scenario.round_seconds());
        eprintln!(
            "{} of {seconds} s: {}; `--clock virtual` takes as long as the work does",
            counted(rounds, "round"),
            indicatif::HumanDuration(Duration::from_secs_f64(rounds as f64 * seconds)),
        );
    }
    if let Some(metrics) = &metrics {
        let names = plans.iter().map(|plan| (plan.name.as_str(), plan.role));
        targets::write(&root.join("nodes"), names.zip(metrics))?;
    }
    let mut metrics = metrics.unwrap_or_default().into_iter();
    let mut nodes = Vec::new();
    for plan in plans {
        nodes.push(Node::start(plan, &url, &root, lockstep.as_ref(), metrics.next())?);
    }
    let followed = follow(&mut nodes, &run, &mut collector, lockstep.as_ref(), &root.join(CLOCK_FILE));
    if let Some(lockstep) = &lockstep {
        keep_clock(&root.join(CLOCK_FILE), lockstep)?;
    }
    let rounds = collector.close()?;
    let interrupted = followed?;
    let shown = if rounds > 0 { show::drawn(&root, Printed::of(args.quiet, false, "launch")) } else { Ok(()) };
    if interrupted {
        say(format_args!("stopped after {}; the same command resumes", counted(rounds, "round")));
        shown?;
        return Err(interrupt::StoppedError::told());
    }
    shown
}

/// The paused clock, at the time of the last stop.
fn start_clock(root: &Path, run: &Run, processes: usize) -> anyhow::Result<Lockstep> {
    let stopped = std::fs::read_to_string(root.join(CLOCK_FILE)).ok();
    let now_ms = stopped.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let starter = run.scenario.validator_identity(0);
    block_on(run.write_start(SimClock::stamp(0).timestamp_millis(), &starter))?;
    Ok(Lockstep::start(processes, Duration::from_millis(now_ms))?)
}

/// Writes the paused clock's time, from where a stopped network goes on.
///
/// # Errors
/// The disk is full, or nodes cannot connect to the clock.
fn keep_clock(file: &Path, lockstep: &Lockstep) -> anyhow::Result<()> {
    std::fs::write(file, lockstep.now().as_millis().to_string()).with_context(|| file.display().to_string())?;
    let failure = lockstep.failure().map_or(Ok(()), Err);
    failure.context(
        "nodes cannot connect to the launcher's clock; if it has too many open files, raise the limit (ulimit -n)",
    )
}

/// Checks that this process may open what it needs for so many nodes.
fn check_files(processes: usize, is_virtual: bool) -> anyhow::Result<()> {
    let each = if is_virtual { FILES_EACH + FILES_OF_CLOCK } else { FILES_EACH };
    let needed = FILES + each * processes as u64;
    match limits::open_files() {
        Some(limit) if limit < needed => bail!(UsageError(format!(
            "{}: the launcher needs {needed} open files for them, and {limit} are allowed; raise the hard limit of open \
             files (ulimit -Hn), or launch fewer nodes",
            counted(processes as u64, "node")
        ))),
        _ => Ok(()),
    }
}

/// A process to start.
struct Plan {
    name: String,
    role: &'static str,
    parts: Vec<usize>,
    device: String,
}

/// The processes: validators first, then peers and operators. On the CPU each node has its own process; other devices
/// take the nodes in turn, with one process per role and device.
fn plan(scenario: &Scenario, devices: &[String]) -> Vec<Plan> {
    let peers = (0..scenario.each_operator().count()).collect();
    let roles = [("validator", (0..scenario.validators.len()).collect()), ("peer", peers)];
    let is_cpu = devices.iter().all(|device| !device.starts_with("cuda"));
    let plans = roles.into_iter().flat_map(|(role, parts): (&'static str, Vec<usize>)| {
        let processes: Vec<(String, Vec<usize>, String)> = if is_cpu {
            let one = |part: &usize| (format!("{role}-{part}"), vec![*part], devices[0].clone());
            parts.iter().map(one).collect()
        } else {
            let on = |(nth, device): (usize, &String)| {
                let parts: Vec<usize> = parts.iter().copied().skip(nth).step_by(devices.len()).collect();
                (format!("{role}s-{}", device.replace(':', "-")), parts, device.clone())
            };
            devices.iter().enumerate().map(on).filter(|(_, parts, _)| !parts.is_empty()).collect()
        };
        processes.into_iter().map(move |(name, parts, device)| Plan { name, role, parts, device })
    });
    plans.collect()
}

/// A process, and how to restart it.
struct Node {
    name: String,
    command: Command,
    log: PathBuf,
    child: Child,
    restarts: u32,
    ended: Option<ExitStatus>,
}

impl Node {
    fn start(
        plan: Plan,
        url: &str,
        root: &Path,
        lockstep: Option<&Lockstep>,
        metrics: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut command = Command::new(program);
        command.arg(plan.role).args(["--bucket", url, "--device", &plan.device, "--threads", "1"]);
        command.args(plan.parts.iter().flat_map(|part| ["--as".to_string(), part.to_string()]));
        command.arg("--state").arg(root.join("nodes"));
        if let Some(lockstep) = lockstep {
            command.args(["--clock", &lockstep.address().to_string()]);
        }
        if let Some(address) = metrics {
            command.args(["--metrics", &address.to_string()]);
        }
        command.arg("--leash");
        // Ctrl-C reaches only the launcher, which passes it on.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let log = root.join("nodes").join(format!("{}.log", plan.name));
        let child = spawn(&mut command, &log)?;
        Ok(Self { name: plan.name, command, log, child, restarts: 0, ended: None })
    }

    /// Watches the process, and restarts it after a failure unless that is useless.
    fn tend(&mut self, stopping: bool, lockstep: Option<&Lockstep>) -> anyhow::Result<()> {
        if self.ended.is_some() {
            return Ok(());
        }
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        if status.success() || stopping {
            self.ended = Some(status);
            return Ok(());
        }
        let killed = if is_killed(status) { ", as the system does when memory runs out" } else { "" };
        let why = format!("{} failed ({status}{killed}); see {}", self.name, self.log.display());
        // On a shared clock the others have gone on without it, or have never started. A wrong command line (2) stays
        // wrong.
        if lockstep.is_some() || self.restarts == RESTARTS || status.code() == Some(2) {
            bail!("{why}");
        }
        eprintln!("{why}; restarting it");
        self.restarts += 1;
        self.child = spawn(&mut self.command, &self.log)?;
        Ok(())
    }
}

fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let file = File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
    // The other end of standard input closes with this process, however it ends.
    command.stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
    let child = command.spawn().context("a node's process cannot be started");
    // The command would keep the log open once more.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    child
}

/// Follows the nodes until all have ended. Returns whether they were interrupted.
fn follow(
    nodes: &mut [Node],
    run: &Run,
    collector: &mut Collector,
    lockstep: Option<&Lockstep>,
    clock_file: &Path,
) -> anyhow::Result<bool> {
    // A second Ctrl-C ends the nodes together with the launcher, so that none lives on without it.
    let running = Arc::new(Mutex::new(running_of(nodes)));
    let last = running.clone();
    let stop = interrupt::on_stop_then("the round", move || kill_all(&last.lock().expect("no panic while held")));
    let mut told = false;
    let tended = loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && !told {
            for node in nodes.iter_mut().filter(|node| node.ended.is_none()) {
                match lockstep {
                    None => terminate(&mut node.child),
                    // Time must not run on while the nodes end one after the other. Each has saved its state between
                    // the rounds.
                    Some(lockstep) => {
                        lockstep.stop();
                        node.child.kill()?;
                    }
                }
            }
            told = true;
        }
        // The lock is held while processes are waited for, so that no number in the list can belong to another process.
        let mut held = running.lock().expect("no panic while held");
        let tended = nodes.iter_mut().try_for_each(|node| node.tend(stopping, lockstep));
        *held = running_of(nodes);
        drop(held);
        if let Err(error) = block_on(collector.step(run)) {
            tracing::warn!("the bucket cannot be read now: {error:#}");
        }
        let tended = tended.and_then(|()| lockstep.map_or(Ok(()), |lockstep| keep_clock(clock_file, lockstep)));
        if tended.is_err() || nodes.iter().all(|node| node.ended.is_some()) {
            break tended;
        }
        std::thread::sleep(LOOK);
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    // From here on, the nodes are waited for one by one.
    let mut held = running.lock().expect("no panic while held");
    for node in nodes.iter_mut().filter(|node| node.ended.is_none()) {
        terminate(&mut node.child);
        while node.child.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
        let _ = node.child.kill();
        let _ = node.child.wait();
    }
    held.clear();
    drop(held);
    tended?;
    Ok(told && !collector.is_complete())
}

/// Whether somebody else has killed a process.
fn is_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGKILL);
    #[cfg(not(unix))]
    false
}

/// Numbers of the processes that have not ended.
fn running_of(nodes: &[Node]) -> Vec<u32> {
    nodes.iter().filter(|node| node.ended.is_none()).map(|node| node.child.id()).collect()
}

/// Kills processes at once. Their saved states remain.
fn kill_all(processes: &[u32]) {
    #[cfg(unix)]
    for process in processes {
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(*process as libc::pid_t, libc::SIGKILL) };
    }
    #[cfg(not(unix))]
    let _ = processes;
}

/// Asks a process to stop after its round.
fn terminate(child: &mut Child) {
    #[cfg(unix)]
    {
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
    }
    #[cfg(not(unix))]
    let _ = child.kill();
}
