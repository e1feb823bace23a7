"""Check that transformers loads what `sim export` and `sim import` write, and computes the same.

    pip install torch transformers
    python tests/python/huggingface.py --sim target/debug/sim

Exits with 1 where something differs.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"


def check(what, holds):
    print(("ok      " if holds else "DIFFERS ") + what)
    return holds


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


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
        config = LlamaConfig(vocab_size=300, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                             tie_word_embeddings=tied, rope_theta=50_000.0)
        model = LlamaForCausalLM(config).to(dtype)
        label = f"{name}{'-tied' if tied else ''}"
        folder = here / f"theirs-{label}"
        model.save_pretrained(folder, max_shard_size="60KB")
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
    tokenizer = AutoTokenizer.from_pretrained(here / "exported")
    model = AutoModelForCausalLM.from_pretrained(here / "exported")
    inputs = tokenizer("The quick", return_tensors="pt")
    yield check("tokens of bytes", inputs.input_ids[0].tolist() == list(b"The quick"))
    theirs = tokenizer.decode(model.generate(**inputs, max_new_tokens=40, do_sample=False)[0])
    ours = sim("generate", here / "run", "--prompt", "The quick", "--tokens", "40", "--temperature", "0")
    yield check("the same text", ours.rstrip("\n") == theirs.rstrip("\n"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", required=True, type=pathlib.Path)
    binary = parser.parse_args().sim.resolve()

    def sim(*arguments):
        return subprocess.run([binary, *map(str, arguments)], check=True, capture_output=True, text=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        checks = [*vectors(sim, here), *half_precision(sim, here), *a_run(sim, here)]
    sys.exit(0 if all(checks) else 1)


main()
