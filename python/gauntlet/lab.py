"""Experiments of many networks: sweeps, searches for strategies that pay, comparisons, plans, explanations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from . import _native
from ._kinds import Class
from ._progress import Bar, of_networks
from .errors import GauntletError
from .runs import Run, load
from .scenarios import Scenario, _plain, _value, scenario

__all__ = ["Attack", "Comparison", "Plan", "Sweep", "attack", "compare", "explain", "plan", "sweep"]

Source = str | os.PathLike[str] | Mapping[str, Any] | Scenario


class _Text:
    """A text that prints as it is."""

    text: str

    def __str__(self) -> str:
        return self.text


@contextmanager
def _stoppable() -> Iterator[None]:
    """Raises KeyboardInterrupt where Ctrl-C has ended an experiment, with what is there as a note."""
    try:
        yield
    except GauntletError as error:
        stop = error.__cause__
        if isinstance(stop, KeyboardInterrupt):
            stop.add_note(str(error))
            raise stop from None
        raise


def _file(out: str, name: str) -> Path:
    """A file of an experiment's folder."""
    if "://" in out and not out.startswith("file://"):
        raise GauntletError(f"{out} is no folder of this machine; fetch {name} from it, or give out= a folder")
    return Path(out.removeprefix("file://")) / name


@dataclass(frozen=True)
class Sweep(_Text):
    """A finished sweep."""

    out: str
    """Its folder or bucket."""
    text: str
    """Means and 95 % intervals over the seeds."""

    @cached_property
    def table(self) -> pa.Table:
        """A row for each network and label of its peers: the axes' values, ``seed``, ``behaviour``, ``peers``, ``loss`` (nats
        a token), ``pay`` (share), ``pay_ratio``, ``work``, ``profit`` (of a mean honest peer's), ``gini``, ``variation``."""
        return csv.read_csv(str(_file(self.out, "sweep.csv")))


@dataclass(frozen=True)
class Attack(_Text):
    """A finished search for strategies that pay."""

    out: str
    """Its folder or bucket, with ``attack.md``, ``frontier.svg`` and the findings as scenarios."""
    text: str
    """The report."""

    @cached_property
    def table(self) -> pa.Table:
        """The strategies that were tried, and what they earned and cost, of a mean honest peer's."""
        return csv.read_csv(str(_file(self.out, "tried.csv")))

    @property
    def findings(self) -> list[Path]:
        """Scenarios with the strategies that pay, the best first."""
        return sorted(_file(self.out, ".").glob("finding-*.toml"))


@dataclass(frozen=True)
class Comparison(_Text):
    """Runs and sweeps beside one another."""

    text: str
    """The settings that differ, and losses and pay with their intervals."""
    svg: str
    """The picture."""

    def _repr_svg_(self) -> str:
        return self.svg


def _table(rows: Sequence[Mapping[str, Any]], *columns: str) -> pa.Table:
    return pa.table({column: [row[column] for row in rows] for column in columns})


@dataclass(frozen=True)
class Plan:
    """What a scenario takes on real devices, from counts."""

    counts: dict[str, Any]
    """All counts: ``flops`` (operations), ``memory`` and ``traffic`` (bytes), ``peer_round`` and ``validator_round`` (s)."""

    @property
    def memory(self) -> pa.Table:
        """Memory of a peer by part, bytes: ``what``, ``device``, ``host``."""
        parts = [*self.counts["memory"], self.counts["memory_total"], self.counts["memory_further_peer"]]
        return _table(parts, "what", "device", "host")

    @property
    def peer_round(self) -> pa.Table:
        """A peer's round by part, s: ``what``, ``seconds``."""
        return _table(self.counts["peer_round"]["parts"], "what", "seconds")

    @property
    def validator_round(self) -> pa.Table:
        """The deciding validator's round by part, s: ``what``, ``seconds``."""
        return _table(self.counts["validator_round"]["parts"], "what", "seconds")

    @property
    def fits(self) -> bool:
        """Whether the round is long enough for a peer and for the validator."""
        return bool(self.counts["peer_round"]["fits"] and self.counts["validator_round"]["fits"])

    def __str__(self) -> str:
        of, flops, traffic = self.counts, self.counts["flops"], self.counts["traffic"]
        hours = of["seconds"] / 3600
        lines = [
            f"{of['name']}: {of['parameters']:,} parameters, {of['rounds']:,} rounds of {of['round_seconds']:g} s, "
            f"{of['peers']} peers, {of['aggregated']} aggregated; one {of['device']} each",
            f"a peer's round: {flops['peer_round']:.3g} FLOP, {of['peer_round']['needed']:.3g} s",
            f"the validator's round: {flops['validator_round']:.3g} FLOP, {of['validator_round']['needed']:.3g} s",
            f"memory of a peer: {of['memory_total']['device'] / 1e9:.3g} GB on the device, "
            f"{of['memory_total']['host'] / 1e9:.3g} GB on the host",
            f"an upload: {traffic['upload'] / 1e6:.3g} MB, {of['upload_seconds']:.3g} s",
            f"all rounds: {hours:.1f} hours, {flops['all']:.3g} FLOP of all peers",
            f"the round is {'long enough' if self.fits else 'TOO SHORT'}",
        ]
        return "\n".join([*lines, "assumed:", *(f"- {line}" for line in of["assumed"])])


