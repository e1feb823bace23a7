//! The text of a `config.json` that this program writes.

use serde::Serialize;
use serde_json::Value;

use super::Ends;
use crate::model::LlamaConfig;

#[derive(Serialize)]
struct RopeParameters {
    rope_theta: f64,
    rope_type: &'static str,
}

/// The keys that `transformers` reads: `rope_theta` and `torch_dtype` are for version 4, `rope_parameters` and `dtype` for
/// version 5.
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
    bos_token_id: &'a Value,
    eos_token_id: &'a Value,
    initializer_range: f64,
    use_cache: bool,
    dtype: &'a str,
    torch_dtype: &'a str,
}

/// The text of a `config.json`, with `dtype` in PyTorch's word.
pub fn config_json(config: &LlamaConfig, dtype: &str, ends: &Ends) -> String {
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
        rope_parameters: RopeParameters { rope_theta: config.rope_theta, rope_type: "default" },
        attention_bias: false,
        attention_dropout: 0.0,
        mlp_bias: false,
        tie_word_embeddings: false,
        bos_token_id: &ends.begin,
        eos_token_id: &ends.end,
        initializer_range: 0.02,
        use_cache: true,
        dtype,
        torch_dtype: dtype,
    };
    serde_json::to_string_pretty(&written).expect("a plain structure") + "\n"
}
