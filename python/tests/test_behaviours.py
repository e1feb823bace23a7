"""Behaviours as Python classes: the same bits as in Rust, what they see, their state, their exceptions."""

from __future__ import annotations

import traceback

import numpy as np
import pytest
from conftest import network

import gauntlet


def with_peer(behaviour, **changes):
    return network(peers=[{"count": 3}, {"behaviour": behaviour}], **changes)


class SignFlip(gauntlet.Behaviour):
    """The shipped one in Python."""

    kind = "sign-flip"

    def pseudo_gradient(self, own, around):
        return -own


class Late(gauntlet.Behaviour):
    kind = "late"
    seconds: float = 5.0

    def put_at(self, around):
        return around.closes + self.seconds


class Lazy(gauntlet.Behaviour):
    kind = "lazy"
    fraction: float = 0.5

    def pages(self, around):
        pages = around.assigned()
        return pages[: max(1, round(len(pages) * self.fraction))]


class LabelFlip(gauntlet.Behaviour):
    kind = "label-flip"

    def poison(self, around):
        return gauntlet.Poison(labels="flipped")


class FreeRider(gauntlet.Behaviour):
    kind = "free-rider"
    trains = False


class Stale(gauntlet.Behaviour):
    kind = "stale"
    age: int = 1

    def __post_init__(self):
        self.model_age = self.age


@pytest.mark.parametrize("cls", [SignFlip, Late, Lazy, LabelFlip])
def test_a_class_under_a_shipped_name_makes_the_digest_of_the_shipped_one(simulated, cls):
    shipped = simulated(with_peer(cls.kind))
    run = simulated(with_peer(cls))
    assert run.digest == shipped.digest
    assert run.digest != simulated(with_peer("honest")).digest


SEEN = []


class Curious(gauntlet.Behaviour):
    """Looks at everything, and sends what an honest peer would."""

    kind = "honest-looking"

    def works(self, around):
        SEEN.clear()
        return True

    async def pseudo_gradient(self, own, around):
        assert around.uid == 3 and around.slot == 0 and around.uids == [3] and 0 <= around.round < around.rounds == 6
        assert around.opens <= around.part_of_window(0.5) <= around.closes
        assert own.values.dtype == np.float32 and own.indices.dtype == np.uint16
        assert own.values.shape == own.indices.shape == (around.shape.coefficients,)
        assert len(around.own) == 1 and np.array_equal(around.own[0].values, own.values)
        tensors = own.tensors
        assert sum(values.size for _, values in tensors.values()) == own.values.size
        assert list(tensors) == [tensor[0] for tensor in around.shape.tensors]
        await around.sleep_until(around.closes - 0.5)
        assert around.now >= around.closes - 0.5
        await around.sleep(0.001)
        others = await around.others()
        assert [peer.uid for peer in others] == [0, 1, 2] == [peer.uid for peer in await around.strangers()]
        assert all(len(peer.hotkey) == 64 and 0.0 <= peer.incentive <= 1.0 for peer in others)
        upload, claim = await around.upload_of(0), await around.claim_of(0)
        assert upload.values.shape == own.values.shape and claim.samples.shape == (len(tensors), 2)
        assert await around.upload_of(77) is None and await around.claim_of(0, 999) is None
        assert len(await around.aggregated(around.round - 1)) in ((2, 3) if around.round else (0,))
        assert len(around.assigned()) == 4 == len(around.extra(4)) and not set(around.assigned()) & set(around.extra(4))
        assert around.rng("a").next_u64() == around.rng("a").next_u64() != around.rng("b").next_u64()
        mixed = gauntlet.mix([own, upload], [0.5, 0.5])
        assert mixed.values.shape == own.values.shape and gauntlet.mix([own]).values.shape == own.values.shape
        SEEN.append((around, around.round))
        return own

    async def claim(self, own, around):
        assert own.samples.shape == (len(around.shape.tensors), 2) and len(own.model) == 64
        return own

    def bytes(self, signed, around):
        assert len(signed) > 100
        return signed


def test_a_behaviour_sees_what_its_node_can_see(simulated):
    run = simulated(with_peer(Curious))
    assert run.finished and len(SEEN) == 1
    around, _ = SEEN[0]
    assert around.round == 5
    with pytest.raises(RuntimeError, match="of a hook that has returned"):
        around.assigned()


class Counter(gauntlet.Behaviour):
    """Sends the more often, the longer it lives: its state decides what it does."""

    start: int = 1

    def __post_init__(self):
        self.count = self.start
        self.last = None
        self.seen = {}

    def pseudo_gradient(self, own, around):
        self.count += 1
        self.seen[around.round] = (around.uid, np.array([self.count], np.int64))
        sent = own if self.last is None else gauntlet.mix([own, self.last], [1.0, self.count / 10])
        self.last = own
        return sent


