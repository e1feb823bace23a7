//! A model of which a peer computes only a part, because that costs less.

use crate::model::{LlamaConfig, TensorSpec};

/// The part of a model that is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// The part of the transformer blocks, from the first.
    pub blocks: f64,
    /// The part of the neurons and of the heads of each block, from the first. Heads that share keys and values go together.
    pub width: f64,
}

impl Kept {
    /// The whole model.
    pub const ALL: Self = Self { blocks: 1.0, width: 1.0 };

    /// The number of blocks that are kept.
    fn blocks(self, config: &LlamaConfig) -> usize {
        part(config.num_layers, self.blocks)
    }

    /// The parameters of a model of which only this part is computed. Nothing that is left out has a gradient.
    pub fn of(self, config: &LlamaConfig, theta: &[f32]) -> Vec<f32> {
        let mut theta = theta.to_vec();
        for tensor in config.layout().tensors {
            let Some(block) = tensor.block() else { continue };
            let width = if block < self.blocks(config) { self.width } else { 0.0 };
            thin(config, &tensor, width, &mut theta[tensor.range.clone()]);
        }
        theta
    }

    /// The part of the computation that is left.
    pub fn computed(self, config: &LlamaConfig) -> f64 {
        let (num_heads, num_kv_heads) = heads(config, self.width);
        let thin = LlamaConfig {
            num_layers: self.blocks(config),
            num_heads,
            num_kv_heads,
            intermediate_size: part(config.intermediate_size, self.width),
            ..config.clone()
        };
        thin.flops_per_token() as f64 / config.flops_per_token() as f64
    }
}

/// The nearest whole number of a part of so many.
fn part(of: usize, kept: f64) -> usize {
    (of as f64 * kept).round() as usize
}

/// How many heads are kept, and how many of keys and values.
fn heads(config: &LlamaConfig, kept: f64) -> (usize, usize) {
    let kv_heads = part(config.num_kv_heads, kept);
    (kv_heads * config.num_heads / config.num_kv_heads, kv_heads)
}

/// Sets to zero what a block's matrix has of heads and neurons that are left out. Both what they read and what they add are
/// zero, so that neither has a gradient.
fn thin(config: &LlamaConfig, tensor: &TensorSpec, kept: f64, values: &mut [f32]) {
    let (heads, kv_heads) = heads(config, kept);
    let neurons = part(config.intermediate_size, kept);
    let [_, columns] = tensor.matrix();
    let is = |name: &str| tensor.name.ends_with(&format!("{name}_proj.weight"));
    if is("v") {
        values[kv_heads * config.head_size * columns..].fill(0.0);
    } else if is("gate") || is("up") {
        values[neurons * columns..].fill(0.0);
    } else if is("o") {
        values.chunks_mut(columns).for_each(|row| row[heads * config.head_size..].fill(0.0));
    } else if is("down") {
        values.chunks_mut(columns).for_each(|row| row[neurons..].fill(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Device, Llama, ModelSettings, init_theta};
    use crate::training::gradient::gradient;

    fn tiny(num_kv_heads: usize) -> LlamaConfig {
        let settings = ModelSettings { preset: "tiny".into(), num_kv_heads: Some(num_kv_heads), ..Default::default() };
        LlamaConfig::from_settings(&settings).unwrap()
    }

    fn pages() -> Vec<Vec<u32>> {
        (0..3).map(|page| (0..17).map(|at| (at * 37 + page * 101) % 256).collect()).collect()
    }

    /// The gradient of each tensor of a thinned model, by name.
    fn gradients(config: &LlamaConfig, theta: &[f32], kept: Kept) -> Vec<(String, Vec<f32>)> {
        let (theta, layout) = (kept.of(config, theta), config.layout());
        let gradient = gradient(&Llama::from_flat(config, &theta, &Device::Cpu), &pages(), 3);
        let of = |range: std::ops::Range<usize>| gradient.values[range].to_vec();
        layout.tensors.into_iter().map(|tensor| (tensor.name, of(tensor.range))).collect()
    }

    #[test]
    fn without_some_blocks_it_is_the_gradient_of_the_model_that_has_the_others() {
        let config = tiny(2);
        let theta = init_theta(&config, 3);
        let half = gradients(&config, &theta, Kept { blocks: 0.5, width: 1.0 });
        let (skipped, computed): (Vec<_>, Vec<_>) =
            half.into_iter().partition(|(name, _)| name.starts_with("model.layers.1."));
        assert!(skipped.iter().flat_map(|(_, gradient)| gradient).all(|value| *value == 0.0));
        let (shallow, layout) = (LlamaConfig { num_layers: 1, ..config.clone() }, config.layout());
        let there = layout.tensors.iter().filter(|tensor| tensor.block() != Some(1));
        let values: Vec<f32> = there.flat_map(|tensor| theta[tensor.range.clone()].to_vec()).collect();
        assert_eq!(computed, gradients(&shallow, &values, Kept::ALL));
        let share = Kept { blocks: 0.5, width: 1.0 }.computed(&config);
        assert_eq!(share, shallow.flops_per_token() as f64 / config.flops_per_token() as f64);
    }

    #[test]
    fn heads_and_neurons_that_are_left_out_have_no_gradient() {
        for (width, kv_heads) in [(0.25, 4), (0.5, 4), (0.75, 4), (0.5, 2)] {
            let (config, kept) = (tiny(kv_heads), Kept { blocks: 1.0, width });
            let computed = kept.computed(&config);
            assert!(computed > width && computed < 0.2 + width, "{computed}");
            assert_eq!(Kept::ALL.computed(&config), 1.0);
            for (name, gradient) in gradients(&config, &init_theta(&config, 3), kept) {
                let nonzero = gradient.iter().filter(|value| **value != 0.0).count() as f64 / gradient.len() as f64;
                assert!(!name.contains("_proj") || (nonzero - width).abs() < 0.01, "{name}: {nonzero}, width {width}");
            }
        }
    }
}
