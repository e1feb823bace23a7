//! A peer's momentum from round to round.

use super::{Demo, LocalTraining};
use crate::model::{Llama, ParamTensors};
use crate::training::gradient::{DeviceGradient, gradient_on_device};
use crate::training::scheme::{Round, restored};
use crate::training::{Evaluator, PseudoGradient, Replica};

/// DeMo's state of one peer.
pub(super) struct Momentum {
    demo: Demo,
    values: Values,
}

/// As many values as the model has.
enum Values {
    Host(Vec<f32>),
    /// On the device that trains, from the first round on, where the gradient and its encoding stay there too.
    Device(ParamTensors),
}

impl Momentum {
    pub fn new(demo: Demo) -> Self {
        Self { values: Values::Host(vec![0.0; demo.layout().total()]), demo }
    }

    fn train_on_device(
        &mut self,
        evaluator: &Evaluator,
        model: &Llama,
        pages: &[Vec<u32>],
        round: Round,
    ) -> PseudoGradient {
        if let Values::Host(values) = &self.values {
            let device = evaluator.device.burn();
            self.values = Values::Device(ParamTensors::from_flat(&evaluator.config.layout(), values, &device));
        }
        let Values::Device(momentum) = &mut self.values else { unreachable!("it was just brought there") };
        let DeviceGradient { tensors, .. } = gradient_on_device(model, pages, evaluator.micro_batch);
        self.demo.encode_on_device(momentum, tensors, round.lr as f32, round.number)
    }
}

impl LocalTraining for Momentum {
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        match &mut self.values {
            Values::Host(values) if replica.model.is_fused() => {
                let gradient = evaluator.gradient(&replica.model, pages);
                self.demo.encode(values, &gradient.values, round.lr as f32, round.number)
            }
            _ => self.train_on_device(evaluator, &replica.model, pages, round),
        }
    }

    fn save(&self) -> Vec<u8> {
        let saved = match &self.values {
            Values::Host(values) => postcard::to_stdvec(values),
            Values::Device(tensors) => postcard::to_stdvec(&tensors.clone().into_flat()),
        };
        saved.expect("plain values")
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let values = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        self.values = Values::Host(restored(values, self.demo.layout().total())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::model::{Device, LlamaConfig, init_theta};
    use crate::scenario::{DemoSettings, ModelSettings};
    use crate::training::scheme::Scheme;

    fn nano() -> LlamaConfig {
        LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap()
    }

    fn replica(evaluator: &Evaluator) -> Replica {
        let theta = init_theta(&evaluator.config, 2);
        Replica { digest: Digest::of_f32(&theta), model: evaluator.model(&theta), theta }
    }

    /// Rounds of a peer whose state is saved and restored after the second.
    fn rounds(device: Device) -> Vec<PseudoGradient> {
        let config = nano();
        let demo = Demo::new(&DemoSettings { feedback_from_round: 1, ..Default::default() }, &config.layout()).unwrap();
        let evaluator = Evaluator { config, device, micro_batch: 2 };
        let replica = replica(&evaluator);
        let mut local = demo.local();
        let round = |number| {
            let pages: Vec<Vec<u32>> =
                (0..3).map(|page| (0..33).map(|at| (at * (page + 3) * 7 + number as u32) % 97).collect()).collect();
            let sent = local.train(&evaluator, &replica, &pages, Round { number, lr: 0.01 });
            if number == 1 {
                let saved = local.save();
                local = demo.local();
                local.restore(&saved).unwrap();
            }
            sent
        };
        (0..4).map(round).collect()
    }

    #[test]
    fn on_a_device_it_trains_as_on_the_host() {
        let expected = rounds(Device::Cpu);
        for (sent, expected) in rounds(Device::NdArray).iter().zip(&expected) {
            for (sent, expected) in sent.tensors.iter().zip(&expected.tensors) {
                let largest = expected.values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                for (a, b) in sent.values.iter().zip(&expected.values) {
                    assert!((a.abs() - b.abs()).abs() <= 1e-4 * largest, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_model_stepped_on_a_device_is_the_model_of_the_stepped_parameters() {
        let payloads = rounds(Device::Cpu);
        let payloads: Vec<&PseudoGradient> = payloads.iter().collect();
        let demo = Demo::new(&DemoSettings::default(), &nano().layout()).unwrap();
        for device in [Device::CpuBf16, Device::NdArray] {
            let evaluator = Evaluator { config: nano(), device, micro_batch: 2 };
            let (replica, demo) = (replica(&evaluator), demo.clone().on(device));
            let expected = evaluator.model(&demo.step(&replica.theta, 0.01, &payloads, 0.2));
            let stepped = demo.stepped(&evaluator, &replica, 0.01, &payloads, 0.2);
            let logits = |model: Llama| model.logits(&[1, 2, 3, 4], 4).into_data();
            assert_ne!(logits(stepped.clone()), logits(replica.model));
            assert_eq!(logits(stepped), logits(expected));
        }
    }
}
