//! Weights in one file and in shards: as old versions saved them, and files that contradict one another.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use super::files::{INDEX, SINGLE};
use super::tests::{NORM, changed};
use super::*;
use crate::model::LlamaConfig;

const NORMS: [&str; 2] = ["model.norm.weight", "model.layers.0.input_layernorm.weight"];

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn vectors() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/llama_gqa")
}

fn tensors() -> Tensors {
    let bytes = std::fs::read(vectors().join(SINGLE)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let of = |view: TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.iter().map(|(name, view)| (name.to_string(), of(view))).collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A folder of two shards: norms in the second, everything else in the first, and the index that says so.
struct Sharded {
    folder: tempfile::TempDir,
    first: Tensors,
    second: Tensors,
    map: BTreeMap<String, String>,
}

const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

impl Sharded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(vectors().join("config.json"), folder.path().join("config.json")).unwrap();
        let (second, first): (Tensors, Tensors) =
            tensors().into_iter().partition(|(name, _)| NORMS.contains(&name.as_str()));
        let map = [(SHARDS[0], &first), (SHARDS[1], &second)].into_iter().flat_map(|(file, tensors)| {
            tensors.keys().map(|name| (name.clone(), file.to_string())).collect::<Vec<_>>()
        });
        Self { map: map.collect(), folder, first, second }
    }

    fn load(&self) -> Result<(LlamaConfig, Vec<f32>), HfError> {
        let path = self.folder.path();
        write(&path.join(SHARDS[0]), &self.first);
        write(&path.join(SHARDS[1]), &self.second);
        std::fs::write(path.join(INDEX), json!({"metadata": {}, "weight_map": self.map}).to_string()).unwrap();
        let loaded = load(path);
        match (&loaded, examine(path)) {
            (Ok((config, _)), examined) => assert_eq!(*config, examined.unwrap()),
            (Err(error), examined) => assert_eq!(error.to_string(), examined.unwrap_err().to_string()),
        }
        loaded
    }

    fn refused(&self) -> String {
        let error = self.load().unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn an_index_and_its_shards_agree_or_are_refused() {
    assert!(Sharded::new().load().unwrap() == load(&vectors()).unwrap());

    let mut sharded = Sharded::new();
    sharded.map.insert(NORM.into(), SHARDS[0].into());
    let expected = format!(
        "{INDEX}: tensor `{NORM}`: the index says {}, which does not hold it; it lies in {}",
        SHARDS[0], SHARDS[1]
    );
    assert_eq!(sharded.refused(), expected);

    let mut sharded = Sharded::new();
    sharded.map.remove(NORM);
    let expected =
        format!("{}: tensor `{NORM}`: {INDEX} does not name it; expected an index of all tensors", SHARDS[1]);
    assert_eq!(sharded.refused(), expected);

    let mut sharded = Sharded::new();
    sharded.first.insert(NORM.into(), sharded.second[NORM].clone());
    let expected = format!(
        "{}: tensor `{NORM}`: {INDEX} says that {} holds it, and both do; expected one of them",
        SHARDS[0], SHARDS[1]
    );
    assert_eq!(sharded.refused(), expected);

    let mut sharded = Sharded::new();
    sharded.map.insert("model.extra".into(), "model-00003-of-00003.safetensors".into());
    let file = "model-00003-of-00003.safetensors";
    let expected = format!("{INDEX}: tensor `model.extra`: lies in {file}, which is not in the folder; fetch it");
    assert_eq!(sharded.refused(), expected);

    let mut sharded = Sharded::new();
    sharded.map.clear();
    assert_eq!(sharded.refused(), format!("{INDEX}: `weight_map` is {{}}, expected the file of each tensor"));
}

#[test]
fn one_file_beside_an_index_holds_the_same_or_is_refused() {
    let sharded = Sharded::new();
    let single = sharded.folder.path().join(SINGLE);
    let mut all = tensors();
    write(&single, &all);
    assert!(sharded.load().unwrap() == load(&vectors()).unwrap());
    all.get_mut(NORM).unwrap().2[..4].copy_from_slice(&7f32.to_le_bytes());
    write(&single, &all);
    let expected = format!(
        "{SINGLE}: tensor `{NORM}`: other values than in {}, which {INDEX} names; remove {SINGLE}, or the index and its \
         shards",
        SHARDS[1]
    );
    assert_eq!(sharded.refused(), expected);
    // An index may name the one file.
    let mut sharded = Sharded::new();
    write(&sharded.folder.path().join(SINGLE), &tensors());
    sharded.map.values_mut().for_each(|file| *file = SINGLE.into());
    assert!(sharded.load().unwrap() == load(&vectors()).unwrap());
}

#[test]
fn buffers_of_old_versions_and_a_missing_prefix_mean_nothing() {
    let expected = load(&vectors()).unwrap();
    let found = changed(
        |_| (),
        |tensors| {
            let buffer = (Dtype::F32, vec![8], vec![0; 32]);
            for name in [
                "model.layers.0.self_attn.rotary_emb.inv_freq",
                "model.rotary_emb.inv_freq",
                "model.layers.1.self_attn.rotary_emb.cos_cached",
                "model.layers.1.self_attn.masked_bias",
            ] {
                tensors.insert(name.into(), buffer.clone());
            }
        },
    );
    assert!(found.unwrap() == expected);
    let without_prefix = |tensors: &mut Tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| (name.strip_prefix("model.").map_or(name.clone(), str::to_string), tensor))
            .collect();
    };
    assert!(changed(|_| (), without_prefix).unwrap() == expected);
    let twice = changed(|_| (), |tensors| drop(tensors.insert("norm.weight".into(), tensors[NORM].clone())));
    let error = twice.unwrap_err().to_string();
    assert!(error.contains("tensor `") && error.contains("stored twice, also as `"), "{error}");
}

