//! Corpora as a run opens them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Corpus, CorpusError};
use crate::corpus::{CorpusKind, CorpusSettings};

fn text(path: &Path, held_out_pages: usize) -> CorpusSettings {
    let path = Some(path.to_str().unwrap().to_string());
    CorpusSettings { kind: CorpusKind::Text, path, held_out_pages, ..CorpusSettings::default() }
}

fn refused(settings: &CorpusSettings, vocab_size: usize, sequence_length: usize) -> CorpusError {
    Corpus::open(settings, 1, vocab_size, sequence_length).map(|_| ()).unwrap_err()
}

/// A word-level tokenizer.json with these words. Their ids are their positions.
pub fn tokenizer(words: &[&str]) -> String {
    let vocab: Vec<String> = words.iter().enumerate().map(|(id, word)| format!("\"{word}\": {id}")).collect();
    format!(
        r#"{{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}},
        "post_processor": null, "decoder": null, "truncation": null, "padding": null,
        "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "?"}}}}"#,
        vocab.join(", ")
    )
}

#[test]
fn synthetic_held_out_pages_are_none_of_training() {
    let settings = CorpusSettings { held_out_pages: 10, ..CorpusSettings::default() };
    let corpus = Corpus::open(&settings, 1, 256, 64).unwrap();
    assert_eq!(corpus.held_out().len(), 10);
    let pages: BTreeSet<Vec<u32>> = (0..1000).map(|page| corpus.pages(&[page]).unwrap().remove(0)).collect();
    assert_eq!(pages.len(), 1000);
    assert!(corpus.held_out().iter().all(|page| !pages.contains(page)));
    let (unigram, bigram) = (corpus.unigram_entropy().unwrap(), corpus.bigram_entropy().unwrap());
    assert!(unigram > bigram && bigram > corpus.entropy_floor().unwrap());
}

#[test]
fn a_text_is_cut_into_windows_and_its_last_tenth_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    // The two lowest base-251 digits identify each position. The second is never 0, or the text would look like UTF-16.
    let bytes: Vec<u8> = (0..10_000u32).map(|at| if at % 2 == 0 { at / 2 % 251 } else { at / 502 + 1 } as u8).collect();
    std::fs::write(&path, &bytes).unwrap();
    let corpus = Corpus::open(&text(&path, 7), 1, 256, 16).unwrap();
    assert_eq!(corpus.train_pages(), 8999 / 16);
    let wide = |part: &[u8]| part.iter().map(|byte| u32::from(*byte)).collect::<Vec<u32>>();
    for page in 0..corpus.train_pages() {
        let start = page as usize * 16;
        assert_eq!(corpus.pages(&[page]).unwrap()[0], wide(&bytes[start..start + 17]));
    }
    let starts: Vec<usize> = corpus.held_out().iter().map(|page| page_start(&bytes, page, 9000)).collect();
    assert_eq!(starts, [9000, 9163, 9327, 9491, 9655, 9819, 9983]);
    assert_eq!(corpus.entropy_floor(), None);
}

/// Start of a page in a text, searched from a position on.
fn page_start(bytes: &[u8], page: &[u32], from: usize) -> usize {
    let same = |window: &[u8]| window.iter().zip(page).all(|(byte, token)| u32::from(*byte) == *token);
    from + bytes[from..].windows(page.len()).position(same).expect("held out of the last tenth")
}

#[test]
fn as_many_held_out_pages_as_fit_do_not_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, (0..1000u32).map(|at| (at % 251) as u8).collect::<Vec<u8>>()).unwrap();
    let settings = text(&path, 24);
    let corpus = Corpus::open(&settings, 1, 256, 4).unwrap();
    let firsts: Vec<u32> = corpus.held_out().iter().map(|page| page[0]).collect();
    assert!(firsts.windows(2).all(|two| (two[1] + 251 - two[0]) % 251 >= 4), "{firsts:?}");
    let message = refused(&text(&path, 25), 256, 4).to_string();
    assert!(message.contains("corpus.held_out_pages = 25") && message.contains("held_out_pages=24"), "{message}");
}

#[test]
fn a_tokenizer_gives_its_ids_of_the_whole_text() {
    let folder = tempfile::tempdir().unwrap();
    let (path, model) = (folder.path().join("text"), folder.path().join("tokenizer.json"));
    std::fs::write(&path, "one two three\n".repeat(20_000)).unwrap();
    std::fs::write(&model, tokenizer(&["?", "one", "two", "three"])).unwrap();
    let mut settings = text(&path, 3);
    let bytes = Corpus::open(&settings, 1, 256, 5).unwrap().fingerprint();
    settings.tokenizer = Some(model.to_str().unwrap().to_string());
    let corpus = Corpus::open(&settings, 1, 4, 5).unwrap();
    assert_eq!(corpus.pages(&[0]).unwrap()[0], [1, 2, 3, 1, 2, 3]);
    assert_eq!(corpus.pages(&[1]).unwrap()[0], [3, 1, 2, 3, 1, 2]);
    assert_eq!(corpus.train_pages(), (60_000 - 6_000 - 1) / 5);
    assert_ne!(corpus.fingerprint(), bytes);
    let message = refused(&settings, 3, 5).to_string();
    assert!(message.contains("--set model.vocab_size=4"), "{message}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    let mut settings = text(&path, 1);
    let message = refused(&settings, 256, 8).to_string();
    assert!(message.starts_with("corpus.path = ") && message.contains("cannot be read"), "{message}");
    std::fs::write(&path, "").unwrap();
    assert!(matches!(refused(&settings, 256, 8), CorpusError::Empty { .. }));
    std::fs::write(&path, [b'a'; 89]).unwrap();
    assert!(matches!(refused(&settings, 256, 8), CorpusError::TooShort { needed: 90, .. }));
    std::fs::write(&path, [b'a'; 90]).unwrap();
    assert_eq!(Corpus::open(&settings, 1, 256, 8).unwrap().train_pages(), 10);
    assert!(matches!(refused(&settings, 255, 8), CorpusError::Vocabulary { needed: 256, .. }));

    std::fs::write(&path, b"abc\xffdef".repeat(100)).unwrap();
    let model = folder.path().join("tokenizer.json");
    settings.tokenizer = Some(model.to_str().unwrap().to_string());
    assert!(matches!(refused(&settings, 256, 8), CorpusError::Unreadable { key: "corpus.tokenizer", .. }));
    std::fs::write(&model, tokenizer(&["?"])).unwrap();
    assert!(matches!(refused(&settings, 256, 8), CorpusError::NotUtf8 { line: 1, column: 4, .. }));
    std::fs::write(&model, "{}").unwrap();
    let message = refused(&settings, 256, 8).to_string();
    assert!(message.contains("is not a tokenizer.json"), "{message}");
    settings.path = None;
    assert!(matches!(refused(&settings, 256, 8), CorpusError::NoPath));
}