class Bomb(Counter):
    kind = "counter"
    fuse: int = 99

    def pseudo_gradient(self, own, around):
        if around.round == BOMB:
            raise RuntimeError("boom")
        return super().pseudo_gradient(own, around)


BOMB = 99


def test_an_exception_ends_the_run_with_its_traceback_and_nothing_is_lost(simulated, tmp_path, capfd):
    global BOMB
    BOMB = 99
    whole = simulated(with_peer(Bomb))
    BOMB, folder = 4, tmp_path / "bombed"
    with pytest.raises(RuntimeError, match="boom") as caught:
        simulated(with_peer(Bomb), out=folder)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert any(frame.name == "pseudo_gradient" and frame.filename == __file__ for frame in frames)
    assert "in `pseudo_gradient` of the behaviour `counter`, uid 3, round 4" in caught.value.__notes__
    assert "panicked" not in capfd.readouterr().err
    left = gauntlet.load(folder)
    assert not left.finished and left.rounds_done in (3, 4), "round 3 may be judged while round 4 is trained"
    assert any("gauntlet.resume(" in note for note in caught.value.__notes__)
    BOMB = 99
    resumed = gauntlet.resume(folder, kinds=[Bomb], progress=False)
    assert resumed.finished and resumed.digest == whole.digest, "its state came back"


def test_settings_of_a_class_are_read_and_checked(simulated):
    class Checked(gauntlet.Behaviour):
        wait: float
        names: list = __import__("dataclasses").field(default_factory=lambda: ["a"])
        loud: bool = False

        def check(self):
            if not 0 <= self.wait < 1:
                raise ValueError("`wait` is a fraction")

    told = gauntlet.scenario(with_peer({"kind": "checked", "wait": 0}), kinds=[Checked]).toml()
    assert "wait = 0.0" in told and 'names = ["a"]' in told and "loud = false" in told
    assert gauntlet.scenario(with_peer(Checked(wait=0.25))).toml().count("wait = 0.25") == 1
    for said, message in [
        ({"kind": "checked", "wait": 2.0}, r"peers\.1\.behaviour is .*wait = 2\.0.*accepts: `wait` is a fraction"),
        ({"kind": "checked", "wait": "x"}, r'peers\.1\.behaviour\.wait is "x"; expected float'),
        ({"kind": "checked", "wiat": 0.5}, "`wiat` is not a setting of the behaviour `checked`; did you mean `wait`"),
        ({"kind": "checked"}, "the key `wait` is missing"),
        ({"kind": "cheked", "wait": 0.5}, "did you mean `checked`"),
    ]:
        with pytest.raises(gauntlet.ScenarioError, match=message):
            gauntlet.scenario(with_peer(said), kinds=[Checked])


def test_labels_and_renewed_keys_are_the_classs(simulated):
    class Leaver(gauntlet.Behaviour):
        label = "who leaves"
        renews = 2

    run = simulated(with_peer(Leaver))
    slots = run.slots.to_pandas()
    assert (slots[slots.behaviour == "who leaves"].owner == 3).all() and (slots.behaviour == "who leaves").sum() > 1


def test_presence_is_asked_for(simulated):
    class Sometimes(gauntlet.Behaviour):
        def presence(self, round):
            return "away" if round in (2, 3) else "active"

    peers = simulated(with_peer(Sometimes)).peers.to_pandas()
    absent = peers[(peers.uid == 3) & (peers.status == "absent")]["round"].tolist()
    assert absent == [2, 3]


# Fast enough for twice the pages.
FAST = {"tokens_per_second": 64.0}


def of_coverage(behaviour, **changes):
    protocol = {"top_peers": 3, "min_peers": 2, "most_pages": 2}
    peers = [{"count": 3}, {"behaviour": behaviour, "hardware": FAST}]
    return network(mechanism={"kind": "coverage"}, protocol=protocol, peers=peers, rounds=8, **changes)


class Honest(gauntlet.Behaviour):
    """The shipped one in Python: trains on `data` times its pages, and says so."""

    kind = "honest"
    data: float = 1.0

    def pages(self, around):
        assert around.most_pages == 8
        pages, wanted = around.assigned(), round(4 * self.data)
        return np.concatenate([pages, around.extra(max(0, wanted - len(pages)))])[:wanted]

    def pages_said(self, assigned):
        assert assigned == 4
        return round(assigned * self.data)


