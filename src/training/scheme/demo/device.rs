//! DeMo's encoding with Burn tensors: momentum, gradient and all intermediate results stay on the device, and only what
//! is sent comes back.
//!
//! Each direction of the DCT is two products by the basis of a chunk's side, for all chunks of a tensor at once. The
//! device's own top-k finds the largest coefficients of each chunk: a bisection for a threshold would read them some
//! thirty times, and would not say where they are.
//!
//! It sends what [`Demo::encode`] sends, up to rounding of the products: coefficients of almost equal magnitude may
//! swap places.

use std::collections::BTreeMap;

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::encode::Step;
use super::sent::Demo;
use crate::model::ParamTensors;
use crate::training::dct::tables;
use crate::training::quantise::quantise;
use crate::training::{PseudoGradient, SparseTensor, TensorChunks};

impl Demo {
    /// Like [`Demo::encode`], on the device of both tensors.
    ///
    /// # Panics
    /// If `momentum` or `gradient` does not fit this model, or the device fails.
    pub fn encode_on_device(
        &self,
        momentum: &mut ParamTensors,
        gradient: ParamTensors,
        lr: f32,
        round: u64,
    ) -> PseudoGradient {
        assert_eq!(momentum.tensors.len(), self.layout.tensors.len(), "the momentum of this model");
        assert_eq!(gradient.tensors.len(), self.layout.tensors.len(), "the gradient of this model");
        let step = Step { decay: self.decay, lr, feedback: round >= self.feedback_from_round };
        let mut bases = Bases::default();
        let momenta = momentum.tensors.iter_mut().zip(gradient.tensors);
        let tensors = momenta.zip(self.layout.tensors.iter().zip(&self.shape.tensors));
        // Everything is queued before anything is awaited.
        let queued: Vec<_> = tensors
            .map(|((momentum, gradient), (chunks, shape))| {
                let dct = Dct::new(chunks, &mut bases, &momentum.device());
                encode_tensor(&dct, momentum, gradient, step, shape.value_bits)
            })
            .collect();
        let read = |(indices, values): (Tensor<2, Int>, Tensor<2>)| SparseTensor {
            indices: indices.into_data().iter::<i64>().map(|index| index as u16).collect(),
            values: floats(values),
        };
        PseudoGradient { tensors: queued.into_iter().map(read).collect() }
    }
}

/// Updates the momentum of one tensor. Returns the indices and values to send, [chunks, k].
fn encode_tensor(
    dct: &Dct,
    momentum: &mut Tensor<2>,
    gradient: Tensor<2>,
    step: Step,
    value_bits: u32,
) -> (Tensor<2, Int>, Tensor<2>) {
    momentum.inplace(|momentum| momentum * step.decay + gradient * step.lr);
    let coefficients = dct.forward(momentum.clone());
    let (_, indices) = coefficients.clone().abs().topk_with_indices(dct.chunks.k, 1);
    let mut values = coefficients.gather(1, indices.clone());
    if value_bits < 32 {
        values = quantised(values, value_bits);
    }
    if step.feedback {
        let sent = dct.inverse(indices.clone(), values.clone());
        momentum.inplace(|momentum| momentum - sent);
    }
    (indices, values)
}

/// The values that others receive, quantised on the host, as all peers do it.
fn quantised(values: Tensor<2>, bits: u32) -> Tensor<2> {
    let (shape, device) = (values.dims(), values.device());
    let mut on_host = floats(values);
    quantise(&mut on_host, bits);
    Tensor::from_data(TensorData::new(on_host, shape), &device)
}

fn floats(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 values")
}

/// The matrices of the DCT by their size, [frequency, point].
#[derive(Default)]
struct Bases(BTreeMap<usize, Tensor<2>>);

impl Bases {
    fn get(&mut self, n: usize, device: &Device) -> Tensor<2> {
        let upload = || Tensor::from_data(TensorData::new(tables::basis(n), [n, n]), device);
        self.0.entry(n).or_insert_with(upload).clone()
    }
}

/// The transform of all chunks of a tensor.
struct Dct<'a> {
    chunks: &'a TensorChunks,
    /// [1, height, height] and [width, width]: frequency, then point.
    down: Tensor<3>,
    across: Tensor<2>,
}

impl<'a> Dct<'a> {
    fn new(chunks: &'a TensorChunks, bases: &mut Bases, device: &Device) -> Self {
        let (down, across) = (bases.get(chunks.height, device).unsqueeze(), bases.get(chunks.width, device));
        Self { chunks, down, across }
    }

    /// Coefficients [chunks, chunk size] of a tensor [rows, columns].
    fn forward(&self, tensor: Tensor<2>) -> Tensor<2> {
        let TensorChunks { rows, cols, height, width, .. } = *self.chunks;
        let (bands, in_band) = (rows / height, cols / width);
        let half_done = tensor.reshape([rows * in_band, width]).matmul(self.across.clone().transpose());
        let done = self.down.clone().matmul(half_done.reshape([bands, height, cols]));
        done.reshape([bands, height, in_band, width]).swap_dims(1, 2).reshape([bands * in_band, height * width])
    }

