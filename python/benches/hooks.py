"""What a Python behaviour costs beside its own work, and how fast a network with many of them is.

    python benches/hooks.py [ROUNDS]

Times are of the processor, over all threads, so that other programs on the machine do not count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

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


def took(source: str, **options: object) -> float:
    """Seconds of the processor that a run takes."""
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        gauntlet.run(source, out=Path(folder) / "run", baseline=False, progress=False, **options)
        return time.process_time() - before


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    least = lambda make: min(make() for _ in range(3))  # noqa: E731
    small = {"rounds": 60, "peers.0.count": 16}
    honest = least(lambda: took("honest", set=small))
    for cls, hooks in ((Same, 1), (Busy, 5)):
        asked = least(lambda cls=cls: took("honest", set={**small, "peers.0.behaviour": cls}))
        each = (asked - honest) / (60 * 16 * hooks)
        print(f"{cls.__name__}: {1e3 * max(each, 0.0):.3f} ms a call ({asked:.2f} s against {honest:.2f} s)")
    before = took("mixed-250", set={"rounds": rounds})
    after = took("mixed-250", set={"rounds": rounds, "peers.1.behaviour": Busy, "peers.3.behaviour": Busy})
    print(f"mixed-250, {rounds} rounds, 50 of 250 peers in Python: {100 * before / after:.0f} % of the speed "
          f"({after:.1f} s against {before:.1f} s)")  # fmt: skip


if __name__ == "__main__":
    main()
