//! SparseLoCo on one 2048 x 2048 tensor and one core, in parameters per second; for comparison DeMo's encode and Burn's
//! AdamW.

use burn::optim::{AdamWConfig, Optimizer};
use burn::tensor::{Tensor, TensorData};
use divan::Bencher;
use divan::counter::ItemsCount;
use gauntlet::model::{Device, ParamLayout};
use gauntlet::random::rng;
use gauntlet::training::PseudoGradient;
use gauntlet::training::adamw::{AdamW, Moments};
use gauntlet::training::aggregate::clipped_mean::ClippedMean;
use gauntlet::training::aggregate::{Aggregation, Weighted};
use gauntlet::training::scheme::demo::Demo;
use gauntlet::training::scheme::sparseloco::SparseLoco;
use gauntlet::training::scheme::{DemoSettings, Scheme, SparseLocoSettings};
use rand::RngExt;

/// The binary uses this allocator too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE: usize = 2048;

fn main() {
    divan::main();
}

fn params() -> ParamLayout {
    ParamLayout::new([("w".into(), vec![SIDE, SIDE])])
}

fn sparseloco(bits: u32) -> SparseLoco {
    SparseLoco::new(&SparseLocoSettings { bits, ..SparseLocoSettings::default() }, &params()).unwrap()
}

fn values(peer: u64) -> Vec<f32> {
    let mut rng = rng(0, "benchmark", peer, 0);
    (0..SIDE * SIDE).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// With `bits` bits per value.
#[divan::bench(args = [2, 32])]
fn encode(bencher: Bencher, bits: u32) {
    let (scheme, update, mut error) = (sparseloco(bits), values(0), vec![0.0; SIDE * SIDE]);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| scheme.encode(&mut error, &update));
}

/// With as many coefficients as SparseLoCo sends.
#[divan::bench(args = [2, 32])]
fn encode_demo(bencher: Bencher, bits: u32) {
    let settings = DemoSettings { topk: SparseLocoSettings::default().topk, bits, ..DemoSettings::default() };
    let demo = Demo::new(&settings, &params()).unwrap();
    let (gradient, mut momentum) = (values(0), vec![0.0; SIDE * SIDE]);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| demo.encode(&mut momentum, &gradient, 4e-4, 0));
}

#[divan::bench(args = [1, 15])]
fn aggregate_peers(bencher: Bencher, peers: u64) {
    let scheme = sparseloco(2);
    let encode = |peer| scheme.encode(&mut vec![0.0; SIDE * SIDE], &values(peer));
    let payloads: Vec<PseudoGradient> = (0..peers).map(encode).collect();
    let payloads = Weighted::equally(&payloads);
    let rule = ClippedMean::new(scheme.payloads().chunks);
    let theta = values(99);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| rule.step(&theta, &payloads, 1.0));
}

#[divan::bench]
fn adamw(bencher: Bencher) {
    let adamw = AdamW { beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_norm: 1.0 };
    let (mut theta, gradient, mut moments) = (values(0), values(1), Moments::new(SIDE * SIDE));
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| adamw.step(&mut moments, &mut theta, &gradient, 1e-3));
}

/// The same step without clipping.
#[divan::bench]
fn adamw_of_burn(bencher: Bencher) {
    let adamw = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.95).with_weight_decay(0.1).build();
    let device = Device::Cpu.burn();
    let tensor = |values| Tensor::<1>::from_data(TensorData::new(values, [SIDE * SIDE]), &device);
    let (mut theta, gradient, mut state) = (Some(tensor(values(0))), tensor(values(1)), None);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| {
        let (after, moments) = adamw.step(1e-3, theta.take().unwrap(), gradient.clone(), state.take());
        (theta, state) = (Some(after), moments);
    });
}
