//! What a device gives: that it is there, its driver, and that it computes what the CPU computes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gauntlet::digest::Digest;
use gauntlet::model::{Device, Llama, LlamaConfig, ModelSettings, Precision, arithmetic, init_theta};
use gauntlet::training::aggregate::sign_of_mean::SignOfMean;
use gauntlet::training::aggregate::{Aggregation, Weighted};
use gauntlet::training::gradient::gradient;
use gauntlet::training::scheme::demo::Demo;
use gauntlet::training::scheme::{DemoSettings, Scheme};

use super::Finding;
use crate::cli::bench::device_name;

/// Largest difference of losses in bf16, and of gradients relative to their norm: a factor has 8 bits, and is off by up
/// to 2^-9.
pub const BF16: (f64, f64) = (2e-3, 2e-2);
/// The same in f32.
pub const F32: (f64, f64) = (1e-5, 1e-4);
/// Peers whose payloads are aggregated.
const PEERS: u64 = 5;

/// Looks at a device that is there, and computes on it.
pub fn examine(device: Device, findings: &mut Vec<Finding>) {
    findings.push(Finding::ok("device", device_name(&device)));
    findings.push(driver(device));
    findings.push(guarded("gradient", || gradients(device)));
    findings.push(guarded("aggregation", || aggregations(device)));
}

/// The finding of work that a device's library may panic in.
pub fn guarded(what: &'static str, work: impl FnOnce() -> Finding) -> Finding {
    let panicked = |_| {
        let remedy = "the message above says why; other programs may hold the device, or its driver may be too old";
        Finding::problem(what, "the device's library gave up", remedy)
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

fn driver(device: Device) -> Finding {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(index) => match crate::cli::cuda::describe(index) {
            Ok(described) => Finding::ok("driver", described),
            Err(told) => Finding::told("driver", &told),
        },
        _ => Finding::ok("driver", format!("none is needed; CPU kernels use {}", arithmetic())),
    }
}

/// Largest differences that are rounding: of losses, and of gradients relative to their norm.
pub fn tolerance(device: Device) -> (f64, f64) {
    if device.precision() == Precision::Bf16 { BF16 } else { F32 }
}

/// Euclidean norm.
pub fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The difference of two losses and of two gradients, judged.
pub fn judged(what: &'static str, device: Device, of_loss: f64, of_gradient: f64) -> Finding {
    let (most_of_loss, most_of_gradient) = tolerance(device);
    let found = format!("loss differs by {of_loss:.1e}, gradient by {:.2} %", 100.0 * of_gradient);
    // A comparison with NaN is false.
    if of_loss <= most_of_loss && of_gradient <= most_of_gradient {
        return Finding::ok(what, found);
    }
    let expected = format!("at most {most_of_loss:.0e} and {} % are rounding", 100.0 * most_of_gradient);
    Finding::problem(what, format!("{found}; {expected}"), "this device computes wrongly; report it with its name")
}

fn nano() -> LlamaConfig {
    let settings = ModelSettings { preset: "nano".into(), ..ModelSettings::default() };
    LlamaConfig::from_settings(&settings).expect("a shipped preset")
}

/// A gradient of `nano`, against the CPU's.
fn gradients(device: Device) -> Finding {
    let config = nano();
    let theta = init_theta(&config, 1);
    let token = |page: usize, at: usize| ((page * 31 + at * 17) % config.vocab_size) as u32;
    let page = |page: usize| (0..=config.sequence_length).map(|at| token(page, at)).collect::<Vec<u32>>();
    let pages: Vec<_> = (0..4).map(page).collect();
    let on = |device: &Device| gradient(&Llama::from_flat(&config, &theta, device), &pages, 2);
    let (expected, found) = (on(&Device::Cpu), on(&device));
    let difference = norm(expected.values.iter().zip(&found.values).map(|(a, b)| a - b));
    let relative = difference / norm(expected.values.iter().copied());
    judged("gradient", device, (expected.loss - found.loss).abs(), relative)
}

/// An aggregation of several peers' payloads, which must have the CPU's bits.
fn aggregations(device: Device) -> Finding {
    let (what, config) = ("aggregation", nano());
    let layout = config.layout();
    let demo = match Demo::new(&DemoSettings::default(), &layout) {
        Ok(demo) => demo,
        Err(error) => return Finding::problem(what, error.to_string(), ""),
    };
    let theta = init_theta(&config, 1);
    let payload = |peer: u64| {
        let mut rng = gauntlet::random::rng(1, "doctor", peer, 0);
        let values: Vec<f32> = (0..layout.total()).map(|_| gauntlet::random::normal(&mut rng)).collect();
        demo.encode(&mut vec![0.0; values.len()], &values, 1e-3, 0)
    };
    let payloads: Vec<_> = (0..PEERS).map(payload).collect();
    let step = |device: Device| {
        let rule = SignOfMean::new(demo.payloads().chunks, device);
        Digest::of_f32(&rule.step(&theta, &Weighted::equally(&payloads), 1e-3))
    };
    match step(Device::Cpu) == step(device) {
        true => Finding::ok(what, format!("the CPU's bits, from {PEERS} peers' payloads")),
        false => Finding::problem(
            what,
            "other bits than the CPU's",
            "a node on this device would lose the network's model; report it with the device's name",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_difference_beyond_rounding_is_a_problem() {
        for (of_loss, of_gradient, verdict) in [
            (1e-3, 1e-2, Verdict::Ok),
            (3e-3, 1e-2, Verdict::Problem),
            (1e-3, 3e-2, Verdict::Problem),
            (f64::NAN, 1e-2, Verdict::Problem),
            (1e-3, f64::NAN, Verdict::Problem),
        ] {
            assert_eq!(judged("gradient", Device::CpuBf16, of_loss, of_gradient).verdict, verdict);
        }
        assert_eq!(judged("gradient", Device::CpuF32, 1e-3, 1e-5).verdict, Verdict::Problem);
    }

    #[test]
    fn the_operations_of_a_device_agree_with_the_kernels_of_the_cpu() {
        for device in [Device::CpuBf16, Device::CpuF32] {
            for finding in [gradients(device), aggregations(device)] {
                assert_eq!(finding.verdict, Verdict::Ok, "{device}: {finding:?}");
            }
        }
    }
}
