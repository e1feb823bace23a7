//! `sim genesis`: writes a real run into a bucket.

use anyhow::bail;
use gauntlet::runtime::{Run, bucket};
use gauntlet::scenario::World;
use gauntlet::transport::Hotkey;

use super::{UsageError, block_on, open, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Bucket for the run: a folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH
    #[arg(long, value_name = "URL")]
    bucket: String,
}

/// Writes a run's settings and initial model.
pub fn genesis(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    if let Some(index) = scenario.validators.iter().position(|validator| validator.hotkey.is_none()) {
        bail!(UsageError(format!(
            "validator {index} has no hotkey: `sim key new validator.key` makes one; then --set \
             validators.{index}.hotkey=HOTKEY (`sim launch` takes keys that follow from the seed, for trials)"
        )));
    }
    let world = open::world(scenario, "cpu")?;
    let (run, new) = create(&args.bucket, &world, Vec::new())?;
    let what = if new { "written" } else { "exists already, with the same settings" };
    say(format_args!("run {} {what}", run.id));
    say(format_args!("theta_0 {}, {} parameters", run.genesis.theta, world.network.core.layout.total()));
    for (hotkey, stake) in &run.genesis.validators {
        say(format_args!("validator {hotkey}, stake {stake}"));
    }
    let stakes: Vec<f64> = run.genesis.validators.iter().map(|(_, stake)| *stake).collect();
    if let Some(index) = too_strong(&stakes) {
        say(format_args!(
            "validator {} has half of the stake or more: others cannot overrule it. Whom it includes, its weights and its \
             lies about the model stand, and a record of its that nobody can follow stops the network",
            run.genesis.validators[index].0
        ));
    }
    Ok(())
}

/// The validator whom the others, without it, cannot overrule, if there is one.
fn too_strong(stakes: &[f64]) -> Option<usize> {
    let total: f64 = stakes.iter().sum();
    stakes.iter().position(|stake| *stake >= total / 2.0)
}

/// Writes the run of a network into a bucket. Returns whether it is new.
pub fn create(url: &str, world: &World, peers: Vec<Hotkey>) -> anyhow::Result<(Run, bool)> {
    let bucket = bucket::open_patiently(url, true)?;
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(block_on(Run::create(bucket, world, peers, u64::from_le_bytes(nonce)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_half_of_the_stake_is_too_strong() {
        assert_eq!(too_strong(&[1000.0]), Some(0));
        assert_eq!(too_strong(&[100.0, 400.0, 300.0]), Some(1));
        assert_eq!(too_strong(&[400.0, 300.0, 300.0]), None);
    }
}
