//! Forward and backward passes of the small presets, in tokens per second on one thread.

use divan::Bencher;
use divan::counter::ItemsCount;
use gauntlet::model::ModelSettings;
use gauntlet::model::{Device, Llama, LlamaConfig, init_theta};
use gauntlet::training::gradient::{gradient, loss};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sequences per pass.
const BATCH: usize = 8;

fn main() {
    divan::main();
}

/// A preset at theta_0, and a batch of random-looking pages.
fn model(preset: &str, device: Device) -> (Llama, Vec<Vec<u32>>) {
    let config = LlamaConfig::from_settings(&ModelSettings { preset: preset.into(), ..Default::default() }).unwrap();
    let model = Llama::from_flat(&config, &init_theta(&config, 0), &device);
    let page = |page: usize| (0..=config.sequence_length).map(|at| ((at * 97 + page * 31) % 256) as u32).collect();
    (model, (0..BATCH).map(page).collect())
}

fn bench(bencher: Bencher, preset: &str, device: Device) {
    let (model, pages) = model(preset, device);
    bencher.counter(ItemsCount::new(BATCH * (pages[0].len() - 1))).bench(|| gradient(&model, &pages, BATCH));
}

#[divan::bench(args = ["nano", "tiny", "small"])]
fn forward_and_backward(bencher: Bencher, preset: &str) {
    bench(bencher, preset, Device::Cpu);
}

/// The same model in Burn's operations, for comparison.
#[divan::bench(args = ["tiny"])]
fn forward_and_backward_by_burn(bencher: Bencher, preset: &str) {
    bench(bencher, preset, Device::CpuF32);
}

/// The loss without a gradient, which a validator computes most.
#[divan::bench(args = ["nano", "tiny", "small"])]
fn forward(bencher: Bencher, preset: &str) {
    let (model, pages) = model(preset, Device::Cpu);
    bencher.counter(ItemsCount::new(BATCH * (pages[0].len() - 1))).bench(|| loss(&model, &pages, BATCH));
}
