//! `sim generate`: writes text with a model.

use std::io::Write;

use gauntlet::model::generate::{Rules, Sampling, TEMPERATURE, generate};
use gauntlet::model::huggingface::GenerationSettings;
use gauntlet::model::streamed::Streamed;
use gauntlet::model::tokenizer::Tokenizer;

use super::UsageError;
use super::model::{Loaded, ModelArgs, Origin};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Text to continue
    #[arg(long)]
    prompt: String,
    /// Maximum number of tokens to add
    #[arg(long, value_name = "N", default_value_t = 100)]
    tokens: usize,
    /// 0 takes the most likely token; higher values are more random [default: the folder's generation_config.json, else
    /// 0.8]
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Seed of the draws: the same seed gives the same text
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where to compute: cpu, or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// Prints the prompt, and then each token as soon as the model adds it.
pub fn run(args: Args) -> anyhow::Result<()> {
    if let Some(temperature) = args.temperature.filter(|temperature| !(*temperature >= 0.0 && temperature.is_finite()))
    {
        return Err(UsageError(format!("--temperature {temperature}: expected 0 or more")).into());
    }
    let loaded = args.model.load()?;
    let tokenizer = loaded.tokenizer()?;
    let (temperature, rules) = settings(&args, &loaded, &tokenizer)?;
    let failed = |error: String| anyhow::anyhow!("the tokenizer: {error}");
    let mut tokens = tokenizer.encode(&args.prompt).map_err(failed)?;
    if tokens.is_empty() {
        tokens.extend(tokenizer.begin().or(tokenizer.end()).map(|(_, id)| id));
    }
    if tokens.is_empty() {
        return Err(UsageError("--prompt \"\": expected some text: the model has no token to begin with".into()).into());
    }
    let model = loaded.model(&args.device)?;
    let mut streamed = Streamed::new(&tokenizer);
    let mut say_new = |new: &[u32]| write(&streamed.push(new).map_err(failed)?);
    say_new(&tokens)?;
    let sampling = Sampling { temperature, seed: args.seed };
    let mut problem = None;
    generate(&model, &tokens, args.tokens, &rules, sampling, |token| {
        problem = say_new(&[token]).err();
        problem.is_none()
    });
    match problem {
        // The reader has closed the pipe, as `head` does.
        Some(error) if error.is::<std::io::Error>() => Ok(()),
        Some(error) => Err(error),
        None => {
            super::say(streamed.finish().map_err(failed)?);
            Ok(())
        }
    }
}

/// Prints a part of a line at once.
fn write(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// How the command line, the model's folder and its tokenizer say that a text is generated, in this order.
fn settings(args: &Args, loaded: &Loaded, tokenizer: &Tokenizer) -> anyhow::Result<(f64, Rules)> {
    let of_tokenizer = || tokenizer.end().map(|(_, id)| id).into_iter().collect();
    let Origin::Folder(folder) = &loaded.origin else {
        return Ok((args.temperature.unwrap_or(TEMPERATURE), Rules { end: of_tokenizer(), ..Rules::default() }));
    };
    let settings = GenerationSettings::read(folder)?;
    let temperature = match args.temperature {
        Some(temperature) => temperature,
        None => settings.temperature()?.unwrap_or(TEMPERATURE),
    };
    let mut rules = settings.rules(temperature > 0.0)?;
    if !settings.say_end() {
        rules.end = of_tokenizer();
    }
    Ok((temperature, rules))
}
