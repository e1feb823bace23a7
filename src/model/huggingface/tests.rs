//! Folders as they are in the world, and damaged ones.

use super::*;
use crate::model::LlamaConfig;
use half::bf16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// A copy of a vector's folder with its configuration and tensors changed.
pub(super) fn changed(
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

pub(super) const NORM: &str = "model.norm.weight";

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
        (reshaped, "`model.norm.weight`: shape [1, 64], expected [64] by config.json"),
        (whole_numbers, "`model.norm.weight`: values of type I32, expected F32, BF16, F16 or F64"),
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
        ("attention_bias", true.into(), "`attention_bias` is true"),
        ("vocab_size", (-1).into(), "`vocab_size` is -1, expected a whole number"),
        ("hidden_size", (1u64 << 40).into(), "hidden_size = 1099511627776: expected a number from 1 to"),
        ("num_key_value_heads", 3.into(), "num_key_value_heads = 3: expected a divisor of num_attention_heads = 4"),
        ("num_attention_heads", 0.into(), "num_attention_heads = 0"),
    ] {
        let message = changed(|config| config[key] = serde_json::Value::clone(&value), |_| ()).unwrap_err().to_string();
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
    // A header that would be a terabyte, and one whose tensors would.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(load(folder.path()).is_err());
    let header = br#"{"model.norm.weight":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(load(folder.path()), Err(HfError::Safetensors { .. })));
}

#[test]
fn a_tied_head_is_a_copy_of_the_embedding() {
    let (config, theta) =
        changed(|config| config["tie_word_embeddings"] = true.into(), |tensors| drop(tensors.remove("lm_head.weight")))
            .unwrap();
    let layout = config.layout();
    let (first, last) = (layout.tensors.first().unwrap(), layout.tensors.last().unwrap());
    assert_eq!(theta[first.range.clone()], theta[last.range.clone()]);
}

#[test]
fn what_is_written_reads_back_and_is_cut_into_shards() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa");
    let (config, theta) = load(&from).unwrap();
    for shard_bytes in [SHARD_BYTES, 100_000, 1] {
        let to = tempfile::tempdir().unwrap();
        std::fs::write(to.path().join("config.json"), config_json(&config, "float32", &Ends::default())).unwrap();
        write_weights(to.path(), &config.layout(), &theta, Values::F32, shard_bytes).unwrap();
        assert_eq!(load(to.path()).unwrap(), (config.clone(), theta.clone()));
        if shard_bytes == SHARD_BYTES {
            let [ours, theirs] = [to.path(), &from].map(|folder| std::fs::read(folder.join("model.safetensors")));
            assert!(ours.unwrap() == theirs.unwrap(), "not the bytes that transformers wrote");
        }
    }
}

#[test]
fn a_shard_outside_of_its_folder_is_refused() {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa");
    let to = tempfile::tempdir().unwrap();
    std::fs::copy(from.join("config.json"), to.path().join("config.json")).unwrap();
    for file in ["../model.safetensors", "/etc/passwd", "a/b", ".."] {
        let index = serde_json::json!({ "weight_map": { NORM: file } }).to_string();
        std::fs::write(to.path().join("model.safetensors.index.json"), index).unwrap();
        let message = load(to.path()).unwrap_err().to_string();
        assert!(message.contains("expected a file of the folder"), "{message}");
    }
}

#[test]
fn a_value_that_half_precision_does_not_hold_is_named() {
    let config = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa")).unwrap().0;
    let mut theta = vec![0.0; config.layout().total()];
    theta[5] = 1e6;
    let to = tempfile::tempdir().unwrap();
    let error = write_weights(to.path(), &config.layout(), &theta, Values::F16, SHARD_BYTES).unwrap_err();
    assert!(error.to_string().contains("1000000 cannot be written as float16"), "{error}");
    write_weights(to.path(), &config.layout(), &theta, Values::Bf16, SHARD_BYTES).unwrap();
}
