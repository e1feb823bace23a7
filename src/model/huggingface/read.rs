//! Weights of a folder, tensor by tensor.
//!
//! One tensor is in memory at a time, beside the model that they fill.

use std::path::Path;

use super::files::{self, Files, INDEX, SINGLE};
use super::{FolderConfig, HfError, read_config};
use crate::model::{LlamaConfig, ParamLayout, TensorSpec};

const HEAD: &str = "lm_head.weight";
const EMBEDDING: &str = "model.embed_tokens.weight";

/// Sizes and parameters (in the layout's order) of the model in a folder, from values in F32, BF16, F16 or F64.
///
/// Where the folder ties the head to the embedding and holds one of the two, the other is a copy of it; where it holds
/// both, each has its own values, as in `transformers`.
///
/// # Errors
/// A file is missing, damaged, contradicts another, or holds other tensors than the configuration implies.
pub fn load(folder: &Path) -> Result<(LlamaConfig, Vec<f32>), HfError> {
    let (config, layout, weights) = Weights::open(folder)?;
    let mut theta = vec![0.0; layout.total()];
    for tensor in &layout.tensors {
        weights.read(tensor, &mut theta[tensor.range.clone()])?;
    }
    Ok((config, theta))
}

/// Reads a folder as [`load`] does, without keeping the parameters: whether they are there and whole.
///
/// # Errors
/// Those of [`load`].
pub fn examine(folder: &Path) -> Result<LlamaConfig, HfError> {
    let (config, layout, weights) = Weights::open(folder)?;
    let mut values = Vec::new();
    for tensor in &layout.tensors {
        values.resize(tensor.range.len(), 0.0);
        weights.read(tensor, &mut values)?;
    }
    Ok(config)
}

/// The files of a folder, which hold exactly the tensors that its configuration implies.
struct Weights {
    files: Files,
    tied: bool,
}

impl Weights {
    fn open(folder: &Path) -> Result<(LlamaConfig, ParamLayout, Self), HfError> {
        let FolderConfig { llama: config, tied, .. } = read_config(folder)?;
        let weights = Self { files: files::open(folder)?, tied };
        let layout = config.layout();
        let expected = |name: &str| layout.tensors.iter().any(|tensor| tensor.name == name);
        for file in weights.files.files.iter().chain(&weights.files.copies) {
            if let Some(name) = file.tensors.keys().find(|name| !expected(name)) {
                return Err(
                    file.wrong(name, "the configuration implies no such tensor; expected those of a plain Llama")
                );
            }
        }
        if let Some(tensor) = layout.tensors.iter().find(|tensor| weights.stored(tensor).is_none()) {
            let single = weights.files.files.first().is_some_and(|file| file.name() == SINGLE);
            let path = folder.join(if single { SINGLE } else { INDEX });
            let problem = match tensor.name.as_str() {
                HEAD => "missing, and `tie_word_embeddings` in config.json is false; expected one of the two otherwise",
                _ => "missing; expected all tensors of a Llama of the configuration's sizes",
            };
            return Err(HfError::Tensor { path, tensor: tensor.name.clone(), problem: problem.into() });
        }
        // Nothing is allocated by the sizes of a configuration that the files do not bear out.
        for tensor in &layout.tensors {
            let stored = weights.stored(tensor).expect("just found");
            let holders = weights.files.files.iter().chain(&weights.files.copies);
            holders.filter(|file| file.tensors.contains_key(&stored.name)).try_for_each(|file| file.check(&stored))?;
        }
        Ok((config, layout, weights))
    }

    fn holds(&self, name: &str) -> bool {
        self.files.files.iter().any(|file| file.tensors.contains_key(name))
    }

    /// The stored tensor that a parameter has its values from: its own, or that which it is tied to, of the same shape.
    fn stored(&self, tensor: &TensorSpec) -> Option<TensorSpec> {
        let other = match tensor.name.as_str() {
            HEAD => EMBEDDING,
            EMBEDDING => HEAD,
            name => name,
        };
        let name = match self.holds(&tensor.name) {
            true => &tensor.name,
            false => Some(other).filter(|other| self.tied && self.holds(other))?,
        };
        Some(TensorSpec { name: name.into(), ..tensor.clone() })
    }

    /// Reads the values of a parameter, and holds copies of them against one another.
    fn read(&self, tensor: &TensorSpec, out: &mut [f32]) -> Result<(), HfError> {
        let stored = self.stored(tensor).expect("checked when the files were opened");
        let file = self.files.files.iter().find(|file| file.tensors.contains_key(&stored.name));
        let file = file.expect("it is stored");
        file.read(&stored, out)?;
        for copy in self.files.copies.iter().filter(|copy| copy.tensors.contains_key(&stored.name)) {
            let mut values = vec![0.0; out.len()];
            copy.read(&stored, &mut values)?;
            if values.iter().zip(&*out).any(|(a, b)| a.to_bits() != b.to_bits()) {
                let problem = format!(
                    "other values than in {}, which {INDEX} names; remove {SINGLE}, or the index and its shards",
                    copy.name()
                );
                return Err(file.wrong(&stored.name, problem));
            }
        }
        Ok(())
    }
}
