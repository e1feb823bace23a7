//! Files to shards: whole, damaged, stopped and continued.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::corpus::Corpus;
use crate::corpus::tests::tokenizer;
use crate::corpus::{CorpusKind, CorpusSettings};

/// The words' ids are their positions.
const WORDS: [&str; 5] = ["?", "</s>", "one", "two", "three"];

/// Writes row groups of texts, with `None` for null, after a first column of other values.
fn write_parquet(path: &Path, groups: &[&[Option<&[u8]>]], compression: Compression) {
    let schema = "message schema { required int64 id; optional binary text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    for group in groups {
        let mut row_group = writer.next_row_group().unwrap();
        while let Some(mut column) = row_group.next_column().unwrap() {
            match column.untyped() {
                ColumnWriter::Int64ColumnWriter(ids) => {
                    let values: Vec<i64> = (0..group.len() as i64).collect();
                    ids.write_batch(&values, None, None).unwrap();
                }
                ColumnWriter::ByteArrayColumnWriter(texts) => {
                    let values: Vec<ByteArray> = group.iter().flatten().map(|text| text.to_vec().into()).collect();
                    let levels: Vec<i16> = group.iter().map(|text| i16::from(text.is_some())).collect();
                    texts.write_batch(&values, Some(&levels), None).unwrap();
                }
                _ => unreachable!("two columns"),
            }
            column.close().unwrap();
        }
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

pub(super) struct Bench {
    folder: TempDir,
    pub encoder: Encoder,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        fs::write(&path, tokenizer(&WORDS)).unwrap();
        let encoder = Encoder::open("--tokenizer", path.to_str().unwrap()).unwrap();
        Self { folder, encoder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn job(&self, names: &[&str], out: &str) -> Job {
        let paths: Vec<String> = names.iter().map(|name| self.path(name).to_str().unwrap().to_string()).collect();
        let (inputs, passed_over) = inputs(&paths).unwrap();
        Job {
            inputs,
            passed_over,
            text_column: "text".into(),
            shard_tokens: 6,
            skip: false,
            eos: self.encoder.eos(None).unwrap(),
            folder: self.path(out),
            threads: 2,
        }
    }

    pub fn make(&self, job: &Job) -> Result<TokenManifest, String> {
        match tokenize(job, &self.encoder, &AtomicBool::new(false), |_| {}) {
            Ok(Ended::Finished(manifest)) => Ok(manifest),
            Ok(Ended::Stopped(_)) => panic!("nobody stopped it"),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The ids of all shards, checked against the manifest.
pub(super) fn ids(folder: &Path, manifest: &TokenManifest) -> Vec<Vec<u16>> {
    let shard = |shard: &ShardEntry| {
        let bytes = fs::read(folder.join(&shard.file)).unwrap();
        assert_eq!((bytes.len() as u64, crate::digest::Digest::of(&bytes)), (2 * shard.tokens, shard.digest));
        bytes.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two)).collect()
    };
    manifest.shards.iter().map(shard).collect()
}

#[test]
fn documents_of_all_formats_end_with_eos_and_fill_shards_whole() {
    let bench = Bench::new();
    let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"one two"), Some(b"three")], &[Some(b"")]];
    write_parquet(&bench.path("a.parquet"), &rows, Compression::SNAPPY);
    fs::write(bench.path("b.jsonl"), "{\"n\": [1], \"text\": \"two\\ntwo\"}\n\n{\"text\": \"one\"}").unwrap();
    fs::write(bench.path("c.txt"), "three three three three three three three").unwrap();
    let job = bench.job(&["a.parquet", "b.jsonl", "c.txt"], "out");
    let manifest = bench.make(&job).unwrap();
    let expected: [&[u16]; 3] = [&[2, 3, 1, 4, 1, 1], &[3, 3, 1, 2, 1, 4, 4, 4, 4, 4, 4, 4, 1], &[]];
    assert_eq!(ids(&bench.path("out"), &manifest), expected[..2]);
    assert_eq!((manifest.documents, manifest.tokens, manifest.vocab_size, manifest.eos), (6, 19, 5, 1));
    assert_eq!(manifest.shards[0].documents, 3);
    // A second call finds nothing to do, and a different job is refused.
    assert_eq!(bench.make(&job).unwrap(), manifest);
    let message = bench.make(&Job { shard_tokens: 7, ..bench.job(&["a.parquet"], "out") }).unwrap_err();
    assert!(message.contains("other inputs"), "{message}");
}

