//! `sim run`: runs a scenario.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, bail};
use gauntlet::engine::{Outcome, RunOptions, simulate};
use gauntlet::report::{self, Manifest, RunFolder, RunWriter, Saved};
use gauntlet::scenario::{Scenario, World};

use super::progress::Shown;
use super::{UsageError, interrupt, open, plot, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub scenario: open::ScenarioArgs,
    /// Run folder [default: runs/<scenario>-<seed>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where to compute: cpu, ndarray, or cuda:N
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads that compute; results do not depend on them [default: all cores; 1 for a GPU]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Resume an interrupted run
    #[arg(long)]
    pub resume: bool,
    /// Leave out the AdamW baseline
    #[arg(long)]
    no_baseline: bool,
    /// Print no progress line and no tables
    #[arg(long, short)]
    quiet: bool,
}

impl Args {
    /// The folder of the run.
    pub fn root(&self, scenario: &Scenario) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{}-{}", scenario.name, scenario.seed)))
    }
}

/// Runs a scenario to its end or to Ctrl-C.
pub fn run(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    let root = args.root(&scenario);
    let threads = open::threads(args.threads, &args.device);
    // A run that cannot be resumed is refused before anything is computed.
    let opened = if args.resume { Some(resumable(&root, &scenario, &args.device, false)?) } else { None };
    if opened.is_none() && root.join("manifest.json").exists() {
        bail!(report::ReportError::Exists(root));
    }
    let world = open::world(scenario, &args.device)?;
    let (writer, saved) = begin(opened, &root, &world, Manifest::new(world.scenario.clone(), args.device, threads))?;
    if args.resume && saved.checkpoint.is_none() {
        eprintln!("{}: stopped before its first checkpoint; starting from the first round", root.display());
    }

    let started = Instant::now();
    let wall_before = writer.manifest.wall_seconds;
    let shown = Shown::new(writer, saved.done().0, world.network.core.config.sequence_length, args.quiet);
    let observer = Arc::new(Mutex::new(shown));
    let Saved { checkpoint: resume, baseline: resume_baseline } = saved;
    let options =
        RunOptions { threads, baseline: !args.no_baseline, resume, resume_baseline, interrupt: interrupt::on_stop() };
    let outcome = simulate(world, options, observer.clone());
    let mut observer = observer.lock().expect("no panic while held");
    observer.progress.finish();
    observer.writer.manifest.wall_seconds = wall_before + started.elapsed().as_secs_f64();
    let digest = match outcome.as_ref() {
        Ok(Outcome::Finished(digest)) => Some(*digest),
        _ => None,
    };
    let closed = observer.writer.close(digest.is_some(), digest);
    // The cause of the end says more than its consequences.
    let outcome = outcome?;
    closed?;
    conclude(&outcome, &root, args.resume, args.quiet)
}

/// Draws a finished run and prints its results, or prints how to resume it. `resumed` tells whether this call resumed
/// it.
pub fn conclude(outcome: &Outcome, root: &Path, resumed: bool, quiet: bool) -> anyhow::Result<()> {
    match outcome {
        Outcome::Finished(_) => {
            let data = report::redraw(root)?;
            if !quiet {
                say(report::tables::summary(&data, root, plot::look()));
            }
        }
        Outcome::Interrupted(rounds) => {
            say(format_args!("stopped after {rounds} rounds; saved in {}", root.display()));
            say(format_args!("to resume: {}", resume_command(resumed)));
        }
    }
    Ok(())
}

/// Opens the folder of an interrupted run, which must be of this very scenario. `central`: a run of its baseline alone.
pub fn resumable(
    root: &Path,
    scenario: &Scenario,
    device: &str,
    central: bool,
) -> anyhow::Result<(RunFolder, Manifest)> {
    let (folder, manifest) = RunFolder::open(root)?;
    check_resumable(root, &manifest, scenario, device, central)?;
    Ok((folder, manifest))
}

/// Checks that an interrupted run is of this very scenario. `central`: a run of its baseline alone.
pub fn check_resumable(
    root: &Path,
    manifest: &Manifest,
    scenario: &Scenario,
    device: &str,
    central: bool,
) -> anyhow::Result<()> {
    if manifest.central != central {
        let command = if manifest.central { "sim baseline" } else { "sim run" };
        bail!(UsageError(format!("{}: begun by `{command}`; resume it with that command", root.display())));
    }
    if manifest.finished {
        bail!(UsageError(format!("{}: the run is finished; there is nothing to resume", root.display())));
    }
    if manifest.scenario != *scenario || manifest.device != device {
        bail!(UsageError(format!(
            "{}: the run was started with other settings ({}); give the same scenario, --seed, --rounds, --set and --device",
            root.display(),
            first_difference(manifest, scenario, device),
        )));
    }
    Ok(())
}

fn first_difference(manifest: &Manifest, scenario: &Scenario, device: &str) -> String {
    let (before, now) = (manifest.scenario.to_toml(), scenario.to_toml());
    let differs = before.lines().zip(now.lines()).find(|(before, now)| before != now);
    match differs {
        Some((before, now)) => format!("`{before}` then, `{now}` now"),
        None => format!("device {} then, {device} now, or a different number of settings", manifest.device),
    }
}

/// Begins a run, or resumes an opened one from its saved state.
pub fn begin(
    opened: Option<(RunFolder, Manifest)>,
    root: &Path,
    world: &World,
    manifest: Manifest,
) -> anyhow::Result<(RunWriter, Saved)> {
    let Some((folder, manifest)) = opened else {
        let writer = RunWriter::create(root, world, manifest).context("the run cannot be started")?;
        return Ok((writer, Saved::default()));
    };
    let saved = Saved::read(&folder)?;
    Ok((RunWriter::go_on(folder, manifest, world.network.core.config.clone(), saved.done())?, saved))
}

/// The command line that resumes this run.
fn resume_command(resumes: bool) -> String {
    let mut words: Vec<String> = std::env::args().collect();
    if !resumes {
        words.push("--resume".into());
    }
    let quoted = words.iter().map(|word| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,".contains(c));
        if plain { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}
