"""Mechanisms as Python classes."""

from __future__ import annotations

import math

import pytest
from conftest import network
from loss_only import LossOnly

import gauntlet


def judged(mechanism, **changes):
    adversaries = ("copycat", "late", "offline", "malformed")
    peers = [{"count": 4}, *({"behaviour": behaviour} for behaviour in adversaries)]
    return network(mechanism=mechanism, peers=peers, rounds=10, protocol={"top_peers": 4, "min_peers": 2}, **changes)


def test_loss_only_in_python_makes_the_digest_of_the_one_in_rust(simulated):
    shipped, run = simulated(judged("loss-only")), simulated(judged(LossOnly))
    assert run.digest == shipped.digest
    assert run.peers.to_pandas().equals(shipped.peers.to_pandas())
    changed = {"evaluated_per_round": 2, "bins": 3, "openskill": {"tau": 0.3}}
    settings = {"kind": "loss-only", **changed}
    assert simulated(judged(settings), kinds=[LossOnly]).digest == simulated(judged(settings)).digest != run.digest


def test_loss_only_of_a_shipped_scenario(simulated):
    options = {"seed": 5, "rounds": 12, "set": {"mechanism": "loss-only"}}
    assert simulated("copycat", kinds=[LossOnly], **options).digest == simulated("copycat", **options).digest


def test_its_state_is_saved_and_restored(simulated):
    whole = simulated(judged(LossOnly))
    part = simulated(judged(LossOnly), rounds=6)
    longer = gauntlet.resume(part.folder, rounds=10, kinds=[LossOnly], progress=False)
    until = 6 * 8
    assert longer.peers.slice(0, until).to_pandas().equals(whole.peers.slice(0, until).to_pandas())
    once, twice = LossOnly(), LossOnly()
    once.secret = 7
    once.arrive(3)
    once.peers[3]["checked"] = (4, "passed")
    twice.restore(once.save())
    assert twice.peers == once.peers and twice.status(3, 4) == "passed"


class Novelty(gauntlet.Mechanism):
    """Pays one minus the largest cosine with another upload."""

    limit: float = 0.5
    columns = [gauntlet.Column("novelty", "novelty, 1 - cosine", "score")]

    def __post_init__(self):
        self.seen = {}

    def leave(self, uid):
        self.seen.pop(uid, None)

    def observe(self, facts):
        assert facts.uids.tolist() == sorted(facts.uids.tolist()) and len(facts.arrivals) == len(facts.uids)
        assert facts.stamps.shape == facts.paid.shape == facts.steps_behind.shape == facts.uids.shape
        pairs = facts.overlaps(0.99, facts.round)
        assert all(pair.shared >= 0.99 for pair in pairs)
        for peer in facts.peers:
            cosines = (facts.cosine(peer.uid, other) for other in facts.uids.tolist() if other != peer.uid)
            closest = max((cosine for cosine in cosines if cosine is not None), default=0.0)
            passed = peer.arrival == "passed" and closest < self.limit
            assert (peer.stamp is None) == (peer.arrival != "passed")
            self.seen[peer.uid] = (facts.round, peer.arrival, 1.0 - closest if passed else 0.0)
        self.facts = None

    def include(self, round, without):
        return [uid for uid, seen in self.seen.items() if seen[0] == round and seen[2] > 0 and uid not in without]

    def measure(self, round, aggregated):
        return [
            gauntlet.Measurement.before(),
            gauntlet.Measurement.after_all(aggregated, sample=0.5),
            gauntlet.Measurement.after_one(0, 1.0, assigned_to=0),
        ]

    def learn(self, round, aggregated, losses):
        assert list(losses)[0] == gauntlet.Measurement.before() and len(losses) == 3
        assert all(math.isfinite(loss) for loss in losses.values())

    def pay(self):
        return dict(gauntlet.shares({uid: seen[2] for uid, seen in self.seen.items()}, power=1.0))

    def status(self, uid, round):
        return self.seen[uid][1] if self.seen.get(uid, (None,))[0] == round else None

    def numbers(self, uid, round):
        return [self.seen[uid][2] if uid in self.seen else None]


