//! `config.json`: the sizes of a Llama in Hugging Face's words.
//!
//! It is read as `transformers` reads it: what is missing has the default of its `LlamaConfig`; features that are not
//! supported here may be named with their neutral values; keys that make no difference to the result are not looked at.

use std::path::Path;

use serde_json::Value;

use super::keys::Keys;
use super::{HfError, rope};
use crate::model::LlamaConfig;
use crate::model::config::LARGEST_SIZE;

/// The tokens that begin and end a text as JSON files say them: a number, `null`, or for the end a list of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ends {
    pub begin: Value,
    pub end: Value,
}

/// Sizes, and what else a folder's `config.json` says of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct FolderConfig {
    /// The sequence length is the configuration's `max_position_embeddings`.
    pub llama: LlamaConfig,
    /// The embedding serves as head too: one of the two tensors may be missing.
    pub tied: bool,
    /// The tokens that begin and end a text.
    pub ends: Ends,
}

/// Reads a folder's `config.json`.
///
/// # Errors
/// The file cannot be read, is not of a plain Llama, or its sizes make no model.
pub fn read_config(folder: &Path) -> Result<FolderConfig, HfError> {
    let path = &folder.join("config.json");
    let keys = Keys::read(path, "the configuration of a Llama")?;
    check_kind(&keys)?;
    let llama = sizes(&keys)?;
    check_features(&keys, &llama)?;
    llama.check().map_err(|source| HfError::sizes(path, &source))?;
    let id = |key: &str| keys.get(key).cloned().unwrap_or(Value::Null);
    keys.tokens("eos_token_id")?;
    Ok(FolderConfig {
        llama,
        tied: keys.flag("tie_word_embeddings")?.unwrap_or(false),
        ends: Ends { begin: id("bos_token_id"), end: id("eos_token_id") },
    })
}

/// Refuses models of other kinds. Old folders name the kind only by the class that was saved.
fn check_kind(keys: &Keys) -> Result<(), HfError> {
    let is_llama = |name: &Value| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case("LlamaForCausalLM"));
    let of_class = keys.get("architectures").and_then(Value::as_array).is_some_and(|names| names.iter().any(is_llama));
    match keys.text("model_type")?.as_deref() {
        Some("llama") => Ok(()),
        None if of_class => Ok(()),
        _ => Err(keys.wrong("model_type", "llama; no other kind of model is supported")),
    }
}

/// The sizes, with the defaults of `LlamaConfig`.
fn sizes(keys: &Keys) -> Result<LlamaConfig, HfError> {
    let whole = |key: &str, default: usize| keys.whole(key).map(|size| size.unwrap_or(default));
    let hidden_size = whole("hidden_size", 4096)?;
    let num_heads = whole("num_attention_heads", 32)?;
    let head_size = keys.whole("head_dim")?;
    if head_size.is_none() && num_heads > 0 && !hidden_size.is_multiple_of(num_heads) {
        let expected = format!("a divisor of hidden_size = {hidden_size}, or head_dim with the size of a head");
        return Err(keys.wrong("num_attention_heads", expected));
    }
    let rms_norm_eps = keys.number("rms_norm_eps")?.unwrap_or(1e-6);
    if !(rms_norm_eps >= 0.0 && rms_norm_eps.is_finite()) {
        return Err(keys.wrong("rms_norm_eps", "a number, 0 or more"));
    }
    Ok(LlamaConfig {
        vocab_size: whole("vocab_size", 32_000)?,
        hidden_size,
        num_layers: whole("num_hidden_layers", 32)?,
        num_heads,
        num_kv_heads: whole("num_key_value_heads", num_heads)?,
        head_size: head_size.unwrap_or(hidden_size / num_heads.max(1)),
        intermediate_size: whole("intermediate_size", 11_008)?,
        // No weight depends on it, and some models say several million.
        sequence_length: whole("max_position_embeddings", 2048)?.min(LARGEST_SIZE),
        rope_theta: rope::theta(keys)?,
        rms_norm_eps,
    })
}

/// Refuses what changes the result and is not supported; neutral values are not.
fn check_features(keys: &Keys, llama: &LlamaConfig) -> Result<(), HfError> {
    let act = keys.text("hidden_act")?;
    if act.is_some_and(|act| act != "silu" && act != "swish") {
        return Err(keys.wrong("hidden_act", "silu; no other activation is supported"));
    }
    for key in ["attention_bias", "mlp_bias"] {
        if keys.flag(key)? == Some(true) {
            return Err(keys.wrong(key, "false; biases are not supported"));
        }
    }
    if keys.flag("is_causal")? == Some(false) {
        return Err(keys.wrong("is_causal", "true; a token cannot see later ones here"));
    }
    for key in ["quantization_config", "compression_config"] {
        if keys.get(key).is_some() {
            return Err(keys.wrong(key, "null: quantised weights are not supported; take the model in bf16 or f32"));
        }
    }
    // A window as long as the longest sequence leaves nothing out.
    for key in ["sliding_window", "attention_chunk_size"] {
        if keys.whole(key)?.is_some_and(|window| window < llama.sequence_length) {
            return Err(keys.wrong(key, "null: attention to a part of the tokens is not supported"));
        }
    }
    let full = |kind: &Value| kind == "full_attention";
    match keys.get("layer_types") {
        Some(Value::Array(kinds)) if !kinds.iter().all(full) => {
            return Err(keys.wrong("layer_types", "full_attention for each layer; no other attention is supported"));
        }
        _ => {}
    }
    if keys.get("per_layer_config").is_some() && !keys.object("per_layer_config")?.is_empty() {
        return Err(keys.wrong("per_layer_config", "null: layers of different sizes are not supported"));
    }
    Ok(())
}
