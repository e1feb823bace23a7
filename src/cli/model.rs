//! Finds the model for a command: in a Hugging Face folder, a run's folder, or the bucket of a real run.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gauntlet::corpus::{CorpusKind, CorpusSettings};
use gauntlet::digest::Digest;
use gauntlet::model::tokenizer::Tokenizer;
use gauntlet::model::{Llama, LlamaConfig, huggingface};
use gauntlet::report::{self, Manifest};
use gauntlet::runtime::{Run, bucket};
use gauntlet::scenario::Scenario;

use super::{UsageError, block_on, open};

#[derive(clap::Args)]
pub struct ModelArgs {
    /// Hugging Face folder, run folder, or bucket of a real run
    #[arg(value_name = "MODEL")]
    pub source: PathBuf,
    /// Use a run's model after this many rounds [default: the newest]
    #[arg(long, value_name = "N")]
    pub round: Option<u64>,
    /// Use the average of a run's last models, of a run with training.average
    #[arg(long)]
    pub average: bool,
    /// tokenizer.json to use [default: the folder's, or the one of the run's corpus]
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
}

/// A model and its origin.
pub struct Loaded {
    pub config: LlamaConfig,
    pub theta: Vec<f32>,
    pub origin: Origin,
    tokenizer: Option<TokenizerSource>,
}

/// The origin of a model.
pub enum Origin {
    Folder(PathBuf),
    /// A run after this many rounds, with its manifest if it has a folder.
    Run {
        scenario: Box<Scenario>,
        rounds: u64,
        manifest: Option<Box<Manifest>>,
    },
}

/// The tokenizer of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenizerSource {
    Bytes,
    File(PathBuf),
}

impl ModelArgs {
    /// Finds and reads the model.
    pub fn load(&self) -> anyhow::Result<Loaded> {
        let path = self.source.as_path();
        let named = path.to_string_lossy();
        if self.average && !path.join("manifest.json").exists() {
            bail!(UsageError(format!(
                "--average: {named} is no run folder; only the folder of a simulated run has averages"
            )));
        }
        let mut loaded = if named.contains("://") || path.join("genesis").exists() {
            self.of_bucket(&named)?
        } else if path.join("manifest.json").exists() {
            self.of_run(path)?
        } else if path.join("config.json").exists() {
            if let Some(rounds) = self.round {
                bail!(UsageError(format!(
                    "--round {rounds}: {} is a Hugging Face folder, which has one model; leave --round out",
                    path.display()
                )));
            }
            of_folder(path)?
        } else {
            bail!(UsageError(format!(
                "{named}: expected a Hugging Face folder (config.json), a run folder (manifest.json) or the bucket of a run"
            )));
        };
        if let Some(file) = &self.tokenizer {
            loaded.tokenizer = Some(TokenizerSource::File(file.clone()));
        }
        Ok(loaded)
    }

    fn of_run(&self, root: &Path) -> anyhow::Result<Loaded> {
        let manifest = report::load_manifest(root)?;
        if self.average && manifest.scenario.training.average.is_none() {
            bail!(UsageError(format!("--average: {} is of a run without training.average", root.display())));
        }
        let models = if self.average { report::averages(root) } else { report::models(root) };
        let chosen = match self.round {
            Some(rounds) => models.iter().find(|(at, _)| *at == rounds),
            None => models.last(),
        };
        let Some((rounds, path)) = chosen else {
            if let Some(bucket) = manifest.bucket.as_ref().filter(|_| models.is_empty() && !self.average) {
                return self.of_bucket(bucket);
            }
            let available: Vec<String> = models.iter().map(|(at, _)| at.to_string()).collect();
            let root = root.display();
            match self.round {
                Some(rounds) if !models.is_empty() => bail!(
                    "{root}: no model after round {rounds}; --round can be {}, or leave it out for the newest",
                    available.join(", ")
                ),
                _ => bail!(
                    "{root}: no model in it yet; a run saves one every training.checkpoint_every rounds and at its end"
                ),
            }
        };
        let (config, theta) = huggingface::load(path)?;
        let row = report::load_rounds(root)?.into_iter().find(|row| row.round + 1 == *rounds);
        if !self.average && row.is_some_and(|row| row.replica_digest != Digest::of_f32(&theta)) {
            bail!("{}: it is not the model that rounds.csv names; it is damaged, or of another run", path.display());
        }
        let tokenizer = tokenizer_of(&manifest.scenario.corpus);
        let scenario = Box::new(manifest.scenario.clone());
        let origin = Origin::Run { scenario, rounds: *rounds, manifest: Some(Box::new(manifest)) };
        Ok(Loaded { config, theta, origin, tokenizer })
    }

    fn of_bucket(&self, url: &str) -> anyhow::Result<Loaded> {
        let run = block_on(Run::read(bucket::open_patiently(url, false)?))?;
        let config = LlamaConfig::from_settings(&run.scenario.model)?;
        let (rounds, theta) = block_on(run.model(self.round))?;
        let tokenizer = tokenizer_of(&run.scenario.corpus);
        let origin = Origin::Run { scenario: Box::new(run.scenario), rounds, manifest: None };
        Ok(Loaded { config, theta, origin, tokenizer })
    }
}

fn of_folder(path: &Path) -> anyhow::Result<Loaded> {
    let (config, theta) = huggingface::load(path)?;
    let tokenizer = Some(path.join("tokenizer.json")).filter(|file| file.exists()).map(TokenizerSource::File);
    Ok(Loaded { config, theta, origin: Origin::Folder(path.into()), tokenizer })
}

/// The tokenizer of a run's corpus, if its tokens are text.
fn tokenizer_of(corpus: &CorpusSettings) -> Option<TokenizerSource> {
    match (&corpus.tokenizer, corpus.kind) {
        (Some(file), _) => Some(TokenizerSource::File(file.into())),
        (None, CorpusKind::Text) => Some(TokenizerSource::Bytes),
        // `sim tokenize` writes it beside the shards.
        (None, CorpusKind::Tokens) => {
            let beside = corpus.path.as_ref().map(|path| Path::new(path).join("tokenizer.json"));
            beside.filter(|file| file.exists()).map(TokenizerSource::File)
        }
        (None, _) => None,
    }
}

impl Loaded {
    /// Loads it as a module on a device.
    pub fn model(&self, device: &str) -> anyhow::Result<Llama> {
        let device = open::device(device, format_args!("--device {device}"))?;
        Ok(Llama::from_flat(&self.config, &self.theta, &device))
    }

    /// The origin of the tokenizer, if there is one.
    pub fn tokenizer_source(&self) -> Option<&TokenizerSource> {
        self.tokenizer.as_ref()
    }

    /// Opens the tokenizer.
    pub fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        match &self.tokenizer {
            Some(TokenizerSource::Bytes) => Ok(Tokenizer::Bytes),
            Some(TokenizerSource::File(file)) => Tokenizer::open(file, self.config.vocab_size)
                .context("the model's tokenizer; --tokenizer FILE names another"),
            None => bail!(UsageError(match &self.origin {
                Origin::Folder(folder) if folder.join("tokenizer.model").exists() => format!(
                    "{}: tokenizer.model is not read; save the tokenizer again with transformers, or name a \
                     tokenizer.json by --tokenizer FILE",
                    folder.display()
                ),
                Origin::Folder(folder) => {
                    format!("{}: no tokenizer.json in it; --tokenizer FILE names one", folder.display())
                }
                Origin::Run { .. } => "the tokens of the run are not text; --tokenizer FILE names a tokenizer".into(),
            })),
        }
    }
}
