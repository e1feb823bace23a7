//! A safetensors file: its header, checked, and the tensors in it one at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::HfError;
use crate::model::TensorSpec;
use crate::words::{counted, not_json};

/// The largest header that is read: names, types and places of the tensors of a file.
const LARGEST_HEADER: u64 = 1 << 24;

/// How a file begins that `git` has left in place of a large one.
const LFS_POINTER: &[u8] = b"version ";

/// What is wrong with a header.
fn in_header(header: &[u8], error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.split_once(" at line ") {
        _ if !error.is_data() => format!("its header is {}", not_json(header, error)),
        Some((said, _)) => format!("its header: {said}"),
        None => format!("its header: {said}"),
    }
}

/// A tensor of a file.
pub(super) struct Stored {
    /// Its name in the file.
    pub(super) name: String,
    info: TensorInfo,
}

/// A safetensors file whose header has been read. It is opened anew for each tensor: a model may have more shards than a
/// process may have open files.
pub(super) struct TensorFile {
    pub(super) path: PathBuf,
    /// Where the values begin.
    data: u64,
    /// By the names that `LlamaForCausalLM` has for them, without buffers.
    pub(super) tensors: BTreeMap<String, Stored>,
}

impl TensorFile {
    /// Opens a file, and checks that its tensors fill it.
    pub(super) fn open(path: PathBuf) -> Result<Self, HfError> {
        let mut file = File::open(&path).map_err(HfError::io(&path))?;
        let size = file.metadata().map_err(HfError::io(&path))?.len();
        let broken = |problem: String| HfError::Safetensors { path: path.clone(), problem };
        let mut length = [0; 8];
        if size < 8 {
            return Err(broken(format!("{}, too short for a header", counted(size, "byte"))));
        }
        file.read_exact(&mut length).map_err(HfError::io(&path))?;
        if length == LFS_POINTER {
            return Err(broken("a pointer of Git LFS instead of the weights; fetch them with `git lfs pull`".into()));
        }
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER.min(size - 8) {
            return Err(broken(format!("a header of {length} bytes in a file of {size}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(HfError::io(&path))?;
        // This also checks that tensors have the bytes of their shapes, and lie one behind the other.
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| broken(in_header(&header, &error)))?;
        let data = 8 + length;
        let end = metadata.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or(0);
        let there = size - data;
        if end != there {
            let what = if end > there { "it was cut off" } else { "something was added to it" };
            let problem =
                format!("its tensors take {end} bytes, the file has {there} for them: {what}; fetch it again");
            return Err(broken(problem));
        }
        let mut tensors = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            if is_buffer(&name) {
                continue;
            }
            let stored = Stored { name: name.clone(), info: info.clone() };
            if let Some(other) = tensors.insert(full_name(&name), stored) {
                let problem = format!("stored twice, also as `{}`; expected one of the two", other.name);
                return Err(HfError::Tensor { path, tensor: name, problem });
            }
        }
        Ok(Self { path, data, tensors })
    }

    /// The error of a tensor, by the name that it has in the file.
    pub(super) fn wrong(&self, tensor: &str, problem: impl Into<String>) -> HfError {
        let tensor = self.tensors.get(tensor).map_or(tensor, |stored| stored.name.as_str());
        HfError::Tensor { path: self.path.clone(), tensor: tensor.into(), problem: problem.into() }
    }

    /// The file's name, without its folder.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Checks that a tensor has the shape that is expected and values of a type that can be read.
    pub(super) fn check(&self, tensor: &TensorSpec) -> Result<(), HfError> {
        let info = &self.tensors[&tensor.name].info;
        if info.shape != tensor.shape {
            let problem = format!("shape {:?}, expected {:?} by config.json", info.shape, tensor.shape);
            return Err(self.wrong(&tensor.name, problem));
        }
        if !matches!(info.dtype, Dtype::F64 | Dtype::F32 | Dtype::BF16 | Dtype::F16) {
            let problem = format!("values of type {:?}, expected F32, BF16, F16 or F64", info.dtype);
            return Err(self.wrong(&tensor.name, problem));
        }
        Ok(())
    }

    /// Reads one of the file's tensors, which has been checked.
    pub(super) fn read(&self, tensor: &TensorSpec, out: &mut [f32]) -> Result<(), HfError> {
        let info = &self.tensors[&tensor.name].info;
        let dtype = info.dtype;
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        let mut file = File::open(&self.path).map_err(HfError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.data + start as u64)).map_err(HfError::io(&self.path))?;
        file.read_exact(&mut bytes).map_err(HfError::io(&self.path))?;
        match dtype {
            Dtype::F64 => convert(&bytes, out, |word| f64::from_le_bytes(word) as f32),
            Dtype::F32 => convert(&bytes, out, f32::from_le_bytes),
            Dtype::BF16 => convert(&bytes, out, |word| bf16::from_le_bytes(word).to_f32()),
            _ => convert(&bytes, out, |word| f16::from_le_bytes(word).to_f32()),
        }
        match out.iter().all(|value| value.is_finite()) {
            true => Ok(()),
            false => Err(self.wrong(&tensor.name, "holds a value that is not finite")),
        }
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (out, word) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = value(*word);
    }
}

/// The name that `LlamaForCausalLM` has for a tensor: a `LlamaModel` is saved without the prefix.
fn full_name(name: &str) -> String {
    let of_base = name.starts_with("layers.") || ["embed_tokens.weight", "norm.weight"].contains(&name);
    if of_base { format!("model.{name}") } else { name.to_string() }
}

/// Whether a tensor is no parameter but follows from the configuration, as old versions saved them: the frequencies and
/// tables of the rotary positions, the causal mask, the positions.
pub(super) fn is_buffer(name: &str) -> bool {
    let ends = [".cos_cached", ".sin_cached", ".masked_bias", ".attn.bias", ".self_attn.bias", "position_ids"];
    name.contains("rotary_emb.inv_freq") || ends.iter().any(|end| name.ends_with(end))
}

/// Whether a file is there, be it one that cannot be read.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
