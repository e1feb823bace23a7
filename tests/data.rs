//! Real data, from Parquet to a run: as a user does it, and with the ids that the Python packages give.

#[path = "common/s3/mod.rs"]
mod s3;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::assert::OutputAssertExt;
use gauntlet::corpus::Corpus;
use gauntlet::corpus::tokenize::TokenManifest;
use gauntlet::corpus::{CorpusKind, CorpusSettings};
use s3::{ACCESS_KEY, S3Server, SECRET_KEY};
use serde::Deserialize;
use tempfile::TempDir;

/// A network of a second, on shards.
const NETWORK: &str = r#"name = "data"
rounds = 3

[model]
preset = "nano"
vocab_size = 420
sequence_length = 16

[corpus]
kind = "tokens"
path = "shards"
held_out_pages = 4

[training]
pages_per_round = 2
micro_batch = 2
checkpoint_every = 6

[chain]
slots = 4

[protocol]
top_peers = 2
min_peers = 1

[[peers]]
count = 2
"#;

#[derive(Deserialize)]
struct Expected {
    eos: u32,
    ids: Vec<Vec<u32>>,
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/data")
}

fn expected(tokenizer: &str) -> Expected {
    let all = fs::read(vectors().join("expected.json")).unwrap();
    let mut all: std::collections::BTreeMap<String, Expected> = serde_json::from_slice(&all).unwrap();
    all.remove(tokenizer).unwrap()
}

fn sim(folder: &TempDir, arguments: &str) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &TempDir, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
    command.current_dir(folder).args(arguments.split_whitespace()).env_remove("RUST_LOG");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Tokenises the texts of the vectors into `shards`.
fn tokenize(folder: &TempDir, tokenizer: &str, more: &str) -> TokenManifest {
    let data = vectors();
    let data = data.display();
    let arguments =
        format!("tokenize {data}/fineweb-edu.parquet --tokenizer {data}/{tokenizer}.json --out shards {more}");
    sim(folder, &arguments).assert().success();
    serde_json::from_slice(&fs::read(folder.path().join("shards/manifest.json")).unwrap()).unwrap()
}

#[test]
fn ids_are_those_of_the_python_packages() {
    for tokenizer in ["llama", "gpt"] {
        let expected = expected(tokenizer);
        let folder = tempfile::tempdir().unwrap();
        let manifest = tokenize(&folder, tokenizer, "--shard-tokens 100");
        let shards =
            manifest.shards.iter().map(|shard| fs::read(folder.path().join("shards").join(&shard.file)).unwrap());
        let bytes = shards.collect::<Vec<_>>().concat();
        let ids: Vec<u32> = bytes.as_chunks().0.iter().map(|two| u32::from(u16::from_le_bytes(*two))).collect();
        let documents = expected.ids.iter().map(|ids| [&ids[..], &[expected.eos]].concat());
        assert_eq!(ids, documents.collect::<Vec<_>>().concat(), "{tokenizer}");
        assert_eq!((manifest.documents, manifest.eos), (9, expected.eos));
        assert!(manifest.shards.len() > 3 && manifest.skipped.total() == 0);
    }
}

#[test]
fn a_text_file_has_the_ids_of_the_whole_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    // What is cut anywhere has one more token there, as its parts begin with a space.
    let lines = "The lighthouse keeper's cat sleeps on the scale.\n".repeat(4000);
    fs::write(&path, &lines).unwrap();
    let name = |path: &Path| Some(path.to_str().unwrap().to_string());
    let tokenizer = name(&vectors().join("llama.json"));
    let settings = CorpusSettings { kind: CorpusKind::Text, path: name(&path), tokenizer, ..Default::default() };
    let corpus = Corpus::open(&settings, 1, 420, 16).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(vectors().join("llama.json")).unwrap();
    let ids = tokenizer.encode(lines, false).unwrap();
    assert_eq!(corpus.size().unwrap().tokens, ids.len() as u64);
    let pages = corpus.pages(&(0..corpus.train_pages()).collect::<Vec<_>>()).unwrap();
    assert!(pages.iter().enumerate().all(|(page, tokens)| *tokens == ids.get_ids()[page * 16..page * 16 + 17]));
}

