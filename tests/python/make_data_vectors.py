"""Makes tests/vectors/data: a Parquet file in FineWeb-Edu's schema, two small tokenizers, and the ids that the Python
package `tokenizers` gives.

    pip install tokenizers pyarrow
    python tests/python/make_data_vectors.py tests/vectors/data

The texts are invented here. With another version of the packages the files may come out different, and just as good.
"""

import json
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = [
    "The kettle in the lighthouse is older than the lighthouse. Nobody knows who brought it up the stairs.",
    "Tides are measured twice a day.\n\nAt low water the harbour master walks out to the third post and reads the scale; "
    "at high water he reads it from his window, because the post is then under water.",
    "  Two spaces before, two behind.  ",
    "Größe, naïveté, façade, 東京, Ελλάδα, and a lamp: \U0001f4a1. A\u0301 is an A with an accent of its own.",
    "def tide(hour):\n    return 2.5 * cos(hour / 12.42 * 2 * pi)\n",
    "A text may contain </s> or <|endoftext|> as if it ended there, and go on.",
    "one two three four five six seven eight nine ten " * 12,
    "\tTabs\tand\r\nline ends of another system.\r\n",
    "The lighthouse keeper's cat sleeps on the scale, and the tides of that day are a cat too heavy.",
]


def rows():
    return {
        "text": TEXTS,
        "id": [f"<urn:uuid:00000000-0000-0000-0000-{n:012}>" for n in range(len(TEXTS))],
        "dump": ["CC-MAIN-2000-01"] * len(TEXTS),
        "url": [f"https://example.org/{n}" for n in range(len(TEXTS))],
        "file_path": [f"s3://example/{n}.warc.gz" for n in range(len(TEXTS))],
        "language": ["en"] * len(TEXTS),
        "language_score": [0.9] * len(TEXTS),
        "token_count": [len(text.split()) for text in TEXTS],
        "score": [3.25] * len(TEXTS),
        "int_score": [3] * len(TEXTS),
    }


def like_llama():
    """As LLaMA-2's: a text begins with a space, spaces are written as an underline, no words, unknown bytes as bytes."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, limit_alphabet=60)
    tokenizer.train_from_iterator(TEXTS[:2] + TEXTS[-1:], trainer)
    # The pieces for bytes are no special tokens.
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = described["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(described))


def like_gpt():
    """As GPT-2's: words by a pattern, bytes as letters. Its file asks for truncation, which is not for training data."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=[AddedToken("<|endoftext|>", special=True)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def main(folder):
    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in ("text", "id", "dump", "url", "file_path", "language")]
        + [("language_score", pyarrow.float64()), ("token_count", pyarrow.int64())]
        + [("score", pyarrow.float64()), ("int_score", pyarrow.int64())]
    )
    table = pyarrow.table(rows(), schema=schema)
    pyarrow.parquet.write_table(table, folder / "fineweb-edu.parquet", row_group_size=4, compression="snappy")
    expected = {}
    for name, tokenizer, eos in [("llama", like_llama(), "</s>"), ("gpt", like_gpt(), "<|endoftext|>")]:
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        expected[name] = {"eos": tokenizer.token_to_id(eos), "ids": ids}
        if name == "gpt":
            tokenizer.enable_truncation(16)
        (folder / f"{name}.json").write_text(tokenizer.to_str(pretty=False))
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
