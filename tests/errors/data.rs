//! Errors of corpora, models and evaluations.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use gauntlet::corpus::tokenize::TokenizeError;
use gauntlet::corpus::{CorpusError, DocumentError, PageError};
use gauntlet::evaluation::DataError;
use gauntlet::model::huggingface::HfError;
use gauntlet::model::tokenizer::TokenizerError;
use gauntlet::model::{DeviceError, LlamaConfig, ModelError, ModelSettings};
use gauntlet::node::OpenError;

use super::{Seen, seen};

fn absent() -> Error {
    Error::from_raw_os_error(2)
}

fn path(name: &str) -> PathBuf {
    name.into()
}

pub fn all() -> Vec<Seen> {
    [corpora(), tokens(), folders(), models()].into_iter().flatten().collect()
}

fn corpora() -> Vec<Seen> {
    let text = || "a.txt".to_string();
    vec![
        seen(
            CorpusError::NoPath,
            "corpus.path is missing; expected a file, a folder, a pattern such as data/*.ds, or a URL",
        ),
        seen(CorpusError::NoTokenizer, "corpus.tokenizer is missing; expected the path of a tokenizer.json"),
        seen(
            CorpusError::Unreadable { key: "corpus.path", path: text(), reason: absent() },
            "corpus.path = \"a.txt\" cannot be read: No such file or directory",
        ),
        seen(
            CorpusError::Empty { path: text(), expected: "some text" },
            "corpus.path = \"a.txt\" is empty; expected some text",
        ),
        seen(
            CorpusError::NoFiles { path: text(), expected: "shards".into() },
            "corpus.path = \"a.txt\" names no file; expected shards",
        ),
        seen(
            CorpusError::TooShort { path: text(), tokens: 1, sequence_length: 8, needed: 20 },
            "corpus.path = \"a.txt\" has 1 token, too few: model.sequence_length = 8 needs at least 20; take a longer \
             text or shorter sequences",
        ),
        seen(
            CorpusError::HeldOut { path: text(), asked: 9, available: 1, sequence_length: 8 },
            "corpus.held_out_pages = 9, but the last tenth of \"a.txt\", which is held out, has 1 page of 8 tokens: \
             --set corpus.held_out_pages=1 or take a longer text",
        ),
        seen(
            CorpusError::TooFewPages { path: text(), pages: 2, held_out: 3, sequence_length: 8 },
            "corpus.path = \"a.txt\" has 2 pages of model.sequence_length = 8 tokens; expected more than \
             corpus.held_out_pages = 3, which are kept away from training: take more data, shorter sequences or fewer \
             held-out pages",
        ),
        seen(
            CorpusError::NotUtf8 { path: text(), line: 2, column: 7 },
            "corpus.path = \"a.txt\" is not UTF-8 at line 2, column 7; expected a text, as corpus.tokenizer is set",
        ),
        seen(
            CorpusError::Tokenizer { path: text(), reason: "empty".into() },
            "\"a.txt\" is not a tokenizer.json: empty",
        ),
        seen(
            CorpusError::Encode { path: text(), reason: "its library gave up".into() },
            "the tokenizer \"a.txt\" fails on the text: its library gave up",
        ),
        seen(
            CorpusError::Memory { path: text(), bytes: 300_000_000, needed: 25_500_000_000, free: 8_000_000_000 },
            "a document of 300 MB must be encoded at once, as \"a.txt\" does not show where it may be cut: that takes \
             some 25.5 GB of memory, and 8.0 GB are free; split the document, or take a larger machine",
        ),
        seen(CorpusError::Eos("no token ends a text".into()), "no token ends a text"),
        seen(
            CorpusError::Vocabulary { got: 5, needed: 9, what: "the tokenizer".into() },
            "model.vocab_size = 5, but the tokenizer needs 9: --set model.vocab_size=9",
        ),
        seen(CorpusError::Manifest { path: text(), reason: "empty".into() }, "a.txt: empty"),
        seen(
            CorpusError::Bucket { url: "s3://b".into(), reason: "the store is busy".into() },
            "corpus.path = \"s3://b\": the store is busy",
        ),
        seen(CorpusError::ShardLength { path: text(), bytes: 1, expected: "8".into() }, "a.txt: 1 byte; expected 8"),
    ]
}