#[test]
fn a_run_trains_on_shards() {
    let folder = tempfile::tempdir().unwrap();
    tokenize(&folder, "llama", "--threads 1");
    fs::write(folder.path().join("data.toml"), NETWORK).unwrap();
    let checked = sim(&folder, "check data.toml");
    assert!(text(&checked.stdout).contains("in 1 shard: "), "{}", text(&checked.stdout));
    sim(&folder, "run data.toml --quiet --out run").assert().success();
    let data = vectors();
    let same = format!(
        "run data.toml --quiet --out other --set corpus.kind=parquet --set corpus.path={0} --set corpus.tokenizer={0}/llama.json",
        data.display()
    );
    sim(&folder, &same).assert().success();
    let losses = |run: &str| {
        let rounds = fs::read_to_string(folder.path().join(run).join("rounds.csv")).unwrap();
        rounds.lines().map(|line| line.split(',').nth(3).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(losses("run"), losses("other"));
    assert_eq!(losses("run").len(), 4);
    sim(&folder, "verify run").assert().success();
    // The model goes with the tokenizer that its tokens were made by.
    sim(&folder, "export run --to model").assert().success();
    let exported = fs::read(folder.path().join("model/tokenizer.json")).unwrap();
    assert_eq!(exported, fs::read(vectors().join("llama.json")).unwrap());
    sim(&folder, "generate model --prompt light --tokens 3").assert().success();
}

#[test]
fn a_page_with_an_unknown_token_ends_a_simulation_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    tokenize(&folder, "llama", "");
    fs::write(folder.path().join("data.toml"), NETWORK).unwrap();
    let shard = folder.path().join("shards/00000.ds");
    let mut bytes = fs::read(&shard).unwrap();
    let training = bytes.len() - 4 * 17 * 2 - 40;
    bytes[..training].fill(0xff);
    fs::write(&shard, bytes).unwrap();
    let run = sim(&folder, "run data.toml --quiet --out run");
    let told = text(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{told}");
    assert!(told.contains("00000.ds, page ") && told.contains("token 65535 at position "), "{told}");
}

#[test]
fn a_run_on_shards_in_a_bucket_is_the_run_on_those_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = tokenize(&folder, "llama", "--shard-tokens 100");
    fs::write(folder.path().join("data.toml"), NETWORK).unwrap();
    sim(&folder, "run data.toml --quiet --out here").assert().success();
    let server = S3Server::start(1);
    let files = manifest.shards.iter().map(|shard| shard.file.as_str());
    for file in files.chain(["manifest.json"]) {
        server.bucket().put(&format!("some/data/{file}"), fs::read(folder.path().join("shards").join(file)).unwrap());
    }
    let there = |arguments: &str| {
        let arguments = format!("{arguments} --set corpus.path=s3://gauntlet/some/data");
        command(&folder, &arguments).envs(server.environment(ACCESS_KEY, SECRET_KEY)).output().unwrap()
    };
    there("run data.toml --quiet --out there").assert().success();
    let rounds = |run: &str| fs::read_to_string(folder.path().join(run).join("rounds.csv")).unwrap();
    assert_eq!(rounds("here"), rounds("there"));

    server.bucket().damage("some/data/00001.ds", |bytes| bytes.truncate(7));
    let told = text(&there("check data.toml").stderr);
    assert!(told.contains("s3://gauntlet/some/data/00001.ds: 7 bytes; expected "), "{told}");
    server.bucket().delete("some/data/manifest.json");
    let told = text(&there("check data.toml").stderr);
    assert!(told.contains("corpus.path = \"s3://gauntlet/some/data\": "), "{told}");
}

#[test]
fn documents_of_a_bucket_are_those_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = vectors();
    let tokenizer = data.join("llama.json");
    fs::write(folder.path().join("data.toml"), NETWORK).unwrap();
    let lines = "The lighthouse keeper's cat sleeps on the scale.\n".repeat(400);
    fs::write(folder.path().join("text.txt"), &lines).unwrap();
    let server = S3Server::start(1);
    server.bucket().put("raw/a/one.parquet", fs::read(data.join("fineweb-edu.parquet")).unwrap());
    server.bucket().put("raw/a/README.md", b"no documents".to_vec());
    server.bucket().put("raw/text.txt", lines.into_bytes());
    let ask = |command_line: &str, kind: &str, path: &str| {
        let arguments = format!("{command_line} --set corpus.kind={kind} --set corpus.path={path}");
        let arguments = format!("{arguments} --set corpus.tokenizer={}", tokenizer.display());
        command(&folder, &arguments).envs(server.environment(ACCESS_KEY, SECRET_KEY)).output().unwrap()
    };
    let rounds = |kind: &str, path: &str| {
        let out = folder.path().join("out");
        ask("run data.toml --quiet --out out", kind, path).assert().success();
        let rounds = fs::read_to_string(out.join("rounds.csv")).unwrap();
        fs::remove_dir_all(out).unwrap();
        rounds
    };
    let here = rounds("parquet", data.join("fineweb-edu.parquet").to_str().unwrap());
    for there in ["raw/a/one.parquet", "raw/a", "raw/", "raw/*/*.parquet"] {
        assert!(rounds("parquet", &format!("s3://gauntlet/{there}")) == here, "{there}");
    }
    assert_eq!(rounds("text", "text.txt"), rounds("text", "s3://gauntlet/raw/text.txt"));

    // Two are one behind the other, by name.
    let jsonl = |name: &str| format!("{{\"text\": \"{}\"}}\n", name.repeat(400)).into_bytes();
    fs::create_dir(folder.path().join("lines")).unwrap();
    for name in ["b", "a"] {
        fs::write(folder.path().join(format!("lines/{name}.jsonl")), jsonl(name)).unwrap();
        server.bucket().put(&format!("raw/lines/{name}.jsonl"), jsonl(name));
    }
    assert_eq!(rounds("jsonl", "lines"), rounds("jsonl", "s3://gauntlet/raw/lines"));

    let told = |kind: &str, path: &str| text(&ask("check data.toml", kind, path).stderr);
    server.bucket().put("raw/another.txt", b"another".to_vec());
    let several = told("text", "s3://gauntlet/raw");
    assert!(several.contains("3 texts; expected one"), "{several}");
    server.bucket().damage("raw/a/one.parquet", |bytes| bytes.truncate(700));
    let damaged = told("parquet", "s3://gauntlet/raw/a");
    assert!(damaged.contains("error: s3://gauntlet/raw/a/one.parquet"), "{damaged}");
    let missing = told("jsonl", "s3://gauntlet/raw/a");
    assert!(missing.contains("names no file; expected an object, a prefix with .jsonl objects"), "{missing}");
}