#[test]
fn every_compression_of_parquet_is_read() {
    let bench = Bench::new();
    let rows: [&[Option<&[u8]>]; 1] = [&[Some(b"one two three two one".as_slice()); 600]];
    for (name, compression) in [
        ("none", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(Default::default())),
        ("zstd", Compression::ZSTD(Default::default())),
        ("lz4", Compression::LZ4_RAW),
    ] {
        write_parquet(&bench.path(&format!("{name}.parquet")), &rows, compression);
        let manifest = bench.make(&bench.job(&[&format!("{name}.parquet")], name)).unwrap();
        assert_eq!((manifest.documents, manifest.tokens), (600, 3600), "{name}");
    }
}

#[test]
fn what_is_wrong_is_named_and_left_out_if_asked() {
    let bench = Bench::new();
    let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"one")], &[Some(b"two"), Some(b"\xff"), None, Some(b"three")]];
    write_parquet(&bench.path("a.parquet"), &rows, Compression::UNCOMPRESSED);
    fs::write(bench.path("b.parquet"), "PAR1 no more PAR1").unwrap();
    fs::write(bench.path("c.jsonl"), b"{\"text\": \"one\"}\n{\"text\": 3}\n{}\n\xff\nnot json\n{\"text\": \"two\"}\n")
        .unwrap();
    fs::write(bench.path("d.txt"), b"one \xfe").unwrap();
    fs::write(bench.path("e.txt"), "").unwrap();
    fs::write(bench.path("f.jsonl"), "").unwrap();
    write_parquet(&bench.path("g.parquet"), &[], Compression::UNCOMPRESSED);
    for (name, expected) in [
        ("a.parquet", "a.parquet, row group 1, row 2 of the file: not UTF-8 at byte 0 of the text; --on-error skip"),
        ("b.parquet", "b.parquet: not a Parquet file, or damaged"),
        ("c.jsonl", "c.jsonl, line 2: the field \"text\" is a number; expected a text"),
        ("d.txt", "d.txt, line 1, column 5: not UTF-8; expected a text"),
    ] {
        let message = bench.make(&bench.job(&[name], &format!("{name}.out"))).unwrap_err();
        assert!(message.contains(expected), "{message}\nlacks\n{expected}");
    }
    let mut job = bench.job(&["a.parquet"], "column");
    job.text_column = "content".into();
    let message = bench.make(&job).unwrap_err();
    assert!(message.contains("without the column \"content\"; its columns: id, text"), "{message}");

    let names = ["a.parquet", "b.parquet", "c.jsonl", "d.txt", "e.txt", "f.jsonl", "g.parquet"];
    let job = Job { skip: true, ..bench.job(&names, "all") };
    let manifest = bench.make(&job).unwrap();
    assert_eq!(ids(&bench.path("all"), &manifest).concat(), [2, 1, 3, 1, 4, 1, 2, 1, 3, 1]);
    let Skipped { files, documents, ref reasons, .. } = manifest.skipped;
    assert_eq!((files, documents, reasons.len()), (2, 6, 8));
    assert_eq!(manifest.noticed, Noticed { empty_files: 3, ..Default::default() });
    // A job that stopped at an error continues without the bad part.
    let job = Job { skip: true, ..bench.job(&["a.parquet"], "a.parquet.out") };
    let manifest = bench.make(&job).unwrap();
    assert_eq!(ids(&job.folder, &manifest).concat(), [2, 1, 3, 1, 4, 1]);
    assert_eq!(manifest.skipped.documents, 2);
}

#[test]
fn a_damaged_row_group_is_named_and_the_next_is_read() {
    let bench = Bench::new();
    let path = bench.path("a.parquet");
    let text = "one two three ".repeat(50);
    let rows: [&[Option<&[u8]>]; 2] = [&[Some(text.as_bytes())], &[Some(b"two")]];
    write_parquet(&path, &rows, Compression::ZSTD(Default::default()));
    let mut bytes = fs::read(&path).unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    // The frames alternate between the ids and the texts, group by group.
    let frames: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == magic).collect();
    for at in &frames[..frames.len() / 2] {
        bytes[*at] = 0;
    }
    fs::write(&path, bytes).unwrap();
    let message = bench.make(&bench.job(&["a.parquet"], "stops")).unwrap_err();
    assert!(message.contains("a.parquet, row group 0: "), "{message}");
    let manifest = bench.make(&Job { skip: true, ..bench.job(&["a.parquet"], "skips") }).unwrap();
    assert_eq!(ids(&bench.path("skips"), &manifest).concat(), [3, 1]);
    assert_eq!(manifest.skipped.row_groups, 1);
}

