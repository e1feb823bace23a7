//! Measures a model on one device: the work of a peer and of a validator. `benches/torch` prints the same rows.

use std::time::{Duration, Instant};

use gauntlet::digest::Digest;
use gauntlet::model::newton_schulz::newton_schulz;
use gauntlet::model::{Device, Llama, LlamaConfig, Memory, ParamTensors, init_theta};
use gauntlet::plan::data_sheets;
use gauntlet::training::aggregate::sign_of_mean::SignOfMean;
use gauntlet::training::aggregate::{Aggregation, Weighted};
use gauntlet::training::gradient::{gradient, gradient_on_device};
use gauntlet::training::scheme::DemoSettings;
use gauntlet::training::scheme::Scheme;
use gauntlet::training::scheme::demo::Demo;
use gauntlet::training::{Evaluator, PseudoGradient, Replica};

use super::figure::Figure;
use super::memory::Watch;

/// Peers per aggregation, as in the Templar-I run.
const PEERS: usize = 15;
/// Learning rate and fraction of a step, as in the Templar-I run.
const LR: f32 = 4e-4;
const BETA_FRACTION: f64 = 0.2;
/// Runs of the work before it is timed, in which kernels are compiled and chosen.
const WARM_UP: usize = 2;

/// The speed of a model's work.
pub struct Measured {
    /// Forward and backward passes.
    pub tokens_per_second: f64,
    pub encode_seconds: f64,
    /// Aggregation of as many peers as in the Templar-I run.
    pub aggregate_seconds: f64,
}

/// Measures `config` with `micro_batch` sequences per pass.
pub fn measure(
    config: &LlamaConfig,
    device: Device,
    micro_batch: usize,
    time: Duration,
    note: &mut impl FnMut(Figure),
) -> anyhow::Result<Measured> {
    let seconds = |work: &mut dyn FnMut()| seconds(&device, time, work);
    let memory = Watch::new(device)?;
    let theta = init_theta(config, 0);
    let model = Llama::from_flat(config, &theta, &device);
    let pages = pages(config, micro_batch);
    let (length, parameters) = (config.sequence_length, config.layout().total() as f64);
    let tokens_per_second = passes(&model, &pages, (&device, time), note);
    let of_gradient = memory.most();
    let mut note = |what: String, value: f64, unit: &'static str| note(Figure { what, value, unit });

    let muon = newton_schulz_seconds(config, &device, &seconds);
    note("Newton-Schulz of a step of Muon".into(), 1e3 * muon, "ms");
    note(
        format!("its share beside forward + backward, {micro_batch} x {length} tokens"),
        100.0 * muon * tokens_per_second / (micro_batch * length) as f64,
        "%",
    );

    let demo = Demo::new(&DemoSettings::default(), &config.layout())?;
    let rule = SignOfMean::new(demo.payloads().chunks, device);
    let mut encoder = Encoder::new(&demo, &model, &pages, micro_batch);
    let encode_seconds = seconds(&mut || drop(encoder.encode()));
    note("DeMo encode".into(), 1e3 * encode_seconds, "ms");
    // A gradient is read; a momentum is read and written.
    note("DeMo encode, bytes moved".into(), 12.0 * parameters / encode_seconds / 1e9, "GB/s");

    let payloads: Vec<PseudoGradient> = (0..PEERS).map(|_| encoder.encode()).collect();
    drop(encoder);
    let references = Weighted::equally(&payloads);
    let evaluator = Evaluator::new(config.clone(), device, micro_batch);
    let replica = Replica { digest: Digest::of_f32(&theta), theta, model };
    let aggregate = || evaluator.model(&rule.step(&replica.theta, &references, LR.into()));
    let aggregate_seconds = seconds(&mut || drop(aggregate()));
    note(format!("aggregate {PEERS} peers"), 1e3 * aggregate_seconds, "ms");
    // The parameters are read and written. A coefficient is an index of 16 bits and a value of 32.
    let bytes = 8.0 * parameters + 6.0 * (PEERS * demo.layout().coefficients()) as f64;
    note("aggregation, bytes moved".into(), bytes / aggregate_seconds / 1e9, "GB/s");

    let one = seconds(&mut || {
        let stepped = rule.stepped(&evaluator, &replica, &references[..1], BETA_FRACTION * f64::from(LR));
        std::hint::black_box([&pages, &pages].map(|pages| evaluator.loss(&stepped, pages)));
    });
    note(format!("evaluate one peer, 2 x {micro_batch} x {length} tokens"), 1e3 * one, "ms");

    if !replica.model.is_fused() {
        let counted = Memory::of_gradient(config, micro_batch, device.precision());
        note("memory of forward + backward, counted".into(), counted.total() as f64 / 1e9, "GB");
    }
    for (what, bytes) in [("forward + backward", of_gradient), ("all of it", memory.most())] {
        if let Some(bytes) = bytes {
            note(format!("peak memory of {what}"), bytes as f64 / 1e9, "GB");
        }
    }
    Ok(Measured { tokens_per_second, encode_seconds, aggregate_seconds })
}

/// Measures forward and backward passes alone.
pub fn measure_pass(
    config: &LlamaConfig,
    device: Device,
    micro_batch: usize,
    time: Duration,
    note: &mut impl FnMut(Figure),
) -> anyhow::Result<()> {
    let memory = Watch::new(device)?;
    let model = Llama::from_flat(config, &init_theta(config, 0), &device);
    passes(&model, &pages(config, micro_batch), (&device, time), note);
    if let Some(bytes) = memory.most() {
        let what = "peak memory of forward + backward".into();
        note(Figure { what, value: bytes as f64 / 1e9, unit: "GB" });
    }
    Ok(())
}

