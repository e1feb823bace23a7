//! `sim tokenize`: turns texts into shards of tokens.

use std::path::PathBuf;
use std::time::Instant;

use gauntlet::corpus::tokenize::{self, Done, Encoder, Ended, Input, Job, PassedOver, TokenManifest};
use gauntlet::words::counted;

use super::progress::Line;
use super::{UsageError, interrupt, open, say};

#[derive(clap::Args)]
pub struct Args {
    /// Parquet (.parquet), JSONL (.jsonl) or text files; folders of them; patterns such as "data/*.parquet"; URLs of the
    /// same in a bucket, such as s3://BUCKET/PATH
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<String>,
    /// Hugging Face tokenizer.json
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Folder for the shards and their manifest; the same command resumes after a stop
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A shard ends with the document that brings it to this many tokens
    #[arg(long, value_name = "N", default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    shard_tokens: u64,
    /// Column of Parquet files, or field of JSONL, with the texts
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Token that ends a document [default: eos_token of a tokenizer_config.json beside the tokenizer, else the usual
    /// one]
    #[arg(long, value_name = "TOKEN")]
    eos: Option<String>,
    /// What to do with a file, row group or document that cannot be read
    #[arg(long, value_enum, default_value_t = OnError::Stop)]
    on_error: OnError,
    /// Threads; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum OnError {
    /// Stop at it
    Stop,
    /// Leave it out, and count it in the manifest
    Skip,
}

/// Turns texts into shards of tokens.
pub fn tokenize(args: Args) -> anyhow::Result<()> {
    let tokenizer = args.tokenizer.to_str().ok_or(UsageError("--tokenizer: a name that is not UTF-8".into()))?;
    let encoder = Encoder::open("--tokenizer", tokenizer)?;
    let found = tokenize::inputs(&args.inputs).map_err(|error| UsageError(error.to_string()))?;
    let (inputs, passed_over): (Vec<Input>, PassedOver) = found;
    let job = Job {
        inputs,
        passed_over,
        text_column: args.text_column,
        shard_tokens: args.shard_tokens,
        skip: args.on_error == OnError::Skip,
        eos: encoder.eos(args.eos.as_deref())?,
        folder: args.out,
        threads: open::threads(args.threads, "cpu"),
    };
    let stop = interrupt::on_stop_of("the document");
    let mut progress = Progress::new(&job);
    let started = Instant::now();
    let ended = tokenize::tokenize(&job, &encoder, &stop, |done| progress.at(done));
    progress.line.finish();
    let folder = job.folder.display();
    match ended? {
        Ended::Finished(manifest) => {
            say(format_args!("{folder}: {}", sums(&manifest)));
            let speed = progress.tokens() / started.elapsed().as_secs_f64().max(1e-3);
            if speed > 0.0 {
                say(format_args!("{:.2} M tokens/s on {}", speed / 1e6, counted(job.threads, "thread")));
            }
        }
        Ended::Stopped(manifest) => {
            say(format_args!("stopped after {}\nthe same command resumes", sums(&manifest)));
            return Err(interrupt::StoppedError::told());
        }
    }
    Ok(())
}

/// Describes what was made, with a separate line for each kind of thing that was left out.
fn sums(manifest: &TokenManifest) -> String {
    let count = |count: u64, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let skipped = &manifest.skipped;
    let failed = [
        (skipped.files, "file", "files"),
        (skipped.row_groups, "row group", "row groups"),
        (skipped.documents, "document", "documents"),
    ];
    let failed = failed.into_iter().filter(|(number, ..)| *number > 0);
    let failed: Vec<String> = failed.map(|(number, one, many)| count(number, one, many)).collect();
    let lines = [
        (!failed.is_empty()).then(|| format!("\nleft out because it cannot be read: {}", failed.join(", "))),
        some(&manifest.noticed.said()).map(|said| format!("\nnoticed: {said}")),
        some(&manifest.passed_over.said()).map(|said| format!("\npassed over: {said}")),
    ];
    format!(
        "{} of {} from {} in {}{}",
        count(manifest.tokens, "token", "tokens"),
        count(manifest.documents, "document", "documents"),
        count(manifest.source.inputs.len() as u64, "file", "files"),
        count(manifest.shards.len() as u64, "shard", "shards"),
        lines.into_iter().flatten().collect::<String>()
    )
}

fn some(said: &[String]) -> Option<String> {
    (!said.is_empty()).then(|| said.join("; "))
}

/// How far it is.
struct Progress {
    line: Line,
    started: Instant,
    /// Number of tokens before this call, and now.
    tokens: Option<(u64, u64)>,
}

impl Progress {
    fn new(job: &Job) -> Self {
        let bytes = job.inputs.iter().map(|input| input.bytes).sum();
        let line = Line::new(bytes, "{bytes}/{total_bytes}", false);
        Self { line, started: Instant::now(), tokens: None }
    }

    /// Number of tokens of this call.
    fn tokens(&self) -> f64 {
        self.tokens.map_or(0.0, |(before, now)| (now - before) as f64)
    }

    fn at(&mut self, done: Done) {
        let before = match self.tokens {
            Some((before, _)) => before,
            None => {
                self.line.bar.set_position(done.bytes);
                self.line.bar.reset_eta();
                done.tokens
            }
        };
        self.tokens = Some((before, done.tokens));
        self.line.bar.set_position(done.bytes);
        // A message for each of millions of documents would take longer than the documents themselves.
        if !self.line.is_due() {
            return;
        }
        let speed = self.tokens() / self.started.elapsed().as_secs_f64().max(1e-3) / 1e6;
        let percent = 100 * done.bytes / self.line.bar.length().unwrap_or(1).max(1);
        let parts = [
            format!("{:.1} M tokens", done.tokens as f64 / 1e6),
            counted(done.documents, "document"),
            format!("{speed:.2} M tokens/s"),
        ];
        self.line.say(&format!("{percent} %"), &parts);
    }
}
