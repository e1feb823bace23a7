"""Makes fifty odd files, tokenises each with `sim tokenize`, and compares token for token with `tokenizers` on what
`pyarrow`, `json`, `gzip` and `zstandard` read.

    pip install tokenizers pyarrow zstandard
    python tests/python/odd_files.py target/debug/sim tests/vectors/data/llama.json
"""

import gzip
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import zstandard
from tokenizers import Tokenizer

TEXTS = [
    "The lighthouse keeper's cat sleeps on the scale.",
    "",
    "  Two spaces before, two behind.  ",
    "Größe, naïveté, 東京, \U0001f4a1, A\u0301.",
    "A text may contain </s> or <|endoftext|> and go on.",
    "\tTabs\tand\r\nline ends\r\n",
    "\ufeffA mark that belongs to the text",
    "nul \x00 and \x1f",
]
BOM = b"\xef\xbb\xbf"


def packed(name, content):
    """A file plain, in one and in two members of gzip, and as zstd."""
    half = len(content) // 2
    yield name, content
    yield f"{name}.gz", gzip.compress(content)
    yield f"two-{name}.gz", gzip.compress(content[:half]) + gzip.compress(content[half:])
    yield f"{name}.zst", zstandard.compress(content)


def cases():
    """Name, bytes or a function that writes the file, texts, more options."""
    for mark, label in [(b"", "plain"), (BOM, "marked")]:
        lines = [json.dumps({"n": 1, "text": text}) for text in TEXTS]
        for end, ends in [("\n", "lf"), ("\r\n", "crlf"), ("\n\n", "blank")]:
            for name, content in packed(f"{label}-{ends}.jsonl", mark + (end.join(lines) + end).encode()):
                yield name, content, TEXTS, []
        text = "\n".join(TEXTS[:5])
        for name, content in packed(f"{label}.txt", mark + text.encode()):
            yield name, content, [text], []
    raw = "".join(json.dumps({"text": text, "x": float("nan")}, ensure_ascii=False) + "\n" for text in TEXTS)
    yield "nan.ndjson", raw.encode(), TEXTS, []
    nested = "".join(json.dumps({"doc": {"text": text}}) + "\n" for text in TEXTS)
    yield "nested.jsonl", nested.encode(), TEXTS, ["--text-column", "doc.text"]
    yield "object.json", json.dumps({"text": "one"}).encode(), ["one"], []
    yield "empty.txt", b"", [], []
    yield "empty.jsonl", b"", [], []
    large = pyarrow.large_string()
    kinds = {
        "string": pyarrow.array(TEXTS),
        "large": pyarrow.array(TEXTS, type=large),
        "view": pyarrow.array(TEXTS, type=pyarrow.string_view()),
        "dictionary": pyarrow.array(TEXTS).dictionary_encode(),
        "binary": pyarrow.array([text.encode() for text in TEXTS]),
    }
    for kind, column in kinds.items():
        yield f"{kind}.parquet", pyarrow.table({"id": range(len(TEXTS)), "text": column}), TEXTS, []
    plain = pyarrow.table({"text": TEXTS})
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        yield f"{codec}.parquet", (plain, {"compression": codec}), TEXTS, []
    yield "v2.parquet", (plain, {"data_page_version": "2.0", "row_group_size": 3}), TEXTS, []
    yield "delta.parquet", (plain, {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}), TEXTS, []
    yield "zero.parquet", plain.slice(0, 0), [], []
    rows = pyarrow.table({"doc": [{"text": text, "n": 1} for text in TEXTS]})
    yield "nested.parquet", rows, TEXTS, ["--text-column", "doc.text"]
    nulls = pyarrow.table({"text": [None, *TEXTS, None]})
    yield "null.parquet", nulls, TEXTS, ["--on-error", "skip"]
    holes = pyarrow.table({"doc": [None, *({"text": text} for text in TEXTS), {"text": None}]})
    yield "holes.parquet", holes, TEXTS, ["--text-column", "doc.text", "--on-error", "skip"]


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    table, options = content if isinstance(content, tuple) else (content, {})
    pyarrow.parquet.write_table(table, path, **options)


def main(sim, tokenizer_path):
    tokenizer = Tokenizer.from_file(tokenizer_path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    compared = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, content, texts, options in cases():
            path, out = Path(folder) / name, Path(folder) / f"{name}.out"
            write(path, content)
            command = [sim, "tokenize", str(path), "--tokenizer", tokenizer_path, "--out", str(out), *options]
            done = subprocess.run(command, capture_output=True, text=True)
            compared += 1
            if done.returncode:
                wrong += 1
                print(f"{name}: {done.stderr.strip()}")
                continue
            manifest = json.loads((out / "manifest.json").read_text())
            kind = {"u16": "H", "u32": "I"}[manifest["token_type"]]
            data = b"".join((out / shard["file"]).read_bytes() for shard in manifest["shards"])
            found = [token for (token,) in struct.iter_unpack(f"<{kind}", data)]
            expected = []
            for text in texts:
                expected += [*tokenizer.encode(text, add_special_tokens=False).ids, manifest["eos"]]
            if found != expected:
                wrong += 1
                print(f"{name}: {len(found)} tokens, expected {len(expected)}, or other ones")
    print(f"{compared} files, {wrong} wrong")
    return 1 if wrong or compared < 50 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
