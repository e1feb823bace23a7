"""The steps of `acceptance`, in order of worth. Each notes what it found, and raises if that is not good."""

import csv
import json
import os
import re
import signal
import time
from collections import defaultdict
from pathlib import Path

# Largest mean difference of a round's loss from the CPU's, over 20 rounds of three-peers: products in bf16 against f32, and
# steps by sign in between. cpu-bf16 has 0.0011 with `nano`.
LOSSES = 0.02
# The same of one round.
LOSS = 0.08
# Measurements of one thing by two commands may differ by this factor.
SAME = 1.35
# A data sheet's dense bf16 peak in FLOP/s and bandwidth of memory in bytes/s, as `sim plan` has them.
SHEETS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12), "A100": (312e12, 2.04e12)}


class Step:
    """A step: its name, what it does, and its largest share of the time of a call."""

    def __init__(self, name, title, share, run, least=(10, 60)):
        self.name, self.title, self.share, self.run, self._least = name, title, share, run, least

    def least(self, context):
        """Seconds that must be left for it to begin: with the small model, with the large one."""
        return self._least[0 if context.is_small else 1]


def figures(printed):
    """The rows of `sim bench --json`, by what was measured."""
    return {row["what"]: row["value"] for row in json.loads(printed)["figures"]}


def rows(printed):
    """The rows of a table of `benches/torch/bench.py`."""
    found = {}
    for line in printed.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"[0-9.]+", cells[1]):
            found[cells[0]] = float(cells[1])
    return found


def begins(found, what):
    """The value of the row whose name begins like this."""
    return next((value for name, value in found.items() if name.startswith(what)), None)


def rounds(folder):
    """The rounds that a run's folder has."""
    try:
        with open(Path(folder) / "rounds.csv", newline="") as file:
            return list(csv.DictReader(file))
    except OSError:
        return []


def problems(printed):
    """The lines of a doctor's table that name a problem."""
    return [line for line in printed.splitlines() if "| PROBLEM |" in line]


def doctor(context, found):
    code, printed = context.run([context.sim, "doctor", "--device", context.device, "--state", context.out])
    for what in ["device", "driver", "memory", "disk"]:
        line = next((line for line in printed.splitlines() if line.startswith(f"| {what} ")), "| | |")
        found[what] = line.split("|")[2].strip()
    if code != 0:
        raise context.Failed("; ".join(problems(printed)) or f"it ended with code {code}")


def numerics(context, found):
    vectors = context.repository / "tests/vectors"
    if not (vectors / "llama_mha").is_dir():
        raise context.Failed(f"{vectors}: the conformance vectors of the sources are not there")
    code, printed = context.run([context.sim, "doctor", "--device", context.device, "--vectors", vectors])
    judged = [line.split("|") for line in printed.splitlines() if re.match(r"\| (gradient|aggregation|vectors) ", line)]
    for nth, (_, what, said, *_) in enumerate(judged):
        found[f"{what.strip()} {nth}"] = said.strip()
    if len(judged) < 4:
        raise context.Failed("gradient, aggregation and two folders of vectors were to be compared")
    if code != 0:
        raise context.Failed("; ".join(problems(printed)))


def three_peers(context, found):
    losses, place = {}, context.folder("three-peers")
    for device in ["cpu", context.device]:
        words = ["run", "three-peers", "--rounds", "20", "--no-baseline", "--quiet", "--device", device]
        words += ["--set", "training.eval_every=1"] + (["--set", "model.preset=nano"] if context.is_small else [])
        context.must([context.sim, *words, "--out", place / device.replace(":", "-")])
        losses[device] = [float(row["loss"]) for row in rounds(place / device.replace(":", "-")) if row["loss"]]
    ours, theirs = losses[context.device], losses["cpu"]
    if not ours or len(ours) != len(theirs):
        raise context.Failed(f"{len(ours)} rounds have a loss, on the CPU {len(theirs)}")
    apart = [abs(a - b) for a, b in zip(ours, theirs)]
    mean = sum(apart) / len(apart)
    found.update({"last loss": ours[-1], "on the CPU": theirs[-1], "apart on average": round(mean, 5),
                  "apart at most": round(max(apart), 5), "rounds": len(ours)})
    # NaN fails every comparison.
    if not (mean <= LOSSES and max(apart) <= LOSS):
        raise context.Failed(f"losses differ by more than rounding: {LOSSES} on average, {LOSS} at most")


def seconds(context):
    return "0.2" if context.is_small else "2"


