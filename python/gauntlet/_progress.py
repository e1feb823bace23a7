"""Progress bars by tqdm, which draws in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Bar:
    """A bar over `total` things; draws nothing with `show=False`."""

    def __init__(self, total: int, unit: str, show: bool) -> None:
        self._bar: Any = None
        if show:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, unit=unit, dynamic_ncols=True)

    def to(self, done: int, words: str = "", total: int | None = None) -> None:
        """Sets how much is done."""
        if self._bar is None:
            return
        if total is not None and total != self._bar.total:
            self._bar.total = total
        self._bar.set_postfix_str(words, refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def of_run(bar: Bar, steps: int) -> Callable[[int, float | None, int], None]:
    """Follows a run, and its baseline of so many steps."""

    def tick(rounds: int, loss: float | None, done: int) -> None:
        words = [] if loss is None else [f"loss {loss:.3f}"]
        if steps and rounds >= steps > done:
            words.append(f"AdamW is at round {done}")
        bar.to(rounds, ", ".join(words))

    return tick


def of_networks(bar: Bar) -> Callable[[int, int, str], None]:
    """Follows an experiment of many networks."""

    def tick(done: int, of: int, words: str) -> None:
        bar.to(done, words, of)

    return tick
