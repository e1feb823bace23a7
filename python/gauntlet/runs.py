"""Runs: simulate a scenario in this process, go on with a run, read one."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import _kinds, _native, export, plots, tables
from ._kinds import Class
from ._progress import Bar, of_run
from .scenarios import Scenario, scenario

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Run", "load", "resume", "run"]


class Run:
    """A run's folder, read and checked: `gauntlet.run`, `gauntlet.resume` and `gauntlet.load` make one.

    Tables are Arrow tables: ``run.peers.to_pandas()``, ``polars.from_arrow(run.peers)``. Losses are in nats a token, times
    in seconds, sizes in bytes; a field's metadata names its unit: ``run.peers.schema.field("incentive").metadata``.
    """

    def __init__(self, folder: Path, native: _native.Folder) -> None:
        self.folder = folder
        self._native = native

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._native.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Settings, machine and progress of the run, as `manifest.json` has them."""
        manifest: dict[str, Any] = json.loads(self._native.manifest())
        return manifest

    @property
    def digest(self) -> str | None:
        """Digest of models, scores, pay and events of all rounds, 64 hexadecimal digits; None while rounds are missing. The
        same scenario and seed have the same digest by `sim run`."""
        digest: str | None = self.manifest["digest"]
        return digest

    @property
    def finished(self) -> bool:
        """Whether all rounds are done."""
        return bool(self.manifest["finished"])

    @property
    def rounds_done(self) -> int:
        """Rounds done."""
        return int(self.manifest["rounds_done"])

    @cached_property
    def rounds(self) -> pa.Table:
        """The network, a row for each round: ``round``, ``virtual_seconds``, ``lr``, ``loss`` (held-out, after the round),
        ``train_loss``, ``aggregated``, ``uploads``, ``forward_passes``, ``bytes_up``, ``bytes_down``, ``replica_digest``."""
        return tables.table(self._native.table("rounds"))

    @cached_property
    def peers(self) -> pa.Table:
        """A row for each registered peer and round: ``round``, ``uid``, ``owner`` (the peer that holds the slot),
        ``behaviour``, ``status``, ``steps_behind``, the mechanism's numbers, ``incentive`` (share of the round's pay),
        ``aggregated``, ``tokens``, ``bytes_up``, ``bytes_down``."""
        return tables.table(self._native.table("peers"))

    @cached_property
    def leaderboard(self) -> pa.Table:
        """A row for each holder of a slot, the best paid of the last tenth of the rounds first: ``incentive_final`` and
        ``incentive_total`` (shares of pay), the mechanism's last numbers, counts of rounds, sums of costs, and ``work``,
        ``pay`` and ``profit`` as multiples of a mean honest peer's."""
        return tables.table(self._native.table("leaderboard"))

    @cached_property
    def baseline(self) -> pa.Table:
        """Central AdamW after the tokens of so many rounds: ``round``, ``lr``, ``loss``. Empty without a baseline."""
        return tables.table(self._native.table("baseline"))

    @cached_property
    def slots(self) -> pa.Table:
        """Changes of the slots' holders: ``round`` (the first of the holder), ``uid``, ``owner``, ``hotkey``, ``behaviour``."""
        return tables.table(self._native.table("slots"))

    @property
    def columns(self) -> dict[str, str]:
        """The mechanism's numbers: name and label."""
        return {column["name"]: column["label"] for column in self.manifest["columns"]}

    @property
    def diverged(self) -> list[str]:
        """What has diverged, in words; empty if nothing has."""
        return self._native.diverged()

    def toml(self) -> str:
        """All settings, as a scenario file."""
        return self._native.toml()

    def explain(self, peer: int, round: int | None = None) -> str:
        """Why a peer was or was not paid: the story of all rounds of a uid, or one round in detail."""
        return self._native.explain(peer, round)

    def summary(self) -> str:
        """The tables that `sim run` prints: pay by behaviour and by peer, losses, costs."""
        return self._native.summary()

    def plot_loss(self) -> Figure:
        """The held-out loss by round, nats a token, beside AdamW's and the corpus's reference losses."""
        return plots.loss(self)

    def plot_pay(self) -> Figure:
        """The share of each round's pay by behaviour, stacked."""
        return plots.pay(self)

    def plot_numbers(self, column: str | None = None) -> Figure:
        """One of the mechanism's numbers by round, a line for each peer; by default its score."""
        return plots.numbers(self, column)

    def plot_work(self) -> Figure:
        """Pay by work, both as multiples of a mean honest peer's: a point for each holder of a slot."""
        return plots.work(self)

    def plot_status(self) -> Figure:
        """How many uploads passed, came late, were copies and so on, by round."""
        return plots.status(self)

    def to_tensorboard(self, folder: str | os.PathLike[str]) -> Path:
        """Writes event files for TensorBoard: losses, costs, and pay and numbers by peer. Needs ``tensorboardX``."""
        return export.to_tensorboard(self, Path(folder))

    def to_wandb(self, project: str = "gauntlet", **options: Any) -> Any:
        """Logs the run to Weights & Biases and returns its finished run; `options` go to ``wandb.init``, such as
        ``mode="offline"``. Needs ``wandb``."""
        return export.to_wandb(self, project, **options)

    def __repr__(self) -> str:
        state = "finished" if self.finished else f"{self.rounds_done} of {self.manifest['scenario']['rounds']} rounds"
        return f"Run({str(self.folder)!r}, {state})"

    def _repr_html_(self) -> str:
        best = self.leaderboard.slice(0, 20).to_pandas() if _has_pandas() else None
        table = best.to_html(index=False, max_cols=8, float_format="%.3f") if best is not None else ""
        return f"<p><b>{self.name}</b>: {repr(self)}</p>{table}"


