//! The `[model]` section of a scenario.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// The model: a preset, with any sizes replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// `nano`, `tiny`, `small`, ..., `templar-1b`.
    pub preset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_layers: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_kv_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Tokens that a sequence predicts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_length: Option<usize>,
    /// Width of a head [default: hidden_size / num_heads].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_size: Option<usize>,
    /// Base of the rotary angles [default: 10,000].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Epsilon that RMSNorm adds to the mean square [default: 1e-5].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rms_norm_eps: Option<f64>,
    /// Hugging Face folder with the initial weights and the sizes of the model. Without it weights are drawn from the
    /// seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
}

impl ModelSettings {
    /// Checks what a type cannot tell.
    pub fn check(&self, found: &mut Findings) {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_layers", self.num_layers),
            ("num_heads", self.num_heads),
            ("num_kv_heads", self.num_kv_heads),
            ("intermediate_size", self.intermediate_size),
            ("sequence_length", self.sequence_length),
        ];
        for (key, size) in sizes {
            found.at_least_one(key, size.unwrap_or(1) as u64);
        }
    }
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            preset: "tiny".into(),
            vocab_size: None,
            hidden_size: None,
            num_layers: None,
            num_heads: None,
            num_kv_heads: None,
            intermediate_size: None,
            sequence_length: None,
            head_size: None,
            rope_theta: None,
            rms_norm_eps: None,
            init: None,
        }
    }
}
