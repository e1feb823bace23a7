//! A Hugging Face folder: its config.json, and the header of its safetensors.

use std::path::Path;

use gauntlet::model::huggingface;

use super::super::change::{Folder, change, take};

const CONFIG: &[u8] = include_bytes!("../../../tests/vectors/llama_gqa/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../tests/vectors/llama_gqa/model.safetensors");
/// Bytes before the header of a safetensors file: its length.
const LENGTH: usize = 8;

/// Reads an input.
pub fn run(mut input: &[u8]) {
    let [mode] = take(&mut input);
    let (mut config, mut weights) = (CONFIG.to_vec(), WEIGHTS.to_vec());
    if mode % 2 == 0 {
        change(&mut config, input);
    } else {
        let end = LENGTH + u64::from_le_bytes(*WEIGHTS.first_chunk().expect("it is long enough")) as usize;
        let mut header = weights[..end].to_vec();
        change(&mut header, input);
        weights.splice(..end, header);
    }
    let folder = Folder::new();
    folder.write("config.json", &config);
    folder.write("model.safetensors", &weights);
    read(folder.path());
}

/// Reads a folder as a run does that starts from it.
pub fn read(folder: &Path) {
    if huggingface::examine(folder).is_err() {
        return;
    }
    let (config, theta) = huggingface::load(folder).expect("what was examined can be loaded");
    assert_eq!(theta.len(), config.layout().total());
}
