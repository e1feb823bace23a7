//! Rounds of mixed-250, the largest shipped scenario, on all cores: what a researcher waits for.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use divan::Bencher;
use divan::counter::ItemsCount;
use gauntlet::engine::{Observer, RunOptions, simulate};
use gauntlet::model::Device;
use gauntlet::scenario::{self, World};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of one measurement; the counter shows rounds a second.
const ROUNDS: u64 = 3;

fn main() {
    divan::main();
}

struct Nobody;

impl Observer for Nobody {}

fn world() -> Arc<World> {
    let scenario = scenario::load("mixed-250", &[format!("rounds={ROUNDS}")]).unwrap();
    Arc::new(World::open(scenario, Device::Cpu).unwrap())
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn mixed_250(bencher: Bencher) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    bencher.counter(ItemsCount::new(ROUNDS)).with_inputs(world).bench_local_values(|world| {
        let options = RunOptions {
            threads,
            baseline: false,
            resume: None,
            resume_baseline: None,
            interrupt: Arc::new(AtomicBool::new(false)),
        };
        simulate(world, options, Arc::new(Mutex::new(Nobody))).unwrap()
    });
}
