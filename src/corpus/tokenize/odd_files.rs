//! Files as they occur in practice: compressed, marked, nested, linked in circles, badly named.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::tests::{Bench, ids};
use super::*;
use crate::corpus::{Corpus, CorpusKind, CorpusSettings};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The ids of some files, and the manifest.
fn made(bench: &Bench, names: &[&str], out: &str) -> (Vec<u16>, TokenManifest) {
    let manifest = bench.make(&bench.job(names, out)).unwrap();
    (ids(&bench.path(out), &manifest).concat(), manifest)
}

/// The error message for a file, without the path of its folder.
fn refused(bench: &Bench, name: &str) -> String {
    let message = bench.make(&bench.job(&[name], &format!("{name}.out"))).unwrap_err();
    let place = message.find(name).unwrap_or_else(|| panic!("{message} names {name}"));
    message[place..].trim_end_matches("; --on-error skip leaves it out; the same command resumes from here").to_string()
}

#[test]
fn byte_order_marks_and_compression_change_no_token() {
    let bench = Bench::new();
    let (text, lines) = ("one two\r\n", "{\"text\": \"one\"}\r\n\r\n{\"text\": \"two\", \"x\": NaN}\r\n");
    for (name, content) in [("a.txt", text), ("a.jsonl", lines)] {
        let marked = [b"\xef\xbb\xbf", content.as_bytes()].concat();
        let (plain, _) = {
            fs::write(bench.path(name), content).unwrap();
            made(&bench, &[name], &format!("{name} plain"))
        };
        let two = [gzip(&marked[..9]), gzip(&marked[9..])].concat();
        let zstd = zstd::encode_all(&marked[..], 3).unwrap();
        for (suffix, bytes) in [("", marked.clone()), (".gz", two), (".zst", zstd)] {
            let file = format!("m-{name}{suffix}");
            fs::write(bench.path(&file), bytes).unwrap();
            let (found, manifest) = made(&bench, &[&file], &format!("{file} out"));
            assert_eq!(found, plain, "{file}");
            let blank_lines = u64::from(name == "a.jsonl");
            assert_eq!(manifest.noticed, Noticed { byte_order_marks: 1, blank_lines, ..Default::default() });
        }
    }
}

#[test]
fn marks_within_a_file_and_zeros_behind_it_are_no_content() {
    let bench = Bench::new();
    let line = b"\xef\xbb\xbf{\"text\": \"one\"}\n";
    fs::write(bench.path("a.jsonl"), [&line[..], line, b"\xef\xbb\xbf\n", line].concat()).unwrap();
    let (found, manifest) = made(&bench, &["a.jsonl"], "a");
    assert_eq!(found, [2, 1, 2, 1, 2, 1]);
    assert_eq!(manifest.noticed, Noticed { byte_order_marks: 4, blank_lines: 1, ..Default::default() });
    let parts = [&gzip(&line[..])[..], &[0; 5], &gzip(b"{\"text\": \"two\"}"), &[0; 20_000]].concat();
    fs::write(bench.path("b.jsonl.gz"), parts).unwrap();
    assert_eq!(made(&bench, &["b.jsonl.gz"], "b").0, [2, 1, 3, 1]);
    fs::write(bench.path("c.jsonl"), [&line[..], b"\xef\xbb\xbf{\"text\": 1 }\n"].concat()).unwrap();
    assert_eq!(refused(&bench, "c.jsonl"), "c.jsonl, line 2: the field \"text\" is a number; expected a text");
}

