//! `sim eval`: zero-shot tasks.

mod unfinished;

use std::fmt::Write;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets};
use gauntlet::digest::Digest;
use gauntlet::evaluation::{Encoded, Pass, Task, TaskData, TaskResult, log_likelihoods, report};
use gauntlet::model::Llama;
use gauntlet::report::write_file;
use gauntlet::words::counted;
use indicatif::{ProgressBar, ProgressStyle};

use super::model::ModelArgs;
use super::progress::PLAIN_EVERY;
use super::{UsageError, interrupt, open, say};
use unfinished::Unfinished;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Tasks: hellaswag, piqa, arc_easy
    #[arg(long, value_delimiter = ',', required = true)]
    tasks: Vec<String>,
    /// Folder with a file TASK.jsonl for each task: rows of the data set, or query, choices and gold
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Use only the first N rows of each task
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Leave out unusable rows, and report them
    #[arg(long)]
    skip_bad_rows: bool,
    /// Folder for results.json and samples_TASK.jsonl
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Where to compute: cpu, or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads that compute; results do not depend on them [default: all cores; 1 for a GPU]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Print no progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

/// Asks a model the questions of some tasks.
pub fn eval(args: Args) -> anyhow::Result<()> {
    let mut tasks = Vec::new();
    for name in &args.tasks {
        let task = Task::named(name).map_err(|error| UsageError(format!("--tasks: {error}")))?;
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    // All data is read first, so that a missing file shows at once and not after an hour.
    let read = |task: &Task| TaskData::read(*task, &args.data, args.limit, args.skip_bad_rows);
    let mut data = tasks.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let loaded = args.model.load()?;
    let tokenizer = loaded.tokenizer()?;
    let encoded = data.iter_mut().map(|data| data.encode(&tokenizer)).collect::<Result<Vec<_>, _>>()?;
    data.iter().filter_map(TaskData::summary).for_each(|summary| eprintln!("{summary}"));
    let asker = Asker {
        model: loaded.model(&args.device)?,
        theta: Digest::of_f32(&loaded.theta),
        device: &args.device,
        threads: open::threads(args.threads, &args.device),
        out: &args.out,
        quiet: args.quiet,
        stop: &interrupt::on_stop_of("the questions under way"),
        resumed: AtomicBool::new(false),
    };
    let started = Instant::now();
    let mut results = Vec::new();
    for (data, encoded) in data.iter().zip(&encoded) {
        let Some(sums) = asker.ask(data.task, encoded)? else {
            say(format_args!("stopped; saved in {}: the same command resumes", args.out.display()));
            return Err(interrupt::StoppedError::told());
        };
        let result = TaskResult::new(data.task, &data.questions, data.rows, &sums);
        let samples = samples(data, &result, &sums);
        write_file(&args.out.join(format!("samples_{}.jsonl", data.task.name())), samples.as_bytes())?;
        results.push(result);
    }
    let seconds = started.elapsed().as_secs_f64();
    let source = args.model.source.to_string_lossy();
    let report = report(&results, &source, &source, args.limit, seconds);
    let path = args.out.join("results.json");
    write_file(&path, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    for (task, encoded) in tasks.iter().zip(&encoded) {
        unfinished::remove(&args.out, *task, &asker.work(encoded))?;
    }
    if !args.quiet {
        say(table(&results));
        let asked: usize = results.iter().map(|result| result.asked).sum();
        let speed = match asker.resumed.into_inner() {
            true => "the rest of them ".into(),
            false => format!("{:.1} a second, ", asked as f64 / seconds),
        };
        say(format_args!("{}, {speed}in {seconds:.1} s: {}", counted(asked, "question"), path.display()));
    }
    Ok(())
}

/// A model to ask, and how to ask it.
struct Asker<'a> {
    model: Llama,
    theta: Digest,
    device: &'a str,
    threads: usize,
    /// Folder for the answers to unfinished tasks.
    out: &'a Path,
    quiet: bool,
    stop: &'a AtomicBool,
    /// Whether some answers came from an earlier call.
    resumed: AtomicBool,
}

impl Asker<'_> {
    fn work(&self, questions: &[Encoded]) -> Digest {
        unfinished::digest_of(self.model.config(), &self.theta, self.device, questions)
    }

    /// The log-likelihoods of a task's answers; `None` after a stop.
    fn ask(&self, task: Task, questions: &[Encoded]) -> anyhow::Result<Option<Vec<Vec<f64>>>> {
        let (file, known) = Unfinished::open(self.out, task, &self.work(questions))?;
        self.resumed.fetch_or(!known.is_empty(), Ordering::Relaxed);
        let answers = questions.iter().map(|question| question.choices.len()).sum();
        let progress = Progress::new(task, answers, known.iter().map(|pass| pass.answers.len()).sum(), self.quiet);
        let state = Mutex::new((file, progress, None));
        let told = |pass: &Pass| {
            let (file, progress, failed) = &mut *state.lock().unwrap_or_else(PoisonError::into_inner);
            *failed = failed.take().or(file.add(pass).err());
            progress.answered(pass.answers.len());
            let ends = failed.is_some() || self.stop.load(Ordering::Relaxed);
            if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let sums = log_likelihoods(&self.model, questions, self.threads, known, told);
        let (_, progress, failed) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        progress.bar.finish_and_clear();
        failed.map_or(Ok(sums), Err)
    }
}

/// A bar on a terminal, otherwise a plain line from time to time.
struct Progress {
    bar: ProgressBar,
    task: Task,
    said: Option<Instant>,
}

impl Progress {
    /// Progress of `answers` answers, of which `known` are known already.
    fn new(task: Task, answers: usize, known: usize, quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(answers as u64) };
        let style = ProgressStyle::with_template("{msg} {pos}/{len} answers {bar:30} {per_sec}, {eta} left");
        bar.set_style(style.expect("a constant template"));
        bar.set_message(task.name());
        bar.set_position(known as u64);
        bar.reset_eta();
        let plain = !quiet && !std::io::stderr().is_terminal();
        let progress = Self { bar, task, said: plain.then(Instant::now) };
        if plain {
            progress.say();
        }
        progress
    }

    fn answered(&mut self, answers: usize) {
        self.bar.inc(answers as u64);
        if self.said.is_some_and(|said| said.elapsed() >= PLAIN_EVERY) {
            self.said = Some(Instant::now());
            self.say();
        }
    }

    fn say(&self) {
        let all = self.bar.length().unwrap_or_default();
        eprintln!("{}: {} of {all} answers", self.task.name(), self.bar.position());
    }
}

/// One line per question: the question, and the model's log-likelihoods and choices.
fn samples(data: &TaskData, result: &TaskResult, sums: &[Vec<f64>]) -> String {
    let mut lines = String::new();
    for (index, ((question, chosen), sums)) in data.questions.iter().zip(&result.chosen).zip(sums).enumerate() {
        let line = serde_json::json!({
            "doc_id": data.row(index),
            "context": question.context,
            "choices": question.choices,
            "target": question.gold,
            "log_likelihoods": sums,
            "acc": f64::from(u8::from(chosen[0] == question.gold)),
            "acc_norm": f64::from(u8::from(chosen[1] == question.gold)),
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

fn table(results: &[TaskResult]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(["task", "questions", "metric", "value", "stderr"]);
    for result in results {
        for (metric, accuracy) in [("acc", result.acc), ("acc_norm", result.acc_norm)] {
            let asked = result.asked.to_string();
            let (mean, error) = (format!("{:.4}", accuracy.mean), format!("{:.4}", accuracy.error));
            table.add_row([result.task.name(), &asked, metric, &mean, &error]);
        }
    }
    for column in [1, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
