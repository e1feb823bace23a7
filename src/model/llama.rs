//! The model as a Burn module.

use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::composed::{self, Pass, Past, Tiles};
use super::device::Precision;
use super::kernels::attention::Heads;
use super::kernels::attention_block::AttentionShape;
use super::kernels::rotary::Rotary;
use super::{Device, LlamaConfig, ParamTensors, fused};

/// A Llama (Touvron et al., arXiv 2302.13971).
///
/// Neighbours in the layout that read the same input are joined into one tensor here (queries, keys and values; gate
/// and up). Visiting the module still meets all values in the layout's order. Parameters are off the autodiff graph
/// until [`Module::train`].
#[derive(Module, Debug)]
pub struct Llama {
    pub(super) embedding: Param<Tensor<2>>,
    pub(super) blocks: Vec<Block>,
    pub(super) gain: Param<Tensor<1>>,
    pub(super) head: Param<Tensor<2>>,
    #[module(skip)]
    config: LlamaConfig,
    #[module(skip)]
    rotary: Arc<Rotary>,
    #[module(skip)]
    kernels: Kernels,
}

/// A transformer block. Fields in the layout's order.
#[derive(Module, Debug)]
pub(super) struct Block {
    qkv: Param<Tensor<2>>,
    out: Param<Tensor<2>>,
    gate_up: Param<Tensor<2>>,
    down: Param<Tensor<2>>,
    attention_gain: Param<Tensor<1>>,
    mlp_gain: Param<Tensor<1>>,
}

/// The code that runs a block: the fused kernels, or Burn's operations one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernels {
    Fused,
    Composed(Precision, Tiles),
}

impl Kernels {
    pub fn of(device: &Device) -> Self {
        match device {
            Device::Cpu => Self::Fused,
            _ => Self::Composed(device.precision(), Tiles::default()),
        }
    }
}

impl Llama {
    /// A model with these parameters, in the order of [`LlamaConfig::layout`].
    ///
    /// # Panics
    /// If their number differs from the layout's.
    pub fn from_flat(config: &LlamaConfig, theta: &[f32], device: &Device) -> Self {
        Self::with_kernels(config, theta, device, Kernels::of(device))
    }

    pub(super) fn with_kernels(config: &LlamaConfig, theta: &[f32], device: &Device, kernels: Kernels) -> Self {
        assert_eq!(theta.len(), config.layout().total(), "parameters of the model");
        let (hidden, device) = (config.hidden_size, device.burn());
        let mut cutter = Cutter { rest: theta, device: &device, next_id: 0 };
        let embedding = cutter.matrix(config.vocab_size, hidden);
        let blocks = (0..config.num_layers)
            .map(|_| Block {
                qkv: cutter.matrix(config.query_size() + 2 * config.kv_size(), hidden),
                out: cutter.matrix(hidden, config.query_size()),
                gate_up: cutter.matrix(2 * config.intermediate_size, hidden),
                down: cutter.matrix(hidden, config.intermediate_size),
                attention_gain: cutter.vector(hidden),
                mlp_gain: cutter.vector(hidden),
            })
            .collect();
        let (gain, head) = (cutter.vector(hidden), cutter.matrix(config.vocab_size, hidden));
        let rotary = Arc::new(Rotary::new(config.sequence_length, config.head_size, config.rope_theta));
        Self { embedding, blocks, gain, head, config: config.clone(), rotary, kernels }
    }

    /// The model's sizes.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// Whether the CPU kernels run it. If so, [`Llama::add_gradients`] computes its gradient in one piece; otherwise
    /// [`Llama::add_gradients_by_blocks`] does, block by block.
    pub fn is_fused(&self) -> bool {
        self.kernels == Kernels::Fused
    }

    /// Zeros for each parameter, on the model's device.
    pub fn zeros(&self) -> ParamTensors {
        ParamTensors::zeros(&self.config.layout(), &self.gain.val().device())
    }