def test_a_mechanism_of_ones_own_pays_what_it_says(simulated):
    run = simulated(network(mechanism=Novelty(limit=0.9), peers=[{"count": 3}, {"behaviour": "copycat", "count": 2}]))
    leaderboard = run.leaderboard.to_pandas().set_index("uid")
    assert (leaderboard.loc[[3, 4], "incentive_total"] < leaderboard.loc[[0, 1, 2], "incentive_total"].min()).all()
    assert run.columns == {"novelty": "novelty, 1 - cosine"} and "novelty" in run.explain(0)
    assert run.plot_numbers().axes[0].get_ylabel() == "novelty, 1 - cosine"


class Looks(Novelty):
    """Asks for each set of pages that there is."""

    def observe(self, facts):
        super().observe(facts)
        assert facts.weights_every > 0
        assert facts.work.tolist() == [1.0, 1.0, 1.0, 2.0] == [peer.work for peer in facts.peers]

    def forward_passes(self, pages, aggregated):
        return 12.0 * pages  # A validator that is too slow for it finds no uploads any more.

    def measure(self, round, aggregated):
        self.asked = [
            gauntlet.Measurement.before(hidden=True),
            gauntlet.Measurement.before(0, stretch=0.25),
            gauntlet.Measurement.after_all(aggregated, hidden=True, stretch=0.5, sample=0.5),
            gauntlet.Measurement.after_one(0, 0.5, assigned_to=0, stretch=0.25),
            gauntlet.Measurement.before(),
            gauntlet.Contrast(0, gauntlet.Pages(0), gauntlet.Pages(hidden=True), aggregated),
            gauntlet.Contrast(0, gauntlet.Pages(hidden=True), gauntlet.Pages(0), aggregated),
            gauntlet.Contrast(
                0, gauntlet.Pages(0, stretch=0.25), gauntlet.Pages(stretch=0.25), aggregated, ("model", "matrix")[round % 2]
            ),
        ]
        if round > 0:
            pages = gauntlet.Pages(0, round=round - 1, work=2.0)
            self.asked.append(gauntlet.Contrast(0, pages, gauntlet.Pages(hidden=True), aggregated))
        return self.asked

    def learn(self, round, aggregated, results):
        assert list(results) == self.asked
        values = list(results.values())
        assert all(0.0 < loss < 10.0 for loss in values[:5])
        # An upload has more of the pages of its peer than of others.
        forth, back, coarse, *earlier = ([margin.value for margin in margins] for margins in values[5:])
        assert sum(forth) > 0.0 and back == [-value for value in forth] and len(coarse) == (len(forth) if round % 2 else 1)
        assert len(earlier) == (round > 0) and all(len(margins) == len(forth) for margins in earlier)
        assert all(-1.0 <= value <= 1.0 for margins in (forth, coarse, *earlier) for value in margins)
        assert all(margin.weights > 0 for margin in values[5])

    def save(self):
        return b""

    def restore(self, saved):
        pass


def test_pages_can_be_hidden_and_cut(simulated):
    fast = {"tokens_per_second": 64.0}
    peers = [{"count": 3}, {"behaviour": {"kind": "honest", "data": 2.0}, "hardware": fast}]
    protocol = {"top_peers": 3, "min_peers": 2, "most_pages": 2}
    assert simulated(network(mechanism=Looks(limit=2.0), peers=peers, protocol=protocol)).finished
    with pytest.raises(ValueError, match="hidden pages are assigned to nobody"):
        gauntlet.Measurement.before(3, hidden=True)

    class Long(Novelty):
        def measure(self, round, aggregated):
            return [gauntlet.Measurement.before(stretch=0.0)]

    with pytest.raises(ValueError, match="a stretch above 0, 1 at most"):
        simulated(network(mechanism=Long))

    with pytest.raises(TypeError, match=r"than=3; expected Pages"):
        gauntlet.Contrast(0, gauntlet.Pages(0), 3)
    with pytest.raises(ValueError, match="Pages of round 3 assigned to nobody"):
        gauntlet.Pages(round=3)
    with pytest.raises(ValueError, match="work=2.0 of this round; expected the earlier round"):
        gauntlet.Pages(0, work=2.0)

    class Ahead(Novelty):
        def measure(self, round, aggregated):
            return [gauntlet.Contrast(0, gauntlet.Pages(0, round=round), gauntlet.Pages(hidden=True))]

    with pytest.raises(ValueError, match="expected a round before 0"):
        simulated(network(mechanism=Ahead))


