"""Check that Hugging Face folders mean the same to `sim` as to transformers, and that transformers loads what `sim` writes.

    pip install torch transformers
    python tests/python/huggingface.py --sim target/debug/sim [--only NAME]

Folders of odd but real configurations are made with transformers. Of each, what `sim import` writes must have the same
logits, `sim eval` the same log-likelihoods, and `sim generate` the same text as transformers. What would change the result
and is not supported must be refused by its name. Exits with 1 where something differs.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

transformers.utils.logging.disable_progress_bar()

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"
TEXT = "The quick brown fox jumps over the lazy dog, and the lazy dog sleeps on. Käse für 10 €! 日本語 "
PROMPT = "The quick brown"
TOKENS = 24
SIZES = dict(vocab_size=320, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=4, max_position_embeddings=128, initializer_range=0.2, bos_token_id=1, eos_token_id=2)


def check(what, holds, more=""):
    print(("ok      " if holds else "DIFFERS ") + what + (f": {more}" if more and not holds else ""), flush=True)
    return holds


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def change(path, edit):
    """Changes a JSON file by a function of its content, or by keys and values; `...` removes a key."""
    content = json.loads(path.read_text()) if path.exists() else {}
    if callable(edit):
        edit(content)
    else:
        for key, value in edit.items():
            if value is ...:
                content.pop(key, None)
            else:
                content[key] = value
    path.write_text(json.dumps(content, indent=2))


def change_tensors(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


def tokenizer():
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([TEXT] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def make(folder, edit=lambda folder: None, dtype=torch.float32, shard="1GB", **config):
    """A folder that transformers saved, and what `edit` does to it."""
    torch.manual_seed(7)
    model = LlamaForCausalLM(LlamaConfig(**{**SIZES, **config})).to(dtype)
    model.save_pretrained(folder, max_shard_size=shard)
    tokenizer().save_pretrained(folder)
    edit(folder)


def in_config(**edit):
    return lambda folder: change(folder / "config.json", edit)


def in_generation(**edit):
    return lambda folder: change(folder / "generation_config.json", edit)


def in_tokenizer(edit, config=False):
    return lambda folder: change(folder / ("tokenizer_config.json" if config else "tokenizer.json"), edit)


def in_tensors(edit):
    return lambda folder: change_tensors(folder, edit)


def both(*edits):
    return lambda folder: [edit(folder) for edit in edits]


def without_generation(folder):
    (folder / "generation_config.json").unlink()


def buffers(tensors):
    for layer in range(2):
        tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = torch.ones(8)
    tensors["model.rotary_emb.inv_freq"] = torch.ones(8)


def mixed(tensors):
    for index, name in enumerate(sorted(tensors)):
        tensors[name] = tensors[name].to([torch.float32, torch.bfloat16, torch.float16][index % 3])


def doubles(tensors):
    for name in tensors:
        tensors[name] = tensors[name].double()


def without_prefix(tensors):
    for name in list(tensors):
        tensors[name.removeprefix("model.")] = tensors.pop(name)


def head(values):
    def edit(tensors):
        tensors["lm_head.weight"] = values(tensors["model.embed_tokens.weight"])
    return edit


def head_alone(tensors):
    tensors["lm_head.weight"] = tensors.pop("model.embed_tokens.weight")


def one_shard(folder):
    name = "model-00001-of-00001.safetensors"
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / name)
    change(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": dict.fromkeys(tensors, name)})


def llama_tokenizer(**config):
    """A tokenizer with bytes to fall back on, of which transformers takes vocabulary and merges only."""
    def edit(folder):
        made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        made.normalizer = tokenizers.normalizers.Sequence(
            [tokenizers.normalizers.Prepend("\u2581"), tokenizers.normalizers.Replace(" ", "\u2581")])
        made.decoder = tokenizers.decoders.Sequence(
            [tokenizers.decoders.Replace("\u2581", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse(),
             tokenizers.decoders.Strip(" ", 1, 0)])
        special = ["<unk>", "<s>", "</s>"]
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=320, special_tokens=special + [f"<0x{byte:02X}>" for byte in range(256)], show_progress=False,
            limit_alphabet=40)
        made.train_from_iterator([TEXT.replace("  ", " ")] * 4, trainer)
        made.save(str(folder / "tokenizer.json"))
        # The bytes are no special tokens.
        change(folder / "tokenizer.json", lambda content: content.update(added_tokens=content["added_tokens"][:3]))
        (folder / "tokenizer_config.json").write_text(json.dumps(
            {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **config}))
    return edit


def old_special_map(folder):
    change(folder / "tokenizer_config.json", {"added_tokens_decoder": ..., "eos_token": ...})
    change(folder / "special_tokens_map.json", {"eos_token": {"content": "</s>", "lstrip": False, "rstrip": False,
                                                              "normalized": False, "single_word": False}, "pad_token": "q"})


ROPE = {"rope_type": "default", "rope_theta": 500.0}
OLD = dict(rope_parameters=..., rope_theta=500.0, rope_scaling=None, dtype=..., torch_dtype="float16", pretraining_tp=1,
           max_sequence_length=2048, pad_token_id=-1, transformers_version="4.28.0.dev0", architectures=["LLaMAForCausalLM"])
PADDING = {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
           "pad_token": "<unk>"}
TRUNCATION = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}

TEMPLATE = {"type": "TemplateProcessing", "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]}

FOLDERS = {
    "plain": dict(),
    "grouped-queries": dict(num_key_value_heads=2),
    "one-key-head": dict(num_key_value_heads=1),
    "wide-heads": dict(head_dim=32),
    "narrow-heads": dict(head_dim=8, num_key_value_heads=2),
    "large-eps": dict(rms_norm_eps=0.1),
    "base-of-llama-3": dict(rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
    "tied": dict(tie_word_embeddings=True),
    "tied-with-head": dict(tie_word_embeddings=True, edit=in_tensors(head(torch.clone))),
    "tied-with-another-head": dict(tie_word_embeddings=True, edit=in_tensors(head(lambda values: values.flip(0)))),
    "tied-by-head-alone": dict(tie_word_embeddings=True, edit=in_tensors(head_alone)),
    "tied-without-prefix": dict(tie_word_embeddings=True, edit=in_tensors(without_prefix)),
    "old-keys": dict(edit=in_config(**OLD)),
    "base-beside": dict(edit=in_config(rope_parameters={"rope_type": "default"}, rope_theta=500.0)),
    "base-inside-first": dict(edit=in_config(rope_parameters=ROPE, rope_theta=10.0)),
    "scaling-first": dict(edit=in_config(rope_scaling=ROPE, rope_parameters={"rope_type": "default", "rope_theta": 10.0})),
    "empty-scaling": dict(edit=in_config(rope_scaling={}, rope_parameters=ROPE)),
    "linear-by-1": dict(edit=in_config(rope_scaling={"type": "linear", "factor": 1.0}, rope_theta=500.0)),
    "dynamic-by-1": dict(edit=in_config(rope_scaling={"type": "dynamic", "factor": 1.0})),
    # transformers finds these frequencies by another formula, and rounds one of them to the next float.
    "llama3-by-1": dict(far=1e-5, edit=in_config(rope_scaling={
        "rope_type": "llama3", "factor": 1.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32})),
    "yarn-by-1": dict(edit=in_config(rope_scaling={"rope_type": "yarn", "factor": 1.0, "original_max_position_embeddings": 128})),
    "part-of-rotary": dict(edit=in_config(partial_rotary_factor=0.5)),
    "swish": dict(edit=in_config(hidden_act="swish")),
    "defaults": dict(rms_norm_eps=1e-6, edit=in_config(rms_norm_eps=..., hidden_act=..., num_key_value_heads=..., head_dim=...,
                                                       tie_word_embeddings=..., attention_bias=..., mlp_bias=...)),
    "nulls": dict(edit=in_config(num_key_value_heads=None, head_dim=None, sliding_window=None, layer_types=None,
                                 quantization_config=None, rope_scaling=None)),
    "neutral": dict(edit=in_config(attention_dropout=0.1, pretraining_tp=2, use_cache=False, sliding_window=4096,
                                   layer_types=["full_attention"] * 2, is_decoder=True, auto_map={})),
    "no-class": dict(edit=in_config(architectures=...)),
    "millions-of-positions": dict(max_position_embeddings=4_194_304),
    "buffers": dict(edit=in_tensors(buffers)),
    "bf16": dict(dtype=torch.bfloat16),
    "f16-in-shards": dict(dtype=torch.float16, shard="60KB"),
    "f64": dict(edit=in_tensors(doubles)),
    "mixed-types": dict(edit=in_tensors(mixed)),
    "one-shard": dict(edit=one_shard),
    "shards": dict(shard="60KB", tie_word_embeddings=True),
    "end-by-config": dict(edit=both(without_generation, in_config(eos_token_id=[3, "END"]))),
    "end-as-number": dict(edit=in_generation(eos_token_id="END")),
    "end-in-list": dict(edit=in_generation(eos_token_id=[5, "END"])),
    "no-end": dict(edit=both(in_config(eos_token_id="END"), in_generation(eos_token_id=...))),
    "no-end-null": dict(edit=both(in_config(eos_token_id="END"), in_generation(eos_token_id=None))),
    "late-end": dict(edit=in_generation(eos_token_id="END", min_new_tokens=9)),
    "penalty": dict(edit=in_generation(repetition_penalty=1.7, no_repeat_ngram_size=2)),
    "suppressed": dict(edit=in_generation(suppress_tokens=["END", 9], begin_suppress_tokens=[10, 11, 12])),
    "drawn": dict(edit=in_generation(do_sample=True, temperature=0.6, top_p=0.9)),
    "truncation": dict(edit=in_tokenizer({"truncation": TRUNCATION})),
    "padding": dict(edit=in_tokenizer({"padding": PADDING})),
    "begin-added": dict(edit=in_tokenizer({"add_bos_token": True}, config=True)),
    "end-added": dict(edit=in_tokenizer({"add_bos_token": True, "add_eos_token": True}, config=True)),
    "pad-token-added": dict(edit=in_tokenizer({"pad_token": "[PAD]"}, config=True)),
    "special-in-text": dict(edit=in_tokenizer({"extra_special_tokens": ["q"]}, config=True)),
    "begin-in-template": dict(edit=in_tokenizer({"post_processor": TEMPLATE})),
    "old-special-map": dict(edit=old_special_map),
    "llama-spaces": dict(prompt="  The quick</s> brown <s>", edit=llama_tokenizer()),
    "llama-spaces-of-old": dict(prompt="  The quick</s> brown <s>", edit=llama_tokenizer(legacy=True)),
    "llama-without-prefix": dict(prompt=" The quick</s> brown", edit=llama_tokenizer(add_prefix_space=False)),
    "llama-class-of-bytes": dict(edit=in_tokenizer({"tokenizer_class": "LlamaTokenizer"}, config=True)),
    "no-tokens-by-minus-1": dict(edit=both(without_generation, in_config(eos_token_id=-1))),
}

REFUSED = {
    "attention_bias": dict(attention_bias=True),
    "mlp_bias": dict(mlp_bias=True),
    "hidden_act": dict(hidden_act="gelu"),
    "rope_scaling.type": dict(edit=in_config(rope_scaling={"type": "linear", "factor": 2.0})),
    "rope_parameters.rope_type": dict(edit=in_config(rope_parameters={"rope_type": "llama3", "factor": 8.0})),
    "is_causal": dict(edit=in_config(is_causal=False)),
    "sliding_window": dict(edit=in_config(sliding_window=8)),
    "layer_types": dict(edit=in_config(layer_types=["full_attention", "sliding_attention"])),
    "quantization_config": dict(edit=in_config(quantization_config={"quant_method": "gptq"})),
    "model_type": dict(edit=in_config(model_type="mistral")),
}


def end_token(here):
    """A token that the plain model generates, though not at once."""
    folder = here / "end"
    make(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(PROMPT, return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(folder)
    found = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, eos_token_id=None)[0].tolist()[inputs.input_ids.shape[1]:]
    assert len(set(found)) > 8, found
    return next(token for at, token in enumerate(found) if at >= 4 and token not in found[:at])


def with_end(folder, end):
    """Puts the token where a folder's edit has "END"."""
    for name in ("config.json", "generation_config.json"):
        if (folder / name).exists():
            (folder / name).write_text((folder / name).read_text().replace('"END"', str(end)))


