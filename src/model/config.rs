//! Sizes of a Llama: presets and derived numbers.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::ParamLayout;
use crate::model::ModelSettings;

/// Sizes of a Llama with RMSNorm, rotary positions, SwiGLU, grouped-query attention and an untied head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Transformer blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key and value heads; a divisor of `num_heads`.
    pub num_kv_heads: usize,
    /// Width of a head; even.
    pub head_size: usize,
    /// Width of the SwiGLU layer.
    pub intermediate_size: usize,
    /// Tokens that a training sequence predicts, and the longest sequence that the model reads.
    pub sequence_length: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Epsilon that RMSNorm adds to the mean square.
    pub rms_norm_eps: f64,
}

/// Why sizes do not make a model.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ModelError {
    /// There is no such preset.
    #[error("model.preset: there is no `{name}`; expected one of {known}")]
    UnknownPreset {
        /// The requested preset.
        name: String,
        /// The known presets.
        known: String,
    },
    /// A size that does not fit the others.
    #[error("{key} = {value}: {expected}")]
    Size {
        /// The scenario's key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// What it should have been.
        expected: String,
    },
}

/// Sizes of a preset. It has as many key/value heads as query heads, and a head size of hidden size / heads.
struct Preset {
    name: &'static str,
    vocab_size: usize,
    hidden_size: usize,
    num_layers: usize,
    num_heads: usize,
    intermediate_size: usize,
    sequence_length: usize,
}

#[rustfmt::skip]
const PRESETS: [Preset; 6] = [
    Preset { name: "nano", vocab_size: 256, hidden_size: 32, num_layers: 1, num_heads: 2, intermediate_size: 96, sequence_length: 64 },
    Preset { name: "tiny", vocab_size: 256, hidden_size: 64, num_layers: 2, num_heads: 4, intermediate_size: 192, sequence_length: 64 },
    Preset { name: "small", vocab_size: 256, hidden_size: 128, num_layers: 4, num_heads: 4, intermediate_size: 448, sequence_length: 128 },
    Preset { name: "base", vocab_size: 256, hidden_size: 384, num_layers: 8, num_heads: 6, intermediate_size: 1024, sequence_length: 256 },
    Preset { name: "medium", vocab_size: 256, hidden_size: 768, num_layers: 16, num_heads: 12, intermediate_size: 2048, sequence_length: 512 },
    // Lidin et al., arXiv 2505.21684.
    Preset { name: "templar-1b", vocab_size: 32_000, hidden_size: 2048, num_layers: 16, num_heads: 8, intermediate_size: 8192, sequence_length: 2048 },
];

/// The largest size, so that products of two sizes and the number of parameters are far from overflow.
pub(crate) const LARGEST_SIZE: usize = 1 << 20;

