"""Pictures of a run, by Matplotlib. Each function returns a figure, which draws itself in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .runs import Run

# Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"]
STATUSES = [
    "passed", "absent", "too_early", "too_late", "malformed", "out_of_sync", "started_over", "copy", "excluded",
    "unregistered",
]  # fmt: skip


def _axes(title: str, x: str, y: str) -> tuple[Figure, Any]:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("pictures need Matplotlib: pip install matplotlib") from error
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    # The caller has the figure: it is shown where it is the value of a notebook's cell, once.
    pyplot.close(figure)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    return figure, axes


def _numbers(table: Any, column: str) -> np.ndarray[Any, Any]:
    return np.asarray(table.column(column).to_numpy(zero_copy_only=False), dtype=np.float64)


def _texts(table: Any, column: str) -> np.ndarray[Any, Any]:
    return np.asarray(table.column(column).to_pylist(), dtype=object)


def _kinds(behaviours: np.ndarray[Any, Any]) -> list[str]:
    """The labels, the honest one first."""
    return sorted(set(behaviours.tolist()), key=lambda label: (label != "honest", label))


def loss(run: Run) -> Figure:
    """The held-out loss by round."""
    figure, axes = _axes(f"{run.name}: held-out loss", "rounds done", "nats per token")
    for table, label, colour in ((run.rounds, "network", COLOURS[0]), (run.baseline, "AdamW", COLOURS[1])):
        losses = _numbers(table, "loss")
        known = np.isfinite(losses)
        if known.any():
            axes.plot(_numbers(table, "round")[known] + 1, losses[known], label=label, color=colour)
    references = run.manifest["references"]
    for (name, label), style in zip(
        (("unigram", "unigram"), ("bigram", "bigram"), ("entropy_floor", "entropy of the source")), (":", "--", "-")
    ):
        if references.get(name) is not None:
            axes.axhline(references[name], label=label, color="#888888", linestyle=style, linewidth=1)
    axes.legend()
    return figure


def pay(run: Run) -> Figure:
    """The share of each round's pay by behaviour, stacked."""
    figure, axes = _axes(f"{run.name}: who is paid", "round", "share of the round's pay")
    rounds, behaviours, paid = _numbers(run.peers, "round"), _texts(run.peers, "behaviour"), _numbers(run.peers, "incentive")
    labels, every = _kinds(behaviours), np.unique(rounds)
    place = np.searchsorted(every, rounds)
    shares = [np.bincount(place[behaviours == label], paid[behaviours == label], len(every)) for label in labels]
    if labels:
        axes.stackplot(every, shares, labels=labels, colors=[COLOURS[at % len(COLOURS)] for at in range(len(labels))])
        axes.legend(loc="upper left")
    axes.set_ylim(0, 1.02)
    return figure


def numbers(run: Run, column: str | None) -> Figure:
    """One of the mechanism's numbers by round."""
    known = run.columns
    if column is None:
        scores = [each["name"] for each in run.manifest["columns"] if each["kind"] == "score"]
        column = scores[0] if scores else next(iter(known), None)
    if column not in known:
        shown = ", ".join(known) if known else "none, as its mechanism has no numbers"
        raise ValueError(f"{run.name} has no number {column!r}; it has {shown}")
    figure, axes = _axes(f"{run.name}: {column.replace('_', ' ')}", "round", known[column])
    rounds, values = _numbers(run.peers, "round"), _numbers(run.peers, column)
    owners, behaviours = _numbers(run.peers, "owner"), _texts(run.peers, "behaviour")
    labels = _kinds(behaviours)
    for owner in np.unique(owners):
        rows = (owners == owner) & np.isfinite(values)
        if rows.any():
            colour = COLOURS[labels.index(behaviours[owners == owner][0]) % len(COLOURS)]
            axes.plot(rounds[rows], values[rows], color=colour, linewidth=1, alpha=0.8)
    for at, label in enumerate(labels):
        axes.plot([], [], color=COLOURS[at % len(COLOURS)], label=label)
    axes.legend()
    return figure


def work(run: Run) -> Figure:
    """Pay by work."""
    figure, axes = _axes(f"{run.name}: pay by work", "work, of a mean honest peer's", "pay, of a mean honest peer's")
    behaviours = _texts(run.leaderboard, "behaviour")
    worked, paid = _numbers(run.leaderboard, "work"), _numbers(run.leaderboard, "pay")
    for at, label in enumerate(_kinds(behaviours)):
        rows = (behaviours == label) & np.isfinite(worked) & np.isfinite(paid)
        axes.scatter(worked[rows], paid[rows], label=label, color=COLOURS[at % len(COLOURS)], s=24)
    most = float(np.nanmax([1.0, *worked, *paid])) if len(worked) else 1.0
    axes.plot([0, most], [0, most], color="#888888", linewidth=1, linestyle="--", label="pay for work")
    axes.legend()
    return figure


def status(run: Run) -> Figure:
    """How many uploads had each status, by round."""
    figure, axes = _axes(f"{run.name}: uploads by status", "round", "peers")
    rounds, statuses = _numbers(run.peers, "round"), _texts(run.peers, "status")
    every = np.unique(rounds)
    place = np.searchsorted(every, rounds)
    found = [name for name in STATUSES if (statuses == name).any()]
    if found:
        counts = [np.bincount(place[statuses == name], minlength=len(every)) for name in found]
        axes.stackplot(every, counts, labels=[name.replace("_", " ") for name in found], colors=COLOURS[: len(found)])
        axes.legend(loc="lower left")
    return figure