fn tokens() -> Vec<Seen> {
    let document = || DocumentError::of_file("a.jsonl, line 2", "not UTF-8");
    vec![
        seen(
            PageError::Unreadable { shard: "0.ds".into(), page: 3, reason: "it ended".into() },
            "0.ds, page 3: cannot be read: it ended",
        ),
        seen(
            PageError::Token { shard: "0.ds".into(), page: 3, at: 17, token: 99, vocab_size: 32 },
            "0.ds, page 3: token 99 at position 17 of the shard; expected ids below 32, model.vocab_size: the shard is \
             damaged, of another tokenizer, or of wider tokens",
        ),
        seen(document(), "a.jsonl, line 2: not UTF-8"),
        seen(
            TokenizeError::Document(document()),
            "a.jsonl, line 2: not UTF-8; --on-error skip leaves it out; the same command resumes from here",
        ),
        seen(
            TokenizeError::OtherWork { folder: "out".into(), what: "another tokenizer".into() },
            "out: it holds shards of another tokenizer; give the same inputs and settings as then, or another --out",
        ),
        seen(
            TokenizeError::Disk { folder: "out".into(), reason: Error::from(ErrorKind::StorageFull) },
            "out: no storage space",
        ),
        seen(
            DataError::Unknown { name: "arc".into(), known: "piqa, arc_easy".into() },
            "there is no task \"arc\"; expected some of piqa, arc_easy",
        ),
        seen(
            DataError::Unreadable { path: path("d/piqa.jsonl"), reason: "Permission denied".into() },
            "d/piqa.jsonl: Permission denied; --data names the folder with a file TASK.jsonl for each task",
        ),
        seen(
            DataError::Row { path: path("piqa.jsonl"), line: 3, problem: "`goal` is missing".into() },
            "piqa.jsonl, line 3: `goal` is missing; --skip-bad-rows leaves such rows out",
        ),
        seen(DataError::Empty { path: path("piqa.jsonl"), rows: 0 }, "piqa.jsonl: it is empty"),
        seen(DataError::Empty { path: path("piqa.jsonl"), rows: 7 }, "piqa.jsonl: none of its 7 rows can be used"),
    ]
}

fn folders() -> Vec<Seen> {
    let config = || path("m/config.json");
    vec![
        seen(HfError::Io { path: config(), reason: absent() }, "m/config.json: No such file or directory"),
        seen(
            HfError::Json { path: config(), expected: "the configuration of a Llama", problem: "empty".into() },
            "m/config.json: empty; expected the configuration of a Llama",
        ),
        seen(
            HfError::NoObject { path: config(), expected: "the configuration of a Llama" },
            "m/config.json: expected a JSON object, the configuration of a Llama",
        ),
        seen(
            HfError::Key { path: config(), key: "mlp_bias".into(), found: "true".into(), expected: "false".into() },
            "m/config.json: `mlp_bias` is true, expected false",
        ),
        seen(HfError::Sizes { path: config(), problem: "no layers".into() }, "m/config.json: no layers"),
        seen(
            HfError::Oversized { path: config(), size: 9, expected: 8 },
            "m/config.json: 9 bytes or more, expected a JSON file of at most 8",
        ),
        seen(
            HfError::NoWeights { folder: path("m"), hint: "" },
            "m: no weights: expected model.safetensors, or shards with model.safetensors.index.json",
        ),
        seen(
            HfError::Safetensors { path: path("m/model.safetensors"), problem: "7 bytes, too short".into() },
            "m/model.safetensors: not a whole safetensors file: 7 bytes, too short",
        ),
        seen(
            HfError::Tensor { path: path("m/a.safetensors"), tensor: "norm".into(), problem: "not finite".into() },
            "m/a.safetensors: tensor `norm`: not finite",
        ),
        seen(HfError::Exists(path("m")), "m: it exists and is not overwritten; name another folder, or remove it"),
        seen(
            TokenizerError::Unreadable { path: path("t.json"), reason: "empty".into() },
            "t.json: empty; expected a tokenizer.json of Hugging Face's tokenizers",
        ),
        seen(
            TokenizerError::Config { path: path("c.json"), reason: "empty".into() },
            "c.json: empty; expected a JSON object, as Hugging Face's tokenizers are saved with",
        ),
        seen(
            TokenizerError::TooLarge { path: path("t.json"), needed: 9, vocabulary: 5 },
            "t.json: has 9 tokens, but the model's vocabulary is 5; use the model's own tokenizer",
        ),
    ]
}

fn models() -> Vec<Seen> {
    let settings = ModelSettings { preset: "nano".into(), ..Default::default() };
    let sizes = |hidden_size| Box::new(LlamaConfig { hidden_size, ..LlamaConfig::from_settings(&settings).unwrap() });
    vec![
        seen(
            OpenError::InitSizes { folder: "m".into(), found: sizes(32), expected: sizes(64) },
            "model.init: m holds a model of other sizes than the settings ask for: hidden_size is 32, not 64",
        ),
        seen(
            OpenError::OtherSize { key: "num_layers".into(), asked: "3".into(), folder: "m".into(), found: "2".into() },
            "model.num_layers = 3, but the model of model.init, m, has 2; leave the setting out",
        ),
        seen(
            ModelError::UnknownPreset { name: "huge".into(), known: "nano, tiny".into() },
            "model.preset: there is no `huge`; expected one of nano, tiny",
        ),
        seen(
            ModelError::Size { key: "model.num_layers", value: 0, expected: "expected 1 or more".into() },
            "model.num_layers = 0: expected 1 or more",
        ),
        seen(
            DeviceError::Unknown("tpu".into()),
            "device `tpu`: expected `cpu`, `cpu-f32`, `cpu-bf16`, `ndarray` or `cuda:N` with N the number of a CUDA device",
        ),
        seen(
            DeviceError::NoNdArray,
            "device `ndarray`: this build has no NdArray; build with `--features ndarray`, or use `cpu`",
        ),
        seen(
            DeviceError::NoCuda("cuda:0".into()),
            "device `cuda:0`: this build has no CUDA; build with `--features cuda`, or use `cpu`",
        ),
        seen(
            OpenError::Init(HfError::Exists(path("m"))),
            "model.init: m: it exists and is not overwritten; name another folder, or remove it",
        ),
    ]
}
