//! `sim collect`: writes a real run's folder from its validators' reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use futures::TryStreamExt;
use gauntlet::bucket::untrusted::get_bounded;
use gauntlet::corpus::Corpus;
use gauntlet::model::LlamaConfig;
use gauntlet::node::RoundReport;
use gauntlet::report::{self, Manifest, References, RunFolder, RunWriter};
use gauntlet::runtime::{Run, bucket, report as reports};
use gauntlet::scenario::Scenario;
use gauntlet::transport::{Hotkey, keys, wire};
use object_store::ObjectStore;

use super::json::Printed;
use super::progress::Shown;
use super::{UsageError, block_on, interrupt, show};

/// If the decider's report of a round is missing, another validator's is used once this many later rounds are reported.
const PATIENCE: u64 = 3;

#[derive(clap::Args)]
pub struct Args {
    /// Bucket of the run
    #[arg(long, value_name = "URL")]
    bucket: String,
    /// Run folder to write or to continue
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print no progress line and no tables
    #[arg(long, short)]
    quiet: bool,
}

/// Writes what the bucket has so far.
pub fn collect(args: Args) -> anyhow::Result<()> {
    let run = block_on(Run::read(bucket::open_patiently(&args.bucket, false)?))?;
    let mut collector = Collector::open(&run.scenario, &args.bucket, &args.out, "", args.quiet)?;
    let stop = interrupt::on_stop();
    let mut stopped = false;
    while !stopped && block_on(collector.step(&run))? > 0 {
        stopped = stop.load(std::sync::atomic::Ordering::Relaxed);
    }
    let rounds = collector.close()?;
    if rounds == 0 {
        bail!("bucket {}: no round has been reported yet", args.bucket);
    }
    show::drawn(&args.out, Printed::of(args.quiet, false, "collect"))?;
    if stopped && !collector.is_complete() { Err(interrupt::StoppedError::told()) } else { Ok(()) }
}

/// Writes a run folder from reports as they arrive.
pub struct Collector {
    shown: Shown,
    /// The next round to write.
    next: u64,
    rounds: u64,
}

impl Collector {
    /// Opens a collector that writes or continues the folder `root`.
    pub fn open(scenario: &Scenario, url: &str, root: &Path, device: &str, quiet: bool) -> anyhow::Result<Self> {
        let config = LlamaConfig::from_settings(&scenario.model)?;
        let (folder, manifest) = if root.join("manifest.json").exists() {
            let (folder, manifest) = RunFolder::open(root)?;
            if manifest.scenario != *scenario || manifest.bucket.is_none() {
                bail!(UsageError(format!("{}: it holds another run; give another --out", root.display())));
            }
            (folder, manifest)
        } else {
            let mut manifest = Manifest::new(scenario.clone(), device.into(), 0);
            manifest.bucket = Some(url.into());
            manifest.parameters = config.layout().total() as u64;
            manifest.tokens_per_round = (scenario.baseline_pages() * config.sequence_length) as u64;
            let scheme = scenario.scheme_settings().build(&config.layout())?;
            manifest.upload_bytes = wire::encoded_len(scenario.form(scheme.shape())) as u64;
            manifest.references = references(scenario, &config);
            let folder = RunFolder::create(root, &manifest.columns)?;
            folder.write_manifest(&manifest)?;
            (folder, manifest)
        };
        // What the folder has lost since is collected again.
        let last = report::load_rounds(root)?.last().map_or(0, |row| row.round + 1);
        let next = manifest.rounds_done.min(last);
        let length = config.sequence_length;
        let writer = RunWriter::go_on(folder, manifest, config, (next, 0))?;
        Ok(Self { shown: Shown::new(writer, next, length, quiet), next, rounds: scenario.rounds })
    }

    /// Writes the rounds that have been reported since. Returns their number.
    pub async fn step(&mut self, run: &Run) -> anyhow::Result<u64> {
        let mut available: BTreeMap<u64, Vec<Hotkey>> = BTreeMap::new();
        for (validator, _) in &run.genesis.validators {
            for round in reported(run, validator, self.next).await? {
                available.entry(round).or_default().push(*validator);
            }
        }
        let last = available.keys().next_back().copied();
        let mut written = 0;
        while let Some(last) = last
            && self.next <= last
        {
            let mut fetched = Vec::new();
            for validator in available.get(&self.next).into_iter().flatten() {
                fetched.extend(fetch(run, validator, self.next).await);
            }
            let is_over = self.next + PATIENCE <= last || self.next + 1 == self.rounds;
            // A round that became void may have two reports: of who decided it, and an empty one.
            let decided = fetched.iter().position(|report| report.decided && report.forward_passes > 0);
            let decided = decided.or_else(|| fetched.iter().position(|report| report.decided));
            let Some(chosen) = decided.or((is_over && !fetched.is_empty()).then_some(0)) else {
                if !is_over {
                    break;
                }
                tracing::warn!(round = self.next, "no validator has reported this round");
                self.next += 1;
                continue;
            };
            self.shown.write_round(&fetched[chosen]).with_context(|| format!("round {}", self.next))?;
            self.next += 1;
            written += 1;
        }
        Ok(written)
    }

    /// Whether the last round has been written.
    pub fn is_complete(&self) -> bool {
        self.next >= self.rounds
    }

    /// Finishes the folder. Returns the number of its rounds.
    pub fn close(&mut self) -> anyhow::Result<u64> {
        self.shown.progress.finish();
        self.shown.writer.close(self.is_complete(), None)?;
        Ok(self.next)
    }
}

/// Reference lines for the losses, if this machine has the corpus.
fn references(scenario: &Scenario, config: &LlamaConfig) -> References {
    let corpus = Corpus::open(&scenario.corpus, scenario.seed, config.vocab_size, config.sequence_length);
    corpus.map_or_else(|_| References::default(), |corpus| References::of(&corpus))
}

/// Rounds from `from` on that a validator has reported.
async fn reported(run: &Run, validator: &Hotkey, from: u64) -> anyhow::Result<Vec<u64>> {
    let prefix = keys::reports(validator);
    let store = &run.bucket.store;
    let listed = match from.checked_sub(1) {
        Some(before) => store.list_with_offset(Some(&prefix), &keys::report(validator, before)),
        None => store.list(Some(&prefix)),
    };
    let objects: Vec<_> = listed.try_collect().await.with_context(|| format!("bucket {}", run.bucket.url))?;
    Ok(objects.iter().filter_map(|meta| keys::number(&meta.location)).filter(|round| *round >= from).collect())
}

/// A validator's report of a round; `None` if it is missing or invalid.
pub async fn fetch(run: &Run, validator: &Hotkey, round: u64) -> Option<RoundReport> {
    let key = keys::report(validator, round);
    let bytes = get_bounded(&run.bucket.store, &key, reports::MAX_LEN as u64).await?;
    let report = reports::decode(&bytes, &run.id, round, validator);
    report.inspect_err(|error| tracing::warn!(%key, %error, "ignoring an invalid report")).ok()
}
