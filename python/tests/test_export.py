"""Runs for TensorBoard and Weights & Biases, read back."""

from __future__ import annotations

import time

import pytest
from conftest import network


def test_tensorboard_reads_what_was_written(simulated, tmp_path):
    pytest.importorskip("tensorboardX")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = simulated(network(), baseline=True)
    folder = run.to_tensorboard(tmp_path / "board")
    assert folder == tmp_path / "board" / run.name
    events = accumulator.EventAccumulator(str(folder)).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("network/loss")]
    rows = [(row["round"], row["loss"]) for row in run.rounds.to_pylist() if row["loss"] is not None]
    assert [step for step, _ in losses] == [round for round, _ in rows]
    assert [value for _, value in losses] == pytest.approx([loss for _, loss in rows], rel=1e-6)
    assert {"adamw/loss", "incentive/honest_0", "peer_score/noise_3"} <= set(events.Tags()["scalars"])


def test_wandb_logs_offline(simulated, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run = simulated(network())
    run.to_wandb("trial", mode="offline", dir=str(tmp_path))
    [file] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    ends = time.monotonic() + 30
    # Its own process writes the file to its end.
    while run.digest.encode() not in file.read_bytes() and time.monotonic() < ends:
        time.sleep(0.05)
    logged = file.read_bytes()
    assert run.digest.encode() in logged and b"network/loss" in logged and b"incentive/honest_0" in logged
