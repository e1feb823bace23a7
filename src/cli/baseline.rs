//! `sim baseline`: trains the central AdamW alone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::bail;
use gauntlet::engine::{BaselineStep, Observer, ObserverError, Outcome, train_baseline};
use gauntlet::model::Device;
use gauntlet::report::{Manifest, ReportError, RunWriter, Saved};
use gauntlet::scenario::World;
use gauntlet::words::counted;

use super::interrupt::StoppedError;
use super::json::{Printed, compared, say_json};
use super::progress::{Progress, Shown};
use super::{UsageError, interrupt, open, run, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Run folder [default: runs/<scenario>-<seed>-baseline]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to compute: cpu, or cuda:0,cuda:1,...; each device computes a part of every step, and results do
    /// not depend on their number
    #[arg(long, visible_alias = "device", value_name = "DEVICES", default_value = "cpu", value_delimiter = ',')]
    devices: Vec<String>,
    /// Threads of the CPU; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Resume an interrupted run
    #[arg(long)]
    resume: bool,
    /// Print no progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

/// Trains the baseline of a scenario to its end or to Ctrl-C.
pub fn baseline(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    let root = args.out.clone();
    let root = root.unwrap_or_else(|| Path::new("runs").join(format!("{}-{}-baseline", scenario.name, scenario.seed)));
    let lanes = lanes(&args.devices, args.threads)?;
    let device = args.devices.join(",");
    // A run that cannot be resumed is refused before anything is computed.
    let opened = if args.resume { Some(run::resumable(&root, &scenario, &device, true)?) } else { None };
    if opened.is_none() && root.join("manifest.json").exists() {
        bail!(ReportError::Exists(root));
    }
    let world = match &opened {
        None => open::world(scenario, &args.devices[0])?,
        Some((_, manifest)) => open::world_of(scenario, manifest, &args.devices[0])?,
    };
    let mut manifest = Manifest::new(world.scenario.clone(), device, lanes.len());
    manifest.central = true;
    let (writer, saved) = run::begin(opened, &root, &world, manifest)?;
    if args.resume && saved.baseline.is_none() {
        eprintln!("{}: stopped before its first checkpoint; starting from the first round", root.display());
    }
    live(
        world,
        writer,
        saved,
        lanes,
        (&root, args.quiet, Printed::of(args.quiet, false, "baseline"), &run::go_on_command(args.resume)),
    )
}

/// Trains from what was saved to the end, or to Ctrl-C.
pub fn live(
    world: Arc<World>,
    writer: RunWriter,
    saved: Saved,
    lanes: Vec<Device>,
    (root, quiet, printed, go_on): (&Path, bool, Printed, &str),
) -> anyhow::Result<()> {
    let (started, wall_before) = (Instant::now(), writer.manifest.wall_seconds);
    let shown = Shown::new(writer, saved.done().1, world.network.core.config.sequence_length, quiet);
    let observer = Arc::new(Mutex::new(shown));
    let stop = interrupt::on_stop();
    let outcome = train_baseline(&world, lanes, saved.baseline, &stop, &(observer.clone() as _));
    let mut observer = observer.lock().expect("no panic while held");
    observer.progress.finish();
    observer.writer.manifest.wall_seconds = wall_before + started.elapsed().as_secs_f64();
    let digest = match outcome.as_ref() {
        Ok(Outcome::Finished(digest)) => Some(*digest),
        _ => None,
    };
    let closed = observer.writer.close(digest.is_some(), digest);
    // The cause of the end says more than its consequences.
    let outcome = outcome.map_err(|error| anyhow::anyhow!(error))?;
    closed?;
    run::conclude(&outcome, root, printed, go_on)
}

/// The lanes for the parts of a step: one per device, or one per thread of the CPU.
pub fn lanes(names: &[String], threads: Option<usize>) -> anyhow::Result<Vec<Device>> {
    let devices =
        names.iter().map(|name| open::device(name, format_args!("--devices {name}"))).collect::<Result<Vec<_>, _>>()?;
    if devices == [Device::Cpu] {
        return Ok(vec![Device::Cpu; open::threads(threads, "cpu")]);
    }
    let kind = std::mem::discriminant(&devices[0]);
    if devices.iter().any(|device| std::mem::discriminant(device) != kind) {
        let names = names.join(",");
        bail!(UsageError(format!("--devices {names}: expected devices of one kind; kinds round differently")));
    }
    if threads.is_some() {
        bail!(UsageError("--threads is for `--device cpu`; each other device has one thread".into()));
    }
    Ok(devices)
}

/// Trains a finished baseline again in memory, and compares the last models.
pub fn verify(root: &Path, manifest: &Manifest, threads: Option<usize>, quiet: bool, json: bool) -> anyhow::Result<()> {
    let Some(expected) = manifest.digest.filter(|_| manifest.finished) else {
        bail!("{}: the run is not finished; `sim baseline ... --resume` first", root.display());
    };
    let names: Vec<String> = manifest.device.split(',').map(str::to_string).collect();
    let world = open::world_of(manifest.scenario.clone(), manifest, &names[0])?;
    let progress = Progress::new(manifest.scenario.rounds, quiet);
    let tokens = manifest.tokens_per_round as f64;
    let observer = Arc::new(Mutex::new(Watcher { progress, tokens }));
    let stop = interrupt::on_stop();
    let outcome = train_baseline(&world, lanes(&names, threads)?, None, &stop, &(observer.clone() as _));
    observer.lock().expect("no panic while held").progress.finish();
    match outcome.map_err(|error| anyhow::anyhow!(error))? {
        Outcome::Finished(digest) if digest == expected => {
            match json {
                true => say_json("verify", compared(root, expected, digest, None)),
                false => say(format_args!("{}: verified, digest {digest}", root.display())),
            }
            Ok(())
        }
        Outcome::Finished(digest) => {
            if json {
                say_json("verify", compared(root, expected, digest, None));
            }
            bail!("{}: digests differ\nrecorded {expected}\nnow      {digest}", root.display())
        }
        Outcome::Interrupted(rounds) => {
            let told = format!("interrupted after {}, before the digests could be compared", counted(rounds, "round"));
            Err(StoppedError(told).into())
        }
    }
}

/// Shows the progress of a training.
struct Watcher {
    progress: Progress,
    tokens: f64,
}

impl Observer for Watcher {
    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        self.progress.round(step.round, step.loss, self.tokens);
        Ok(())
    }
}
