"""Compare `sim eval` with EleutherAI's lm-evaluation-harness, question by question.

    pip install lm_eval torch transformers accelerate
    python tests/python/harness.py --sim target/release/sim --model HF_DIR --data DIR --tasks piqa,arc_easy [--limit N]

HF_DIR is a folder with weights and a tokenizer, as `sim export` writes it; DIR holds TASK.jsonl with query, choices and
gold, or the columns of the data sets. The harness itself reads the same files, scores them by its own code, and both
must have chosen the same answers. Exits with 1 where they have not.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

# The question as the harness prints it before "Answer:", from a prepared row or from one of the data set.
PROMPTS = {
    "piqa": "{{query if query is defined else 'Question: ' + goal + '\n'}}Answer:",
    "arc_easy": "{{query if query is defined else 'Question: ' + question}}\nAnswer:",
    "hellaswag": "{{query}}",
}


def by_harness(model, data, task, limit):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    config = {
        "task": f"{task}_here",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data / f"{task}.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": PROMPTS[task],
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")],
    }
    model = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=16)
    started = time.time()
    found = simple_evaluate(model, tasks=[config], limit=limit, log_samples=True, bootstrap_iters=0)
    seconds = time.time() - started
    samples = sorted(found["samples"][f"{task}_here"], key=lambda sample: sample["doc_id"])
    return samples, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--tasks", default="piqa,arc_easy")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    different = 0
    for task in arguments.tasks.split(","):
        with tempfile.TemporaryDirectory() as out:
            command = [arguments.sim, "eval", arguments.model, "--tasks", task, "--data", arguments.data, "--out", out]
            command += ["--quiet"] + (["--limit", str(arguments.limit)] if arguments.limit else [])
            started = time.time()
            subprocess.run(command, check=True)
            seconds = time.time() - started
            ours = [json.loads(line) for line in (pathlib.Path(out) / f"samples_{task}.jsonl").open()]
        theirs, their_seconds = by_harness(arguments.model, arguments.data, task, arguments.limit)
        assert len(ours) == len(theirs), (len(ours), len(theirs))
        largest = 0.0
        for our, their in zip(ours, theirs):
            sums = [float(response[0][0]) for response in their["resps"]]
            largest = max([largest] + [abs(a - b) for a, b in zip(our["log_likelihoods"], sums)])
            for metric in ("acc", "acc_norm"):
                if our[metric] != their[metric]:
                    different += 1
                    print(f"{task} {our['doc_id']}: {metric} {our[metric]}, the harness has {their[metric]}")
        for metric in ("acc", "acc_norm"):
            mean = [sum(sample[metric] for sample in samples) / len(samples) for samples in (ours, theirs)]
            print(f"{task} {metric}: {mean[0]:.6f}, the harness has {mean[1]:.6f}")
        count = len(ours)
        print(f"{task}: log-likelihoods differ by {largest:.2e} nats at most; {count / seconds:.1f} questions/s, the harness {count / their_seconds:.1f}")
    sys.exit(1 if different else 0)


main()
