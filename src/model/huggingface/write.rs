//! Weights into `model.safetensors`, or into shards with an index where they are large.
//!
//! One tensor's bytes are in memory at a time, beside the model.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::View;
use serde::Serialize;

use super::{Ends, HfError, config_json};
use crate::model::{LlamaConfig, ParamLayout, TensorSpec};

/// Type of the values in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    F32,
    Bf16,
    F16,
}

impl Values {
    /// PyTorch's word for it.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }

    /// Bytes of one.
    pub fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect(),
        }
    }

    /// Whether the type holds a value, rounded; f16 ends at 65,504.
    fn holds(self, value: f32) -> bool {
        match self {
            Self::F32 => value.is_finite(),
            Self::Bf16 => bf16::from_f32(value).is_finite(),
            Self::F16 => f16::from_f32(value).is_finite(),
        }
    }
}

/// Bytes of a shard at most, as Hugging Face cuts them.
pub const SHARD_BYTES: usize = 5_000_000_000;

/// A tensor that is converted when it is written.
struct Lazy<'a> {
    spec: &'a TensorSpec,
    theta: &'a [f32],
    values: Values,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32 => Dtype::F32,
            Values::Bf16 => Dtype::BF16,
            Values::F16 => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.bytes(&self.theta[self.spec.range.clone()]).into()
    }

    fn data_len(&self) -> usize {
        self.spec.range.len() * self.values.width()
    }
}

/// Which shard holds which tensor, as Hugging Face's loaders read it.
#[derive(Serialize)]
struct Index<'a> {
    metadata: BTreeMap<&'a str, usize>,
    weight_map: BTreeMap<&'a str, String>,
}

/// Writes a folder in one step, so that it is never there in part: configuration, weights, and what `files` adds.
///
/// # Errors
/// There is something already, or see [`write_weights`].
pub fn write_folder(
    folder: &Path,
    (config, theta): (&LlamaConfig, &[f32]),
    values: Values,
    ends: &Ends,
    files: impl FnOnce(&Path) -> Result<(), HfError>,
) -> Result<(), HfError> {
    if folder.exists() {
        return Err(HfError::Exists(folder.into()));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(HfError::io(parent))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let temporary = builder.tempdir_in(parent).map_err(HfError::io(parent))?;
    let path = temporary.path().join("config.json");
    fs::write(&path, config_json(config, values.torch_name(), ends)).map_err(HfError::io(&path))?;
    write_weights(temporary.path(), &config.layout(), theta, values, SHARD_BYTES)?;
    files(temporary.path())?;
    fs::rename(temporary.path(), folder).map_err(HfError::io(folder))?;
    // It was renamed: there is nothing left to remove.
    let _ = temporary.keep();
    Ok(())
}

/// Writes the parameters into a folder, in shards of at most `shard_bytes` of values.
///
/// # Errors
/// A value that the type does not hold, or a disk that does not take the files.
pub fn write_weights(
    folder: &Path,
    layout: &ParamLayout,
    theta: &[f32],
    values: Values,
    shard_bytes: usize,
) -> Result<(), HfError> {
    for tensor in &layout.tensors {
        if let Some(value) = theta[tensor.range.clone()].iter().find(|value| !values.holds(**value)) {
            let problem = format!("{value} cannot be written as {}", values.torch_name());
            return Err(HfError::Tensor { path: folder.into(), tensor: tensor.name.clone(), problem });
        }
    }
    let shards = shards(layout, values, shard_bytes);
    if let [whole] = &shards[..] {
        return write_file(&folder.join("model.safetensors"), whole, theta, values);
    }
    let mut weight_map = BTreeMap::new();
    for (at, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", at + 1, shards.len());
        write_file(&folder.join(&name), shard, theta, values)?;
        weight_map.extend(shard.iter().map(|tensor| (tensor.name.as_str(), name.clone())));
    }
    let metadata =
        BTreeMap::from([("total_parameters", layout.total()), ("total_size", layout.total() * values.width())]);
    let index = serde_json::to_string_pretty(&Index { metadata, weight_map }).expect("a plain structure") + "\n";
    let path = folder.join("model.safetensors.index.json");
    fs::write(&path, index).map_err(HfError::io(&path))
}

/// Tensors in their order, cut before one that does not fit any more.
fn shards(layout: &ParamLayout, values: Values, most: usize) -> Vec<Vec<&TensorSpec>> {
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for tensor in &layout.tensors {
        let bytes = tensor.range.len() * values.width();
        if size > 0 && size + bytes > most {
            shards.push(Vec::new());
            size = 0;
        }
        size += bytes;
        shards.last_mut().expect("there is always one").push(tensor);
    }
    shards
}

fn write_file(path: &Path, tensors: &[&TensorSpec], theta: &[f32], values: Values) -> Result<(), HfError> {
    let views = tensors.iter().map(|spec| (spec.name.as_str(), Lazy { spec, theta, values }));
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize_to_file(views, Some(metadata), path)
        .map_err(|error| HfError::io(path)(std::io::Error::other(error)))?;
    // The library's files are for their owner only; this one is as readable as any other of the user's.
    let folder = path.parent().expect("a file of a folder");
    let usual = usual_permissions(folder).map_err(HfError::io(folder))?;
    fs::set_permissions(path, usual).map_err(HfError::io(path))
}

/// What the user's new files are allowed.
fn usual_permissions(folder: &Path) -> std::io::Result<fs::Permissions> {
    let path = folder.join(".permissions");
    let permissions = fs::File::create(&path)?.metadata()?.permissions();
    fs::remove_file(&path)?;
    Ok(permissions)
}
