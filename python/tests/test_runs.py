"""Runs: the digests of the binary, tables, interrupts, resumption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import network

import gauntlet


def test_a_run_has_the_digest_and_the_files_of_the_binary(sim, tmp_path):
    there, here = tmp_path / "sim", tmp_path / "here"
    subprocess.run([sim, "run", "copycat", "--seed", "2", "--set", "rounds=8", "--out", there, "--quiet"], check=True)
    run = gauntlet.run("copycat", seed=2, set={"rounds": 8}, out=here, progress=False)
    assert run.finished and run.digest == json.loads((there / "manifest.json").read_text())["digest"]
    for name in ("rounds.csv", "peers.csv", "leaderboard.csv", "baseline.csv", "slots.csv"):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert (here / "report.html").exists()


def test_tables_say_what_the_files_say(simulated):
    run = simulated(network(), baseline=True)
    for name in ("rounds", "peers", "leaderboard", "baseline"):
        table = getattr(run, name)
        file = pd.read_csv(run.folder / f"{name}.csv")
        assert isinstance(table, pa.Table) and table.num_rows == len(file) > 0
        for column in file.columns:
            frame = table.column(column).to_pandas()
            if file[column].dtype.kind in "if":
                np.testing.assert_array_equal(frame.to_numpy(np.float64), file[column].to_numpy(np.float64), column)
            else:
                assert frame.astype(str).tolist() == file[column].astype(str).tolist(), column
    assert run.rounds.schema.field("loss").metadata == {b"unit": b"nats per token"}
    assert pl.from_arrow(run.peers).shape == (run.peers.num_rows, run.peers.num_columns)
    paid = run.peers.to_pandas().groupby("round")["incentive"].sum()
    assert ((paid - 1.0).abs() < 1e-9).tolist()[-3:] == [True] * 3
    assert run.slots.num_rows == 4 and run.rounds_done == 6 and run.diverged == []
    assert set(run.columns) <= set(run.peers.column_names)


def test_settings_are_those_of_the_command_line(simulated):
    said = gauntlet.scenario(network(), set={"peers.1.count": 2, "training.lr": 1e-3, "mechanism": "equal"}, seed=9)
    again = gauntlet.scenario(said.toml())
    assert said.toml() == again.toml() and (said.seed, said.mechanism) == (9, "equal")
    assert gauntlet.scenario(network(), set=["peers.1.count=2", "training.lr=1e-3"], seed=9, rounds=4).rounds == 4
    table = gauntlet.scenario(network(peers=[{"count": 2}, {"behaviour": {"kind": "lazy", "fraction": np.float32(0.5)}}]))
    assert "fraction = 0.5" in table.toml()
    assert "copycat" in gauntlet.scenarios()


def test_a_run_from_a_model_has_its_sizes_and_the_digest_of_the_binary(sim, tmp_path):
    def command(*words):
        subprocess.run([sim, *map(str, words)], check=True, cwd=tmp_path, capture_output=True)

    (tmp_path / "small.toml").write_text(gauntlet.scenario(network()).toml())
    command("run", "small.toml", "--out", "first", "--quiet", "--no-baseline")
    command("export", "first", "--to", "model")
    model = str(tmp_path / "model")
    # A scenario that says nothing of sizes: they are the model's.
    source = network(model={"init": model})
    assert "hidden_size = 32" in gauntlet.scenario(source).toml()
    with pytest.raises(gauntlet.ScenarioError, match="hidden_size = 64, but the model of model.init"):
        gauntlet.scenario(source, set={"model.hidden_size": 64})
    command("run", "small.toml", "--set", f'model={{init="{model}"}}', "--out", "there", "--quiet", "--no-baseline")
    run = gauntlet.run(source, out=tmp_path / "here", baseline=False, progress=False)
    assert run.digest == gauntlet.load(tmp_path / "there").digest != gauntlet.load(tmp_path / "first").digest
    made = gauntlet.sweep(source, {"training.lr": [1e-3, 2e-3]}, rounds=2, out=tmp_path / "swept", progress=False)
    assert made.table.num_rows == 4


def test_results_depend_neither_on_threads_nor_on_the_baseline(simulated):
    one = simulated(network(), threads=1)
    assert one.digest == simulated(network(), threads=3, baseline=True).digest
    assert one.digest != simulated(network(), seed=4).digest


def test_a_run_can_be_made_longer(simulated):
    whole = simulated(network(rounds=6, training={**network()["training"], "schedule_rounds": 4}))
    run = simulated(network(rounds=4))
    longer = gauntlet.resume(run.folder, rounds=6, progress=False)
    assert longer.finished and longer.rounds_done == 6
    assert longer.rounds.column("loss").to_pylist() == whole.rounds.column("loss").to_pylist()


INTERRUPTED = """
import gauntlet, sys
try:
    gauntlet.run(sys.argv[1], out=sys.argv[2], baseline=False, progress=False)
