//! `sim baseline`

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, bail};
use gauntlet::engine::{BaselineState, BaselineStep, Observer, ObserverError, Outcome, train_baseline};
use gauntlet::model::{Device, LlamaConfig};
use gauntlet::report::{BaselineRow, Manifest, ReportError, RunFolder};

use super::progress::Progress;
use super::{UsageError, folder, interrupt, open, run, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Run folder [default: runs/<scenario>-<seed>-baseline]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to compute: cpu, ndarray, or cuda:0,cuda:1,... of which each computes a part of every step; results do not
    /// depend on how many
    #[arg(long, visible_alias = "device", value_name = "DEVICES", default_value = "cpu", value_delimiter = ',')]
    devices: Vec<String>,
    /// Threads of the CPU; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Goes on with an interrupted run
    #[arg(long)]
    resume: bool,
    /// No progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

/// Trains the baseline of a scenario to its end, or to Ctrl-C.
pub fn baseline(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    let root = args.out.clone();
    let root = root.unwrap_or_else(|| Path::new("runs").join(format!("{}-{}-baseline", scenario.name, scenario.seed)));
    let lanes = lanes(&args.devices, args.threads)?;
    let device = args.devices.join(",");
    // Refused before anything is computed.
    let opened = if args.resume { Some(run::resumable(&root, &scenario, &device, true)?) } else { None };
    if opened.is_none() && root.join("manifest.json").exists() {
        bail!(ReportError::Exists(root));
    }
    let world = open::world(scenario, &args.devices[0])?;
    let (mut run_folder, manifest) = match opened {
        Some(opened) => opened,
        None => {
            let mut manifest = Manifest::new(world.scenario.clone(), device, lanes.len());
            manifest.central = true;
            run::create(&root, &world, manifest)?
        }
    };
    let resume = folder::baseline_checkpoint(&run_folder)?;
    if args.resume && resume.is_none() {
        eprintln!("{}: stopped before its first checkpoint; starting from the first round", root.display());
    }
    let done = resume.as_ref().map_or(0, |state| state.moments.steps);
    run_folder.truncate_baseline_to(done)?;

    let config = world.network.core.config.clone();
    let (started, wall_before) = (Instant::now(), manifest.wall_seconds);
    let mut progress = Progress::new(world.scenario.rounds, args.quiet);
    progress.start_at(done);
    let observer = Arc::new(Mutex::new(Writer { folder: run_folder, manifest, progress, config }));
    let stop = interrupt::on_stop();
    let outcome = train_baseline(&world, lanes, resume, &stop, &(observer.clone() as _));
    let mut observer = observer.lock().expect("no panic while held");
    observer.progress.finish();
    observer.manifest.wall_seconds = wall_before + started.elapsed().as_secs_f64();
    let closed = observer.close(outcome.as_ref().ok());
    // Why the training ended says more than what that led to.
    let outcome = outcome.map_err(|error| anyhow::anyhow!(error))?;
    closed?;
    run::conclude(&outcome, &root, args.resume, args.quiet)
}

/// Where the parts of a step are computed: on each device, or on the threads of the CPU.
fn lanes(names: &[String], threads: Option<usize>) -> anyhow::Result<Vec<Device>> {
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

/// Trains a finished baseline again, in memory, and compares the last models.
pub fn verify(root: &Path, manifest: &Manifest, threads: Option<usize>, quiet: bool) -> anyhow::Result<()> {
    let Some(expected) = manifest.digest.filter(|_| manifest.finished) else {
        bail!("{}: the run is not finished; `sim baseline ... --resume` first", root.display());
    };
    let names: Vec<String> = manifest.device.split(',').map(str::to_string).collect();
    let world = open::world(manifest.scenario.clone(), &names[0])?;
    let progress = Progress::new(manifest.scenario.rounds, quiet);
    let tokens = manifest.tokens_per_round as f64;
    let observer = Arc::new(Mutex::new(Watcher { progress, tokens }));
    let stop = interrupt::on_stop();
    let outcome = train_baseline(&world, lanes(&names, threads)?, None, &stop, &(observer.clone() as _));
    observer.lock().expect("no panic while held").progress.finish();
    match outcome.map_err(|error| anyhow::anyhow!(error))? {
        Outcome::Finished(digest) if digest == expected => {
            say(format_args!("{}: verified, digest {digest}", root.display()));
            Ok(())
        }
        Outcome::Finished(digest) => {
            bail!("{}: digests differ\nrecorded {expected}\nnow      {digest}", root.display())
        }
        Outcome::Interrupted(rounds) => bail!("interrupted after {rounds} rounds; nothing was decided"),
    }
}

/// Writes what the training tells into its folder, and shows it.
struct Writer {
    folder: RunFolder,
    manifest: Manifest,
    progress: Progress,
    config: LlamaConfig,
}

impl Writer {
    fn close(&mut self, outcome: Option<&Outcome>) -> Result<(), ReportError> {
        if let Some(Outcome::Finished(digest)) = outcome {
            (self.manifest.finished, self.manifest.digest) = (true, Some(*digest));
        }
        self.folder.write_manifest(&self.manifest)?;
        if self.manifest.finished {
            self.folder.remove(folder::BASELINE)?;
        }
        Ok(())
    }
}

impl Observer for Writer {
    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        self.folder.append_baseline(&BaselineRow { round: step.round, lr: step.lr, loss: step.loss })?;
        self.manifest.rounds_done = step.round + 1;
        self.progress.round(step.round, step.loss, self.manifest.tokens_per_round as f64);
        Ok(())
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        let bytes = postcard::to_stdvec(state).context("the checkpoint cannot be written")?;
        self.folder.write(folder::BASELINE, &bytes)?;
        self.folder.write_manifest(&self.manifest)?;
        let (scenario, rounds) = (&self.manifest.scenario, state.moments.steps);
        if rounds.is_multiple_of(scenario.training.checkpoint_every) || rounds == scenario.rounds {
            folder::write_model(self.folder.path(), rounds, (&self.config, &state.theta), scenario.keep_rounds())?;
        }
        Ok(())
    }
}

/// Shows how far a training is.
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
