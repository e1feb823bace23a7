"""Experiments: sweeps, searches, comparisons, plans."""

from __future__ import annotations

import subprocess

import pytest
from conftest import network

import gauntlet


class Flip(gauntlet.Behaviour):
    strength: float = 1.0

    def pseudo_gradient(self, own, around):
        return own * -self.strength


def test_a_sweep_runs_classes_beside_shipped_kinds(tmp_path):
    grid = {"peers.1.behaviour": ["noise", Flip(strength=2.0)], "training.lr": [1e-3, 3e-3]}
    made = gauntlet.sweep(network(rounds=3), grid, seeds=2, control=True, out=tmp_path / "sweep", progress=False)
    frame = made.table.to_pandas()
    assert sorted(set(frame.behaviour)) == ["flip", "honest", "noise"] and len(frame) == 2 * 2 * 2 * 2
    assert "95 %" in str(made) and (tmp_path / "sweep" / "sweep.md").exists()
    again = gauntlet.sweep(network(rounds=3), grid, seeds=2, control=True, out=tmp_path / "sweep", progress=False)
    assert again.text == made.text
    with pytest.raises(gauntlet.RunFolderError, match=r"holds another sweep: .*take another place with out="):
        gauntlet.sweep(network(rounds=3), grid, seeds=3, out=tmp_path / "sweep", progress=False)
    with pytest.raises(gauntlet.ScenarioError, match="seeds are no axis"):
        gauntlet.sweep(network(), {"seed": [1, 2]}, out=tmp_path / "x", progress=False)
    told = gauntlet.compare(made)
    assert "peers.1.behaviour" in str(told) and told._repr_svg_().startswith("<svg")


def test_an_exception_ends_a_sweep_and_finished_networks_stay(tmp_path):
    class Bomb(gauntlet.Behaviour):
        at: int = 99

        def pseudo_gradient(self, own, around):
            if around.round == self.at:
                raise RuntimeError("boom")
            return own

    grid = {"peers.1.behaviour.at": [99, 1]}
    source = network(rounds=3, peers=[{"count": 3}, {"behaviour": Bomb}])
    with pytest.raises(RuntimeError, match="boom"):
        gauntlet.sweep(source, grid, threads=1, out=tmp_path / "sweep", progress=False)
    assert len(list((tmp_path / "sweep" / "results").iterdir())) == 1, "the network with the exception left nothing"


def test_a_search_reports_what_it_tried(tmp_path):
    made = gauntlet.attack(network(rounds=2), budget=6, out=tmp_path / "attack", progress=False)
    assert made.table.num_rows > 0 and made.text and (tmp_path / "attack" / "frontier.svg").exists()
    assert made.findings == sorted((tmp_path / "attack").glob("finding-*.toml"))
    with pytest.raises(gauntlet.ScenarioError, match="no group of honest"):
        gauntlet.attack(network(peers=[{"behaviour": "noise", "count": 3}]), budget=2, out=tmp_path / "x", progress=False)


def test_runs_are_compared(simulated):
    runs = [simulated(network(), seed=seed) for seed in (1, 2)] + [simulated(network(), set={"training.lr": 1e-3})]
    told = gauntlet.compare(*runs)
    assert "training.lr" in told.text and "(2 seeds)" in told.text


def test_a_plan_counts_what_the_binary_counts(sim):
    plan = gauntlet.plan("templar-1b", device="h100")
    assert plan.counts["parameters"] == 1_204_881_408 and plan.memory.column_names == ["what", "device", "host"]
    assert plan.peer_round.column("seconds").to_pylist() and plan.validator_round.num_rows
    told = subprocess.run([sim, "plan", "templar-1b", "--device", "h100"], capture_output=True, text=True, check=True).stdout
    assert "1,204,881,408 parameters" in told and "1,204,881,408 parameters" in str(plan)
    assert gauntlet.plan("copycat", device="cpu").fits