    /// The tensor [rows, columns] whose only nonzero coefficients are these, [chunks, k].
    fn inverse(&self, indices: Tensor<2, Int>, values: Tensor<2>) -> Tensor<2> {
        let TensorChunks { rows, cols, height, width, .. } = *self.chunks;
        let (bands, in_band) = (rows / height, cols / width);
        let zeros = Tensor::<2>::zeros([bands * in_band, height * width], &values.device());
        let coefficients = zeros.scatter(1, indices, values, IndexingUpdateOp::Add);
        let in_bands = coefficients.reshape([bands, in_band, height, width]).swap_dims(1, 2);
        let half_done = self.down.clone().transpose().matmul(in_bands.reshape([bands, height, cols]));
        half_done.reshape([rows * in_band, width]).matmul(self.across.clone()).reshape([rows, cols])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Device, ParamLayout};
    use crate::random;
    use crate::training::PayloadError;
    use crate::training::scheme::DemoSettings;
    use crate::training::scheme::Scheme;

    const DEVICES: &[Device] = &[
        Device::Cpu,
        Device::CpuBf16,
        Device::CpuF32,
        #[cfg(feature = "ndarray")]
        Device::NdArray,
    ];

    fn layout() -> ParamLayout {
        ParamLayout::new([
            ("square".into(), vec![128, 64]),
            ("odd".into(), vec![100, 48]),
            ("norm".into(), vec![192]),
            ("few".into(), vec![3]),
        ])
    }

    fn demo(bits: u32) -> Demo {
        let settings = DemoSettings { chunk: 64, topk: 32, decay: 0.9, feedback_from_round: 1, bits };
        Demo::new(&settings, &layout()).unwrap()
    }

    fn gradient(round: u64) -> Vec<f32> {
        let mut rng = random::rng(7, "gradient", 0, round);
        (0..layout().total()).map(|_| random::normal(&mut rng)).collect()
    }

    /// Coefficients of each chunk by their index.
    fn sorted(demo: &Demo, payload: &PseudoGradient) -> Vec<(usize, usize, u16, f32)> {
        demo.shape().check(payload).unwrap();
        let mut all = Vec::new();
        for (t, (sparse, chunks)) in payload.tensors.iter().zip(&demo.layout().tensors).enumerate() {
            let coefficients = sparse.indices.iter().zip(&sparse.values).enumerate();
            all.extend(coefficients.map(|(at, (&index, &value))| (t, at / chunks.k, index, value)));
        }
        all.sort_by_key(|&(tensor, chunk, index, _)| (tensor, chunk, index));
        all
    }

    #[test]
    fn rounds_are_those_of_the_host() {
        for (device, bits) in DEVICES.iter().flat_map(|device| [(*device, 32), (*device, 4)]) {
            let (demo, layout) = (demo(bits), layout());
            let mut momentum = vec![0.0; layout.total()];
            let mut on_device = ParamTensors::zeros(&layout, &device.burn());
            for round in 0..4 {
                let gradient = gradient(round);
                let expected = demo.encode(&mut momentum, &gradient, 0.1, round);
                let gradient = ParamTensors::from_flat(&layout, &gradient, &device.burn());
                let sent = demo.encode_on_device(&mut on_device, gradient, 0.1, round);
                for (sent, expected) in sorted(&demo, &sent).iter().zip(sorted(&demo, &expected)) {
                    assert_eq!((sent.0, sent.1, sent.2), (expected.0, expected.1, expected.2), "{device}, {bits} bits");
                    assert!((sent.3 - expected.3).abs() < 1e-5, "{device}, {bits} bits: {sent:?} {expected:?}");
                }
            }
            for (found, expected) in on_device.into_flat().iter().zip(&momentum) {
                assert!((found - expected).abs() < 1e-5, "{device}, {bits} bits: {found} {expected}");
            }
        }
    }

    #[test]
    fn nothing_to_send_is_sent_as_zeros() {
        for &device in DEVICES {
            let mut momentum = ParamTensors::zeros(&layout(), &device.burn());
            let sent = demo(32).encode_on_device(&mut momentum.clone(), momentum.clone(), 0.1, 1);
            assert!(sorted(&demo(32), &sent).iter().all(|coefficient| coefficient.3 == 0.0));
            demo(32).encode_on_device(&mut momentum, sent_gradient(&device), 0.0, 1);
            assert!(momentum.into_flat().iter().all(|&value| value == 0.0));
        }
    }

    fn sent_gradient(device: &Device) -> ParamTensors {
        ParamTensors::from_flat(&layout(), &gradient(0), &device.burn())
    }

    #[test]
    fn a_gradient_that_is_no_number_is_caught_by_the_check() {
        for &device in DEVICES {
            let mut values = gradient(0);
            values[3] = f32::NAN;
            let gradient = ParamTensors::from_flat(&layout(), &values, &device.burn());
            let mut momentum = ParamTensors::zeros(&layout(), &device.burn());
            let sent = demo(32).encode_on_device(&mut momentum, gradient, 0.1, 1);
            let error = demo(32).shape().check(&sent).unwrap_err();
            assert!(matches!(error, PayloadError::NotFinite { .. } | PayloadError::DuplicateIndex { .. }), "{error}");
        }
    }
}