class Audits(Novelty):
    """Audits everybody and pays whoever passes."""

    columns = ()

    def __post_init__(self):
        self.seen, self.found, self.ended = {}, [], {}

    def observe(self, facts):
        self.seen = {peer.uid: (facts.round, peer.arrival) for peer in facts.peers}
        for peer in facts.peers:
            assert peer.same_model == (peer.arrival == "passed"), peer
            if peer.states and peer.uid in self.ended:
                assert peer.states[0] == self.ended[peer.uid] != peer.states[1], peer
            if peer.states:
                self.ended[peer.uid] = peer.states[1]

    def include(self, round, without):
        return [uid for uid in self.seen if uid not in without]

    def audit(self, round):
        return [uid for uid, (_, arrival) in self.seen.items() if arrival == "passed"]

    def learn(self, round, aggregated, results):
        audits = {what.uid: outcome for what, outcome in results.items() if isinstance(what, gauntlet.Audit)}
        self.found = [uid for uid, outcome in audits.items() if outcome == "same"]
        assert all(outcome in ("same", "differs", None) for outcome in audits.values()), results

    def pay(self):
        return gauntlet.shares({uid: 1.0 for uid in self.found}, 1.0)

    def status(self, uid, round):
        seen = self.seen.get(uid)
        return seen[1] if seen and seen[0] == round else None

    def numbers(self, uid, round):
        return []

    def forward_passes(self, pages, aggregated):
        return 3.0 * 4 * pages


def test_audits_find_whose_work_it_is(simulated):
    peers = [{"count": 3}, {"behaviour": {"kind": "lazy"}}]
    run = simulated(network(mechanism=Audits, peers=peers, rounds=8, protocol={"top_peers": 4, "min_peers": 2}))
    pay = run.peers.to_pandas().query("round == 6").set_index("uid")["incentive"]
    assert pay[3] == 0.0 and all(pay[uid] > 0.3 for uid in range(3)), pay


def test_the_generator_and_the_ratings_are_the_projects():
    rng = gauntlet.Rng(1, "a", 2, 3)
    assert [rng.next_u64() for _ in range(2)] != [gauntlet.Rng(1, "a", 2, 4).next_u64() for _ in range(2)]
    assert 0.0 <= rng.random() < 1.0 and math.isfinite(rng.normal())
    (mu, sigma), (other, _) = gauntlet.openskill([(25.0, 25 / 3, 1.0), (25.0, 25 / 3, 0.0)])
    assert mu > 25.0 and abs(mu + other - 50.0) < 1e-12 and gauntlet.ordinal(mu, sigma) == mu - 3 * sigma
    assert gauntlet.shares({0: 1.0, 1: 2.0, 2: -9.0}) == [(0, 0.2), (1, 0.8), (2, 0.0)]


@pytest.mark.parametrize(
    ("hook", "answer", "error", "message"),
    [
        ("pay", {0: math.nan}, ValueError, "the pay of uid 0 is NaN; expected shares"),
        ("pay", {0: -1.0}, ValueError, "gauntlet.shares makes them"),
        ("status", "asleep", ValueError, "the status \"asleep\"; expected None or one of passed, absent"),
        ("numbers", [1.0, 2.0], ValueError, "returned 2 numbers; expected 1"),
        ("numbers", 3, TypeError, "expected a float or None for each column"),
        ("save", "text", TypeError, "`save` returned no bytes"),
        ("include", 3, TypeError, "int"),
    ],
)
def test_wrong_answers_are_told(simulated, hook, answer, error, message):
    by_arguments = {"pay": "(self)", "save": "(self)", "status": "(self, uid, round)", "numbers": "(self, uid, round)",
                    "include": "(self, round, without)"}  # fmt: skip
    scope = {"answer": answer}
    exec(f"def {hook}{by_arguments[hook]}: return answer", scope)
    wrong = type("Wrong", (Novelty,), {hook: scope[hook]})
    with pytest.raises(error, match=message) as caught:
        simulated(network(mechanism=wrong))
    assert any(f"in `{hook}` of the mechanism `wrong`" in note for note in caught.value.__notes__)