class Silent(Honest):
    """The same, and says nothing of it."""

    kind = "honest"
    pages_said = gauntlet.Behaviour.pages_said


class Claims(Silent):
    """The same, and says it when it has computed its upload."""

    kind = "honest"

    async def claim(self, own, around):
        assert own.pages == len(around.assigned()) == 4
        return own._replace(pages=round(4 * self.data))


@pytest.mark.parametrize("data", [0.5, 2.0])
def test_a_class_says_how_many_pages_it_did(simulated, data):
    source = of_coverage({"kind": "honest", "data": data})
    shipped = simulated(source)
    for cls in (Honest, Claims):
        assert simulated(source, kinds=[cls]).digest == shipped.digest, cls
    assert simulated(source, kinds=[Silent]).digest != shipped.digest, "what an upload says counts"


class Plain(gauntlet.Behaviour):
    """The shipped honest one, which has as many pages as its steps take."""

    kind = "honest"
    data: float = 1.0

    def pages(self, around):
        assert len(around.assigned()) in (4, 8)
        assert not set(around.assigned()) & set(around.extra(4)), "further pages are others"
        return around.assigned()


def test_a_group_with_inner_steps_of_its_own_has_other_pages(simulated):
    source = of_coverage({"kind": "honest"}, scheme={"kind": "sparseloco", "inner_steps": 2})
    source["peers"][-1]["inner_steps"] = 4
    assert simulated(source, kinds=[Plain]).digest == simulated(source).digest


def test_claims_of_others_have_their_pages(simulated):
    class Reader(gauntlet.Behaviour):
        async def pseudo_gradient(self, own, around):
            await around.sleep_until(around.closes)
            claims = [await around.claim_of(peer.uid) for peer in await around.others()]
            assert [claim.pages for claim in claims] == [4, 4, 8]
            return own

    honest = {"behaviour": {"kind": "honest", "data": 2.0}, "hardware": FAST}
    source = of_coverage("honest")
    simulated({**source, "rounds": 2, "peers": [{"count": 2}, honest, {"behaviour": Reader}]})


def test_a_number_of_pages_that_is_none_is_told(simulated):
    class Words(gauntlet.Behaviour):
        def pages_said(self, assigned):
            return "all of them"

    class Negative(gauntlet.Behaviour):
        def claim(self, own, around):
            return own._replace(pages=-1)

    for cls, message in [(Words, "pages_said is no number of pages"), (Negative, "claim.pages is no number of pages")]:
        with pytest.raises(TypeError, match=message):
            simulated(of_coverage(cls))


def test_a_class_may_keep_its_key_of_a_sealed_upload(simulated):
    sealed = {"top_peers": 3, "min_peers": 2, "sealed": True}

    class Keeps(gauntlet.Behaviour):
        async def key(self, own, around):
            await around.sleep(0.1)
            return None if around.round % 2 else own

    class Late(gauntlet.Behaviour):
        def reveal_at(self, around):
            return around.closes + 1000.0

    peers = simulated(with_peer(Keeps, protocol=sealed)).peers.to_pandas()
    mine = peers[peers.uid == 3]
    assert set(mine[mine["round"] % 2 == 0].status) == {"passed"}
    assert "passed" not in set(mine[mine["round"] % 2 == 1].status)
    late = simulated(with_peer(Late, protocol=sealed)).peers.to_pandas()
    assert "passed" not in set(late[late.uid == 3].status)


def test_shipped_strategies_and_added_groups_are_settings(simulated):
    strategy = {"kind": "strategy", "works": {"every": 2}}
    run = simulated(network(), set={"peers.+.behaviour": strategy, "peers.last.count": 2, "peers.+.behaviour.kind": "lazy"})
    labels = run.leaderboard.to_pandas().behaviour.tolist()
    assert len(labels) == 7 and sum("every 2" in label or "strategy" in label for label in labels) == 2, labels
    with_class = gauntlet.scenario(network(), set={"peers.+.behaviour": Late(seconds=2.5)})
    assert "seconds = 2.5" in with_class.toml()


def test_operators_ask_for_each_slot(simulated):
    class Ring(gauntlet.Behaviour):
        async def pseudo_gradient(self, own, around):
            assert len(around.own) == 2 and all(part is not None for part in around.own)
            return gauntlet.mix([part for part in around.own if part])

    operators = [{"name": "ring", "uids": 2, "behaviour": Ring}]
    run = simulated(network(peers=[{"count": 3}], operators=operators))
    assert sorted(set(run.peers.column("behaviour").to_pylist())) == ["honest", "ring/ring"]