#[test]
fn what_contradicts_its_name_or_is_no_utf8_is_refused() {
    let bench = Bench::new();
    let utf16: Vec<u8> = "one two".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, expected) in [
        (
            "a.txt",
            [b"\xff\xfe", &utf16[..]].concat(),
            "a.txt: it is UTF-16LE; expected UTF-8: iconv -f UTF-16LE -t UTF-8 makes it so",
        ),
        ("b.jsonl", utf16.clone(), "b.jsonl: it is UTF-16LE; expected UTF-8: iconv -f UTF-16LE -t UTF-8 makes it so"),
        (
            "c.jsonl",
            gzip(b"{}"),
            "c.jsonl: it is compressed (gzip), and its name does not say so: rename it so that it ends in .gz",
        ),
        (
            "d.txt.gz",
            b"one".to_vec(),
            "d.txt.gz: its name says gzip, but it is not compressed: rename it to match its content",
        ),
        (
            "e.txt.zst",
            gzip(b"one"),
            "e.txt.zst: its name says zstd, but it is gzip data: rename it to match its content",
        ),
        (
            "g.jsonl",
            b"{\"text\": \"\xc3\xa4\" 1}".to_vec(),
            "g.jsonl, line 1, column 14: not JSON: expected `,` or `}`",
        ),
        (
            "o.jsonl",
            b"{\"text\": \"a\"},\n".to_vec(),
            "o.jsonl, line 1, column 14: not JSON: expected nothing behind the value, found `,`",
        ),
        (
            "p.jsonl",
            b"{\"text\": \"a\"}\n\0\0\0\0\0".to_vec(),
            "p.jsonl, line 2, column 1: not JSON: expected a value, found a zero byte",
        ),
        ("q.jsonl.gz", gzip(&gzip(b"{}")), "q.jsonl.gz: what it holds is compressed once more (gzip): unpack it once"),
        (
            "r.jsonl.gz",
            [&gzip(b"{\"text\": \"a\"}\n")[..], b"more"].concat(),
            "r.jsonl.gz: the gzip data is damaged or cut off (behind its end lies something else than gzip data)",
        ),
        ("h.jsonl", b"\n{\"text\": null}".to_vec(), "h.jsonl, line 2: the field \"text\" is null; expected a text"),
        ("i.jsonl", b"[1]".to_vec(), "i.jsonl, line 1: an array; expected an object on each line"),
        (
            "j.jsonl",
            b"{\"a\": {\"text\": \"\"}, \"b\": 1}".to_vec(),
            "j.jsonl, line 1: without the field \"text\" (--text-column); its fields: a, b",
        ),
        (
            "k.jsonl",
            b"{\"text\": \"a\", \"text\": \"b\"}".to_vec(),
            "k.jsonl, line 1: the field \"text\" is there twice",
        ),
        (
            "m.json",
            b"{\n \"text\": \"one\"\n}\n".to_vec(),
            "m.json, line 1, column 1: the line ends within a JSON value; expected a whole object on each line",
        ),
        (
            "n.jsonl",
            br#"{"text": "\ud83d."}"#.to_vec(),
            r"n.jsonl, line 1, column 17: half of a surrogate pair (\ud800 to \udfff) is no character",
        ),
        ("l.txt", b"one\r\n\xc3\xa4\xff".to_vec(), "l.txt, line 2, column 2: not UTF-8; expected a text"),
    ] {
        fs::write(bench.path(name), bytes).unwrap();
        assert_eq!(refused(&bench, name), expected);
    }
    let cut = gzip("{\"text\": \"one\"}\n".repeat(9).as_bytes());
    fs::write(bench.path("f.jsonl.gz"), &cut[..cut.len() - 9]).unwrap();
    let message = refused(&bench, "f.jsonl.gz");
    assert!(message.contains(": the gzip data is damaged or cut off ("), "{message}");
}

#[test]
fn nested_texts_go_by_their_path() {
    let bench = Bench::new();
    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for name in ["nested", "c_brotli", "zero", "lists", "doubled", "nulls"] {
        fs::copy(vectors.join(format!("{name}.parquet")), bench.path(&format!("{name}.parquet"))).unwrap();
    }
    fs::write(bench.path("a.jsonl"), "{\"doc\": {\"text\": \"one\", \"n\": 1}}\n{\"doc.text\": \"two\"}\n").unwrap();
    let nested = |name: &str, out: &str| Job { text_column: "doc.text".into(), ..bench.job(&[name], out) };
    let lines = bench.make(&nested("a.jsonl", "lines")).unwrap();
    assert_eq!(ids(&bench.path("lines"), &lines).concat(), [2, 1, 3, 1]);
    let rows = bench.make(&nested("nested.parquet", "rows")).unwrap();
    assert!(rows.documents > 0 && rows.skipped.total() == 0);
    let message = refused(&bench, "nested.parquet");
    assert!(
        message.contains("without the column \"text\"; its columns: ") && message.contains("doc.text"),
        "{message}"
    );
    let message = refused(&bench, "lists.parquet");
    assert_eq!(
        message,
        "lists.parquet: the column \"text\" holds lists; expected one text a row; its columns: text.list.element"
    );
    let message = refused(&bench, "doubled.parquet");
    assert_eq!(message, "doubled.parquet: several columns are called \"text\"; expected one");
    let message = refused(&bench, "nulls.parquet");
    assert_eq!(message, "nulls.parquet: the column \"text\" does not hold texts but nulls; columns with texts: none");
    let (_, manifest) = made(&bench, &["zero.parquet", "c_brotli.parquet"], "two");
    assert!(manifest.documents > 0 && manifest.noticed.empty_files == 1);
}

