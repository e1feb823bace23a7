//! `sim resume`: continues a run with the settings in its folder.

use std::path::PathBuf;

use anyhow::bail;
use gauntlet::report::{Manifest, RunFolder};
use gauntlet::scenario::Scenario;
use gauntlet::words::counted;

use super::json::{JsonArgs, Printed};
use super::run::{self, How};
use super::{UsageError, baseline, open};

#[derive(clap::Args)]
pub struct Args {
    /// Folder of the run
    run: PathBuf,
    /// Rounds in all, to run longer than first asked. The learning rate stays at the last value of its schedule [default: what the folder says]
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Threads that compute; results do not depend on them [default: all cores; 1 for a GPU]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Print no progress line and no tables
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// Continues a run to its end, or to Ctrl-C.
pub fn resume(args: Args) -> anyhow::Result<()> {
    let root = &args.run;
    let (folder, mut manifest) = RunFolder::open(root)?;
    set_length(&args, &mut manifest)?;
    let devices: Vec<String> = manifest.device.split(',').map(str::to_string).collect();
    let world = open::world_of(manifest.scenario.clone(), &manifest, &devices[0])?;
    let (central, device) = (manifest.central, manifest.device.clone());
    // Folders of earlier versions do not record `no_baseline`.
    let has_baseline = !manifest.no_baseline && (manifest.rounds_done == 0 || folder.has_baseline());
    let begun = Manifest::new(world.scenario.clone(), device.clone(), 0);
    let (writer, saved) = run::begin(Some((folder, manifest)), root, &world, begun)?;
    let (rounds, steps) = saved.done();
    if (if central { steps } else { rounds }) == 0 {
        eprintln!("{}: no checkpoint in it; starting from the first round", root.display());
    }
    let go_on = run::go_on_command(true);
    let printed = Printed::of(args.quiet, args.json.json, "resume");
    if central {
        let lanes = baseline::lanes(&devices, args.threads)?;
        return baseline::live(world, writer, saved, lanes, (root, args.quiet, printed, &go_on));
    }
    let threads = open::threads(args.threads, &device);
    run::live(
        world,
        writer,
        saved,
        root,
        How { threads, baseline: has_baseline, quiet: args.quiet, printed, go_on, stays: false },
    )
}

/// Sets the requested length, or fails if there is nothing to do.
fn set_length(args: &Args, manifest: &mut Manifest) -> anyhow::Result<()> {
    let root = args.run.display();
    if let Some(bucket) = &manifest.bucket {
        bail!(UsageError(format!(
            "{root}: a real run, of {bucket}: its nodes continue it; `sim collect --bucket {bucket} --out {root}` \
             updates the folder"
        )));
    }
    if manifest.peers_every.is_some() {
        bail!(UsageError(format!("{root}: a published copy, which has no checkpoint; resume the run's own folder")));
    }
    let (asked, done) = (manifest.scenario.rounds, manifest.rounds_done);
    let rounds = args.rounds.unwrap_or(asked);
    if manifest.finished && rounds <= asked {
        bail!(UsageError(format!(
            "{root}: the run is finished after {}; `sim resume {root} --rounds N` continues it to N rounds, which must be more",
            counted(asked, "round")
        )));
    }
    if rounds < done {
        bail!(UsageError(format!(
            "--rounds {rounds}: {} of {root} are done; expected {done} or more",
            counted(done, "round")
        )));
    }
    if rounds != asked {
        manifest.set_rounds(rounds);
        // A validator or peer may be scheduled for a round that the new length does not have.
        Scenario::from_toml(&manifest.scenario.to_toml(), &format!("--rounds {rounds}"), &[])?;
    }
    Ok(())
}
