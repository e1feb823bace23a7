//! What a peer sends of its momentum.

use std::sync::Arc;

use super::encode::{Encoder, Step};
use super::settings::DemoSettings;
use crate::model::ParamLayout;
use crate::training::quantise::quantise;
use crate::training::{ChunkError, ChunkLayout, PayloadShape, PseudoGradient, TensorChunks, TensorShape};

/// DeMo for one model. The caller keeps the momentum: one per peer, with as many values as the model, initially zero.
#[derive(Clone, Debug)]
pub struct Demo {
    pub(super) layout: Arc<ChunkLayout>,
    pub(super) shape: PayloadShape,
    pub(super) decay: f32,
    pub(super) feedback_from_round: u64,
}

impl Demo {
    /// # Errors
    /// The chunk size or top-k is out of range, or a tensor is neither vector nor matrix.
    pub fn new(settings: &DemoSettings, params: &ParamLayout) -> Result<Self, ChunkError> {
        let layout = ChunkLayout::new(params, settings.chunk, settings.topk)?;
        Ok(Self {
            shape: layout.shape(settings.bits),
            layout: Arc::new(layout),
            decay: settings.decay as f32,
            feedback_from_round: settings.feedback_from_round,
        })
    }

    /// The layout of the chunks, which are transformed one by one.
    pub fn layout(&self) -> &ChunkLayout {
        &self.layout
    }

    /// One round of a peer: sets `momentum = decay * momentum + lr * gradient` and returns what is sent of it. From the
    /// configured round on, also subtracts that from the momentum. The indices of a chunk are in descending order of
    /// magnitude; among equal magnitudes the lower index comes first.
    ///
    /// Runs on the calling thread. Its last bits may differ between CPUs. This does no harm, because only what is sent
    /// counts.
    ///
    /// # Panics
    /// If `momentum` or `gradient` does not have as many values as the model.
    pub fn encode(&self, momentum: &mut [f32], gradient: &[f32], lr: f32, round: u64) -> PseudoGradient {
        assert_eq!(momentum.len(), self.layout.total(), "the momentum has the model's size");
        assert_eq!(gradient.len(), self.layout.total(), "the gradient has the model's size");
        let step = Step { decay: self.decay, lr, feedback: round >= self.feedback_from_round };
        let mut encoders = Vec::new();
        let tensor = |(chunks, shape): (&TensorChunks, &TensorShape)| {
            let (momentum, gradient) = (&mut momentum[chunks.range.clone()], &gradient[chunks.range.clone()]);
            let encoder = Encoder::for_shape(&mut encoders, chunks);
            if shape.value_bits == 32 {
                return encoder.encode(chunks, momentum, gradient, step);
            }
            // The peer subtracts what others receive, which is known only once the whole tensor has been quantised.
            let mut sent = encoder.encode(chunks, momentum, gradient, Step { feedback: false, ..step });
            quantise(&mut sent.values, shape.value_bits);
            if step.feedback {
                encoder.subtract(chunks, momentum, &sent);
            }
            sent
        };
        PseudoGradient { tensors: self.layout.tensors.iter().zip(&self.shape.tensors).map(tensor).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::PayloadError;
    use crate::training::scheme::Scheme;

    fn demo(feedback_from_round: u64) -> Demo {
        demo_of_bits(feedback_from_round, 32)
    }

    fn demo_of_bits(feedback_from_round: u64, bits: u32) -> Demo {
        let params = ParamLayout::new([("w".into(), vec![20, 12]), ("norm".into(), vec![12])]);
        Demo::new(&DemoSettings { chunk: 8, topk: 3, decay: 0.5, feedback_from_round, bits }, &params).unwrap()
    }

    #[test]
    fn feedback_starts_at_its_round() {
        let demo = demo(5);
        let gradient: Vec<f32> = (0..252).map(|i| ((i * 31) % 17) as f32 - 8.0).collect();
        let plain: Vec<f32> = gradient.iter().map(|g| 0.5 + 0.25 * g).collect();
        let (mut before, mut after) = (vec![1.0; 252], vec![1.0; 252]);
        let sent = demo.encode(&mut before, &gradient, 0.25, 4);
        assert_eq!(before, plain);
        assert_eq!(demo.encode(&mut after, &gradient, 0.25, 5), sent);

        let energy = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>();
        let of_sent: f32 = sent.tensors.iter().map(|tensor| energy(&tensor.values)).sum();
        assert!((energy(&plain) - of_sent - energy(&after)).abs() < 1e-3, "what is sent is gone from the momentum");
    }

    #[test]
    fn what_is_taken_off_is_what_the_others_receive() {
        let gradient: Vec<f32> = (0..252).map(|i| ((i * 31) % 17) as f32 - 8.0).collect();
        let mut whole = vec![1.0; 252];
        let mut expected = demo_of_bits(u64::MAX, 32).encode(&mut whole, &gradient, 0.25, 0);
        expected.tensors.iter_mut().for_each(|tensor| quantise(&mut tensor.values, 2));
        let mut rest = vec![1.0; 252];
        let sent = demo_of_bits(0, 2).encode(&mut rest, &gradient, 0.25, 0);
        assert_eq!(sent, expected);

        // A DCT of what was subtracted has the coefficients that were sent, each with the value that was sent.
        let taken: Vec<f32> = whole.iter().zip(&rest).map(|(whole, rest)| whole - rest).collect();
        let back = demo_of_bits(u64::MAX, 32).encode(&mut [0.0; 252], &taken, 1.0, 0);
        let sorted = |payload: &PseudoGradient| {
            let all = payload.tensors.iter().flat_map(|tensor| {
                tensor
                    .indices
                    .iter()
                    .zip(&tensor.values)
                    .enumerate()
                    .map(|(at, (&index, &value))| (at / 3, index, value))
            });
            let mut all: Vec<(usize, u16, f32)> = all.collect();
            all.sort_by_key(|&(chunk, index, _)| (chunk, index));
            all
        };
        for (sent, back) in sorted(&sent).iter().zip(sorted(&back)) {
            assert!((sent.0, sent.1) == (back.0, back.1) && (sent.2 - back.2).abs() < 1e-4, "{sent:?} {back:?}");
        }
    }

    #[test]
    fn nothing_to_send_is_sent_as_zeros() {
        let sent = demo(0).encode(&mut [0.0; 252], &[0.0; 252], 1.0, 0);
        demo(0).shape().check(&sent).unwrap();
        assert!(sent.tensors.iter().all(|tensor| tensor.values.iter().all(|&value| value == 0.0)));
        assert!(sent.tensors[0].indices.chunks(3).all(|chunk| chunk == [0, 1, 2]));
    }

    #[test]
    fn a_gradient_that_is_no_number_is_caught_by_the_check() {
        let mut gradient = [0.0; 252];
        gradient[3] = f32::NAN;
        let sent = demo(0).encode(&mut [0.0; 252], &gradient, 1.0, 0);
        assert!(matches!(demo(0).shape().check(&sent), Err(PayloadError::NotFinite { chunk: 0, .. })));
    }
}