def _has_pandas() -> bool:
    try:
        import pandas  # noqa: F401
    except ImportError:
        return False
    return True


def run(
    source: str | os.PathLike[str] | Mapping[str, Any] | Scenario,
    *,
    seed: int | None = None,
    rounds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    kinds: Sequence[Class] = (),
    out: str | os.PathLike[str] | None = None,
    baseline: bool = True,
    threads: int | None = None,
    progress: bool = True,
) -> Run:
    """Simulates a scenario in this process, and returns the run.

    `source`, `seed`, `rounds`, `set` and `kinds` are those of `gauntlet.scenario`. `out` is the run's folder, new or empty;
    by default ``runs/<scenario>-<seed>``, with a number behind it if that is taken. `baseline` also trains central AdamW on
    as many tokens. `threads` compute (all cores by default); results do not depend on them.

    Ctrl-C ends the run after its round and raises KeyboardInterrupt; a second one returns at once, and the round ends in the
    background. An exception in a hook of a Python class ends the run and is raised here. In all cases the folder keeps what
    was done, and `gauntlet.resume` goes on with it.
    """
    chosen = scenario(source, seed=seed, rounds=rounds, set=set, kinds=kinds)
    folder = Path(out) if out is not None else _free(Path("runs") / f"{chosen.name}-{chosen.seed}")
    with Bar(chosen.rounds, "round", progress) as bar:
        tick = of_run(bar, chosen.rounds if baseline else 0)
        try:
            _native.run(chosen._native, folder, threads, baseline, tick)
        except BaseException as error:
            _note(error, folder)
            raise
    return _done(folder)


def resume(
    folder: str | os.PathLike[str],
    *,
    rounds: int | None = None,
    kinds: Sequence[Class] = (),
    threads: int | None = None,
    progress: bool = True,
) -> Run:
    """Goes on with the run of a folder, from its last checkpoint, to its end or for `rounds` rounds in all.

    `kinds` are the Python classes that the run has peers or a mechanism of. They should be the ones that it was started
    with: a class that does something else makes a run that cannot be repeated.
    """
    path = Path(folder)
    native = _native.load(path)
    total = rounds if rounds is not None else int(json.loads(native.manifest())["scenario"]["rounds"])
    with Bar(total, "round", progress) as bar:
        try:
            _native.resume(path, _kinds.natives(kinds), rounds, threads, of_run(bar, 0))
        except BaseException as error:
            _note(error, path)
            raise
    return _done(path)


def load(folder: str | os.PathLike[str]) -> Run:
    """Reads the folder of a run, finished or not, made here or by `sim`."""
    path = Path(folder)
    return Run(path, _native.load(path))


def _done(folder: Path) -> Run:
    made = load(folder)
    for message in made.diverged:
        warnings.warn(message, stacklevel=3)
    return made


def _free(folder: Path) -> Path:
    """The folder, or the first one with a number behind it that is not there."""
    number, free = 1, folder
    while free.exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    return free


def _note(error: BaseException, folder: Path) -> None:
    try:
        run = load(folder)
    except Exception:  # There is no run there: nothing was begun, or the folder is something else.
        return
    if not run.finished:
        error.add_note(f"{run.rounds_done} rounds are in {folder}; gauntlet.resume({str(folder)!r}) goes on with the run")
