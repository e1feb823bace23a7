//! `sim verify`: repeats a finished run and compares the digests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use gauntlet::digest::Digest;
use gauntlet::engine::{Observer, ObserverError, Outcome, RunOptions, Traffic, simulate};
use gauntlet::node::RoundReport;
use gauntlet::report::{self, Target};
use gauntlet::words::counted;

use super::interrupt::StoppedError;
use super::json::{JsonArgs, compared, say_json};
use super::{baseline, interrupt, open, progress::Progress, say};

#[derive(clap::Args)]
pub struct Args {
    /// Folder of a finished run
    run: PathBuf,
    /// Threads that compute; the digest does not depend on them
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Print only the result
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// Repeats a finished run in memory, and compares it round by round.
pub fn verify(args: Args) -> anyhow::Result<()> {
    let recorded = report::load(&args.run)?;
    let manifest = &recorded.manifest;
    if manifest.central {
        return baseline::verify(&args.run, manifest, args.threads, args.quiet, args.json.json);
    }
    let Some(expected) = manifest.digest.filter(|_| manifest.finished) else {
        if let Some(bucket) = &manifest.bucket {
            bail!("{}: a real run, of {bucket}: it cannot be run again", args.run.display());
        }
        bail!("{}: the run is not finished; `sim resume {0}` first", args.run.display());
    };
    let world = open::world_of(manifest.scenario.clone(), manifest, &manifest.device)?;
    let models = recorded.rounds.iter().map(|row| row.replica_digest).collect();
    let progress = Progress::new(manifest.scenario.rounds, args.quiet);
    let observer = Arc::new(Mutex::new(Comparison { models, progress, differs: None }));
    let options = RunOptions {
        threads: open::threads(args.threads, &manifest.device),
        baseline: false,
        resume: None,
        resume_baseline: None,
        interrupt: interrupt::on_stop(),
    };
    let outcome = simulate(world, options, observer.clone()).context("the run cannot be repeated")?;
    let differs = observer.lock().expect("no panic while held").differs;
    match outcome {
        Outcome::Finished(digest) if digest == expected => {
            match args.json.json {
                true => say_json("verify", compared(&args.run, expected, digest, None)),
                false => say(format_args!("{}: verified, digest {digest}", args.run.display())),
            }
            Ok(())
        }
        Outcome::Finished(digest) => {
            if args.json.json {
                say_json("verify", compared(&args.run, expected, digest, differs));
            }
            let place = match differs {
                Some(round) => format!("models differ from round {round} on"),
                None => "models agree; scores or events differ".into(),
            };
            let target = Target::current();
            let machine = if target == manifest.target {
                String::new()
            } else {
                format!("\nrecorded on {}\nthis is     {target}", manifest.target)
            };
            bail!("{}: digests differ\nrecorded {expected}\nnow      {digest}\n{place}{machine}", args.run.display());
        }
        Outcome::Interrupted(rounds) => {
            let told = format!("interrupted after {}, before the digests could be compared", counted(rounds, "round"));
            Err(StoppedError(told).into())
        }
    }
}

/// Compares the models of a run with the recorded ones.
struct Comparison {
    models: Vec<Digest>,
    progress: Progress,
    /// The first round whose model differs.
    differs: Option<u64>,
}

impl Observer for Comparison {
    fn round(&mut self, report: &RoundReport, _traffic: Traffic) -> Result<(), ObserverError> {
        self.progress.round(report.round, report.loss, 0.0);
        if self.models.get(report.round as usize) != Some(&report.model) {
            self.differs.get_or_insert(report.round);
        }
        Ok(())
    }
}