def bench(context, found):
    words = [context.sim, "bench", "--device", context.device, "--preset", context.preset, "--json"]
    figured = figures(context.must([*words, "--seconds", seconds(context)]))
    found["rows"] = figured
    found["K tokens/s"] = round(begins(figured, "forward + backward,"), 3)
    found["share of the peak, %"] = round(begins(figured, "share of") or 0, 1)
    found["encode, ms"] = round(begins(figured, "DeMo encode"), 2)
    found["evaluation, ms"] = round(begins(figured, "evaluate one peer"), 2)
    found["peak GB"] = round(begins(figured, "peak memory of forward") or 0, 2)
    # 12 bytes a parameter must move; what is reached is in the rows.
    for name, (_, bandwidth) in SHEETS.items():
        if name in known_device(context):
            reached = begins(figured, "DeMo encode, bytes moved")
            found["encode, times the least that memory allows"] = round(bandwidth / 1e9 / reached, 1)


def known_device(context):
    """The device's own name, as the doctor told it."""
    path = context.out / "results/doctor.json"
    return json.loads(path.read_text())["found"].get("device", "") if path.is_file() else ""


def torch(context, found):
    code, _ = context.run([context.args.python, "-c", "import torch, transformers"])
    if code != 0:
        raise context.Skipped(f"{context.args.python} has no torch and transformers (--python)")
    script = context.repository / "benches/torch/bench.py"
    device = context.device if context.is_cuda else "cpu"
    common = [context.args.python, script, "--device", device, "--preset", context.preset]
    for name, more in [("eager", []), ("recompute", ["--recompute"]), ("compiled", ["--compile"])]:
        limit = context.left() / (2 if name != "compiled" else 1)
        try:
            code, printed = context.run([*common, *more, "--seconds", seconds(context)], limit)
        except context.OutOfTime as error:
            found[f"{name}, K tokens/s"] = str(error)
            continue
        measured = rows(printed)
        found[f"{name}, rows"] = measured
        found[f"{name}, K tokens/s"] = begins(measured, "forward + backward,") if code == 0 else f"code {code}"
    ours = context.out / "results/bench.json"
    eager = found.get("eager, K tokens/s")
    if not isinstance(eager, float):
        raise context.Failed("PyTorch gave no figure")
    if context.is_cuda and ours.is_file():
        speed = json.loads(ours.read_text())["found"].get("K tokens/s", 0.0)
        found["sim, K tokens/s"] = speed
        if speed < eager:
            raise context.Failed(f"sim reaches {speed} K tokens/s, eager PyTorch {eager}")


def fits(context, batch):
    words = [context.sim, "bench", "--device", context.device, "--preset", context.preset, "--pass-only", "--json"]
    code, printed = context.run([*words, "--seconds", "0", "--micro-batch", batch])
    if code == 2:
        raise context.Failed("the command line is wrong: the program is older than this script")
    return figures(printed) if code == 0 else None


