//! Logits, loss and gradients of Hugging Face's Llama, from every folder `tests/vectors/llama_*`.

use std::path::{Path, PathBuf};

use gauntlet::model::{Device, Llama, huggingface};
use gauntlet::training::gradient::{gradient, loss};
use safetensors::SafeTensors;

fn folders() -> Vec<PathBuf> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(vectors)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("llama_"))
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

fn words<const N: usize>(file: &SafeTensors, name: &str) -> Vec<[u8; N]> {
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    tensor.data().as_chunks::<N>().0.to_vec()
}

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    words(file, name).into_iter().map(f32::from_le_bytes).collect()
}

fn reproduces(folder: &Path, device: Device) {
    let place = format!("{} on {device}", folder.display());
    let (config, theta) = huggingface::load(folder).unwrap();
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let ids = words(&expected, "ids").into_iter().map(|word| i32::from_le_bytes(word) as u32).collect::<Vec<_>>();
    let length = expected.tensor("ids").unwrap().shape()[1];
    let pages: Vec<Vec<u32>> = ids.chunks(length).map(<[u32]>::to_vec).collect();
    let model = Llama::from_flat(&config, &theta, &device);

    let inputs: Vec<u32> = pages.iter().flat_map(|page| &page[..length - 1]).copied().collect();
    let logits = model.logits(&inputs, length - 1).into_data();
    let expected_logits = floats(&expected, "logits");
    assert_eq!(logits.num_elements(), expected_logits.len());
    for (ours, theirs) in logits.as_slice::<f32>().unwrap().iter().zip(&expected_logits) {
        assert!((ours - theirs).abs() <= 1e-4, "{place}: logit {ours}, expected {theirs}");
    }

    let expected_loss = floats(&expected, "loss")[0] as f64;
    let found = gradient(&model, &pages, pages.len());
    for loss in [found.loss, loss(&model, &pages, 2)] {
        assert!((loss - expected_loss).abs() <= 1e-5, "{place}: loss {loss}, expected {expected_loss}");
    }

    for tensor in config.layout().tensors {
        let theirs = floats(&expected, &format!("grad.{}", tensor.name));
        let ours = &found.values[tensor.range];
        assert_eq!(ours.len(), theirs.len(), "{place}: {}", tensor.name);
        let largest = theirs.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 1e-4 * largest, "{place}: {}: {a}, expected {b}", tensor.name);
        }
    }
}

#[test]
fn hugging_face_llama_on_cpu() {
    folders().iter().for_each(|folder| reproduces(folder, Device::Cpu));
}

#[test]
fn hugging_face_llama_by_the_operations_of_a_device() {
    folders().iter().for_each(|folder| reproduces(folder, Device::CpuF32));
}

#[test]
#[cfg(feature = "ndarray")]
fn hugging_face_llama_on_ndarray() {
    folders().iter().for_each(|folder| reproduces(folder, Device::NdArray));
}

/// Largest difference of losses, and of a tensor's gradient relative to the norm of the gradient: a factor in bf16 has
/// 8 bits, and is off by up to 2^-9.
const BF16_LOSS: f64 = 2e-3;
const BF16_GRADIENT: f64 = 2e-2;

#[test]
fn bf16_stays_within_its_rounding() {
    for folder in folders() {
        let (config, theta) = huggingface::load(&folder).unwrap();
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let ids = words(&expected, "ids").into_iter().map(|word| i32::from_le_bytes(word) as u32).collect::<Vec<_>>();
        let length = expected.tensor("ids").unwrap().shape()[1];
        let pages: Vec<Vec<u32>> = ids.chunks(length).map(<[u32]>::to_vec).collect();
        let model = Llama::from_flat(&config, &theta, &Device::CpuBf16);

        let expected_loss = floats(&expected, "loss")[0] as f64;
        let found = gradient(&model, &pages, 2);
        for loss in [found.loss, loss(&model, &pages, 2)] {
            assert!(
                (loss - expected_loss).abs() <= BF16_LOSS,
                "{}: loss {loss}, not {expected_loss}",
                folder.display()
            );
        }
        let norm = |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        for tensor in config.layout().tensors {
            let theirs = floats(&expected, &format!("grad.{}", tensor.name));
            let difference: Vec<f32> = theirs.iter().zip(&found.values[tensor.range]).map(|(a, b)| a - b).collect();
            let relative = norm(&difference) / norm(&theirs);
            eprintln!("{} {relative}", tensor.name);
            assert!(relative <= BF16_GRADIENT, "{}, {}: {relative}", folder.display(), tensor.name);
            assert!(relative > 1e-6, "{}, {}: {relative}, as if not in bf16", folder.display(), tensor.name);
        }
    }
}
