"""Makes fifty odd files, tokenises each with `sim tokenize`, and compares token for token with `tokenizers` on what
`pyarrow`, `json`, `gzip` and `zstandard` read, and with the shards that a pipeline of `datatrove` makes of the file.

    pip install tokenizers pyarrow zstandard datatrove orjson
    python tests/python/odd_files.py target/debug/sim tests/vectors/data/llama.json

The file is not called `tokenize.py`, as that would take the place of Python's module `tokenize` in every script of this folder.
"""

import contextlib
import gzip
import io
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

# datatrove takes the stream for its log when it is imported: it warns of each line that it leaves out.
with contextlib.redirect_stderr(io.StringIO()):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader, ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

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


def left_out(name, text, place):
    """Whether datatrove reads no document from this row of a file that it does read."""
    return not text or (place == 0 and name.removeprefix("two-").startswith("marked-"))


def piped(path, out, tokenizer_path, eos, column):
    """The tokens that datatrove's pipeline makes of a file; None if it has no reader for it."""
    name = path.name
    # It reads NaN as a broken line, and hands bytes to a tokenizer that wants text.
    if name in ("nan.ndjson", "binary.parquet"):
        return None
    if ".jsonl" in name:
        reader = JsonlReader
    elif name.endswith(".parquet"):
        reader = ParquetReader
    else:
        return None

    def adapter(_, data, source, row):
        for key in column.split("."):
            data = (data or {}).get(key)
        return {"text": data, "id": f"{source}/{row}"}

    steps = [
        reader(str(path.parent), glob_pattern=name, adapter=adapter),
        DocumentTokenizer(str(out), tokenizer_path, eos_token=eos, shuffle_documents=False),
    ]
    with contextlib.redirect_stderr(io.StringIO()):
        LocalPipelineExecutor(steps, logging_dir=str(out / "log")).run()
    return b"".join(shard.read_bytes() for shard in sorted(out.glob("*.ds")))


def numbers(data, kind):
    return [token for (token,) in struct.iter_unpack(f"<{kind}", data)]


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
    compared = piped_files = wrong = 0
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
            found = numbers(b"".join((out / shard["file"]).read_bytes() for shard in manifest["shards"]), kind)
            documents = [[*tokenizer.encode(text, add_special_tokens=False).ids, manifest["eos"]] for text in texts]
            expected = [token for document in documents for token in document]
            if found != expected:
                wrong += 1
                print(f"{name}: {len(found)} tokens, expected {len(expected)}, or other ones")
                continue
            column = options[options.index("--text-column") + 1] if "--text-column" in options else "text"
            eos = tokenizer.id_to_token(manifest["eos"])
            data = piped(path, Path(folder) / f"{name}.piped", tokenizer_path, eos, column)
            if data is None:
                continue
            piped_files += 1
            ours, start = [], 0
            for place, (text, document) in enumerate(zip(texts, documents)):
                end = start + len(document)
                if not left_out(name, text, place):
                    ours += found[start:end]
                start = end
            if ours != numbers(data, kind):
                wrong += 1
                print(f"{name}: {len(ours)} tokens, but datatrove makes {len(numbers(data, kind))}, or other ones")
    print(f"{compared} files, {piped_files} of them also read by datatrove, {wrong} wrong")
    return 1 if wrong or compared < 50 or piped_files < 35 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