def micro_batch(context, found):
    """Doubles until it does not fit, then closes in."""
    largest, least_too_large, most = 0, None, 16 if context.is_small else 512
    try:
        while least_too_large is None or least_too_large - largest > max(1, largest // 8):
            batch = max(1, 2 * largest) if least_too_large is None else (largest + least_too_large) // 2
            if batch > most:
                break
            measured = fits(context, batch)
            if measured is None:
                least_too_large = batch
                continue
            largest = batch
            found[f"K tokens/s with {batch}"] = round(begins(measured, "forward + backward,"), 2)
    except context.OutOfTime:
        found["note"] = "the time ran out"
    found["largest that fits"] = largest
    found["least that does not"] = least_too_large or "not found"
    if largest == 0:
        raise context.Failed("not even one sequence fits")


UNITS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def launches(text):
    """Kernels and their seconds, in order, from the log of CubeCL's profiler."""
    for line in text.splitlines():
        match = re.match(r"\| ([0-9.]+)(ns|µs|us|ms|s) *\| ([^|]+?) *\|?$", line.strip())
        if match:
            yield match[3], float(match[1]) * UNITS[match[2]]


def profile(context, found):
    if not context.is_cuda:
        raise context.Skipped("kernels are launched on a CUDA device only")
    place = context.folder("profile")
    log = place / "kernels.log"
    (place / "cubecl.toml").write_text(f'[profiling.logger]\nlevel = "basic"\nfile = {json.dumps(str(log))}\n')
    # The kernels have been compiled and chosen by `bench`, so that three passes alike are in the log.
    words = [context.sim, "bench", "--device", context.device, "--preset", context.preset, "--pass-only", "--json"]
    measured = figures(context.must([*words, "--seconds", "0"], cwd=place))
    listed = list(launches(log.read_text(encoding="utf-8", errors="replace")))
    if not listed:
        raise context.Failed("CubeCL's profiler logged no kernel")
    times, counts = defaultdict(float), defaultdict(int)
    for name, took in listed[-(len(listed) // 3):]:
        times[name] += took
        counts[name] += 1
    whole = sum(times.values())
    worst = sorted(times.items(), key=lambda item: -item[1])
    found["kernels"] = [
        {"kernel": name, "launches": counts[name], "ms": 1e3 * took, "share, %": 100 * took / whole} for name, took in worst
    ]
    found["launches in a pass"] = sum(counts.values())
    found["ms in kernels"] = round(1e3 * whole, 2)
    for name, took in worst[:5]:
        found[name] = f"{100 * took / whole:.1f} %"
    products = sum(took for name, took in times.items() if "matmul" in name.lower())
    found["share of products, %"] = round(100 * products / whole, 1)
    flops = begins(measured, "forward + backward, operations")
    rate = begins(measured, "forward + backward,")
    shape = re.search(r"(\d+) x (\d+) tokens", " ".join(measured))
    for name, (peak, _) in SHEETS.items():
        if name in known_device(context) and products > 0 and shape and flops and rate:
            tokens = int(shape[1]) * int(shape[2])
            # Operations of a pass at the rate that was measured with them; products do nearly all of them.
            operations = flops * 1e12 / (rate * 1e3) * tokens
            found["roofline of products, ms"] = round(1e3 * operations / peak, 2)
            found["products reach of the roofline, %"] = round(100 * operations / peak / products, 1)


def plan(context, found):
    scenario = ["three-peers", "--set", "model.preset=nano"] if context.is_small else ["templar-1b"]
    printed = context.must([context.sim, "plan", *scenario, "--device", f"measured:{context.device}"])
    line = next((line for line in printed.splitlines() if "measured now on" in line), "")
    match = re.search(r": ([0-9.]+) ?([KMG]?) ?tokens/s", line)
    if not match:
        raise context.Failed("the plan names no speed")
    planned = float(match[1]) * {"": 1e-3, "K": 1.0, "M": 1e3, "G": 1e6}[match[2]]
    found["planned with, K tokens/s"] = planned
    for line in printed.splitlines():
        if "is done in" in line or "does NOT fit" in line:
            found.setdefault("verdict", line.strip())
    measured = context.out / "results/bench.json"
    if measured.is_file() and not context.is_small:
        speed = json.loads(measured.read_text())["found"].get("K tokens/s")
        found["sim bench, K tokens/s"] = speed
        if speed and not 1 / SAME <= planned / speed <= SAME:
            raise context.Failed("the plan's measurement and that of `sim bench` differ")


def tokens(context):
    return ["--set", "corpus.kind=tokens", "--set", f"corpus.path={context.args.tokens}"] if context.args.tokens else []


def stopped_or_done(context, process, limit):
    """Lets a command run, and stops it in order when its time is over; its exit code."""
    try:
        return context.end(process, limit)[0]
    except context.OutOfTime:
        return process.returncode


def whole_rounds(context, found, folder, code, least):
    done = rounds(folder)
    found["rounds"] = len(done)
    losses = [float(row["loss"]) for row in done if row["loss"]]
    if losses:
        found["first loss"], found["last loss"] = losses[0], losses[-1]
    if code not in (0, 130):
        raise context.Failed(f"it ended with code {code}")
    if len(done) < least:
        raise context.Failed(f"{len(done)} rounds are done, {least} were to be")
    if any(not loss < 1e6 for loss in losses):
        raise context.Failed("a loss is not a number, or far too large")


def launch(context, found):
    place = context.folder("launch") / "run"
    scenario = ["three-peers", "--rounds", "6", "--set", "model.preset=nano"]
    if not context.is_small:
        scenario = ["templar-1b", "--set", "peers.0.count=2", "--set", "protocol.top_peers=2", "--set",
                    "protocol.min_peers=1", *tokens(context)]
    found["tokens"] = "real" if context.args.tokens and not context.is_small else "synthetic (--tokens names real ones)"
    words = [context.sim, "launch", *scenario, "--clock", "virtual", "--devices", context.device, "--out", place, "-q"]
    started = time.monotonic()
    code = stopped_or_done(context, context.start(words), context.left() - 25)
    found["minutes"] = round((time.monotonic() - started) / 60, 2)
    whole_rounds(context, found, place, code, 1)


def two_processes(context, found):
    words = [context.sim, "bench", "--device", context.device, "--preset", "nano", "--json", "--seconds", seconds(context)]
    both = [context.start(words) for _ in range(2)]
    ended = [context.end(process) for process in both]
    if any(code != 0 for code, _ in ended):
        raise context.Failed(f"they ended with codes {[code for code, _ in ended]}")
    found["K tokens/s each"] = " and ".join(f"{begins(figures(text), 'forward + backward,'):.1f}" for _, text in ended)


def scaled(context, found):
    place = context.folder("templar-scaled") / "run"
    words = [context.sim, "run", "templar-scaled", "--device", context.device, "--no-baseline", "--out", place, "-q"]
    if context.is_small:
        words += ["--rounds", "3", "--set", "peers.0.count=8"]
    started = time.monotonic()
    code = stopped_or_done(context, context.start(words), context.left() - 25)
    took = time.monotonic() - started
    whole_rounds(context, found, place, code, 2)
    found["rounds a minute"] = round(60 * found["rounds"] / took, 1)


def baseline(context, found):
    place = context.folder("baseline") / "run"
    scenario = ["three-peers", "--set", "model.preset=nano"]
    if not context.is_small:
        # A step of a few micro-batches: twenty whole steps would take an hour.
        scenario = ["templar-1b", "--set", "peers.0.count=2", "--set", "protocol.top_peers=1", "--set",
                    "protocol.min_peers=1", "--set", "training.pages_per_round=12", *tokens(context)]
    words = [context.sim, "baseline", *scenario, "--rounds", "20", "--device", context.device, "--out", place, "-q"]
    context.must(words)
    with open(place / "baseline.csv", newline="") as file:
        steps = list(csv.DictReader(file))
    losses = [float(row["loss"]) for row in steps if row["loss"]]
    found.update({"steps": len(steps), "first loss": losses[0], "last loss": losses[-1]})
    if len(steps) != 20 or not losses[-1] < 1e6:
        raise context.Failed("20 steps with a finite loss were to be done")


def children(process):
    """Numbers and command lines of the processes that this one has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            line = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, IndexError, ValueError):
            continue
        if parent == process:
            yield int(folder.name), line


def killed_peer(context, found):
    place = context.folder("killed-peer") / "run"
    words = [context.sim, "launch", "three-peers", "--rounds", "7", "--devices", context.device, "--out", place, "-q"]
    for setting in ["model.preset=nano", "training.pages_per_round=2", "training.micro_batch=2", "chain.block_seconds=1",
                    "chain.blocks_per_round=5", "protocol.put_window_seconds=2"]:
        words += ["--set", setting]
    process = context.start(words)
    while len(rounds(place)) < 2:
        if process.poll() is not None:
            raise context.Failed(f"the network ended before its round 2, with code {process.returncode}")
        if context.left() < 30:
            context.stop(process)
            raise context.OutOfTime("the network did not get to round 2 in time")
        time.sleep(0.2)
    peers = [number for number, line in children(process.pid) if "peer" in line]
    if not peers:
        context.stop(process)
        raise context.Failed("no process of a peer was found")
    os.kill(peers[0], signal.SIGKILL)
    found["killed after round"] = len(rounds(place)) - 1
    code, _ = context.end(process)
    context.log.flush()
    said = Path(context.log.name).read_text(errors="replace")
    found["restarted"] = "restarting it" in said
    whole_rounds(context, found, place, code, 7)
    if not found["restarted"]:
        raise context.Failed("the launcher did not start it again")


def kernels(context, found):
    """The time of the first pass without kernels on disk and with them."""
    place = context.folder("kernels")
    words = [context.sim, "bench", "--device", context.device, "--preset", "nano", "--pass-only", "--json", "--seconds", "0"]
    for name in ["cold", "warm"]:
        started = time.monotonic()
        # The driver keeps what it compiles of a kernel's intermediate code, unless it is told another folder too.
        driver = {"GAUNTLET_KERNELS": str(place / "ours"), "CUDA_CACHE_PATH": str(place / "driver")}
        context.must(words, environment=driver)
        found[f"{name}, s"] = round(time.monotonic() - started, 2)
    kept = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    found["MB kept"] = round(kept / 1e6, 2)
    if context.is_cuda and kept == 0:
        raise context.Failed("no kernel was kept on disk")


STEPS = [
    Step("doctor", "machine, device and driver", 0.15, doctor),
    Step("numerics", "gradients, conformance vectors and aggregation against the CPU's", 0.15, numerics),
    Step("three-peers", "losses of 20 rounds against the CPU's", 0.25, three_peers),
    Step("bench", "speed and memory of a pass, encode, aggregation, evaluation", 0.15, bench),
    Step("torch", "the same in PyTorch: eager, with recomputation, compiled", 0.20, torch),
    Step("micro-batch", "the largest micro-batch that fits", 0.20, micro_batch),
    Step("profile", "one forward and backward pass by kernel", 0.10, profile),
    Step("plan", "`sim plan` with the device's measured speed", 0.15, plan),
    Step("launch", "a validator and two peers on the device", 0.30, launch),
    Step("two-processes", "two processes on one device", 0.10, two_processes),
    Step("templar-scaled", "rounds a minute of templar-scaled", 0.20, scaled, least=(15, 60)),
    Step("baseline", "20 steps of `sim baseline`", 0.20, baseline),
    Step("killed-peer", "a peer killed and started again", 0.35, killed_peer, least=(60, 90)),
    Step("kernels", "compile time of kernels, cold and warm", 0.20, kernels),
]
