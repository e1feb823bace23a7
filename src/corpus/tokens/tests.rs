//! Shards, whole and damaged, as a run opens them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use proptest::prelude::*;

use super::*;
use crate::corpus::Corpus;
use crate::corpus::CorpusKind;

fn settings(path: &Path, held_out_pages: usize) -> CorpusSettings {
    let path = Some(path.to_str().unwrap().to_string());
    CorpusSettings { kind: CorpusKind::Tokens, path, held_out_pages, ..CorpusSettings::default() }
}

fn narrow(ids: impl IntoIterator<Item = u16>) -> Vec<u8> {
    ids.into_iter().flat_map(u16::to_le_bytes).collect()
}

fn refused(settings: &CorpusSettings, vocab_size: usize) -> String {
    Corpus::open(settings, 1, vocab_size, 3).map(drop).unwrap_err().to_string()
}

/// Two shards of increasing ids, 10 and 9 tokens, and their manifest.
fn with_manifest(folder: &Path) -> TokenManifest {
    let source = SourceEntry { inputs: Vec::new(), text_column: "text".into(), shard_tokens: 10, skips: false };
    let mut manifest = TokenManifest::new(100, 2, Digest::of(b"tokenizer"), source);
    for (file, ids) in [("0.ds", 0..10u16), ("1.ds", 10..19)] {
        let bytes = narrow(ids.clone());
        fs::write(folder.join(file), &bytes).unwrap();
        let (tokens, digest) = (ids.len() as u64, Digest::of(&bytes));
        manifest.shards.push(ShardEntry { file: file.into(), tokens, documents: 1, digest });
    }
    (manifest.documents, manifest.tokens, manifest.unfinished) = (2, 19, None);
    manifest.write(folder).unwrap();
    manifest
}

#[test]
fn pages_are_windows_of_each_shard_and_the_last_are_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = with_manifest(folder.path());
    let corpus = Corpus::open(&settings(folder.path(), 1), 1, 100, 3).unwrap();
    assert_eq!(corpus.train_pages(), 3);
    corpus.fetch_ahead(&[2, 0]);
    let pages = corpus.pages(&[2, 0, 1]).unwrap();
    assert_eq!(pages, [[10, 11, 12, 13], [0, 1, 2, 3], [4, 5, 6, 7]]);
    assert_eq!(corpus.held_out(), [[14, 15, 16, 17]]);
    assert_eq!(corpus.fingerprint(), manifest.fingerprint());

    // The same tokens without their manifest are the same corpus.
    fs::remove_file(folder.path().join(MANIFEST)).unwrap();
    for path in [folder.path().to_path_buf(), folder.path().join("*.ds")] {
        let bare = Corpus::open(&settings(&path, 1), 1, 100, 3).unwrap();
        assert_eq!((bare.fingerprint(), bare.pages(&[2, 0, 1]).unwrap()), (corpus.fingerprint(), pages.clone()));
    }
    let one = Corpus::open(&settings(&folder.path().join("1.ds"), 1), 1, 100, 3).unwrap();
    assert_eq!(one.pages(&[0]).unwrap(), [[10, 11, 12, 13]]);
}