#[test]
fn stopped_anywhere_it_goes_on_to_the_same_shards() {
    let bench = Bench::new();
    let line = |n: usize| format!("{{\"text\": \"{}\"}}\n", ["one", "two three", "three"][n % 3].repeat(1 + n % 4));
    fs::write(bench.path("a.jsonl"), (0..10).map(line).collect::<String>()).unwrap();
    fs::write(bench.path("b.jsonl"), (10..40).map(line).collect::<String>()).unwrap();
    let whole = bench.make(&bench.job(&["a.jsonl", "b.jsonl"], "whole")).unwrap();
    let expected = ids(&bench.path("whole"), &whole);
    for (stop_after, threads) in [(1, 1), (7, 4), (10, 2), (23, 3)] {
        let out = format!("stopped {stop_after}");
        let job = Job { threads, ..bench.job(&["a.jsonl", "b.jsonl"], &out) };
        let mut calls = 0;
        let manifest = loop {
            calls += 1;
            let (stop, mut documents) = (AtomicBool::new(false), 0);
            let ended = tokenize(&job, &bench.encoder, &stop, |_| {
                documents += 1;
                stop.store(documents == stop_after, Atomic::Relaxed);
            });
            match ended.unwrap() {
                Ended::Finished(manifest) => break manifest,
                // The process is killed after it wrote more than the manifest counts.
                Ended::Stopped(manifest) => {
                    let part = job.folder.join(format!("{:05}.ds.part", manifest.shards.len()));
                    let mut bytes = fs::read(&part).unwrap_or_default();
                    bytes.extend([9; 5]);
                    fs::write(part, bytes).unwrap();
                }
            }
        };
        assert_eq!(calls, 39 / stop_after + 1, "one call for each stop");
        assert_eq!(ids(&job.folder, &manifest), expected);
        assert_eq!((&manifest.shards, manifest.documents), (&whole.shards, 40));
    }
}

#[test]
fn a_run_reads_documents_as_it_reads_shards_of_them() {
    let bench = Bench::new();
    let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"one two".as_slice()); 20], &[Some(b"three".as_slice()); 30]];
    write_parquet(&bench.path("a.parquet"), &rows, Compression::SNAPPY);
    fs::write(bench.path("a.jsonl"), "{\"text\": \"one two\"}\n".repeat(20) + &"{\"text\": \"three\"}\n".repeat(30))
        .unwrap();
    bench.make(&Job { shard_tokens: 1000, ..bench.job(&["a.parquet"], "out") }).unwrap();
    let tokenizer = Some(bench.path("tokenizer.json").to_str().unwrap().to_string());
    let open = |kind, name: &str, tokenizer| {
        let path = Some(bench.path(name).to_str().unwrap().to_string());
        let settings = CorpusSettings { kind, path, tokenizer, held_out_pages: 2, ..Default::default() };
        Corpus::open(&settings, 1, 5, 3).unwrap()
    };
    let all = |corpus: &Corpus| corpus.pages(&(0..corpus.train_pages()).collect::<Vec<_>>()).unwrap();
    let shards = open(CorpusKind::Tokens, "out", None);
    assert_eq!((shards.train_pages(), shards.size().unwrap().tokens), (28, 120));
    let (from_rows, from_lines) =
        (open(CorpusKind::Parquet, "a.parquet", tokenizer.clone()), open(CorpusKind::Jsonl, "*.jsonl", tokenizer));
    for corpus in [&from_rows, &from_lines] {
        assert_eq!((all(corpus), corpus.held_out()), (all(&shards), shards.held_out()));
    }
    assert_eq!(from_rows.fingerprint(), from_lines.fingerprint());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_bytes_of_a_file_make_it_panic(
        changes in prop::collection::vec((0usize..4000, any::<u8>()), 1..8), cut in 0usize..8, jsonl: bool,
    ) {
        let bench = Bench::new();
        let name = if jsonl { "a.jsonl" } else { "a.parquet" };
        let path = bench.path(name);
        if jsonl {
            fs::write(&path, "{\"text\": \"one two\", \"n\": {\"a\": [1, 2.5, null]}}\n".repeat(10)).unwrap();
        } else {
            let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"one two"), None, Some(b"three")], &[Some(b"three".as_slice()); 40]];
            write_parquet(&path, &rows, Compression::SNAPPY);
        }
        let mut bytes = fs::read(&path).unwrap();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        bytes.truncate(if cut == 0 { length / 2 } else { length });
        fs::write(&path, bytes).unwrap();
        // Good or damaged, the job ends, and all that can be read is in the shards.
        let made = bench.make(&Job { skip: true, ..bench.job(&[name], "out") });
        prop_assert!(made.is_ok());
    }
}
