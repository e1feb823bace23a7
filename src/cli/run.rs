//! `sim run`: runs a scenario.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, bail};
use clap_complete::engine::ArgValueCandidates;
use gauntlet::engine::{Outcome, RunOptions, simulate};
use gauntlet::report::{self, Manifest, RunFolder, RunWriter, Saved};
use gauntlet::scenario::{Scenario, World};
use gauntlet::words::counted;

use super::interrupt::StoppedError;
use super::json::{JsonArgs, Printed};
use super::progress::Shown;
use super::watch::Page;
use super::{UsageError, complete, interrupt, open, say, show, watch};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub scenario: open::ScenarioArgs,
    /// Run folder [default: runs/<scenario>-<seed>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Where to compute: cpu, or cuda:N
    #[arg(long, default_value = "cpu", add = ArgValueCandidates::new(complete::devices))]
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
    /// Serve a page that draws the run as it goes on, and stays until Ctrl-C [default: 127.0.0.1:8451; port 0 takes a
    /// free one]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = watch::USUAL)]
    watch: Option<SocketAddr>,
    /// Print no progress line and no tables
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    pub json: JsonArgs,
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
    let page = args.watch.map(|at| Page::bind(at, "--watch")).transpose()?;
    let threads = open::threads(args.threads, &args.device);
    // A run that cannot be resumed is refused before anything is computed.
    let opened = if args.resume { Some(resumable(&root, &scenario, &args.device, false)?) } else { None };
    if opened.is_none() && root.join("manifest.json").exists() {
        bail!(report::ReportError::Exists(root));
    }
    let world = match &opened {
        None => open::world(scenario, &args.device)?,
        Some((_, manifest)) => open::world_of(scenario, manifest, &args.device)?,
    };
    let mut manifest = Manifest::new(world.scenario.clone(), args.device, threads);
    manifest.no_baseline = args.no_baseline;
    let (writer, saved) = begin(opened, &root, &world, manifest)?;
    if args.resume && saved.checkpoint.is_none() {
        eprintln!("{}: stopped before its first checkpoint; starting from the first round", root.display());
    }
    let printed = Printed::of(args.quiet, args.json.json, "run");
    if let Some(page) = &page {
        page.serve(&root)?;
        printed.note(format_args!("the page of this run: {}", page.url()));
    }
    let go_on = go_on_command(args.resume);
    let how = How { threads, baseline: !args.no_baseline, quiet: args.quiet, printed, go_on, stays: page.is_some() };
    live(world, writer, saved, &root, how)
}

/// How a run is executed and reported.
pub struct How {
    pub threads: usize,
    pub baseline: bool,
    /// No progress line.
    pub quiet: bool,
    pub printed: Printed,
    /// The command line that resumes it.
    pub go_on: String,
    /// A page stays until Ctrl-C when the run has ended.
    pub stays: bool,
}

/// Runs a network from its saved state to its end, or to Ctrl-C.
pub fn live(world: Arc<World>, writer: RunWriter, saved: Saved, root: &Path, how: How) -> anyhow::Result<()> {
    let started = Instant::now();
    let wall_before = writer.manifest.wall_seconds;
    let shown = Shown::new(writer, saved.done().0, world.network.core.config.sequence_length, how.quiet);
    let observer = Arc::new(Mutex::new(shown));
    let Saved { checkpoint: resume, baseline: resume_baseline, .. } = saved;
    let (threads, baseline, interrupt) = (how.threads, how.baseline, interrupt::on_stop());
    let stop = interrupt.clone();
    let options = RunOptions { threads, baseline, resume, resume_baseline, interrupt };
    let outcome = simulate(world, options, observer.clone());
    let mut observer = observer.lock().expect("no panic while held");
    observer.progress.finish();
    observer.writer.manifest.wall_seconds = wall_before + started.elapsed().as_secs_f64();
    let digest = match outcome.as_ref() {
        Ok(Outcome::Finished(digest)) => Some(*digest),
        _ => None,
    };
    let closed = observer.writer.close(digest.is_some(), digest);
    // Report the cause before its consequences.
    let outcome = outcome?;
    closed?;
    let concluded = conclude(&outcome, root, how.printed, &how.go_on);
    if how.stays && matches!(outcome, Outcome::Finished(_)) {
        how.printed.note("the run is done; its page stays until Ctrl-C");
        interrupt::say_nothing();
        watch::wait(&stop);
    }
    concluded
}