impl LlamaConfig {
    /// Names of the presets, smallest first.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.name)
    }

    /// The sizes that a scenario asks for: a preset with the scenario's overrides.
    ///
    /// If `num_heads` is given without `num_kv_heads`, both are the same.
    pub fn from_settings(settings: &ModelSettings) -> Result<Self, ModelError> {
        let preset = PRESETS.iter().find(|preset| preset.name == settings.preset).ok_or_else(|| {
            let known = Self::presets().collect::<Vec<_>>().join(", ");
            ModelError::UnknownPreset { name: settings.preset.clone(), known }
        })?;
        let hidden_size = settings.hidden_size.unwrap_or(preset.hidden_size);
        let num_heads = settings.num_heads.unwrap_or(preset.num_heads);
        let config = Self {
            vocab_size: settings.vocab_size.unwrap_or(preset.vocab_size),
            hidden_size,
            num_layers: settings.num_layers.unwrap_or(preset.num_layers),
            num_heads,
            num_kv_heads: settings.num_kv_heads.unwrap_or(num_heads),
            head_size: settings.head_size.unwrap_or(hidden_size / num_heads.max(1)),
            intermediate_size: settings.intermediate_size.unwrap_or(preset.intermediate_size),
            sequence_length: settings.sequence_length.unwrap_or(preset.sequence_length),
            rope_theta: settings.rope_theta.unwrap_or(10_000.0),
            rms_norm_eps: settings.rms_norm_eps.unwrap_or(1e-5),
        };
        if num_heads > 0 && settings.head_size.is_none() && !hidden_size.is_multiple_of(num_heads) {
            return Err(ModelError::Size {
                key: "model.num_heads",
                value: num_heads,
                expected: format!("expected a divisor of model.hidden_size = {hidden_size}"),
            });
        }
        config.check()?;
        Ok(config)
    }

    /// The settings that give these sizes.
    pub fn to_settings(&self) -> ModelSettings {
        ModelSettings {
            vocab_size: Some(self.vocab_size),
            hidden_size: Some(self.hidden_size),
            num_layers: Some(self.num_layers),
            num_heads: Some(self.num_heads),
            num_kv_heads: Some(self.num_kv_heads),
            intermediate_size: Some(self.intermediate_size),
            sequence_length: Some(self.sequence_length),
            head_size: Some(self.head_size),
            rope_theta: Some(self.rope_theta),
            rms_norm_eps: Some(self.rms_norm_eps),
            ..ModelSettings::default()
        }
    }

    /// Checks the rules for all models, regardless of where the sizes come from.
    pub(crate) fn check(&self) -> Result<(), ModelError> {
        let wrong = |key, value, expected: &str| Err(ModelError::Size { key, value, expected: expected.into() });
        let sizes = [
            ("model.vocab_size", self.vocab_size),
            ("model.hidden_size", self.hidden_size),
            ("model.num_layers", self.num_layers),
            ("model.num_heads", self.num_heads),
            ("model.num_kv_heads", self.num_kv_heads),
            ("model.intermediate_size", self.intermediate_size),
            ("model.sequence_length", self.sequence_length),
        ];
        for (key, value) in sizes {
            if value == 0 || value > LARGEST_SIZE {
                return wrong(key, value, &format!("expected a number from 1 to {LARGEST_SIZE}"));
            }
        }
        if self.vocab_size < 2 {
            return wrong("model.vocab_size", self.vocab_size, "expected at least 2 tokens");
        }
        if self.num_layers > 1024 {
            return wrong("model.num_layers", self.num_layers, "expected at most 1024");
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let expected = format!("expected a divisor of model.num_heads = {}", self.num_heads);
            return wrong("model.num_kv_heads", self.num_kv_heads, &expected);
        }
        if self.head_size == 0 || self.head_size > LARGEST_SIZE || !self.head_size.is_multiple_of(2) {
            let expected =
                format!("leaves heads of {} values, and rotary positions need an even number", self.head_size);
            return wrong("model.num_heads", self.num_heads, &expected);
        }
        Ok(())
    }

    /// Width of all queries of a token.
    pub fn query_size(&self) -> usize {
        self.num_heads * self.head_size
    }

    /// Width of all keys, or all values, of a token.
    pub fn kv_size(&self) -> usize {
        self.num_kv_heads * self.head_size
    }

    /// Names and shapes of the parameters, in the order of the flat vector.
    pub fn layout(&self) -> ParamLayout {
        let hidden = self.hidden_size;
        let mut tensors = vec![("model.embed_tokens.weight".to_string(), vec![self.vocab_size, hidden])];
        for layer in 0..self.num_layers {
            let block = [
                ("self_attn.q_proj", vec![self.query_size(), hidden]),
                ("self_attn.k_proj", vec![self.kv_size(), hidden]),
                ("self_attn.v_proj", vec![self.kv_size(), hidden]),
                ("self_attn.o_proj", vec![hidden, self.query_size()]),
                ("mlp.gate_proj", vec![self.intermediate_size, hidden]),
                ("mlp.up_proj", vec![self.intermediate_size, hidden]),
                ("mlp.down_proj", vec![hidden, self.intermediate_size]),
                ("input_layernorm", vec![hidden]),
                ("post_attention_layernorm", vec![hidden]),
            ];
            tensors.extend(block.map(|(name, shape)| (format!("model.layers.{layer}.{name}.weight"), shape)));
        }
        tensors.push(("model.norm.weight".into(), vec![hidden]));
        tensors.push(("lm_head.weight".into(), vec![self.vocab_size, hidden]));
        ParamLayout::new(tensors)
    }

    /// Floating-point operations of a forward and backward pass, per token of a full sequence.
    ///
    /// Six per weight of a matrix product (the input embedding is a look-up), and 12 x layers x query width x sequence
    /// length for the attention scores, not reduced for the causal mask (as in the PaLM paper, arXiv 2204.02311,
    /// appendix B).
    pub fn flops_per_token(&self) -> u64 {
        let attention = self.hidden_size * (2 * self.query_size() + 2 * self.kv_size());
        let mlp = 3 * self.hidden_size * self.intermediate_size;
        let weights = self.num_layers * (attention + mlp) + self.vocab_size * self.hidden_size;
        let scores = self.num_layers * self.query_size() * self.sequence_length;
        6 * weights as u64 + 12 * scores as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_have_the_weights_that_are_computed_with() {
        for name in LlamaConfig::presets() {
            let config = preset(name);
            let layout = config.layout();
            let products = layout.tensors.iter().filter(|tensor| tensor.is_product());
            let weights: usize = products.map(|tensor| tensor.range.len()).sum();
            let scores = config.num_layers * config.query_size() * config.sequence_length;
            assert_eq!(6 * weights as u64 + 12 * scores as u64, config.flops_per_token(), "{name}");
        }
    }

    fn preset(name: &str) -> LlamaConfig {
        LlamaConfig::from_settings(&ModelSettings { preset: name.into(), ..Default::default() }).unwrap()
    }

    #[test]
    fn presets_have_their_published_sizes() {
        let counts = LlamaConfig::presets().map(|name| (name, preset(name).layout().total())).collect::<Vec<_>>();
        let expected = [
            ("nano", 29_792),
            ("tiny", 139_584),
            ("small", 1_016_960),
            ("base", 14_358_912),
            ("medium", 113_664_768),
            ("templar-1b", 1_204_881_408),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn settings_replace_sizes_of_the_preset() {
        let settings = ModelSettings { num_heads: Some(8), num_kv_heads: Some(2), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        assert_eq!((config.num_heads, config.num_kv_heads, config.head_size), (8, 2, 8));
        let layout = config.layout();
        assert_eq!(layout.tensors[2].name, "model.layers.0.self_attn.k_proj.weight");
        assert_eq!(layout.tensors[2].shape, [16, 64]);
    }

    #[test]
    fn sizes_become_settings_and_back() {
        let config = LlamaConfig { rope_theta: 5e5, head_size: 32, num_kv_heads: 2, ..preset("tiny") };
        assert_eq!(LlamaConfig::from_settings(&config.to_settings()).unwrap(), config);
    }

    #[test]
    fn impossible_sizes_name_their_key() {
        type Change = fn(&mut ModelSettings);
        let cases: [(&str, Change); 7] = [
            ("model.preset", |s| s.preset = "huge".into()),
            ("model.num_heads", |s| s.num_heads = Some(3)),
            ("model.num_heads", |s| s.num_heads = Some(0)),
            ("model.num_heads", |s| s.num_heads = Some(64)),
            ("model.num_kv_heads", |s| s.num_kv_heads = Some(3)),
            ("model.vocab_size", |s| s.vocab_size = Some(1)),
            ("model.intermediate_size", |s| s.intermediate_size = Some(usize::MAX)),
        ];
        for (key, change) in cases {
            let mut settings = ModelSettings::default();
            change(&mut settings);
            let message = LlamaConfig::from_settings(&settings).unwrap_err().to_string();
            assert!(message.starts_with(key), "{message}");
        }
    }

    #[test]
    fn flops_of_tiny() {
        // 122,880 weights in matrix products; 2 layers x 64 x 64 scores.
        assert_eq!(preset("tiny").flops_per_token(), 6 * 122_880 + 12 * 8_192);
    }
}