def log_likelihoods(model, tokens, context, answers):
    """As the harness computes them."""
    sums = []
    for answer in answers:
        whole, stem = tokens(f"{context} {answer}").input_ids, tokens(context).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        sums.append(sum(logits[at - 1, whole[at]].item() for at in range(len(stem), len(whole))))
    return sums


def folders(sim, here, only):
    end = end_token(here)
    question = {"goal": "the lazy dog", "sol1": "sleeps on.", "sol2": "jumps over Käse", "label": 0}
    (here / "piqa.jsonl").write_text(json.dumps(question) + "\n")
    for name, settings in FOLDERS.items():
        if only and name != only:
            continue
        folder = here / name
        prompt = settings.pop("prompt", PROMPT)
        limit = settings.pop("far", 1e-6)
        make(folder, **settings)
        with_end(folder, end)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokens = AutoTokenizer.from_pretrained(folder)
        inputs = tokens(prompt, return_tensors="pt")
        generated = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0].tolist()
        ends = model.generation_config.eos_token_id or []
        if generated[-1] in (ends if isinstance(ends, list) else [ends]):
            generated.pop()
        theirs = tokens.decode(generated, skip_special_tokens=True)
        try:
            ours = sim("generate", folder, "--prompt", prompt, "--tokens", TOKENS, "--temperature", "0").removesuffix("\n")
            yield check(f"{name}: text", ours == theirs, f"{ours!r}, transformers has {theirs!r}")
            sim("import", folder, "--to", here / f"{name}-imported")
            back = AutoModelForCausalLM.from_pretrained(here / f"{name}-imported", dtype=torch.float32).eval()
            with torch.no_grad():
                far = (model(inputs.input_ids).logits - back(inputs.input_ids).logits).abs().max().item()
            yield check(f"{name}: logits of the imported folder", far < limit, f"{far} apart")
            again = back.generate(**inputs, max_new_tokens=TOKENS, do_sample=False)[0].tolist()
            if again[-1] in (ends if isinstance(ends, list) else [ends]):
                again.pop()
            yield check(f"{name}: text of the imported folder", again == generated)
            sim("eval", folder, "--tasks", "piqa", "--data", here, "--out", here / f"{name}-eval", "--quiet")
            sample = json.loads((here / f"{name}-eval" / "samples_piqa.jsonl").read_text())
            expected = log_likelihoods(model, tokens, sample["context"], sample["choices"])
            far = max(abs(a - b) for a, b in zip(sample["log_likelihoods"], expected))
            yield check(f"{name}: log-likelihoods", far < 2e-3, f"{sample['log_likelihoods']}, transformers has {expected}")
        except subprocess.CalledProcessError as error:
            yield check(f"{name}: {error.stderr.strip()}", False)