#[cfg(unix)]
#[test]
fn each_file_is_found_once_and_what_is_not_read_is_counted() {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    let folder = bench.path("f");
    fs::create_dir_all(folder.join("sub")).unwrap();
    for name in ["a.txt", "sub/b.jsonl", ".hidden.txt", "c.csv", "d.jsonl.xz", "e.json"] {
        fs::write(folder.join(name), "{\"text\": \"one\"}").unwrap();
    }
    fs::write(folder.join(std::ffi::OsString::from_vec(b"\xff.bin".to_vec())), "").unwrap();
    symlink(".", folder.join("circle")).unwrap();
    symlink("a.txt", folder.join("again.txt")).unwrap();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (found, passed) = inputs(&[path(""), path("a.txt"), path("*.txt")]).unwrap();
    let names: Vec<&str> = found.iter().map(|input| input.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a.txt", "b.jsonl"]);
    let suffixes = [(".bin", 1), (".csv", 1), (".json", 1), (".jsonl.xz", 1)];
    let suffixes = BTreeMap::from(suffixes.map(|(suffix, count)| (suffix.to_string(), count)));
    let expected = PassedOver { hidden: 2, suffixes, files_twice: 4, folders_twice: 1, ..Default::default() };
    assert_eq!(passed, expected);

    let told = |name: &str| inputs(&[path(name)]).unwrap_err().to_string().replace(&path(""), "");
    assert_eq!(told("c.csv"), format!("c.csv: this kind of file is not read; expected {}", super::super::names::READ));
    assert_eq!(told("x*"), "x*: no file matches the pattern");
    let brackets = told("runs[1]/*.jsonl");
    assert!(
        brackets.contains("brackets are part of a pattern") && brackets.contains("runs[[]1]/*.jsonl"),
        "{brackets}"
    );
    fs::write(folder.join(std::ffi::OsString::from_vec(b"\xff.txt".to_vec())), "one").unwrap();
    let unnamed = told("");
    assert!(unnamed.contains("\\xFF.txt\": a name that is not UTF-8; rename the file"), "{unnamed}");
}

#[test]
fn what_the_tokenizer_does_not_know_is_counted() {
    let bench = Bench::new();
    fs::write(bench.path("a.jsonl"), "{\"text\": \"one zwei two drei\"}\n{\"text\": \"\"}").unwrap();
    let (found, manifest) = made(&bench, &["a.jsonl"], "out");
    assert_eq!(found, [2, 0, 3, 0, 1, 1]);
    assert_eq!(manifest.noticed, Noticed { unknown_tokens: 2, empty_documents: 1, ..Default::default() });
}

#[test]
fn what_lies_beside_a_shard_is_believed_or_contradicted() {
    let bench = Bench::new();
    let shard = bench.path("a.ds");
    fs::write(&shard, (0..8u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    let open = |token_bytes| {
        let path = Some(shard.to_str().unwrap().to_string());
        let settings =
            CorpusSettings { kind: CorpusKind::Tokens, path, token_bytes, held_out_pages: 1, ..Default::default() };
        Corpus::open(&settings, 1, 8, 3).map_err(|error| error.to_string())
    };
    fs::write(bench.path("a.ds.metadata"), "gpt2|4\n8\n8 T").unwrap();
    assert_eq!(open(None).unwrap().pages(&[0]).unwrap(), [[0, 1, 2, 3]]);
    let message = open(Some(2)).map(drop).unwrap_err();
    assert!(
        message.ends_with("a.ds.metadata: tokens of 4 bytes, but corpus.token_bytes = 2; leave that out"),
        "{message}"
    );
    fs::write(bench.path("a.ds.index"), [3u64, 7].map(u64::to_le_bytes).concat()).unwrap();
    let message = open(None).map(drop).unwrap_err();
    assert!(
        message.contains("a.ds.index: 7 tokens, but ")
            && message.ends_with(" has 8: one of them was cut off or changed"),
        "{message}"
    );
}
