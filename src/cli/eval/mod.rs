//! `sim eval`: zero-shot tasks.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use comfy_table::{CellAlignment, Table, presets};
use gauntlet::evaluation::{Question, Task, TaskResult, encode, log_likelihoods, read_questions, report};
use gauntlet::model::Llama;
use gauntlet::model::tokenizer::Tokenizer;
use gauntlet::report::write_file;
use indicatif::{ProgressBar, ProgressStyle};

use super::model::ModelArgs;
use super::{UsageError, open, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// hellaswag, piqa, arc_easy
    #[arg(long, value_delimiter = ',', required = true)]
    tasks: Vec<String>,
    /// Folder with a file TASK.jsonl for each: rows of the data set, or query, choices and gold
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The first N questions of each task only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folder for results.json and samples_TASK.jsonl
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Where to compute: cpu, ndarray, or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Threads that compute; results do not depend on them [default: all cores; for a GPU 1]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// No progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

/// Asks a model the questions of some tasks.
pub fn eval(args: Args) -> anyhow::Result<()> {
    let tasks = args.tasks.iter().map(|name| Task::named(name)).collect::<Result<Vec<_>, _>>();
    let tasks = tasks.map_err(|error| UsageError(format!("--tasks: {error}")))?;
    // All data first: a missing file is not to be found out after an hour.
    let questions =
        tasks.iter().map(|task| read_questions(*task, &args.data, args.limit)).collect::<Result<Vec<_>, _>>()?;
    let loaded = args.model.load()?;
    let (tokenizer, model) = (loaded.tokenizer()?, loaded.model(&args.device)?);
    let started = Instant::now();
    let threads = open::threads(args.threads, &args.device);
    let mut results = Vec::new();
    for (task, questions) in tasks.into_iter().zip(&questions) {
        let (result, sums) = ask(task, questions, &model, &tokenizer, threads, args.quiet)?;
        write_file(
            &args.out.join(format!("samples_{}.jsonl", task.name())),
            samples(questions, &result, &sums).as_bytes(),
        )?;
        results.push(result);
    }
    let seconds = started.elapsed().as_secs_f64();
    let source = &args.model.source;
    let report = report(&results, source, source, args.limit, seconds);
    let path = args.out.join("results.json");
    write_file(&path, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    if !args.quiet {
        say(table(&results));
        let asked: usize = results.iter().map(|result| result.asked).sum();
        say(format_args!(
            "{asked} questions in {seconds:.1} s, {:.1} a second: {}",
            asked as f64 / seconds,
            path.display()
        ));
    }
    Ok(())
}

fn ask(
    task: Task,
    questions: &[Question],
    model: &Llama,
    tokenizer: &Tokenizer,
    threads: usize,
    quiet: bool,
) -> anyhow::Result<(TaskResult, Vec<Vec<f64>>)> {
    let encoded = questions.iter().enumerate().map(|(index, question)| {
        encode(question, tokenizer).map_err(|error| anyhow::anyhow!("{}, question {}: {error}", task.name(), index + 1))
    });
    let encoded = encoded.collect::<anyhow::Result<Vec<_>>>()?;
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(questions.len() as u64) };
    let style = ProgressStyle::with_template("{msg} {pos}/{len} {bar:30} {per_sec}, {eta} left");
    bar.set_style(style.expect("a constant template"));
    bar.set_message(task.name());
    if !quiet && bar.is_hidden() {
        eprintln!("{}: {} questions", task.name(), questions.len());
    }
    let sums = log_likelihoods(model, &encoded, threads, |count| bar.inc(count as u64));
    bar.finish_and_clear();
    Ok((TaskResult::new(task, questions, &sums), sums))
}

/// A line a question: what was asked, what the model made of it.
fn samples(questions: &[Question], result: &TaskResult, sums: &[Vec<f64>]) -> String {
    let mut lines = String::new();
    for (index, ((question, chosen), sums)) in questions.iter().zip(&result.chosen).zip(sums).enumerate() {
        let line = serde_json::json!({
            "doc_id": index,
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