/// Draws a finished run and prints its results, or prints how to resume it.
///
/// # Errors
/// [`StoppedError`], or as [`show::drawn`].
pub fn conclude(outcome: &Outcome, root: &Path, printed: Printed, go_on: &str) -> anyhow::Result<()> {
    match outcome {
        Outcome::Finished(_) => show::drawn(root, printed),
        Outcome::Interrupted(rounds) => {
            let stopped = format!("stopped after {}; saved in {}", counted(*rounds, "round"), root.display());
            match printed {
                Printed::Json(_) => eprintln!("{stopped}\nto resume: {go_on}"),
                _ => say(format_args!("{stopped}\nto resume: {go_on}")),
            }
            Err(StoppedError::told())
        }
    }
}

/// Opens the folder of an interrupted run, which must be of the same scenario. `central`: a run of the baseline alone.
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

/// Checks that an interrupted run is of the same scenario. `central`: a run of the baseline alone.
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
        bail!(UsageError(format!(
            "{}: the run is finished; there is nothing to resume; `sim resume {0} --rounds N` continues it for more rounds",
            root.display()
        )));
    }
    let scenario = with_names_of(scenario, &manifest.scenario);
    if manifest.scenario != scenario || manifest.device != device {
        let root = root.display();
        bail!(UsageError(format!(
            "{root}: the run was started with other settings ({}); give the same scenario, --seed, --rounds, --set and \
             --device, or take `sim resume {root}`, which needs none",
            first_difference(manifest, &scenario, device),
        )));
    }
    Ok(())
}

/// A scenario that uses another one's names for the same files.
pub fn with_names_of(scenario: &Scenario, other: &Scenario) -> Scenario {
    let mut named = scenario.clone();
    for (name, other) in [
        (&mut named.corpus.path, &other.corpus.path),
        (&mut named.corpus.tokenizer, &other.corpus.tokenizer),
        (&mut named.model.init, &other.model.init),
    ] {
        if let (Some(ours), Some(theirs)) = (&mut *name, other)
            && is_same_file(ours, theirs)
        {
            ours.clone_from(theirs);
        }
    }
    named
}

/// Whether two names may denote the same file. If a name cannot be resolved here, as it may be relative to the folder
/// where the run was started, the digest of the data decides.
fn is_same_file(ours: &str, theirs: &str) -> bool {
    let is_url = |name: &str| name.contains("://");
    if is_url(ours) || is_url(theirs) {
        return ours == theirs;
    }
    match (Path::new(ours).canonicalize(), Path::new(theirs).canonicalize()) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => true,
    }
}

fn first_difference(manifest: &Manifest, scenario: &Scenario, device: &str) -> String {
    let (before, now) = (manifest.scenario.to_toml(), scenario.to_toml());
    let differs = before.lines().zip(now.lines()).find(|(before, now)| before != now);
    match differs {
        Some((before, now)) => format!("`{before}` then, `{now}` now"),
        None => format!("device {} then, {device} now, or a different number of settings", manifest.device),
    }
}

/// Starts a run, or resumes an opened one from its saved state.
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
    if manifest.run.is_some_and(|run| run != world.network.run) {
        bail!(UsageError(format!(
            "{}: its run has other data: corpus.path, corpus.tokenizer or model.init names other bytes than when it was \
             started",
            root.display()
        )));
    }
    let saved = Saved::read(&folder, &manifest)?;
    Ok((RunWriter::go_on(folder, manifest, world.network.core.config.clone(), saved.done())?, saved))
}

/// The command line that resumes this run. `resumes`: this command is already a resumption.
pub fn go_on_command(resumes: bool) -> String {
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
