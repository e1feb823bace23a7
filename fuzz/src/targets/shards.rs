//! The index of a Hugging Face model in several files: which file holds which tensor.

use std::sync::LazyLock;

use super::super::change::{Folder, change};

const CONFIG: &[u8] = include_bytes!("../../../tests/vectors/llama_gqa/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../tests/vectors/llama_gqa/model.safetensors");
const SHARD: &str = "model-00001-of-00001.safetensors";

/// A valid index: all tensors are in the one shard.
static INDEX: LazyLock<String> = LazyLock::new(|| {
    let length = u64::from_le_bytes(*WEIGHTS.first_chunk().expect("it is long enough")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&WEIGHTS[8..8 + length]).expect("a header is JSON");
    let names = header.as_object().expect("of names").keys().filter(|name| *name != "__metadata__");
    let map: Vec<String> = names.map(|name| format!("\"{name}\": \"{SHARD}\"")).collect();
    format!("{{\"metadata\": {{\"total_size\": 0}}, \"weight_map\": {{{}}}}}", map.join(", "))
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut index = INDEX.clone().into_bytes();
    change(&mut index, input);
    let folder = Folder::new();
    folder.write("config.json", CONFIG);
    folder.write(SHARD, WEIGHTS);
    folder.write("model.safetensors.index.json", &index);
    super::weights::read(folder.path());
}
