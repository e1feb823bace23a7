//! A device against the conformance vectors: losses and gradients of Hugging Face's Llama.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use gauntlet::model::{Device, Llama, huggingface};
use gauntlet::training::gradient::gradient;
use safetensors::SafeTensors;

use super::Finding;
use super::device::{guarded, judged, norm};

/// What a line is called.
const WHAT: &str = "vectors";

/// Compares with each folder `llama_*`.
pub fn examine(device: Device, folder: &Path, findings: &mut Vec<Finding>) {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("llama_")));
    folders.sort();
    if folders.is_empty() {
        let found = format!("{}: no folder llama_* is in it", folder.display());
        findings.push(Finding::problem(WHAT, found, "name tests/vectors of the sources with --vectors"));
    }
    for path in folders {
        findings.push(guarded(WHAT, || match compared(device, &path) {
            Ok((of_loss, of_gradient)) => judged(WHAT, device, of_loss, of_gradient),
            Err(error) => Finding::problem(WHAT, format!("{}: {error:#}", path.display()), "copy the folder again"),
        }));
    }
}

/// The difference of the losses, and the largest of a tensor's gradients relative to its norm.
fn compared(device: Device, folder: &Path) -> anyhow::Result<(f64, f64)> {
    let (config, theta) = huggingface::load(folder)?;
    let file = folder.join("expected.safetensors");
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let expected = SafeTensors::deserialize(&bytes).context("expected.safetensors")?;
    let words = |name: &str| -> anyhow::Result<Vec<[u8; 4]>> {
        Ok(expected.tensor(name).with_context(|| name.to_string())?.data().as_chunks::<4>().0.to_vec())
    };
    let floats =
        |name: &str| Ok::<_, anyhow::Error>(words(name)?.into_iter().map(f32::from_le_bytes).collect::<Vec<_>>());
    let length = expected.tensor("ids")?.shape().get(1).copied().unwrap_or_default();
    ensure!(length > 1, "ids: expected rows of two tokens or more");
    let ids: Vec<u32> = words("ids")?.into_iter().map(u32::from_le_bytes).collect();
    ensure!(ids.iter().all(|id| (*id as usize) < config.vocab_size), "ids: a token is not in the vocabulary");
    let pages: Vec<Vec<u32>> = ids.chunks_exact(length).map(<[u32]>::to_vec).collect();
    let found = gradient(&Llama::from_flat(&config, &theta, &device), &pages, 2);
    let loss = floats("loss")?.first().copied().context("loss: it is empty")?;
    let mut largest = 0.0_f64;
    for tensor in config.layout().tensors {
        let theirs = floats(&format!("grad.{}", tensor.name))?;
        ensure!(theirs.len() == tensor.range.len(), "grad.{}: another size than the model's", tensor.name);
        let difference = norm(theirs.iter().zip(&found.values[tensor.range]).map(|(a, b)| a - b));
        let relative = difference / norm(theirs.iter().copied());
        // The maximum of two leaves NaN out.
        largest = if relative.is_nan() { relative } else { largest.max(relative) };
        if largest.is_nan() {
            break;
        }
    }
    Ok(((f64::from(loss) - found.loss).abs(), largest))
}
