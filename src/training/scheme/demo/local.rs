//! A peer's momentum from round to round.

use std::mem::replace;

use super::sent::Demo;
use crate::model::{Llama, ParamTensors};
use crate::training::gradient::DeviceGradient;
use crate::training::scheme::seam::LocalTraining;
use crate::training::state::{append, make_room};
use crate::training::{Evaluator, PseudoGradient, Replica, Round};

/// DeMo's state of one peer.
pub(super) struct Momentum {
    demo: Demo,
    values: Values,
}

/// The momentum's values, one per parameter.
enum Values {
    /// All zero: before the first round.
    Zero,
    Host(Vec<f32>),
    /// On the device that trains, from the first round on, if the gradient and its encoding stay there too.
    Device(ParamTensors),
}

impl Momentum {
    pub fn new(demo: Demo) -> Self {
        Self { values: Values::Zero, demo }
    }

    fn train_on_device(
        &mut self,
        evaluator: &Evaluator,
        model: &Llama,
        pages: &[Vec<u32>],
        round: Round,
    ) -> PseudoGradient {
        let (layout, device) = (evaluator.config.layout(), evaluator.device.burn());
        let mut on_device = match replace(&mut self.values, Values::Zero) {
            Values::Zero => ParamTensors::zeros(&layout, &device),
            Values::Host(values) => ParamTensors::from_flat(&layout, &values, &device),
            Values::Device(tensors) => tensors,
        };
        let DeviceGradient { tensors, .. } = evaluator.gradient_on_device(model, pages);
        let sent = self.demo.encode_on_device(&mut on_device, tensors, round.lr as f32, round.number);
        self.values = Values::Device(on_device);
        sent
    }
}

impl LocalTraining for Momentum {
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        if !replica.model.is_fused() {
            return self.train_on_device(evaluator, &replica.model, pages, round);
        }
        if let Values::Zero = self.values {
            self.values = Values::Host(vec![0.0; self.demo.layout().total()]);
        }
        let Values::Host(values) = &mut self.values else { unreachable!("a peer stays on its device") };
        let gradient = evaluator.gradient(&replica.model, pages);
        self.demo.encode(values, &gradient.values, round.lr as f32, round.number)
    }

    fn scale_kept(&mut self, factor: f32) {
        match &mut self.values {
            Values::Zero => {}
            Values::Host(values) => values.iter_mut().for_each(|value| *value *= factor),
            Values::Device(tensors) => {
                tensors.tensors.iter_mut().for_each(|tensor| *tensor = tensor.clone().mul_scalar(factor));
            }
        }
    }

    /// Saves the values, little-endian; nothing before the first round.
    fn save(&self, state: &mut Vec<u8>) {
        if !matches!(self.values, Values::Zero) {
            make_room(self.demo.layout().total(), state);
        }
        match &self.values {
            Values::Zero => {}
            Values::Host(values) => append(values, state),
            // Tensor by tensor, because what the device returns is a copy too.
            Values::Device(tensors) => tensors.tensors.iter().for_each(|tensor| {
                append(tensor.to_data().as_slice().expect("f32 values"), state);
            }),
        }
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let total = self.demo.layout().total();
        if saved.is_empty() {
            self.values = Values::Zero;
        } else if saved.len() == 4 * total {
            self.values = Values::Host(saved.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
        } else {
            return Err(format!("a momentum of {} bytes, expected {}", saved.len(), 4 * total));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::model::ModelSettings;
    use crate::model::{Device, LlamaConfig, init_theta};
    use crate::training::scheme::DemoSettings;
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
        let evaluator = Evaluator::new(config, device, 2);
        let replica = replica(&evaluator);
        let mut local = demo.local();
        let round = |number| {
            let pages: Vec<Vec<u32>> =
                (0..3).map(|page| (0..33).map(|at| (at * (page + 3) * 7 + number as u32) % 97).collect()).collect();
            let sent = local.train(&evaluator, &replica, &pages, Round { number, lr: 0.01, steps: None });
            if number == 1 {
                let mut saved = Vec::new();
                local.save(&mut saved);
                local = demo.local();
                local.restore(&saved).unwrap();
            }
            sent
        };
        (0..4).map(round).collect()
    }

    #[test]
    fn a_state_is_taken_up_before_the_first_round_too_and_one_of_another_model_is_not() {
        let demo = Demo::new(&DemoSettings::default(), &nano().layout()).unwrap();
        let mut saved = Vec::new();
        demo.local().save(&mut saved);
        assert!(saved.is_empty());
        assert_eq!(demo.local().restore(&saved), Ok(()));
        for bytes in [1, 4 * demo.layout().total() - 4, 4 * demo.layout().total() + 1] {
            assert!(demo.local().restore(&vec![0; bytes]).unwrap_err().contains("expected"), "{bytes}");
        }
    }

    #[test]
    fn on_a_device_it_trains_as_on_the_host() {
        let expected = rounds(Device::Cpu);
        let on_devices = Device::UNFUSED.iter().flat_map(|device| rounds(*device).into_iter().zip(&expected));
        for (sent, expected) in on_devices {
            for (sent, expected) in sent.tensors.iter().zip(&expected.tensors) {
                let largest = expected.values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                for (a, b) in sent.values.iter().zip(&expected.values) {
                    assert!((a.abs() - b.abs()).abs() <= 1e-4 * largest, "{a} {b}");
                }
            }
        }
    }
}
