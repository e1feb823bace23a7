//! Weights from a Hugging Face folder: `config.json` and `model.safetensors`.
//!
//! A folder comes from anywhere, so nothing is believed: sizes are checked before anything is allocated by them, and a
//! file must hold exactly the tensors that its configuration implies, in their shapes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use thiserror::Error;

use super::{LlamaConfig, ModelError};

/// Why a folder could not be read. Each names the file.
#[derive(Debug, Error)]
pub enum HfError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not the JSON of a Llama's configuration.
    #[error("{path}: {source}; expected the configuration of a Llama")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A model of another kind.
    #[error("{path}: `{key}` is {found}, but only {expected} is supported")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key in it.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// Sizes that do not fit each other.
    #[error("{path}: {source}")]
    Sizes {
        /// The file.
        path: PathBuf,
        /// Which, in a scenario's words.
        source: ModelError,
    },
    /// Much larger than such a model is.
    #[error("{path}: {size} bytes, but a file of such a model has at most {expected}")]
    Oversized {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most it may have.
        expected: u64,
    },
    /// Not a safetensors file.
    #[error("{path}: not a safetensors file: {source}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that should be there and is not, or is otherwise than it should be.
    #[error("{path}: tensor `{tensor}`: {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What was found and what was expected.
        problem: String,
    },
}

/// The largest `config.json` that is read.
const LARGEST_CONFIG: u64 = 1 << 20;
/// The most that a safetensors header may add to the values.
const LARGEST_HEADER: u64 = 1 << 24;

/// Sizes and parameters (in the layout's order) of the model in a folder, from values in F32, BF16 or F16.
///
/// The sequence length is the configuration's `max_position_embeddings`.
pub fn load(folder: &Path) -> Result<(LlamaConfig, Vec<f32>), HfError> {
    let config = read_config(&folder.join("config.json"))?;
    let layout = config.layout();
    let path = folder.join("model.safetensors");
    let bytes = read(&path, 4 * layout.total() as u64 + LARGEST_HEADER)?;
    let file =
        SafeTensors::deserialize(&bytes).map_err(|source| HfError::Safetensors { path: path.clone(), source })?;

    let wrong = |tensor: &str, problem: String| HfError::Tensor { path: path.clone(), tensor: tensor.into(), problem };
    if let Some(name) = file.names().into_iter().find(|name| layout.tensors.iter().all(|tensor| tensor.name != *name)) {
        return Err(wrong(name, "the configuration implies no such tensor".into()));
    }
    let mut theta = vec![0.0; layout.total()];
    for tensor in layout.tensors {
        let view = file.tensor(&tensor.name).map_err(|_| wrong(&tensor.name, "missing".into()))?;
        if view.shape() != tensor.shape {
            let problem = format!("shape {:?}, expected {:?}", view.shape(), tensor.shape);
            return Err(wrong(&tensor.name, problem));
        }
        copy(&view, &mut theta[tensor.range]).map_err(|problem| wrong(&tensor.name, problem))?;
    }
    Ok((config, theta))
}

fn copy(view: &TensorView, out: &mut [f32]) -> Result<(), String> {
    fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
        for (out, word) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
            *out = value(*word);
        }
    }
    match view.dtype() {
        Dtype::F32 => convert(view.data(), out, f32::from_le_bytes),
        Dtype::BF16 => convert(view.data(), out, |word| bf16::from_le_bytes(word).to_f32()),
        Dtype::F16 => convert(view.data(), out, |word| f16::from_le_bytes(word).to_f32()),
        other => return Err(format!("values of type {other:?}, expected F32, BF16 or F16")),
    }
    match out.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err("holds a value that is not finite".into()),
    }
}

