"""What is wrong is told, with what to do; nothing panics, nothing is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import network

import gauntlet


def with_peer(behaviour):
    return network(peers=[{"count": 3}, {"behaviour": behaviour}])


def test_folders_that_cannot_be_read(simulated, tmp_path):
    with pytest.raises(gauntlet.RunFolderError, match=r"no manifest\.json; gauntlet\.run\(\.\.\.\) makes one"):
        gauntlet.load(tmp_path / "nothing")
    run = simulated(network(rounds=2))
    with pytest.raises(gauntlet.RunFolderError, match=r"use out=.* for another folder, gauntlet\.resume"):
        simulated(network(rounds=2), out=run.folder)
    with pytest.raises(gauntlet.RunFolderError, match="finished after 2 rounds; rounds=N"):
        gauntlet.resume(run.folder, progress=False)
    (run.folder / "peers.csv").write_text("round,uid\n")
    with pytest.raises(gauntlet.RunFolderError, match="peers.csv, line 1: expected the columns"):
        gauntlet.load(run.folder)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    manifest.update(format=99, version="9.9.9")
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(gauntlet.RunFolderError, match=r"written by gauntlet 9\.9\.9 .*run the scenario again"):
        gauntlet.load(run.folder)
    with pytest.raises(gauntlet.RunFolderError, match="no run and no sweep here"):
        gauntlet.compare(tmp_path)
    with pytest.raises(ValueError, match="no peer has held uid 9; there are uids 0 to 3"):
        simulated(network(rounds=2)).explain(9)


def test_scenarios_that_cannot_be_run():
    for source, options, message in [
        ("copycta", {}, "no shipped scenario has this name; did you mean `copycat`"),
        ("copycat", {"set": {"model.init": "nowhere"}}, r"model\.init: nowhere/config\.json: No such file"),
        ("copycat", {"set": {"training.lrr": 1}}, r"set: training\.lrr=1: unknown key `lrr`.*did you mean `lr`"),
        ("copycat", {"set": {"rounds": "many"}}, "rounds"),
        ("copycat", {"set": {"peers.1.behaviour": "thief"}}, r"peers\.1\.behaviour is `thief`; expected one of"),
        ({"name": "x", "peers": []}, {}, "peer"),
        ("name = 'x'\npeers = [", {}, "not TOML"),
    ]:
        with pytest.raises(gauntlet.ScenarioError, match=message):
            gauntlet.scenario(source, **options)
    with pytest.raises(TypeError, match="object is no setting"):
        gauntlet.scenario("copycat", set={"rounds": object()})
    with pytest.raises(gauntlet.ScenarioError, match="threads=0: expected 1 to 1024"):
        gauntlet.run(network(), threads=0, out="nowhere", progress=False)
    with pytest.raises(gauntlet.ScenarioError, match="expected cpu or one of h100"):
        gauntlet.plan("copycat", device="abacus")


def test_a_run_of_a_class_needs_the_class_to_go_on(simulated):
    class Odd(gauntlet.Behaviour):
        pass

    run = simulated(with_peer(Odd))
    assert gauntlet.load(run.folder).digest == run.digest, "reading needs no class"
    with pytest.raises(gauntlet.ScenarioError, match=r"of the kind `odd`; give its class, as in kinds=\[Class\]"):
        gauntlet.resume(run.folder, rounds=8, progress=False)


def test_classes_that_are_none():
    class Lame(gauntlet.Mechanism):
        def pay(self):
            return {}

    class Typo(gauntlet.Behaviour):
        def pseudogradient(self, own, around):
            return own

    class Form(gauntlet.Behaviour):
        def pseudo_gradient(self, own):
            return own

    class Slow(gauntlet.Behaviour):
        async def put_at(self, around):
            return 0.0

    class Method(gauntlet.Behaviour):
        def trains(self):
            return False

    class Setting(gauntlet.Behaviour):
        state: np.ndarray = None

    for cls, message in [
        (Lame, r"lacks leave\(self, uid\), observe\(self, facts\), include\(self, round, without\), status"),
        (Typo, "Typo.pseudogradient is no hook of a behaviour; did you mean `pseudo_gradient`"),
        (Form, r"Form.pseudo_gradient\(self, own\) takes other arguments; expected \(self, own, around\)"),
        (Slow, "Slow.put_at is async; only works, pseudo_gradient, claim and key may wait"),
        (Method, "Method.trains is a method; expected an attribute, as in `trains = True`"),
        (Setting, "the setting Setting.state is annotated as .*ndarray.*expected bool, int, float"),
        (int, "int is no subclass of gauntlet.Behaviour or gauntlet.Mechanism"),
    ]:
        with pytest.raises(TypeError, match=message):
            gauntlet.scenario("copycat", kinds=[cls])
    first, second = (type("Twin", (gauntlet.Behaviour,), {}) for _ in range(2))
    with pytest.raises(gauntlet.ScenarioError, match="two classes are of the kind `twin`"):
        gauntlet.scenario("copycat", kinds=[first, second])


def changed(**parts):
    """A behaviour whose payload has these parts instead."""

    class Changed(gauntlet.Behaviour):
        def pseudo_gradient(self, own, around):
            for name, change in parts.items():
                setattr(own, name, change(getattr(own, name)))
            return own

    return Changed


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        (changed(values=lambda v: v.astype(np.float64)), TypeError,
         r"values is an array of float64 of shape \(\d+,\); expected an array of float32 .*dtype=numpy\.float32"),
        (changed(values=lambda v: v[1:]), ValueError, r"values is an array of float32 of shape .*; expected shape"),
        (changed(values=lambda v: v.reshape(1, -1)), ValueError, "expected shape"),
        (changed(values=lambda v: "text"), TypeError, "values is a str; expected an array of float32"),
        (changed(indices=lambda i: i.astype(np.int64)), TypeError, "indices is an array of int64"),
        (changed(indices=lambda i: i * 0), ValueError, "index 0 twice; every index of a chunk"),
        (changed(indices=lambda i: i + 60000), ValueError, "index 6.* in a chunk of"),
        (changed(values=lambda v: v * np.float32(np.nan)), ValueError, "a value is not finite"),
    ],
)  # fmt: skip
def test_arrays_of_another_shape_or_type(simulated, behaviour, error, message):
    with pytest.raises(error, match=message) as caught:
        simulated(with_peer(behaviour))
    assert "in `pseudo_gradient` of the behaviour `changed`, uid 3, round 0" in caught.value.__notes__


class Awaits(gauntlet.Behaviour):
    async def pseudo_gradient(self, own, around):
        import asyncio

        await asyncio.sleep(1)
        return own


class Returns(gauntlet.Behaviour):
    def pseudo_gradient(self, own, around):
        return own.values


class Pages(gauntlet.Behaviour):
    def pages(self, around):
        return [2**63]


class NoPages(gauntlet.Behaviour):
    def pages(self, around):
        return np.zeros(0, np.uint64)


class Fractions(gauntlet.Behaviour):
    def pages(self, around):
        return np.full(4, 0.5)


class Past(gauntlet.Behaviour):
    def put_at(self, around):
        return -1.0


class Nowhere(gauntlet.Behaviour):
    def presence(self, round):
        return "here"


class Part(gauntlet.Behaviour):
    part_of_page = 2.0


class Samples(gauntlet.Behaviour):
    def claim(self, own, around):
        return own._replace(samples=own.samples[1:])


class Model(gauntlet.Behaviour):
    def claim(self, own, around):
        return own._replace(model="abc")


class Bytes(gauntlet.Behaviour):
    def bytes(self, signed, around):
        return "text"


class Thread(gauntlet.Behaviour):
    def __post_init__(self):
        import threading

        self.lock = threading.Lock()


class Made(gauntlet.Behaviour):
    def __post_init__(self):
        raise OSError("no such file of weights")


@pytest.mark.parametrize(
    ("behaviour", "error", "message"),
    [
        (Awaits, RuntimeError, "no running event loop"),
        (Returns, TypeError, "is a ndarray; expected a gauntlet.PseudoGradient or None"),
        (Pages, ValueError, "page 9223372036854775808; expected pages below"),
        (NoPages, ValueError, "let `works` return False"),
        (Fractions, TypeError, "pages returned no whole numbers"),
        (Past, ValueError, "expected seconds from 0"),
        (Nowhere, ValueError, 'presence is here; expected "active", "away" or "paused"'),
        (Part, ValueError, "part_of_page is 2; expected a fraction above 0"),
        (Samples, ValueError, "claim.samples, flattened, is an array of float32"),
        (Model, ValueError, "expected 64 hexadecimal digits"),
        (Bytes, TypeError, "`bytes` returned no bytes"),
        (Thread, TypeError, r"Thread.lock is a lock, which cannot be saved by itself.*define save\(self\)"),
        (Made, OSError, "no such file of weights"),
    ],
)
def test_wrong_answers_are_told(simulated, behaviour, error, message):
    with pytest.raises(error, match=message):
        simulated(with_peer(behaviour))


def test_malformed_bytes_are_the_networks_problem(simulated):
    class Garbage(gauntlet.Behaviour):
        def bytes(self, signed, around):
            return b"\0" * len(signed)

    run = simulated(with_peer(Garbage))
    statuses = {row["status"] for row in run.peers.to_pylist() if row["uid"] == 3}
    assert statuses == {"malformed"}
