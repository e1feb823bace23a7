"""A small network, and the binary that simulates the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gauntlet


def network(**changes: Any) -> dict[str, Any]:
    """Three honest peers and a fourth group, for some rounds of a fraction of a second."""
    return {
        "name": "small",
        "seed": 3,
        "rounds": 6,
        "model": {"preset": "nano", "sequence_length": 16},
        "corpus": {"held_out_pages": 8},
        "training": {"lr": 3e-3, "pages_per_round": 4, "micro_batch": 4, "eval_every": 2, "checkpoint_every": 2},
        "scheme": {"topk": 8},
        "protocol": {"top_peers": 3, "min_peers": 2},
        "chain": {"weights_every": 1},
        "peers": [{"count": 3}, {"behaviour": "noise"}],
    } | changes


@pytest.fixture
def simulated(tmp_path: Path) -> Callable[..., gauntlet.Run]:
    """Runs a network into a folder of its own, without a baseline."""

    def run(source: Any, **options: Any) -> gauntlet.Run:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        return gauntlet.run(source, **({"out": folder, "baseline": False, "progress": False} | options))

    return run


@pytest.fixture(scope="session")
def sim() -> str:
    """The `sim` of this source, whose path CI gives as GAUNTLET_SIM."""
    found = os.environ.get("GAUNTLET_SIM") or shutil.which("sim")
    if not found:
        pytest.skip("no sim: set GAUNTLET_SIM to target/debug/sim")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert gauntlet.__version__ in version
    return found
