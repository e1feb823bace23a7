//! Gradients in little memory, one block at a time; each block runs twice.
//!
//! Autodiff over a whole model keeps every intermediate result of every block. At the size of templar-1b and a
//! micro-batch of 6 sequences that is some 70 GB for blocks and 5 GB for logits, besides 10 GB of parameters and
//! gradients: too much for 80 GB. Here the forward pass runs without autodiff and keeps only the input of each block.
//! The backward pass goes from the last block to the first. It runs each again under autodiff with its input as a leaf,
//! adds its gradients to the sums at once, and frees the rest. The head is treated the same way, a few rows at a time,
//! so the logits of a micro-batch never exist as a whole.
//!
//! This takes a third more arithmetic and 17 GB in all, by [`Memory`](super::Memory)'s count, of which 1.7 GB are
//! attention scores. So memory does not call for a fused attention kernel; it would save traffic.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, IndexingUpdateOp, Tensor};

use super::composed::{self, Pass};
use super::{Llama, ParamTensors};

impl Llama {
    /// Adds `weight` times the gradient of the mean loss of `targets` to `sums`. Takes tokens as
    /// [`Llama::token_losses`] does, and returns the same losses. All work is queued on the device, and nothing waits
    /// for it.
    ///
    /// # Panics
    /// As [`Llama::token_losses`], or if `sums` belong to another model.
    pub fn add_gradients_by_blocks(
        &self,
        inputs: &[u32],
        targets: &[u32],
        length: usize,
        weight: f32,
        sums: &mut ParamTensors,
    ) -> Tensor<1> {
        assert_eq!(inputs.len(), targets.len(), "a target for each input");
        self.check_inputs(inputs, length);
        self.check_tokens(targets);
        let pass = self.pass(length);

        let mut x = composed::embedding(self.embedding.val(), inputs);
        let mut block_inputs = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            block_inputs.push(x.clone());
            x = block.composed(x, &pass);
        }

        let tensors = sums.tensors.len();
        let (losses, mut upstream) = self.loss_gradients(x, targets, weight, &pass, &mut sums.tensors[tensors - 2..]);
        let of_embedding = 1;
        let of_blocks = (tensors - 2 - of_embedding) / self.blocks.len();
        let sums_of_blocks = sums.tensors[of_embedding..tensors - 2].chunks_mut(of_blocks);
        for ((block, input), sums) in self.blocks.iter().zip(block_inputs).zip(sums_of_blocks).rev() {
            let (block, input) = (block.clone().train(), input.autodiff().require_grad());
            let output = block.composed(input.clone(), &pass);
            let mut gradients = (output * upstream).sum().backward();
            upstream = input.grad_remove(&mut gradients).expect("the input is a leaf");
            block.visit(&mut Adder { gradients, sums });
        }

        let ids = composed::tokens(inputs, &upstream.device());
        sums.tensors[0].inplace(|sum| sum.select_assign(0, ids, upstream, IndexingUpdateOp::Add));
        losses
    }

    /// The loss of each row of `x`, and the gradient of `weight` times their mean with respect to `x`. Gradients of the
    /// gain and the head are added to `sums`.
    fn loss_gradients(
        &self,
        x: Tensor<2>,
        targets: &[u32],
        weight: f32,
        pass: &Pass,
        sums: &mut [Tensor<2>],
    ) -> (Tensor<1>, Tensor<2>) {
        let rows = pass.loss_rows(self.config().vocab_size);
        let scale = weight / targets.len() as f32;
        let (mut losses, mut upstream) = (Vec::new(), Vec::new());
        for (x, targets) in x.split(rows, 0).into_iter().zip(targets.chunks(rows)) {
            let x = x.autodiff().require_grad();
            let (gain, head) = (self.gain.clone().train(), self.head.clone().train());
            let of_rows = composed::loss_head(x.clone(), gain.val(), head.val(), targets, pass);
            let mut gradients = (of_rows.clone() * scale).sum().backward();
            losses.push(of_rows.without_autodiff());
            upstream.push(x.grad_remove(&mut gradients).expect("the input is a leaf"));
            let mut adder = Adder { gradients, sums: &mut *sums };
            gain.visit(&mut adder);
            head.visit(&mut adder);
        }
        (Tensor::cat(losses, 0), Tensor::cat(upstream, 0))
    }
}

/// Adds gradients of parameters to sums of the layout's tensors, in the layout's order. A parameter that joins several
/// tensors of the layout holds their rows one after another.
struct Adder<'a> {
    gradients: Gradients,
    sums: &'a mut [Tensor<2>],
}

impl ModuleVisitor for Adder<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(&mut self.gradients).expect("every parameter has a gradient");
        let [_, columns] = self.sums[0].dims();
        let rows = gradient.shape().num_elements() / columns;
        let gradient = gradient.reshape([rows, columns]);
        let mut done = 0;
        while done < rows {
            let (sum, rest) = std::mem::take(&mut self.sums).split_first_mut().expect("sums of the model's size");
            let next = done + sum.dims()[0];
            let part = gradient.clone().slice_dim(0, done..next);
            sum.inplace(|sum| sum + part);
            (self.sums, done) = (rest, next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::composed::Tiles;
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::llama::Kernels;
    use crate::model::{Device, LlamaConfig, Precision, init_theta};

    /// The gradient, and the losses of the last pass.
    fn gradient(tiles: Tiles, weights: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let settings = ModelSettings { preset: "tiny".into(), num_kv_heads: Some(2), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        let kernels = Kernels::Composed(Precision::F32, tiles);
        let model = Llama::with_kernels(&config, &init_theta(&config, 4), &Device::Cpu, kernels);
        let tokens: Vec<u32> = (0..66).map(|at| at * at % 251).collect();
        let mut sums = model.zeros();
        let mut losses = Vec::new();
        for &weight in weights {
            let found = model.add_gradients_by_blocks(&tokens[..64], &tokens[2..], 32, weight, &mut sums);
            losses = found.into_data().try_into_vec().unwrap();
        }
        (sums.into_flat(), losses)
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let worst = found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 1e-5 * largest, "{worst} of {largest}");
    }

    #[test]
    fn tiles_do_not_change_the_result() {
        let (whole, losses) = gradient(Tiles::default(), &[1.0]);
        for tiles in [Tiles { queries: 5, logits: 256 * 7 }, Tiles { queries: 31, logits: 1 }] {
            let (in_tiles, losses_in_tiles) = gradient(tiles, &[1.0]);
            close(&in_tiles, &whole);
            close(&losses_in_tiles, &losses);
        }
    }

    #[test]
    fn weights_of_passes_add_up() {
        let (whole, _) = gradient(Tiles::default(), &[1.0]);
        close(&gradient(Tiles::default(), &[0.25, 0.75]).0, &whole);
    }
}