def sweep(
    source: Source,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: int = 1,
    seed: int | None = None,
    rounds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    kinds: Sequence[Class] = (),
    control: bool = False,
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Sweep:
    """Runs all combinations of the settings of `grid` with the same `seeds` seeds.

    ``grid={"peers.1.count": [1, 2], "peers.1.behaviour": ["copycat", Thief]}``. `control` runs each network without its
    adversaries too. `out` is a folder or the URL of a bucket; by default ``runs/<scenario>-sweep``. A stopped sweep goes on
    with the same call. Results are kept by settings, so take another `out` when a Python class has changed.
    """
    classes = list(kinds)
    axes = []
    for key, values in grid.items():
        plain = [_plain(value, classes) for value in values]
        axes.append(f"{key}={','.join(_value(value) for value in plain)}")
    chosen = scenario(source, seed=seed, rounds=rounds, set=set, kinds=classes)
    place = os.fspath(out) if out is not None else f"runs/{chosen.name}-sweep"
    with Bar(0, "network", progress) as bar, _stoppable():
        text = _native.sweep(chosen._native, axes, seeds, control, threads, place, of_networks(bar))
    return Sweep(place, text)


def attack(
    source: Source,
    *,
    budget: int = 2000,
    search_seed: int = 1,
    seed: int | None = None,
    rounds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    kinds: Sequence[Class] = (),
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Attack:
    """Searches for strategies that the scenario's mechanism pays for less than honest work, in `budget` networks at most.

    A mechanism of your own is attacked by ``set={"mechanism": Mine}``. A stopped search goes on with the same call.
    """
    chosen = scenario(source, seed=seed, rounds=rounds, set=set, kinds=kinds)
    default = f"runs/attack-{chosen.name}-{chosen.mechanism}-{search_seed}"
    place = os.fspath(out) if out is not None else default
    with Bar(budget, "network", progress) as bar, _stoppable():
        text = _native.attack(chosen._native, budget, search_seed, threads, place, of_networks(bar))
    return Attack(place, text)


def compare(*places: str | os.PathLike[str] | Run | Sweep) -> Comparison:
    """Puts runs and sweeps beside one another, by the settings in which they differ. Runs that differ in the seed only are
    one group."""
    if not places:
        raise TypeError("compare() needs run folders, Runs, or folders of sweeps")
    folders = [str(place.folder if isinstance(place, Run) else place.out if isinstance(place, Sweep) else os.fspath(place))
               for place in places]  # fmt: skip
    return Comparison(*_native.compare(folders))


def plan(
    source: Source,
    *,
    device: str = "h100",
    mfu: float = 0.35,
    seed: int | None = None,
    rounds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    kinds: Sequence[Class] = (),
) -> Plan:
    """What a scenario takes on real devices. `device` is ``h100``, ``h200``, ``a100``, ``b200`` (by data sheet, at the fraction `mfu`
    of its peak) or ``cpu`` (a core)."""
    chosen = scenario(source, seed=seed, rounds=rounds, set=set, kinds=kinds)
    return Plan(json.loads(_native.plan(chosen._native, device, mfu)))


def explain(run: Run | str | os.PathLike[str], peer: int, round: int | None = None) -> str:
    """Why a peer was or was not paid: the story of all rounds of a uid, or one round in detail."""
    chosen = run if isinstance(run, Run) else load(run)
    return chosen.explain(peer, round)