#[test]
fn tokens_of_four_bytes_are_read_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wide.ds");
    fs::write(&path, (0..8u32).flat_map(|id| (id << 14).to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let settings = CorpusSettings { token_bytes: Some(4), ..settings(&path, 1) };
    let corpus = Corpus::open(&settings, 1, 1 << 17, 3).unwrap();
    assert_eq!(corpus.pages(&[0]).unwrap(), [[0, 1 << 14, 2 << 14, 3 << 14]]);
    assert_eq!(corpus.held_out(), [[4 << 14, 5 << 14, 6 << 14, 7 << 14]]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let message = refused(&settings(&path.join("none"), 1), 100);
    assert!(message.contains("names no file"), "{message}");
    let mut manifest = with_manifest(path);
    let message = refused(&settings(path, 4), 100);
    assert!(message.contains("has 4 pages") && message.contains("corpus.held_out_pages = 4"), "{message}");
    let message = refused(&settings(path, 1), 99);
    assert!(message.contains("--set model.vocab_size=100"), "{message}");

    fs::write(path.join("1.ds"), narrow(0..8)).unwrap();
    let message = refused(&settings(path, 1), 100);
    assert!(message.contains("1.ds: 16 bytes; expected 18"), "{message}");
    manifest.unfinished = Some(Unfinished::default());
    manifest.write(path).unwrap();
    let message = refused(&settings(path, 1), 100);
    assert!(message.contains("not finished"), "{message}");
    manifest.shards[0].file = "../0.ds".into();
    manifest.write(path).unwrap();
    let message = refused(&settings(path, 1), 100);
    assert!(message.contains("\"../0.ds\": expected a file beside it"), "{message}");

    fs::remove_file(path.join(MANIFEST)).unwrap();
    fs::write(path.join("1.ds"), [1]).unwrap();
    let message = refused(&settings(path, 1), 100);
    assert!(message.contains("1.ds: 1 byte; expected tokens of 2 bytes each"), "{message}");
    fs::write(path.join("1.ds"), []).unwrap();
    let message = refused(&settings(path, 1), 100);
    assert!(message.contains("1.ds: 0 bytes"), "{message}");
}

#[test]
fn a_page_that_cannot_be_had_names_its_shard() {
    let folder = tempfile::tempdir().unwrap();
    with_manifest(folder.path());
    let corpus = Corpus::open(&settings(folder.path(), 1), 1, 100, 3).unwrap();
    fs::write(folder.path().join("0.ds"), narrow([0, 1, 2, 3, 4, 300, 6, 7])).unwrap();
    assert_eq!(corpus.pages(&[0]).unwrap(), [[0, 1, 2, 3]]);
    let error = corpus.pages(&[0, 1]).unwrap_err();
    let expected = PageError::Token {
        shard: folder.path().join("0.ds").display().to_string(),
        page: 1,
        at: 5,
        token: 300,
        vocab_size: 100,
    };
    assert_eq!(error, expected);
    fs::write(folder.path().join("0.ds"), narrow([0, 1, 2, 3, 4])).unwrap();
    let message = corpus.pages(&[1]).unwrap_err().to_string();
    assert!(message.contains("0.ds, page 1: cannot be read"), "{message}");
}

proptest! {
    #[test]
    fn no_bytes_of_a_manifest_make_it_panic(at in 0usize..2000, byte: u8, cut in 0usize..2000) {
        let folder = tempfile::tempdir().unwrap();
        with_manifest(folder.path());
        let path = folder.path().join(MANIFEST);
        let mut bytes = fs::read(&path).unwrap();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - (cut * 7 % length) * usize::from(cut % 3 == 0));
        fs::write(&path, bytes).unwrap();
        if let Ok(corpus) = Corpus::open(&settings(folder.path(), 1), 1, 100, 3) {
            prop_assert!(corpus.pages(&(0..corpus.train_pages()).collect::<Vec<_>>()).is_ok());
        }
    }
}

/// The shards of a folder, copied into a bucket in memory.
fn in_bucket(folder: &Path) -> Arc<object_store::memory::InMemory> {
    let bucket = Arc::new(object_store::memory::InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for name in ["0.ds", "1.ds", MANIFEST] {
        let bytes = fs::read(folder.join(name)).unwrap();
        runtime.block_on(bucket.put(&name.into(), bytes.into())).unwrap();
    }
    bucket
}

#[test]
fn pages_of_a_bucket_are_those_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = with_manifest(folder.path());
    let (remote, found) = remote::open("memory", in_bucket(folder.path())).unwrap();
    assert_eq!(found, manifest);
    let (names, lengths) = (vec!["0".into(), "1".into()], vec![10, 9]);
    let shards = Shards::new("memory", Store::Remote(remote), names, lengths, 100, 3, 1).unwrap();
    shards.fetch_ahead(&[0, 2, 2]);
    for _ in 0..2 {
        // First the pages were fetched ahead, then they are fetched on request.
        assert_eq!(shards.pages(&[2, 0, 1]).unwrap(), [[10, 11, 12, 13], [0, 1, 2, 3], [4, 5, 6, 7]]);
    }
    assert_eq!(shards.held_out().unwrap(), [[14, 15, 16, 17]]);
}

#[test]
fn a_bucket_without_whole_shards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = with_manifest(folder.path());
    fs::write(folder.path().join("1.ds"), [0; 17]).unwrap();
    let refused = |bucket| remote::open("s3://b/d/", bucket).map(drop).unwrap_err().to_string();
    let message = refused(in_bucket(folder.path()));
    assert!(message.contains("s3://b/d/1.ds: 17 bytes; expected 18"), "{message}");
    manifest.unfinished = Some(Unfinished::default());
    manifest.write(folder.path()).unwrap();
    let message = refused(in_bucket(folder.path()));
    assert!(message.contains("s3://b/d/manifest.json: the shards are not finished"), "{message}");
    let message = refused(Arc::new(object_store::memory::InMemory::new()));
    assert!(message.starts_with("corpus.path = \"s3://b/d\": "), "{message}");
}
