"""Runs for TensorBoard and for Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runs import Run


def points(run: Run) -> Iterator[tuple[int, dict[str, float]]]:
    """Of each round, its numbers by name: of the network, of AdamW, and of each peer."""
    found: dict[int, dict[str, float]] = {}

    def add(round: int, name: str, value: float | None) -> None:
        if value is not None and math.isfinite(value):
            found.setdefault(round, {})[name] = float(value)

    of_network = ("loss", "train_loss", "lr", "aggregated", "uploads", "forward_passes", "bytes_up", "bytes_down")
    for row in run.rounds.select(["round", *of_network]).to_pylist():
        for name in of_network:
            add(row["round"], f"network/{name}", row[name])
    for row in run.baseline.to_pylist():
        add(row["round"], "adamw/loss", row["loss"])
    of_peer = ["incentive", *run.columns]
    for row in run.peers.select(["round", "uid", "behaviour", *of_peer]).to_pylist():
        peer = f"{row['behaviour']}_{row['uid']}".replace(" ", "_")
        for name in of_peer:
            add(row["round"], f"{name}/{peer}", row[name])
    for round in sorted(found):
        yield round, found[round]


def to_tensorboard(run: Run, folder: Path) -> Path:
    """Writes event files into a folder of the run's name below this one."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise ImportError("to_tensorboard needs tensorboardX: pip install tensorboardX") from error
    target = folder / run.name
    with SummaryWriter(str(target)) as writer:
        writer.add_text("scenario", f"```\n{run.toml()}\n```", 0)
        for round, numbers in points(run):
            for name, value in numbers.items():
                writer.add_scalar(name, value, round)
    return target


def to_wandb(run: Run, project: str, **options: Any) -> Any:
    """Logs the run."""
    try:
        import wandb
    except ImportError as error:
        raise ImportError("to_wandb needs wandb: pip install wandb") from error
    chosen = {"project": project, "name": run.name, "config": run.manifest["scenario"], **options}
    logged = wandb.init(**chosen)
    for round, numbers in points(run):
        logged.log(numbers, step=round)
    logged.summary["digest"] = run.digest
    logged.summary["finished"] = run.finished
    logged.finish()
    return logged