#[test]
fn shards_of_a_bucket_are_those_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = vectors();
    let server = S3Server::start(1);
    let raw = folder.path().join("raw");
    fs::create_dir_all(raw.join("b")).unwrap();
    for (name, bytes) in [
        ("a.parquet", fs::read(data.join("fineweb-edu.parquet")).unwrap()),
        ("b/c.jsonl", b"{\"text\": \"one\"}\n\n{\"text\": \"two\"}\n".to_vec()),
        ("b/d.txt", b"three".to_vec()),
        ("b/notes.csv", b"1,2".to_vec()),
    ] {
        fs::write(raw.join(name), &bytes).unwrap();
        server.bucket().put(&format!("raw/{name}"), bytes);
    }
    let tokenize = |inputs: &str, out: &str| {
        let arguments = format!("tokenize {inputs} --tokenizer {} --out {out}", data.join("llama.json").display());
        command(&folder, &arguments).envs(server.environment(ACCESS_KEY, SECRET_KEY)).output().unwrap()
    };
    let made = |inputs: &str, out: &str| {
        let output = tokenize(inputs, out);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        fs::read(folder.path().join(out).join("00000.ds"))
            .map(|bytes| (bytes, said.split_once(": ").unwrap().1.to_string()))
    };
    let without_speed = |(bytes, said): (Vec<u8>, String)| {
        (bytes, said.lines().filter(|line| !line.contains("tokens/s")).map(String::from).collect::<Vec<_>>())
    };
    let here = without_speed(made("raw", "here").unwrap());
    assert!(
        here.1.iter().any(|line| line == "passed over: 1 file of a kind that is not read (1 .csv)"),
        "{:?}",
        here.1
    );
    assert_eq!(without_speed(made("s3://gauntlet/raw", "there").unwrap()), here);
    let manifest = fs::read_to_string(folder.path().join("there/manifest.json")).unwrap();
    assert!(manifest.contains("\"s3://gauntlet/raw/b/c.jsonl\""), "{manifest}");
    // The same call has nothing left to do.
    assert_eq!(without_speed(made("s3://gauntlet/raw", "there").unwrap()).0, here.0);

    server.bucket().put("raw/b/c.jsonl", b"{\"text\": 1}\n".to_vec());
    let told = text(&tokenize("s3://gauntlet/raw/b", "wrong").stderr);
    let expected = "error: s3://gauntlet/raw/b/c.jsonl, line 1: the field \"text\" is a number; expected a text; --on-error \
                    skip leaves it out; the same command resumes from here\n";
    assert_eq!(told, expected);
    let told = text(&tokenize("s3://gauntlet/none", "none").stderr);
    let expected = "error: s3://gauntlet/none: names no object; expected an object, a prefix with objects (.parquet, .jsonl or \
                    .txt, the last two also as .gz or .zst) below it, or a pattern\n";
    assert_eq!(told, expected);
}

