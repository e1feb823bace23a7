//! `sim bench`

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{Table, presets};
use gauntlet::engine::{Observer, RunOptions, simulate};
use gauntlet::model::{Device, Llama, LlamaConfig, ParamLayout, init_theta};
use gauntlet::scenario::{self, DemoSettings, ModelSettings};
use gauntlet::training::PseudoGradient;
use gauntlet::training::aggregate::aggregate;
use gauntlet::training::gradient::gradient;
use gauntlet::training::scheme::demo::Demo;
use serde::Serialize;

use super::{UsageError, open, say};

#[derive(clap::Args)]
pub struct Args {
    /// Model whose gradient is measured
    #[arg(long, default_value = "tiny")]
    preset: String,
    /// Threads, each with work of its own [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Where to compute: cpu, ndarray, or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A measured figure.
#[derive(Serialize)]
struct Figure {
    what: String,
    threads: usize,
    value: f64,
    unit: &'static str,
}

/// Each measurement repeats its work for about so long.
const TIME: Duration = Duration::from_secs(2);
/// Side of the tensor that is encoded and aggregated: a projection of templar-1b.
const SIDE: usize = 2048;
/// Sequences in a gradient, where they are short.
const BATCH: usize = 8;
const PEERS: usize = 15;

/// Measures this machine.
pub fn bench(args: Args) -> anyhow::Result<()> {
    let threads = open::threads(args.threads);
    let device: Device =
        args.device.parse().map_err(|error| UsageError(format!("--device {}: {error}", args.device)))?;
    let settings = ModelSettings { preset: args.preset.clone(), ..ModelSettings::default() };
    let config = LlamaConfig::from_settings(&settings).map_err(|error| UsageError(error.to_string()))?;

    let mut figures = Vec::new();
    let mut note = |figure: Figure| {
        if !args.json {
            eprintln!("measured {}", figure.what);
        }
        figures.push(figure);
    };
    for threads in if threads == 1 { vec![1] } else { vec![1, threads] } {
        note(gradient_speed(&config, &args.preset, &device, threads));
        note(encode_speed(threads)?);
    }
    note(aggregate_speed()?);
    note(round_time(&args.device, threads)?);
    if args.json {
        say(serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(["measured", "threads", "", ""]);
    for figure in &figures {
        table.add_row([&figure.what, &figure.threads.to_string(), &format!("{:.2}", figure.value), figure.unit]);
    }
    say(table);
    Ok(())
}

/// Calls `work` on each thread for a while; how often a second, all threads together.
fn rate(threads: usize, work: impl Fn() + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let rates = std::thread::scope(|scope| {
        let measure = || {
            work();
            barrier.wait();
            let started = Instant::now();
            let mut times = 0;
            while started.elapsed() < TIME {
                work();
                times += 1;
            }
            f64::from(times) / started.elapsed().as_secs_f64()
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
        running.into_iter().map(|thread| thread.join().expect("the work does not panic")).collect::<Vec<f64>>()
    });
    rates.iter().sum()
}

fn gradient_speed(config: &LlamaConfig, preset: &str, device: &Device, threads: usize) -> Figure {
    let model = Llama::from_flat(config, &init_theta(config, 0), device);
    let length = config.sequence_length;
    let batch = if length <= 256 { BATCH } else { 1 };
    let pages: Vec<Vec<u32>> = (0..batch)
        .map(|page| (0..=length).map(|at| ((page * 31 + at * 17) % config.vocab_size) as u32).collect())
        .collect();
    let times = rate(threads, || {
        std::hint::black_box(gradient(&model, &pages, batch));
    });
    let what = format!("gradient of {preset}, {batch} x {length} tokens");
    Figure { what, threads, value: times * (batch * length) as f64 / 1e3, unit: "K tokens/s" }
}

/// One large tensor, as DeMo cuts it.
fn demo() -> anyhow::Result<(Demo, Vec<f32>)> {
    let layout = ParamLayout::new([("weight".to_string(), vec![SIDE, SIDE])]);
    let mut rng = gauntlet::random::rng(0, "bench", 0, 0);
    let values = (0..SIDE * SIDE).map(|_| gauntlet::random::normal(&mut rng)).collect();
    Ok((Demo::new(&DemoSettings::default(), &layout)?, values))
}

fn encode_speed(threads: usize) -> anyhow::Result<Figure> {
    let (demo, values) = demo()?;
    let momenta: Vec<_> = (0..threads).map(|_| Mutex::new(values.clone())).collect();
    let times = rate(threads, || {
        let mut momentum = momenta.iter().find_map(|momentum| momentum.try_lock().ok()).expect("one a thread");
        std::hint::black_box(demo.encode(&mut momentum, &values, 1e-3, 0));
    });
    let what = format!("DeMo encode, {SIDE} x {SIDE}");
    Ok(Figure { what, threads, value: times * values.len() as f64 / 1e6, unit: "M parameters/s" })
}

fn aggregate_speed() -> anyhow::Result<Figure> {
    let (demo, values) = demo()?;
    let peers: Vec<PseudoGradient> = (0..PEERS)
        .map(|peer| {
            let mut momentum: Vec<f32> = values.iter().cycle().skip(peer * 977).take(values.len()).copied().collect();
            demo.encode(&mut momentum, &values, 1e-3, 0)
        })
        .collect();
    let peers: Vec<_> = peers.iter().collect();
    let times = rate(1, || {
        std::hint::black_box(aggregate(demo.layout(), &peers));
    });
    let what = format!("exact aggregation of {PEERS} peers, {SIDE} x {SIDE}");
    Ok(Figure { what, threads: 1, value: times * values.len() as f64 / 1e6, unit: "M parameters/s" })
}

/// A few rounds of the largest shipped scenario.
fn round_time(device: &str, threads: usize) -> anyhow::Result<Figure> {
    const ROUNDS: u64 = 4;
    let scenario = scenario::load("scenarios/mixed-250.toml", &[format!("rounds={ROUNDS}")])?;
    let network = open::network(scenario, device)?;
    let options = RunOptions {
        threads,
        baseline: false,
        resume: None,
        resume_baseline: None,
        interrupt: Arc::new(AtomicBool::new(false)),
    };
    let started = Instant::now();
    simulate(network, options, Arc::new(Mutex::new(Nothing))).context("mixed-250 cannot be run")?;
    let value = started.elapsed().as_secs_f64() / ROUNDS as f64;
    Ok(Figure { what: "one round of mixed-250".into(), threads, value, unit: "s" })
}

/// An observer that looks away.
struct Nothing;

impl Observer for Nothing {}