def refused(sim, here, only):
    for key, settings in REFUSED.items():
        if only and key != only:
            continue
        folder = here / f"refused-{key}"
        make(folder, **settings)
        try:
            sim("import", folder, "--to", here / f"{key}-imported")
            yield check(f"{key}: refused", False)
        except subprocess.CalledProcessError as error:
            yield check(f"{key}: refused", f"config.json: `{key}` is " in error.stderr, error.stderr)


def vectors(sim, here):
    """Folders that transformers wrote: same bytes back, and logits within 1e-4."""
    for name in ("llama_mha", "llama_gqa"):
        folder = VECTORS / name
        sim("import", folder, "--to", here / name)
        yield check(f"{name}: weights come back to the same bytes", weights(here / name) == weights(folder))
        model = AutoModelForCausalLM.from_pretrained(here / name, dtype=torch.float32)
        expected = load_file(folder / "expected.safetensors")
        with torch.no_grad():
            logits = model(expected["ids"].long()[:, :-1]).logits
        yield check(f"{name}: logits within 1e-4", (logits - expected["logits"]).abs().max().item() < 1e-4)


def half_precision(sim, here):
    """bf16 and fp16 in shards, tied and not."""
    for name, dtype, tied in (("bf16", torch.bfloat16, False), ("f16", torch.float16, False), ("bf16", torch.bfloat16, True)):
        label = f"{name}{'-tied' if tied else ''}"
        folder = here / f"theirs-{label}"
        make(folder, dtype=dtype, shard="60KB", tie_word_embeddings=tied)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        sim("import", folder, "--to", here / f"f32-{label}")
        sim("export", here / f"f32-{label}", "--to", here / f"back-{label}", "--dtype", name)
        back = AutoModelForCausalLM.from_pretrained(here / f"back-{label}", dtype=dtype)
        theirs = model.state_dict()
        same = all(torch.equal(value, theirs[key]) for key, value in back.state_dict().items())
        yield check(f"{label}: from shards and back to the same values", same)