#[test]
fn a_wrong_command_line_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = vectors();
    let data = data.display();
    fs::write(folder.path().join("bad.parquet"), "no").unwrap();
    fs::write(folder.path().join("data.toml"), NETWORK).unwrap();
    fs::write(
        folder.path().join("words.json"),
        fs::read_to_string(vectors().join("gpt.json")).unwrap().replace("<|endoftext|>", "<end>"),
    )
    .unwrap();
    for (arguments, code, expected) in [
        (format!("tokenize none --tokenizer {data}/gpt.json --out a"), 2, "none: no such file"),
        (format!("tokenize . --tokenizer {data}/none.json --out a"), 1, "--tokenizer = "),
        (format!("tokenize bad.parquet --tokenizer {data}/gpt.json --out a"), 1, "bad.parquet: not a Parquet file"),
        ("tokenize bad.parquet --tokenizer words.json --out b".into(), 1, "sim tokenize --eos"),
        ("tokenize bad.parquet --tokenizer words.json --out b --eos </s>".into(), 1, "has no token \"</s>\""),
        ("tokenize bad.parquet --tokenizer words.json --out b --eos <end> --on-error skip".into(), 0, "left out"),
        ("run data.toml".into(), 2, "corpus.path = \"shards\" names no file"),
        ("run data.toml --set corpus.path=b".into(), 2, "has 0 pages"),
        ("run data.toml --set corpus.kind=parquet".into(), 2, "corpus.tokenizer is missing"),
        ("run data.toml --set corpus.token_bytes=3".into(), 2, "corpus.token_bytes is 3; expected 2 or 4"),
    ] {
        let output = sim(&folder, &arguments);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
        assert!(told.contains(expected), "{arguments}: {told}");
    }
}
