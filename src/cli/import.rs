//! `sim import`: prepares the weights of a Hugging Face folder as the start of a run.

use std::path::PathBuf;

use gauntlet::digest::Digest;
use gauntlet::model::huggingface::Values;

use super::model::{ModelArgs, Origin};
use super::{UsageError, export, say};

#[derive(clap::Args)]
pub struct Args {
    /// Folder with config.json and model.safetensors (or its shards) in fp32, bf16 or fp16
    folder: PathBuf,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Checks a folder, widens its weights to f32, unties its head, and prints how to start a run from it.
pub fn import(args: Args) -> anyhow::Result<()> {
    let from = args.folder.display().to_string();
    let loaded = ModelArgs { source: args.folder, round: None, average: false, tokenizer: None }.load()?;
    if !matches!(loaded.origin, Origin::Folder(_)) {
        let problem = format!("{from}: a run, not a Hugging Face folder; `sim export` writes its model");
        return Err(UsageError(problem).into());
    }
    export::write(&loaded, &args.to, Values::F32)?;
    let to = args.to.display();
    say(format_args!("{to}: {} parameters in f32, digest {}", loaded.theta.len(), Digest::of_f32(&loaded.theta)));
    say(format_args!("to start a run from it:  sim run SCENARIO.toml --set model.init={to}"));
    say(format_args!("to evaluate it:          sim eval {to} --tasks hellaswag,piqa,arc_easy --data DIR"));
    Ok(())
}
