//! Weights from `model.safetensors`, or from the shards that `model.safetensors.index.json` names.
//!
//! One tensor is in memory at a time, beside the model that they fill.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;

use super::{FolderConfig, HfError, read_config, read_small};
use crate::model::{LlamaConfig, TensorSpec};

/// The largest header that is read: names, types and places of the tensors of a file.
const LARGEST_HEADER: u64 = 1 << 24;
const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Sizes and parameters (in the layout's order) of the model in a folder, from values in F32, BF16 or F16.
///
/// Where the folder ties the head to the embedding, the head is a copy of it.
///
/// # Errors
/// A file is missing, damaged, or holds other tensors than its configuration implies.
pub fn load(folder: &Path) -> Result<(LlamaConfig, Vec<f32>), HfError> {
    let FolderConfig { llama: config, tied } = read_config(folder)?;
    let layout = config.layout();
    let mut files = open_files(folder)?;
    let expected = |name: &str| layout.tensors.iter().any(|tensor| tensor.name == name);
    for file in &files {
        if let Some(name) = file.tensors.keys().find(|name| !expected(name)) {
            return Err(file.wrong(name, "the configuration implies no such tensor"));
        }
    }
    let mut theta = vec![0.0; layout.total()];
    for tensor in &layout.tensors {
        let file = files.iter_mut().find(|file| file.tensors.contains_key(&tensor.name));
        match file {
            Some(file) => file.read(tensor, &mut theta[tensor.range.clone()])?,
            None if tied && tensor.name == HEAD => {
                let embedding = layout.tensors.iter().find(|tensor| tensor.name == EMBEDDING);
                theta.copy_within(embedding.expect("every Llama has one").range.clone(), tensor.range.start);
            }
            None => {
                let (path, tensor) = (folder.join(SINGLE), tensor.name.clone());
                return Err(HfError::Tensor { path, tensor, problem: "missing".into() });
            }
        }
    }
    Ok((config, theta))
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files of a folder's weights: one, or as the index says.
fn open_files(folder: &Path) -> Result<Vec<TensorFile>, HfError> {
    let index_path = folder.join(INDEX);
    if folder.join(SINGLE).exists() || !index_path.exists() {
        return Ok(vec![TensorFile::open(folder.join(SINGLE))?]);
    }
    let expected = "which shard holds which tensor (`weight_map`)";
    let index: Index = serde_json::from_slice(&read_small(&index_path)?).map_err(|source| HfError::Json {
        path: index_path.clone(),
        expected,
        source,
    })?;
    let mut names: Vec<&String> = index.weight_map.values().collect();
    names.sort_unstable();
    names.dedup();
    // A shard lies in the folder itself, whatever the index says.
    let inside = |name: &str| Path::new(name).file_name().is_some_and(|file| file == name);
    if let Some(name) = names.iter().find(|name| !inside(name)) {
        let problem = format!("lies in {name:?}, expected a file of the folder");
        let tensor = index.weight_map.iter().find(|(_, file)| *file == *name).map(|(tensor, _)| tensor.clone());
        return Err(HfError::Tensor { path: index_path, tensor: tensor.unwrap_or_default(), problem });
    }
    names.into_iter().map(|name| TensorFile::open(folder.join(name))).collect()
}

/// A safetensors file whose header has been read.
struct TensorFile {
    path: PathBuf,
    file: File,
    /// Where the values begin.
    data: u64,
    tensors: BTreeMap<String, TensorInfo>,
}

impl TensorFile {
    /// Opens a file, and checks that its tensors lie within it.
    fn open(path: PathBuf) -> Result<Self, HfError> {
        let mut file = File::open(&path).map_err(HfError::io(&path))?;
        let size = file.metadata().map_err(HfError::io(&path))?.len();
        let broken = |problem: String| HfError::Safetensors { path: path.clone(), problem };
        let mut length = [0; 8];
        if size < 8 {
            return Err(broken(format!("{size} bytes are no header")));
        }
        file.read_exact(&mut length).map_err(HfError::io(&path))?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER.min(size - 8) {
            return Err(broken(format!("a header of {length} bytes in a file of {size}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(HfError::io(&path))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| broken(error.to_string()))?;
        let data = 8 + length;
        let tensors: BTreeMap<String, TensorInfo> =
            metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        for (name, info) in &tensors {
            let (start, end) = info.data_offsets;
            if start > end || end as u64 > size - data {
                return Err(broken(format!("tensor `{name}` lies at {start} to {end} of {} bytes", size - data)));
            }
        }
        Ok(Self { path, file, data, tensors })
    }

    fn wrong(&self, tensor: &str, problem: impl Into<String>) -> HfError {
        HfError::Tensor { path: self.path.clone(), tensor: tensor.into(), problem: problem.into() }
    }

    /// Reads one of the file's tensors.
    fn read(&mut self, tensor: &TensorSpec, out: &mut [f32]) -> Result<(), HfError> {
        let info = &self.tensors[&tensor.name];
        if info.shape != tensor.shape {
            let problem = format!("shape {:?}, expected {:?}", info.shape, tensor.shape);
            return Err(self.wrong(&tensor.name, problem));
        }
        let width = match info.dtype {
            Dtype::F32 => 4,
            Dtype::BF16 | Dtype::F16 => 2,
            other => {
                let problem = format!("values of type {other:?}, expected F32, BF16 or F16");
                return Err(self.wrong(&tensor.name, problem));
            }
        };
        let (start, end) = info.data_offsets;
        if end - start != out.len() * width {
            return Err(self.wrong(&tensor.name, format!("{} bytes, expected {}", end - start, out.len() * width)));
        }
        let dtype = info.dtype;
        let mut bytes = vec![0; end - start];
        self.file.seek(SeekFrom::Start(self.data + start as u64)).map_err(HfError::io(&self.path))?;
        self.file.read_exact(&mut bytes).map_err(HfError::io(&self.path))?;
        match dtype {
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