except KeyboardInterrupt as stop:
    print(stop.__notes__[0])
    sys.exit(42)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_the_round_and_the_run_goes_on_to_the_same_digest(simulated, tmp_path):
    text = gauntlet.scenario(network(rounds=40)).toml()
    folder = tmp_path / "stopped"
    command = [sys.executable, "-c", INTERRUPTED, text, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rows = folder / "rounds.csv"
    ends = time.monotonic() + 60
    while time.monotonic() < ends and not (rows.exists() and rows.read_text().count("\n") > 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 42, errors
    stopped = gauntlet.load(folder)
    assert not stopped.finished and 0 < stopped.rounds_done < 40
    assert told.startswith(f"{stopped.rounds_done} rounds are in {folder}; gauntlet.resume(")
    resumed = gauntlet.resume(folder, progress=False)
    assert resumed.finished and resumed.digest == simulated(network(rounds=40)).digest


SWEPT = """
import gauntlet, sys
try:
    gauntlet.sweep(sys.argv[1], {"training.lr": [1e-3, 2e-3, 3e-3, 4e-3]}, seeds=5, threads=1, out=sys.argv[2], progress=False)
except KeyboardInterrupt as stop:
    print(stop.__notes__[0])
    sys.exit(42)
"""


def stopped_experiment(script, text, folder):
    """Sends Ctrl-C when two networks are done; what was told, and the files of the networks that are there."""
    command = [sys.executable, "-c", script, text, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    results = folder / "results"
    ends = time.monotonic() + 60
    while time.monotonic() < ends and not (results.exists() and len(list(results.iterdir())) >= 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == 42, errors
    return told, {file.name: file.read_bytes() for file in results.iterdir()}


def are_kept(kept, folder):
    return all((folder / "results" / name).read_bytes() == held for name, held in kept.items())


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_a_sweep_and_the_same_call_goes_on(tmp_path):
    text = gauntlet.scenario(network(rounds=20)).toml()
    folder = tmp_path / "swept"
    told, kept = stopped_experiment(SWEPT, text, folder)
    assert 2 <= len(kept) < 20 and told == f"{len(kept)} of 20 networks are in {folder}; the same call goes on\n"
    grid = {"training.lr": [1e-3, 2e-3, 3e-3, 4e-3]}
    made = gauntlet.sweep(text, grid, seeds=5, out=folder, progress=False)
    assert made.table.num_rows == 2 * 20 and are_kept(kept, folder)


ATTACKED = """
import gauntlet, sys
try:
    gauntlet.attack(sys.argv[1], budget=30, threads=1, out=sys.argv[2], progress=False)
except KeyboardInterrupt as stop:
    print(stop.__notes__[0])
    sys.exit(42)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_a_search_and_the_same_call_goes_on(tmp_path):
    text = gauntlet.scenario(network(rounds=20)).toml()
    folder, undisturbed = tmp_path / "stopped", tmp_path / "undisturbed"
    told, kept = stopped_experiment(ATTACKED, text, folder)
    assert 2 <= len(kept) < 30 and str(folder) in told and "the same call goes on" in told, told
    made = gauntlet.attack(text, budget=30, out=folder, progress=False)
    assert are_kept(kept, folder)
    whole = gauntlet.attack(text, budget=30, out=undisturbed, progress=False)
    assert made.table == whole.table and made.table.num_rows > 0


def test_the_default_folder_is_never_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [gauntlet.run(network(rounds=2), baseline=False, progress=False).folder for _ in range(2)]
    assert folders == [Path("runs/small-3"), Path("runs/small-3-2")]


def test_a_bar_is_drawn(simulated, capsys):
    simulated(network(), progress=True)
    assert "6/6" in capsys.readouterr().err


def test_pictures_and_stories(simulated):
    run = simulated(network(), baseline=True)
    figures = [run.plot_loss(), run.plot_pay(), run.plot_numbers(), run.plot_work(), run.plot_status()]
    for figure in [*figures, run.plot_numbers("rating_mu")]:
        assert figure.axes[0].get_title().startswith(run.name)
        figure.savefig(run.folder / "picture.png")
    lines = figures[0].axes[0].get_lines()
    assert lines[0].get_ydata().tolist() == [loss for loss in run.rounds.column("loss").to_pylist() if loss is not None]
    assert "Peer 3 (noise" in run.explain(3) and "round 2" in gauntlet.explain(run.folder, 3, 2)
    assert "Who was paid" in run.summary()
    assert "finished" in repr(run) and "<table" in run._repr_html_()
    with pytest.raises(ValueError, match="has no number 'novelty'; it has loss_score_assigned"):
        run.plot_numbers("novelty")
