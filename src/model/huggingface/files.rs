//! Which files of a folder hold the weights: one, or the shards that an index names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::HfError;
use super::keys::Keys;
use super::tensor_file::{TensorFile, is_buffer, is_there};

/// All weights in one file.
pub(super) const SINGLE: &str = "model.safetensors";
/// Which shard holds which weights.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// Weights in other forms, and what to do about them.
const OTHERS: [(&str, &str); 4] = [
    ("pytorch_model.bin", "; pytorch_model.bin is not read: save the model again with transformers"),
    ("pytorch_model.bin.index.json", "; pytorch_model*.bin are not read: save the model again with transformers"),
    ("adapter_config.json", "; an adapter is not read: merge it into its model and save that"),
    ("consolidated.00.pth", "; consolidated.00.pth is not read: convert it with transformers"),
];

/// The files of a folder's weights.
pub(super) struct Files {
    /// `model.safetensors`, or the shards.
    pub(super) files: Vec<TensorFile>,
    /// The shards beside a `model.safetensors`, which must hold the same values.
    pub(super) copies: Vec<TensorFile>,
}

/// Opens the files of a folder's weights, and checks that they and their index agree.
pub(super) fn open(folder: &Path) -> Result<Files, HfError> {
    let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
    // Where there is an adapter, transformers loads it on top of the weights.
    let adapter = folder.join("adapter_config.json");
    if is_there(&adapter) {
        let problem = "an adapter beside the weights is not supported: merge it into its model and save that".into();
        return Err(HfError::Sizes { path: adapter, problem });
    }
    match (is_there(&single), is_there(&index)) {
        (false, false) => {
            let other = OTHERS.iter().find(|(name, _)| is_there(&folder.join(name)));
            let hint = other.map_or("", |(_, hint)| hint);
            Err(HfError::NoWeights { folder: folder.into(), hint })
        }
        (true, false) => Ok(Files { files: vec![TensorFile::open(single)?], copies: Vec::new() }),
        (false, true) => Ok(Files { files: shards(folder, &index)?, copies: Vec::new() }),
        (true, true) => {
            let files = vec![TensorFile::open(single)?];
            let mut copies = shards(folder, &index)?;
            copies.retain(|file| file.path != files[0].path);
            Ok(Files { files, copies })
        }
    }
}

/// The shards that an index names, each with the tensors that the index says.
fn shards(folder: &Path, index: &Path) -> Result<Vec<TensorFile>, HfError> {
    let map = weight_map(index)?;
    let wrong = |tensor: &str, problem: String| HfError::Tensor { path: index.into(), tensor: tensor.into(), problem };
    let mut files: BTreeMap<&str, TensorFile> = BTreeMap::new();
    for (tensor, name) in &map {
        if files.contains_key(name.as_str()) {
            continue;
        }
        // A shard lies in the folder itself, whatever the index says.
        if Path::new(name).file_name().is_none_or(|file| file != name.as_str()) {
            return Err(wrong(tensor, format!("lies in {name:?}, expected a file of the folder")));
        }
        let path: PathBuf = folder.join(name);
        if !is_there(&path) {
            let hint = match is_there(&folder.join(SINGLE)) {
                true => format!("; fetch it, or remove the index if {SINGLE} has all weights"),
                false => "; fetch it".into(),
            };
            return Err(wrong(tensor, format!("lies in {name}, which is not in the folder{hint}")));
        }
        files.insert(name, TensorFile::open(path)?);
    }
    let stored: BTreeMap<&str, BTreeSet<&str>> = files
        .iter()
        .map(|(name, file)| (*name, file.tensors.values().map(|stored| stored.name.as_str()).collect()))
        .collect();
    if let Some((tensor, name)) =
        map.iter().find(|(tensor, name)| !is_buffer(tensor) && !stored[name.as_str()].contains(tensor.as_str()))
    {
        let really = stored.iter().find(|(_, tensors)| tensors.contains(tensor.as_str()));
        let really = really.map_or("nor does another file".into(), |(other, _)| format!("it lies in {other}"));
        return Err(wrong(tensor, format!("the index says {name}, which does not hold it; {really}")));
    }
    for (name, file) in &files {
        for tensor in &stored[name] {
            match map.get(*tensor) {
                Some(named) if named == name => {}
                Some(named) => {
                    let problem = format!("{INDEX} says that {named} holds it, and both do; expected one of them");
                    return Err(HfError::Tensor { path: file.path.clone(), tensor: (*tensor).into(), problem });
                }
                None => {
                    let problem = format!("{INDEX} does not name it; expected an index of all tensors");
                    return Err(HfError::Tensor { path: file.path.clone(), tensor: (*tensor).into(), problem });
                }
            }
        }
    }
    Ok(files.into_values().collect())
}

/// Which file holds which tensor, as an index says.
fn weight_map(index: &Path) -> Result<BTreeMap<String, String>, HfError> {
    let keys = Keys::read(index, "which shard holds which tensor (`weight_map`)")?;
    let Some(Value::Object(map)) = keys.get("weight_map") else {
        return Err(keys.wrong("weight_map", "an object: the file of each tensor"));
    };
    let file = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(file) => Ok((tensor.clone(), file.to_string())),
        None => Err(keys.wrong("weight_map", format!("the name of a file for `{tensor}`"))),
    };
    let map: BTreeMap<String, String> = map.iter().map(file).collect::<Result<_, _>>()?;
    match map.is_empty() {
        true => Err(keys.wrong("weight_map", "the file of each tensor")),
        false => Ok(map),
    }
}
