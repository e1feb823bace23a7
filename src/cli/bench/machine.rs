//! Measures the machine with all its threads: gradients and encodings of several peers at once, a round of a network,
//! and the networks of a search.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use gauntlet::engine::{Observer, RunOptions, simulate};
use gauntlet::lab::attack::{Arena, Played, Stage};
use gauntlet::model::{Device, Llama, LlamaConfig, ParamLayout, init_theta};
use gauntlet::report::{self, Options};
use gauntlet::scenario;
use gauntlet::training::PseudoGradient;
use gauntlet::training::aggregate::Weighted;
use gauntlet::training::aggregate::sign_of_mean::signs;
use gauntlet::training::gradient::gradient;
use gauntlet::training::scheme::DemoSettings;
use gauntlet::training::scheme::demo::Demo;

use super::figure::{Figure, SHORT_BATCH};
use crate::cli::open;

/// Side of the encoded and aggregated tensor: a projection of templar-1b.
const SIDE: usize = 2048;
const PEERS: usize = 15;

/// Measures one thread and `threads` of them.
pub fn measure(
    config: &LlamaConfig,
    threads: usize,
    time: Duration,
    note: &mut impl FnMut(Figure),
) -> anyhow::Result<()> {
    for threads in if threads == 1 { vec![1] } else { vec![1, threads] } {
        note(gradient_speed(config, threads, time));
        note(encode_speed(threads, time)?);
    }
    note(aggregate_speed(time)?);
    note(round_time(threads)?);
    note(search_speed(threads, time)?);
    Ok(())
}

/// Calls `work` on each thread for a while. Returns the calls per second of all threads together.
fn rate(threads: usize, time: Duration, work: impl Fn() + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let rates = std::thread::scope(|scope| {
        let measure = || {
            work();
            barrier.wait();
            let started = Instant::now();
            let mut times = 0;
            while times == 0 || started.elapsed() < time {
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

/// A number of threads, in words.
fn on(threads: usize) -> String {
    if threads == 1 { "one thread".into() } else { format!("{threads} threads") }
}

fn gradient_speed(config: &LlamaConfig, threads: usize, time: Duration) -> Figure {
    let model = Llama::from_flat(config, &init_theta(config, 0), &Device::Cpu);
    let length = config.sequence_length;
    let batch = if length <= 256 { SHORT_BATCH } else { 1 };
    let pages: Vec<Vec<u32>> = (0..batch)
        .map(|page| (0..=length).map(|at| ((page * 31 + at * 17) % config.vocab_size) as u32).collect())
        .collect();
    let times = rate(threads, time, || {
        std::hint::black_box(gradient(&model, &pages, batch));
    });
    let what = format!("gradient, {batch} x {length} tokens, {}", on(threads));
    Figure { what, value: times * (batch * length) as f64 / 1e3, unit: "K tokens/s" }
}

/// One large tensor, cut as in DeMo.
fn demo() -> anyhow::Result<(Demo, Vec<f32>)> {
    let layout = ParamLayout::new([("weight".to_string(), vec![SIDE, SIDE])]);
    let mut rng = gauntlet::random::rng(0, "bench", 0, 0);
    let values = (0..SIDE * SIDE).map(|_| gauntlet::random::normal(&mut rng)).collect();
    Ok((Demo::new(&DemoSettings::default(), &layout)?, values))
}

fn encode_speed(threads: usize, time: Duration) -> anyhow::Result<Figure> {
    let (demo, values) = demo()?;
    let momenta: Vec<_> = (0..threads).map(|_| Mutex::new(values.clone())).collect();
    let times = rate(threads, time, || {
        let mut momentum = momenta.iter().find_map(|momentum| momentum.try_lock().ok()).expect("one a thread");
        std::hint::black_box(demo.encode(&mut momentum, &values, 1e-3, 0));
    });
    let what = format!("DeMo encode, {SIDE} x {SIDE}, {}", on(threads));
    Ok(Figure { what, value: times * values.len() as f64 / 1e6, unit: "M parameters/s" })
}

fn aggregate_speed(time: Duration) -> anyhow::Result<Figure> {
    let (demo, values) = demo()?;
    let peers: Vec<PseudoGradient> = (0..PEERS)
        .map(|peer| {
            let mut momentum: Vec<f32> = values.iter().cycle().skip(peer * 977).take(values.len()).copied().collect();
            demo.encode(&mut momentum, &values, 1e-3, 0)
        })
        .collect();
    let peers = Weighted::equally(&peers);
    let times = rate(1, time, || {
        std::hint::black_box(signs(demo.layout(), &peers));
    });
    let what = format!("exact aggregation of {PEERS} peers, {SIDE} x {SIDE}, one thread");
    Ok(Figure { what, value: times * values.len() as f64 / 1e6, unit: "M parameters/s" })
}

/// Time of a round, from a few rounds of the largest shipped scenario.
fn round_time(threads: usize) -> anyhow::Result<Figure> {
    const ROUNDS: u64 = 4;
    let scenario = scenario::load("scenarios/mixed-250.toml", &[format!("rounds={ROUNDS}")])?;
    let world = open::world(scenario, "cpu")?;
    let options = RunOptions {
        threads,
        baseline: false,
        resume: None,
        resume_baseline: None,
        interrupt: Arc::new(AtomicBool::new(false)),
    };
    let started = Instant::now();
    simulate(world, options, Arc::new(Mutex::new(Nothing))).context("mixed-250 cannot be run")?;
    let value = started.elapsed().as_secs_f64() / ROUNDS as f64;
    Ok(Figure { what: format!("one round of mixed-250, {}", on(threads)), value, unit: "s" })
}

/// Networks of the first stage of `sim attack`, one a thread.
fn search_speed(threads: usize, time: Duration) -> anyhow::Result<Figure> {
    let arena = Arena::new(&scenario::load("scenarios/averaging.toml", &[])?).context("averaging has honest peers")?;
    let network = arena.network(Stage::Cheap, &arena.space.honest(), Played::BySome, 1)?;
    let options = Options { threads: 1, interrupt: Arc::default() };
    report::run_with(network.clone(), &options).context("the network cannot be run")?;
    let value = rate(threads, time, || {
        std::hint::black_box(report::run_with(network.clone(), &options)).ok();
    });
    Ok(Figure { what: format!("first stage of sim attack, {}", on(threads)), value, unit: "networks/s" })
}

/// An observer that does nothing.
struct Nothing;

impl Observer for Nothing {}