/// Reads a file of at most `largest` bytes.
fn read(path: &Path, largest: u64) -> Result<Vec<u8>, HfError> {
    let failed = |source| HfError::Io { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    if size <= largest {
        // `take`: the file may grow, or be a device without a size.
        file.take(largest + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    let size = size.max(bytes.len() as u64);
    if size > largest {
        return Err(HfError::Oversized { path: path.into(), size, expected: largest });
    }
    Ok(bytes)
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

#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

fn read_config(path: &Path) -> Result<LlamaConfig, HfError> {
    let bytes = read(path, LARGEST_CONFIG)?;
    let raw: RawConfig =
        serde_json::from_slice(&bytes).map_err(|source| HfError::Json { path: path.into(), source })?;
    let rope_type = raw.rope_parameters.as_ref().and_then(|rope| rope.rope_type.clone());
    let supported = [
        ("model_type", raw.model_type, "llama"),
        ("hidden_act", raw.hidden_act, "silu"),
        ("rope_type", rope_type.unwrap_or_else(|| "default".into()), "default"),
        ("rope_scaling", raw.rope_scaling.map_or("null".into(), |value| value.to_string()), "null"),
        ("attention_bias", raw.attention_bias.to_string(), "false"),
        ("mlp_bias", raw.mlp_bias.to_string(), "false"),
        ("tie_word_embeddings", raw.tie_word_embeddings.to_string(), "false"),
    ];
    if let Some((key, found, expected)) = supported.into_iter().find(|(_, found, expected)| found != expected) {
        return Err(HfError::Unsupported { path: path.into(), key, found, expected });
    }
    let rope_theta = raw.rope_parameters.and_then(|rope| rope.rope_theta).or(raw.rope_theta);
    let config = LlamaConfig {
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
    config.check().map_err(|source| HfError::Sizes { path: path.into(), source })?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A copy of a vector's folder with its configuration and tensors changed.
    fn changed(
        change_config: impl Fn(&mut serde_json::Value),
        change_tensors: impl Fn(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>),
    ) -> Result<(LlamaConfig, Vec<f32>), HfError> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa");
        let to = tempfile::tempdir().unwrap();
        let mut config = serde_json::from_slice(&std::fs::read(from.join("config.json")).unwrap()).unwrap();
        change_config(&mut config);
        std::fs::write(to.path().join("config.json"), config.to_string()).unwrap();
        let bytes = std::fs::read(from.join("model.safetensors")).unwrap();
        let mut tensors = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| (name.to_string(), (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
            .collect();
        change_tensors(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (dtype, shape, data))| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
        let bytes = safetensors::serialize(views, None).unwrap();
        std::fs::write(to.path().join("model.safetensors"), bytes).unwrap();
        load(to.path())
    }

    const NORM: &str = "model.norm.weight";

    #[test]
    fn half_precision_is_widened() {
        let (_, full) = changed(|_| (), |_| ()).unwrap();
        let (config, half) = changed(
            |_| (),
            |tensors| {
                let (_, shape, data) = tensors[NORM].clone();
                let values = data.as_chunks::<4>().0.iter().map(|word| bf16::from_f32(f32::from_le_bytes(*word)));
                let data = values.flat_map(|value| value.to_le_bytes()).collect();
                tensors.insert(NORM.into(), (Dtype::BF16, shape, data));
            },
        )
        .unwrap();
        for tensor in config.layout().tensors {
            let tolerance = if tensor.name == NORM { 1.0 / 256.0 } else { 0.0 };
            for (a, b) in half[tensor.range.clone()].iter().zip(&full[tensor.range]) {
                assert!((a - b).abs() <= tolerance * b.abs(), "{}", tensor.name);
            }
        }
    }

    #[test]
    fn a_wrong_tensor_is_named() {
        let missing = changed(|_| (), |tensors| drop(tensors.remove(NORM)));
        let added =
            changed(|_| (), |tensors| drop(tensors.insert("model.extra".into(), (Dtype::F32, vec![1], vec![0; 4]))));
        let reshaped = changed(|_| (), |tensors| tensors.get_mut(NORM).unwrap().1 = vec![1, 64]);
        let whole_numbers = changed(|_| (), |tensors| tensors.get_mut(NORM).unwrap().0 = Dtype::I32);
        let not_finite =
            changed(|_| (), |tensors| tensors.get_mut(NORM).unwrap().2[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
        for (result, expected) in [
            (missing, "`model.norm.weight`: missing"),
            (added, "`model.extra`: the configuration implies no such tensor"),
            (reshaped, "`model.norm.weight`: shape [1, 64], expected [64]"),
            (whole_numbers, "`model.norm.weight`: values of type I32"),
            (not_finite, "`model.norm.weight`: holds a value that is not finite"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("model.safetensors"), "{message}");
        }
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        for (key, value, expected) in [
            ("model_type", "gpt2".into(), "`model_type` is gpt2"),
            ("tie_word_embeddings", true.into(), "`tie_word_embeddings` is true"),
            ("vocab_size", (-1).into(), "expected usize"),
            ("hidden_size", (1u64 << 40).into(), "model.hidden_size"),
            ("num_key_value_heads", 3.into(), "model.num_kv_heads"),
            ("num_attention_heads", 0.into(), "model.num_heads"),
        ] {
            let message =
                changed(|config| config[key] = serde_json::Value::clone(&value), |_| ()).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("config.json"), "{message}");
        }
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(folder.path()), Err(HfError::Io { .. })));
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa/config.json");
        std::fs::copy(config, folder.path().join("config.json")).unwrap();
        let path = folder.path().join("model.safetensors");
        for bytes in [&[][..], &[0xff; 8], &[0xff; 100], b"\x02\0\0\0\0\0\0\0{}"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(load(folder.path()).is_err());
        }
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(load(folder.path()), Err(HfError::Oversized { .. })));
    }
}
