//! The model as a Burn module.

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::kernels::attention::Heads;
use super::kernels::attention_block::AttentionShape;
use super::kernels::rotary::Rotary;
use super::{Device, LlamaConfig, composed, fused};

/// A Llama (Touvron et al., arXiv 2302.13971).
///
/// Parameters that follow one another in the layout and read the same input are one tensor here (queries, keys and
/// values; gate and up), so that visiting the module still meets all values in the layout's order. Off the autodiff
/// graph until [`Module::train`].
#[derive(Module, Debug)]
pub struct Llama {
    embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    gain: Param<Tensor<1>>,
    head: Param<Tensor<2>>,
    #[module(skip)]
    config: LlamaConfig,
    #[module(skip)]
    rotary: Arc<Rotary>,
    #[module(skip)]
    kernels: Kernels,
}

/// A transformer block. Fields in the layout's order.
#[derive(Module, Debug)]
struct Block {
    qkv: Param<Tensor<2>>,
    out: Param<Tensor<2>>,
    gate_up: Param<Tensor<2>>,
    down: Param<Tensor<2>>,
    attention_gain: Param<Tensor<1>>,
    mlp_gain: Param<Tensor<1>>,
}

/// Which code runs a block: ours, or Burn's operations one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernels {
    Fused,
    Composed,
}

impl Llama {
    /// The model with these parameters, which lie in the order of [`LlamaConfig::layout`].
    ///
    /// # Panics
    /// If there are not as many as the layout has.
    pub fn from_flat(config: &LlamaConfig, theta: &[f32], device: &Device) -> Self {
        let kernels = if *device == Device::Cpu { Kernels::Fused } else { Kernels::Composed };
        Self::with_kernels(config, theta, device, kernels)
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

    /// Logits [inputs.len(), vocabulary] of the token after each of `inputs`, which are sequences of `length` one after
    /// the other.
    pub fn logits(&self, inputs: &[u32], length: usize) -> Tensor<2> {
        let normalised = composed::rms_norm(self.hidden(inputs, length), self.gain.val(), self.epsilon());
        normalised.matmul(self.head.val().transpose())
    }

    /// Cross-entropy in nats of each of `targets`, given that of `inputs` in its place and those before it in the same
    /// sequence: [inputs.len()].
    ///
    /// # Panics
    /// If the tokens are not in the vocabulary, not as many in both, or no whole number of sequences of a `length` the
    /// model knows.
    pub fn token_losses(&self, inputs: &[u32], targets: Arc<[u32]>, length: usize) -> Tensor<1> {
        assert_eq!(inputs.len(), targets.len(), "a target for each input");
        self.check_tokens(&targets);
        let x = self.hidden(inputs, length);
        let (gain, head, epsilon) = (self.gain.val(), self.head.val(), self.epsilon());
        match self.kernels {
            Kernels::Fused => fused::loss_head(x, gain, head, targets, epsilon),
            Kernels::Composed => composed::loss_head(x, gain, head, targets, epsilon),
        }
    }

    /// The residual stream after the last block: [inputs.len(), hidden].
    fn hidden(&self, inputs: &[u32], length: usize) -> Tensor<2> {
        self.check_tokens(inputs);
        assert!(
            (1..=self.config.sequence_length).contains(&length) && inputs.len().is_multiple_of(length),
            "sequences of 1 to {} tokens, not {length} of {}",
            self.config.sequence_length,
            inputs.len()
        );
        let embedding = self.embedding.val();
        let x = match self.kernels {
            Kernels::Fused => fused::embedding(embedding, inputs.into()),
            Kernels::Composed => composed::embedding(embedding, inputs),
        };
        let shape = AttentionShape {
            heads: Heads {
                count: self.config.num_heads,
                kv_count: self.config.num_kv_heads,
                size: self.config.head_size,
                length,
            },
            rotary: self.rotary.clone(),
            epsilon: self.epsilon(),
        };
        self.blocks.iter().fold(x, |x, block| block.forward(x, &shape, self.kernels))
    }

    fn check_tokens(&self, tokens: &[u32]) {
        let vocabulary = self.config.vocab_size;
        assert!(tokens.iter().all(|&token| (token as usize) < vocabulary), "tokens below {vocabulary}");
    }

    fn epsilon(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    /// Adds `weight` times the gradients of a [`Module::train`]ed model's parameters to `flat`, in the layout's order.
    pub fn add_gradients(&self, gradients: Gradients, weight: f32, flat: &mut [f32]) {
        let mut collector = Collector { gradients, weight, rest: flat };
        self.visit(&mut collector);
        assert!(collector.rest.is_empty(), "a flat gradient of the model's size");
    }
}

impl Block {
    fn forward(&self, x: Tensor<2>, shape: &AttentionShape, kernels: Kernels) -> Tensor<2> {
        let (attention_gain, qkv, out) = (self.attention_gain.val(), self.qkv.val(), self.out.val());
        let (mlp_gain, gate_up, down) = (self.mlp_gain.val(), self.gate_up.val(), self.down.val());
        match kernels {
            Kernels::Fused => {
                let x = fused::attention_block(x, attention_gain, qkv, out, shape.clone());
                fused::mlp_block(x, mlp_gain, gate_up, down, shape.epsilon)
            }
            Kernels::Composed => {
                let x = composed::attention_block(x, attention_gain, qkv, out, shape.clone());
                composed::mlp_block(x, mlp_gain, gate_up, down, shape.epsilon)
            }
        }
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

/// Lays gradients one behind the other.
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
