//! `config.json`: the sizes of a Llama in Hugging Face's words.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{HfError, read_small};
use crate::model::LlamaConfig;

/// Sizes, and what else a folder's `config.json` says of the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderConfig {
    /// The sequence length is the configuration's `max_position_embeddings`.
    pub llama: LlamaConfig,
    /// The embedding serves as head too: the folder has no `lm_head.weight`.
    pub tied: bool,
}

/// The keys of `config.json` that make a difference.
#[derive(Deserialize)]
struct RawConfig {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    intermediate_size: usize,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    hidden_act: String,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<serde_json::Value>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Serialize, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

/// Reads a folder's `config.json`.
///
/// # Errors
/// The file cannot be read, is none of a Llama, or its sizes make no model.
pub fn read_config(folder: &Path) -> Result<FolderConfig, HfError> {
    let path = &folder.join("config.json");
    let bytes = read_small(path)?;
    let expected = "the configuration of a Llama";
    let raw: RawConfig =
        serde_json::from_slice(&bytes).map_err(|source| HfError::Json { path: path.into(), expected, source })?;
    let rope_type = raw.rope_parameters.as_ref().and_then(|rope| rope.rope_type.clone());
    let supported = [
        ("model_type", raw.model_type, "llama"),
        ("hidden_act", raw.hidden_act, "silu"),
        ("rope_type", rope_type.unwrap_or_else(|| "default".into()), "default"),
        ("rope_scaling", raw.rope_scaling.map_or("null".into(), |value| value.to_string()), "null"),
        ("attention_bias", raw.attention_bias.to_string(), "false"),
        ("mlp_bias", raw.mlp_bias.to_string(), "false"),
    ];
    if let Some((key, found, expected)) = supported.into_iter().find(|(_, found, expected)| found != expected) {
        return Err(HfError::Unsupported { path: path.into(), key, found, expected });
    }
    let rope_theta = raw.rope_parameters.and_then(|rope| rope.rope_theta).or(raw.rope_theta);
    let llama = LlamaConfig {
        vocab_size: raw.vocab_size,
        hidden_size: raw.hidden_size,
        num_layers: raw.num_hidden_layers,
        num_heads: raw.num_attention_heads,
        num_kv_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
        head_size: raw.head_dim.unwrap_or(raw.hidden_size / raw.num_attention_heads.max(1)),
        intermediate_size: raw.intermediate_size,
        sequence_length: raw.max_position_embeddings,
        rope_theta: rope_theta.unwrap_or(10_000.0),
        rms_norm_eps: raw.rms_norm_eps,
    };
    llama.check().map_err(|source| HfError::Sizes { path: path.into(), source })?;
    Ok(FolderConfig { llama, tied: raw.tie_word_embeddings })
}

/// What `transformers` reads, of version 4 (`rope_theta`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`).
#[derive(Serialize)]
struct Written<'a> {
    architectures: [&'a str; 1],
    model_type: &'a str,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    max_position_embeddings: usize,
    hidden_act: &'a str,
    rms_norm_eps: f64,
    rope_theta: f64,
    rope_parameters: RopeParameters,
    attention_bias: bool,
    attention_dropout: f64,
    mlp_bias: bool,
    tie_word_embeddings: bool,
    bos_token_id: Option<u32>,
    eos_token_id: Option<u32>,
    initializer_range: f64,
    use_cache: bool,
    dtype: &'a str,
    torch_dtype: &'a str,
}

/// The text of a `config.json`. `dtype` in PyTorch's word, the tokens that begin and end a document where they are known.
pub fn config_json(config: &LlamaConfig, dtype: &str, bos: Option<u32>, eos: Option<u32>) -> String {
    let written = Written {
        architectures: ["LlamaForCausalLM"],
        model_type: "llama",
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.num_layers,
        num_attention_heads: config.num_heads,
        num_key_value_heads: config.num_kv_heads,
        head_dim: config.head_size,
        max_position_embeddings: config.sequence_length,
        hidden_act: "silu",
        rms_norm_eps: config.rms_norm_eps,
        rope_theta: config.rope_theta,
        rope_parameters: RopeParameters { rope_theta: Some(config.rope_theta), rope_type: Some("default".into()) },
        attention_bias: false,
        attention_dropout: 0.0,
        mlp_bias: false,
        tie_word_embeddings: false,
        bos_token_id: bos,
        eos_token_id: eos,
        initializer_range: 0.02,
        use_cache: true,
        dtype,
        torch_dtype: dtype,
    };
    serde_json::to_string_pretty(&written).expect("a plain structure") + "\n"
}