#[test]
fn head_and_embedding_are_tied_as_transformers_ties_them() {
    const HEAD: &str = "lm_head.weight";
    const EMBEDDING: &str = "model.embed_tokens.weight";
    let tie = |config: &mut Value| config["tie_word_embeddings"] = true.into();
    let (config, theta) = load(&vectors()).unwrap();
    let layout = config.layout();
    let of = |theta: &[f32], name: &str| {
        theta[layout.tensors.iter().find(|tensor| tensor.name == name).unwrap().range.clone()].to_vec()
    };
    // Both are there, and differ: each is itself.
    assert!(changed(tie, |_| ()).unwrap().1 == theta);
    let (_, tied) = changed(tie, |tensors| drop(tensors.remove(EMBEDDING))).unwrap();
    assert!(of(&tied, EMBEDDING) == of(&theta, HEAD) && of(&tied, HEAD) == of(&theta, HEAD));
    let error = changed(|_| (), |tensors| drop(tensors.remove(HEAD))).unwrap_err().to_string();
    assert!(error.contains("`lm_head.weight`: missing, and `tie_word_embeddings` in config.json is false"), "{error}");
    let neither = |tensors: &mut Tensors| tensors.retain(|name, _| name != HEAD && name != EMBEDDING);
    let error = changed(tie, neither).unwrap_err().to_string();
    assert!(error.contains("`model.embed_tokens.weight`: missing"), "{error}");
}

#[test]
fn double_precision_is_narrowed() {
    let doubled = |tensors: &mut Tensors| {
        for (dtype, _, data) in tensors.values_mut() {
            let values = data.as_chunks::<4>().0.iter().map(|word| f64::from(f32::from_le_bytes(*word)));
            *data = values.flat_map(f64::to_le_bytes).collect();
            *dtype = Dtype::F64;
        }
    };
    assert!(changed(|_| (), doubled).unwrap() == load(&vectors()).unwrap());
}

#[test]
fn a_file_that_is_not_whole_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(vectors().join("config.json"), folder.path().join("config.json")).unwrap();
    let whole = std::fs::read(vectors().join(SINGLE)).unwrap();
    let values = whole.len() - 8 - u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let path = folder.path().join(SINGLE);
    let not_whole = format!("{}: not a whole safetensors file: ", path.display());
    let fetch = |what: &str, there: usize| {
        format!("{not_whole}its tensors take {values} bytes, the file has {there} for them: {what}; fetch it again")
    };
    let pointer = "a pointer of Git LFS instead of the weights; fetch them with `git lfs pull`";
    for (bytes, expected) in [
        ([&whole[..], &[0; 8]].concat(), fetch("something was added to it", values + 8)),
        (whole[..whole.len() - 1].to_vec(), fetch("it was cut off", values - 1)),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), format!("{not_whole}{pointer}")),
        (vec![0; 5], format!("{not_whole}5 bytes, too short for a header")),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(load(folder.path()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn weights_in_other_forms_are_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(vectors().join("config.json"), folder.path().join("config.json")).unwrap();
    let error = || load(folder.path()).unwrap_err().to_string();
    let expected = format!(
        "{}: no weights: expected model.safetensors, or shards with model.safetensors.index.json",
        folder.path().display()
    );
    assert_eq!(error(), expected);
    std::fs::write(folder.path().join("pytorch_model.bin"), "").unwrap();
    let hint = "; pytorch_model.bin is not read: save the model again with transformers";
    assert_eq!(error(), expected + hint);
    std::fs::copy(vectors().join(SINGLE), folder.path().join(SINGLE)).unwrap();
    assert!(load(folder.path()).is_ok());
    std::fs::write(folder.path().join("adapter_config.json"), "{}").unwrap();
    assert!(error().ends_with(
        "adapter_config.json: an adapter beside the weights is not supported: merge it into its model and save that"
    ));
}