    /// Logits [inputs.len(), vocabulary] of the token after each of `inputs`, which holds sequences of `length` one
    /// after another.
    pub fn logits(&self, inputs: &[u32], length: usize) -> Tensor<2> {
        let x = self.hidden(inputs, length);
        composed::logits(x, self.gain.val(), self.head.val(), &self.pass(length))
    }

    /// Cross-entropy in nats of each target, given the input at its place and the earlier ones of the sequence:
    /// [inputs.len()].
    ///
    /// # Panics
    /// If a token is not in the vocabulary, there are not as many targets as inputs, or the inputs are not whole
    /// sequences of a `length` that the model can read.
    pub fn token_losses(&self, inputs: &[u32], targets: Arc<[u32]>, length: usize) -> Tensor<1> {
        assert_eq!(inputs.len(), targets.len(), "a target for each input");
        self.check_tokens(&targets);
        let x = self.hidden(inputs, length);
        if self.is_fused() {
            return fused::loss_head(x, self.gain.val(), self.head.val(), targets, self.epsilon());
        }
        self.losses(x, &targets, &self.pass(length))
    }

    /// Cross-entropy of each target given its row of the residual stream, with logits for a few rows at a time.
    pub(super) fn losses(&self, x: Tensor<2>, targets: &[u32], pass: &Pass) -> Tensor<1> {
        let (gain, head) = (self.gain.val(), self.head.val());
        let rows = pass.loss_rows(self.config.vocab_size);
        let parts = x.split(rows, 0).into_iter().zip(targets.chunks(rows));
        let losses = parts.map(|(x, targets)| composed::loss_head(x, gain.clone(), head.clone(), targets, pass));
        Tensor::cat(losses.collect(), 0)
    }

    /// The residual stream after the last block: [inputs.len(), hidden].
    fn hidden(&self, inputs: &[u32], length: usize) -> Tensor<2> {
        self.check_inputs(inputs, length);
        let embedding = self.embedding.val();
        if self.is_fused() {
            let (x, shape) = (fused::embedding(embedding, inputs.into()), self.shape(length));
            return self.blocks.iter().fold(x, |x, block| block.fused(x, &shape));
        }
        let (x, pass) = (composed::embedding(embedding, inputs), self.pass(length));
        self.blocks.iter().fold(x, |x, block| block.composed(x, &pass))
    }

    /// What the blocks of a fused pass share.
    fn shape(&self, length: usize) -> AttentionShape {
        let LlamaConfig { num_heads: count, num_kv_heads: kv_count, head_size: size, .. } = self.config;
        let heads = Heads { count, kv_count, size, length };
        AttentionShape { heads, rotary: self.rotary.clone(), epsilon: self.epsilon() }
    }

    /// What the blocks of a composed pass share.
    pub(super) fn pass(&self, length: usize) -> Pass {
        self.pass_from(0, length)
    }

    /// The same for sequences that begin at position `first`.
    pub(super) fn pass_from(&self, first: usize, length: usize) -> Pass {
        let (precision, tiles) = match self.kernels {
            Kernels::Fused => (Precision::F32, Tiles::default()),
            Kernels::Composed(precision, tiles) => (precision, tiles),
        };
        Pass::new(&self.shape(length), first, precision, tiles, &self.gain.val().device())
    }

    /// # Panics
    /// If a token is not in the vocabulary, or the inputs are not whole sequences of a length that the model can read.
    pub(super) fn check_inputs(&self, inputs: &[u32], length: usize) {
        self.check_tokens(inputs);
        assert!(
            (1..=self.config.sequence_length).contains(&length) && inputs.len().is_multiple_of(length),
            "sequences of 1 to {} tokens, not {length} of {}",
            self.config.sequence_length,
            inputs.len()
        );
    }

    pub(super) fn check_tokens(&self, tokens: &[u32]) {
        let vocabulary = self.config.vocab_size;
        assert!(tokens.iter().all(|&token| (token as usize) < vocabulary), "tokens below {vocabulary}");
    }

