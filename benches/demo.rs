//! DeMo and exact aggregation on one 2048 x 2048 tensor and one core, in parameters per second.

use divan::Bencher;
use divan::counter::ItemsCount;
use gauntlet::model::ParamLayout;
use gauntlet::random::rng;
use gauntlet::training::PseudoGradient;
use gauntlet::training::aggregate::Weighted;
use gauntlet::training::aggregate::sign_of_mean::{apply, signs};
use gauntlet::training::scheme::DemoSettings;
use gauntlet::training::scheme::Scheme;
use gauntlet::training::scheme::demo::Demo;
use rand::RngExt;

/// The binary uses this allocator too. Its alignment is worth a third of the aggregation's speed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIDE: usize = 2048;

fn main() {
    divan::main();
}

fn demo() -> Demo {
    Demo::new(&DemoSettings::default(), &ParamLayout::new([("w".into(), vec![SIDE, SIDE])])).unwrap()
}

fn gradient(peer: u64) -> Vec<f32> {
    let mut rng = rng(0, "benchmark", peer, 0);
    (0..SIDE * SIDE).map(|_| rng.random_range(-1.0..1.0)).collect()
}

#[divan::bench]
fn encode(bencher: Bencher) {
    let (demo, gradient, mut momentum) = (demo(), gradient(0), vec![0.0; SIDE * SIDE]);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| demo.encode(&mut momentum, &gradient, 4e-4, 0));
}

#[divan::bench(args = [1, 15])]
fn aggregate_peers(bencher: Bencher, peers: u64) {
    let demo = demo();
    let encode = |peer| demo.encode(&mut vec![0.0; SIDE * SIDE], &gradient(peer), 4e-4, 0);
    let payloads: Vec<PseudoGradient> = (0..peers).map(encode).collect();
    let payloads = Weighted::equally(&payloads);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| signs(demo.layout(), &payloads));
}

#[divan::bench]
fn check(bencher: Bencher) {
    let demo = demo();
    let payload = demo.encode(&mut vec![0.0; SIDE * SIDE], &gradient(0), 4e-4, 0);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| demo.shape().check(&payload));
}

#[divan::bench]
fn apply_signs(bencher: Bencher) {
    let (theta, signs) = (gradient(0), vec![1i8; SIDE * SIDE]);
    bencher.counter(ItemsCount::new(SIDE * SIDE)).bench_local(|| apply(&theta, &signs, 4e-4));
}