def a_run(sim, here):
    """A run's model: the quickstart, with the same text as `sim generate`."""
    (here / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 400)
    sim("run", "honest", "--rounds", "12", "--set", "model.preset=nano", "--set", "peers.0.count=8", "--set", "corpus.kind=text",
        "--set", f"corpus.path={here / 'text.txt'}", "--set", "corpus.held_out_pages=4", "--no-baseline", "--quiet", "--out", here / "run")
    sim("export", here / "run", "--to", here / "exported")
    tokens = AutoTokenizer.from_pretrained(here / "exported")
    model = AutoModelForCausalLM.from_pretrained(here / "exported")
    inputs = tokens("The quick", return_tensors="pt")
    text = "Käse \0\t\n\x7f\xad ÿ Ā, 日本語  x"
    yield check("tokens of bytes", tokens(text).input_ids == list(text.encode()) and tokens.decode(tokens(text).input_ids) == text)
    theirs = tokens.decode(model.generate(**inputs, max_new_tokens=40, do_sample=False)[0], skip_special_tokens=True)
    ours = sim("generate", here / "run", "--prompt", "The quick", "--tokens", "40", "--temperature", "0")
    yield check("the same text", ours.rstrip("\n") == theirs.rstrip("\n"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", required=True, type=pathlib.Path)
    parser.add_argument("--only", help="name of one folder")
    arguments = parser.parse_args()
    binary = arguments.sim.resolve()

    def sim(*words):
        ran = subprocess.run([binary, *map(str, words)], capture_output=True)
        if ran.returncode != 0:
            raise subprocess.CalledProcessError(ran.returncode, words, stderr=ran.stderr.decode())
        return ran.stdout.decode()

    print(f"transformers {transformers.__version__}, {len(FOLDERS)} folders and {len(REFUSED)} that are refused")
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        checks = [*folders(sim, here, arguments.only), *refused(sim, here, arguments.only)]
        if not arguments.only:
            checks += [*vectors(sim, here), *half_precision(sim, here), *a_run(sim, here)]
    print(f"{sum(checks)} passed, {len(checks) - sum(checks)} failed")
    sys.exit(0 if all(checks) else 1)


main()
