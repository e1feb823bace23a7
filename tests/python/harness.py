"""Compare `sim eval` with EleutherAI's lm-evaluation-harness, question by question.

    pip install lm_eval torch transformers accelerate
    python tests/python/harness.py --sim target/release/sim [--model HF_DIR] [--data DIR] [--tasks piqa,arc_easy] [--limit N]

HF_DIR is a folder with weights and a tokenizer, as `sim export` writes it; without it a small run of bytes is made and
exported. DIR holds TASK.jsonl with query, choices and gold, or the columns of the data sets; without it odd rows in many
scripts are made. The harness reads the same files by its own tasks and scores them by its own code: every prompt must be
the same to the last character, and the same answers must be chosen. Exits with 1 where they are not.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

FILES = {"hellaswag": "hellaswag/hellaswag.yaml", "piqa": "piqa/piqa.yaml", "arc_easy": "arc/arc_easy.yaml"}
# A prepared row has what the harness prints before "Answer:", or for HellaSwag before the answer.
PREPARED = {"piqa": "{{query}}Answer:", "arc_easy": "{{query}}\nAnswer:", "hellaswag": "{{query}}"}

SCRIPTS = [
    "plain words", "  two  spaces   three ", "tab\tand\nline", "\u00a0no-break\u2003em\u3000wide\x1f", "ΟΔΟΣ ΣΑΣ", "ტექსტი ᲡᲐ",
    "ßtraße ǆUNGLA", "ﬃ ﬗ ŉ", "ᾀδω ᾷ ῲ", "日本語の文。", "नमस्ते दुनिया", "שלום עולם", "مرحبا بالعالم", "İstanbul Iğdır", "🙂🏽 zwj 👩‍👩‍👧",
    "e\u0301 combining", "[header] text [substeps] more", "a [title] b [step] c", "[open\n[closed] ]", "[]", "{{braces}} {% raw %}", "'\"\\ quotes\\n",
    "\u200bzero\u200b", "\ufeffmark", "quotes 'and' \"more\"", "ends with space ", "7", "ÿ Ā ±",
]


def odd_rows(task):
    """Rows of a data set's columns with text in many scripts, and prompts that end in white space."""
    for index, text in enumerate(SCRIPTS):
        other = SCRIPTS[(index * 7 + 3) % len(SCRIPTS)]
        if task == "piqa":
            yield {"goal": text, "sol1": other, "sol2": text + " " + other, "label": index % 2}
        elif task == "arc_easy":
            labels = ["A", "B", "C"] if index % 2 else ["1", "2", "3"]
            yield {"id": str(index), "question": text, "choices": {"text": [other, text, "x"], "label": labels}, "answerKey": labels[index % 3]}
        else:
            yield {"activity_label": other, "ctx_a": "The " + text, "ctx_b": text, "endings": [text, "[step] " + other, "x", other + "[y]"],
                   "label": str(index % 4)}


def letters():
    """A row of HellaSwag for each letter whose capital is not one letter, or not the usual one."""
    for letter in map(chr, range(0x20000)):
        if not 0xD800 <= ord(letter) < 0xE000 and (len(letter.upper()) > 1 or letter.capitalize() != letter.upper()):
            yield {"activity_label": "letter", "ctx_a": "a", "ctx_b": letter + "B" + letter, "endings": ["x", "y"], "label": "0"}


def made_model(sim, here):
    """A run of bytes, exported."""
    (here / "text.txt").write_text("The quick brown fox jumps over the lazy dog. " * 400)
    subprocess.run([sim, "run", "honest", "--rounds", "6", "--set", "model.preset=nano", "--set", "peers.0.count=8", "--set", "corpus.kind=text",
                    "--set", f"corpus.path={here / 'text.txt'}", "--set", "corpus.held_out_pages=4", "--set", "model.sequence_length=256",
                    "--no-baseline", "--quiet", "--out", here / "run"], check=True)
    subprocess.run([sim, "export", here / "run", "--to", here / "exported"], check=True)
    return here / "exported"


def made_data(here, tasks):
    (here / "data").mkdir()
    for task in tasks:
        rows = [*odd_rows(task), *(letters() if task == "hellaswag" else [])]
        (here / "data" / f"{task}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return here / "data"


def by_harness(model, data, task, limit):
    import lm_eval
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks._yaml_loader import load_yaml

    path = data / f"{task}.jsonl"
    # Its own task, but for where the rows come from.
    config = load_yaml(pathlib.Path(lm_eval.__path__[0]) / "tasks" / FILES[task], resolve_func=True)
    for key in ("tag", "dataset_name", "training_split", "validation_split"):
        config.pop(key, None)
    config |= {"task": f"{task}_here", "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(path)}}, "test_split": "test"}
    with path.open(encoding="utf-8-sig") as rows:
        if "query" in json.loads(next(rows)):
            config.pop("process_docs", None)
            config |= {"doc_to_text": PREPARED[task], "doc_to_choice": "choices", "doc_to_target": "gold"}
    model = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=16)
    started = time.time()
    found = simple_evaluate(model, tasks=[config], limit=limit, log_samples=True, bootstrap_iters=0)
    seconds = time.time() - started
    samples = sorted(found["samples"][f"{task}_here"], key=lambda sample: sample["doc_id"])
    return samples, seconds


def compare(task, ours, theirs):
    """How many questions differ, and the largest distance of log-likelihoods."""
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    different, largest = 0, 0.0
    for our, their in zip(ours, theirs):
        asked = [tuple(request) for request in their["arguments"]] if isinstance(their["arguments"], list) else [
            (request["arg_0"], request["arg_1"]) for request in their["arguments"].values()]
        ours_asked = [(our["context"], " " + choice) for choice in our["choices"]]
        if ours_asked != asked:
            different += 1
            print(f"{task} {our['doc_id']}: asked {ours_asked!r}, the harness {asked!r}")
        sums = [float(response[0][0]) for response in their["resps"]]
        largest = max([largest] + [abs(a - b) for a, b in zip(our["log_likelihoods"], sums)])
        for metric in ("acc", "acc_norm"):
            if our[metric] != their[metric]:
                different += 1
                print(f"{task} {our['doc_id']}: {metric} {our[metric]}, the harness has {their[metric]}")
    return different, largest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", required=True, type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--tasks", default=",".join(FILES))
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    sim, tasks = arguments.sim.resolve(), arguments.tasks.split(",")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        model = arguments.model or made_model(sim, here)
        data = arguments.data or made_data(here, tasks)
        for task in tasks:
            command = [sim, "eval", model, "--tasks", task, "--data", data, "--out", here / "out", "--quiet"]
            command += ["--limit", str(arguments.limit)] if arguments.limit else []
            started = time.time()
            subprocess.run(command, check=True)
            seconds = time.time() - started
            ours = [json.loads(line) for line in (here / "out" / f"samples_{task}.jsonl").open()]
            theirs, their_seconds = by_harness(model, data, task, arguments.limit)
            different, largest = compare(task, ours, theirs)
            failed += different
            for metric in ("acc", "acc_norm"):
                mean = [sum(sample[metric] for sample in samples) / len(samples) for samples in (ours, theirs)]
                print(f"{task} {metric}: {mean[0]:.6f}, the harness has {mean[1]:.6f}")
            count = len(ours)
            print(f"{task}: log-likelihoods differ by {largest:.2e} nats at most; {count / seconds:.1f} questions/s, the harness {count / their_seconds:.1f}")
    print("the same" if failed == 0 else f"{failed} differences")
    sys.exit(1 if failed else 0)


main()
