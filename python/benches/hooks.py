"""What a Python behaviour costs beside its own work, and how fast a network with many of them is.

    python benches/hooks.py [ROUNDS] [REPEATS] [THREADS]

Each network is run with honest peers and with Python ones, one after the other, REPEATS times; told are medians, and the
smallest and the largest in brackets. Times are by the clock, and of the processor over all threads, in which other programs
on the machine do not count.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import gauntlet


class Same(gauntlet.Behaviour):
    """Sends what an honest peer sends, through Python."""

    label = "honest"

    def pseudo_gradient(self, own, around):
        return own


class Busy(Same):
    """Asks Python at each step of a round."""

    async def works(self, around):
        return True

    def pages(self, around):
        return around.assigned()

    async def pseudo_gradient(self, own, around):
        return own

    async def claim(self, own, around):
        return own

    def bytes(self, signed, around):
        return signed


class Took(NamedTuple):
    clock: float
    """Seconds by the clock."""
    processor: float
    """Seconds of the processor, over all threads."""
    model: str
    """Digest of the last model."""


def took(source: str, threads: int, **options: object) -> Took:
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        run = gauntlet.run(source, out=Path(folder) / "run", baseline=False, progress=False, threads=threads, **options)
        return Took(
            time.perf_counter() - clock, time.process_time() - processor, str(run.rounds.column("replica_digest")[-1])
        )


def pairs(repeats: int, honest: Callable[[], Took], asked: Callable[[], Took]) -> list[tuple[Took, Took]]:
    """Both networks in turn, so that a machine that is busy for a while slows both."""
    made = [(honest(), asked()) for _ in range(repeats)]
    assert len({took.model for pair in made for took in pair}) == 1, "the Python peers do what the honest ones do"
    return made


def told(values: list[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} [{low:.{digits}f} to {high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=10, help="rounds of mixed-250")
    parser.add_argument("repeats", nargs="?", type=int, default=5)
    parser.add_argument("threads", nargs="?", type=int, default=2)
    given = parser.parse_args()
    threads = given.threads
    # Peers that have next to nothing to train, so that the hooks are a part of the time that can be told from chance.
    small = {"rounds": 60, "peers.0.count": 16, "model.sequence_length": 16, "training.pages_per_round": 1}
    small |= {"training.micro_batch": 1, "training.eval_every": 60, "corpus.held_out_pages": 8}
    for cls, hooks in ((Same, 1), (Busy, 5)):
        python = {**small, "peers.0.behaviour": cls}
        made = pairs(given.repeats, lambda: took("honest", threads, set=small), lambda: took("honest", threads, set=python))
        calls = 60 * 16 * hooks
        clock = [1e3 * (asked.clock - honest.clock) / calls for honest, asked in made]
        processor = [1e3 * (asked.processor - honest.processor) / calls for honest, asked in made]
        print(
            f"{cls.__name__}: {told(clock, 3)} ms a call by the clock, {told(processor, 3)} ms of the processor", flush=True
        )
    python = {"rounds": given.rounds, "peers.1.behaviour": Busy, "peers.3.behaviour": Busy}
    plain = {**python, "peers.1.behaviour": "honest", "peers.3.behaviour": "honest"}
    made = pairs(
        given.repeats, lambda: took("mixed-250", threads, set=plain), lambda: took("mixed-250", threads, set=python)
    )
    clock = [100 * honest.clock / asked.clock for honest, asked in made]
    processor = [100 * honest.processor / asked.processor for honest, asked in made]
    print(f"mixed-250, {given.rounds} rounds, {threads} threads, 50 of 250 peers in Python: {told(clock, 0)} % of the speed by the "
          f"clock, {told(processor, 0)} % of the processor's ({statistics.median(p.clock for p, _ in made):.1f} s without)")  # fmt: skip


if __name__ == "__main__":
    main()