    fn epsilon(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    /// The model after a step: each parameter minus `step` times its direction. Directions are matrices like those of
    /// [`ParamTensors`], on the model's device, and are read one by one.
    ///
    /// With directions of -1, 0 and 1 the product is exact, so the result is the same on every device.
    ///
    /// # Panics
    /// If the directions do not fit the model.
    pub fn stepped(&self, step: f32, directions: impl Iterator<Item = Tensor<2>>) -> Self {
        self.clone().map(&mut Stepper { step, directions })
    }

    /// Adds `weight` times the gradients of a [`Module::train`]ed model to `flat`, in the layout's order.
    pub fn add_gradients(&self, gradients: Gradients, weight: f32, flat: &mut [f32]) {
        let mut collector = Collector { gradients, weight, rest: flat };
        self.visit(&mut collector);
        assert!(collector.rest.is_empty(), "a flat gradient of the model's size");
    }
}

impl Block {
    fn fused(&self, x: Tensor<2>, shape: &AttentionShape) -> Tensor<2> {
        let (attention_gain, qkv, out) = (self.attention_gain.val(), self.qkv.val(), self.out.val());
        let (mlp_gain, gate_up, down) = (self.mlp_gain.val(), self.gate_up.val(), self.down.val());
        let x = fused::attention_block(x, attention_gain, qkv, out, shape.clone());
        fused::mlp_block(x, mlp_gain, gate_up, down, shape.epsilon)
    }

    pub(super) fn composed(&self, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        self.after(None, x, pass).0
    }

    /// Runs the block on tokens after a past. Returns the past for the next tokens too.
    pub(super) fn after(&self, past: Option<Past>, x: Tensor<2>, pass: &Pass) -> (Tensor<2>, Past) {
        let (attention_gain, qkv, out) = (self.attention_gain.val(), self.qkv.val(), self.out.val());
        let (mlp_gain, gate_up, down) = (self.mlp_gain.val(), self.gate_up.val(), self.down.val());
        let (x, past) = composed::attention_block(past, x, attention_gain, qkv, out, pass);
        (composed::mlp_block(x, mlp_gain, gate_up, down, pass), past)
    }
}

/// Cuts a flat vector into parameters.
struct Cutter<'a> {
    rest: &'a [f32],
    device: &'a burn::tensor::Device,
    next_id: u64,
}

impl Cutter<'_> {
    fn matrix(&mut self, rows: usize, columns: usize) -> Param<Tensor<2>> {
        self.cut([rows, columns])
    }

    fn vector(&mut self, size: usize) -> Param<Tensor<1>> {
        self.cut([size])
    }

    fn cut<const D: usize>(&mut self, shape: [usize; D]) -> Param<Tensor<D>> {
        let (values, rest) = self.rest.split_at(shape.iter().product());
        self.rest = rest;
        let id = ParamId::from(self.next_id);
        self.next_id += 1;
        let tensor = Tensor::from_data(TensorData::new(values.to_vec(), shape), self.device);
        Param::initialized(id, tensor).set_require_grad(true)
    }
}

/// Subtracts directions from parameters, visited in the layout's order.
struct Stepper<I> {
    step: f32,
    directions: I,
}

impl<I: Iterator<Item = Tensor<2>>> ModuleMapper for Stepper<I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| {
            let (count, mut found, mut parts) = (values.shape().num_elements(), 0, Vec::new());
            while found < count {
                let direction = self.directions.next().expect("a direction for each parameter");
                found += direction.shape().num_elements();
                parts.push(direction);
            }
            let direction = Tensor::cat(parts, 0).reshape(values.dims());
            values - direction * self.step
        })
    }
}

/// Collects gradients into a flat vector.
struct Collector<'a> {
    gradients: Gradients,
    weight: f32,
    rest: &'a mut [f32],
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(&mut self.gradients).expect("every parameter has a gradient");
        let data = gradient.into_data();
        let values = data.as_slice::<f32>().expect("f32 gradients");
        let (flat, rest) = std::mem::take(&mut self.rest).split_at_mut(values.len());
        self.rest = rest;
        for (sum, value) in flat.iter_mut().zip(values) {
            *sum += self.weight * value;
        }
    }
}