/// Passes over these pages, all in one micro-batch. Returns tokens per second.
fn passes(
    model: &Llama,
    pages: &[Vec<u32>],
    (device, time): (&Device, Duration),
    note: &mut impl FnMut(Figure),
) -> f64 {
    let mut note = |what: String, value: f64, unit: &'static str| note(Figure { what, value, unit });
    let (config, micro_batch) = (model.config(), pages.len());
    let length = config.sequence_length;
    let one = seconds(device, time, &mut || pass(model, pages, micro_batch));
    let rate = (micro_batch * length) as f64 / one;
    note(format!("forward + backward, {micro_batch} x {length} tokens"), rate / 1e3, "K tokens/s");
    let flops = rate * config.flops_per_token() as f64 / 1e12;
    note("forward + backward, operations".into(), flops, "TFLOP/s");
    if let Some(peak) = peak_tflops(&name(device)) {
        note(format!("share of {peak:.0} TFLOP/s in bf16"), 100.0 * flops / peak, "%");
    }
    rate
}

/// Seconds for the matrices of all blocks once.
fn newton_schulz_seconds(config: &LlamaConfig, device: &Device, seconds: &dyn Fn(&mut dyn FnMut()) -> f64) -> f64 {
    let mut shapes: Vec<([usize; 2], Vec<f32>)> = Vec::new();
    let (layout, theta) = (config.layout(), init_theta(config, 1));
    for tensor in layout.tensors.iter().filter(|tensor| tensor.is_block_matrix()) {
        let values = &theta[tensor.range.clone()];
        match shapes.iter_mut().find(|(shape, _)| *shape == tensor.matrix()) {
            Some((_, all)) => all.extend(values),
            None => shapes.push((tensor.matrix(), values.to_vec())),
        }
    }
    seconds(&mut || shapes.iter_mut().for_each(|(shape, values)| newton_schulz(device, values, *shape)))
}

/// Forward and backward; the gradient stays on the model's device.
pub fn pass(model: &Llama, pages: &[Vec<u32>], micro_batch: usize) {
    match model.is_fused() {
        true => drop(gradient(model, pages, micro_batch)),
        false => drop(gradient_on_device(model, pages, micro_batch)),
    }
}

/// Seconds per call of `work`, repeated for about `time` and until the device has finished.
fn seconds(device: &Device, time: Duration, work: &mut dyn FnMut()) -> f64 {
    let device = device.burn();
    let wait = || device.sync().expect("the device works");
    (0..WARM_UP).for_each(|_| work());
    wait();
    let started = Instant::now();
    let mut times = 0;
    while times == 0 || started.elapsed() < time {
        work();
        times += 1;
    }
    wait();
    started.elapsed().as_secs_f64() / f64::from(times)
}

/// Sequences that look random.
fn pages(config: &LlamaConfig, count: usize) -> Vec<Vec<u32>> {
    let token = |page: usize, at: usize| ((page * 31 + at * 17) % config.vocab_size) as u32;
    (0..count).map(|page| (0..=config.sequence_length).map(|at| token(page, at)).collect()).collect()
}

/// One peer's momentum and one gradient that is used again and again, on the model's device.
enum Encoder<'a> {
    Host(&'a Demo, Vec<f32>, Vec<f32>),
    Device(&'a Demo, ParamTensors, ParamTensors),
}

impl<'a> Encoder<'a> {
    fn new(demo: &'a Demo, model: &Llama, pages: &[Vec<u32>], micro_batch: usize) -> Self {
        if model.is_fused() {
            let gradient = gradient(model, pages, micro_batch).values;
            return Self::Host(demo, vec![0.0; gradient.len()], gradient);
        }
        Self::Device(demo, model.zeros(), gradient_on_device(model, pages, micro_batch).tensors)
    }

    fn encode(&mut self) -> PseudoGradient {
        match self {
            Self::Host(demo, momentum, gradient) => demo.encode(momentum, gradient, LR, u64::MAX),
            Self::Device(demo, momentum, gradient) => demo.encode_on_device(momentum, gradient.clone(), LR, u64::MAX),
        }
    }
}

/// The device's own name.
pub fn name(device: &Device) -> String {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(_) = device
        && let Some(identity) = device.burn().identity()
    {
        return identity.name;
    }
    device.to_string()
}

/// Dense bf16 peak of a device by its data sheet, if known.
fn peak_tflops(name: &str) -> Option<f64> {
    let has = |part: &str| name.contains(part);
    let sheet = match () {
        _ if has("A100") => "a100",
        // The SXM modules; other cards with these names are slower.
        _ if has("H100") && has("HBM3") => "h100",
        _ if has("H200") && !has("NVL") => "h200",
        _ if has("B200") && !has("GB200") => "b200",
        _ => return None,
    };
    data_sheets().into_iter().find(|known| known.name == sheet).map(|sheet| sheet.flops / 1e12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_of_the_devices_that_have_them() {
        let peaks = [
            ("NVIDIA H100 80GB HBM3", Some(989.0)),
            ("NVIDIA H100 PCIe", None),
            ("NVIDIA H200", Some(989.0)),
            ("NVIDIA A100-SXM4-40GB", Some(312.0)),
            ("NVIDIA B200", Some(2250.0)),
            ("NVIDIA GB200", None),
            ("NVIDIA GeForce RTX 4090", None),
            ("cpu", None),
        ];
        for (name, peak) in peaks {
            assert_eq!(peak_tflops(name), peak, "{name}");
        }
    }
}
