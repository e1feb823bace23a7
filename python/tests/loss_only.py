"""The shipped mechanism `loss-only`, again, in Python: Gauntlet without proof of computation.

Under the same name and with the same settings it makes the digest of the one in Rust, to the last bit. So it is also an
example of a whole mechanism: cheap checks with penalties, a draw of the peers to evaluate, ratings, scores, pay by their
square.
"""

import math
from dataclasses import field

import gauntlet
from gauntlet import Column, Measurement, Ranking, Rng

MAY_BE_AGGREGATED = ("passed", "copy")


class LossOnly(gauntlet.Mechanism):
    kind = "loss-only"
    max_steps_behind: float = 3.0
    sync_exponent: float = 2.5
    failure_penalty: float = 0.75
    inactivity_penalty: float = 0.75
    inactivity_reset_rounds: int = 25
    evaluated_per_round: int = 5
    bins: int = 5
    evaluated_fraction: float = 0.1
    beta_fraction: float = 0.2
    proof_decay: float = 0.95
    incentive_power: float = 2.0
    copy_overlap_half: float = 1.1
    copy_overlap_zero: float = 1.1
    openskill: dict = field(
        default_factory=lambda: {"mu": 25.0, "sigma": 25.0 / 3.0, "beta": 7.0, "tau": 0.1, "kappa": 1e-4}
    )

    columns = (
        Column("loss_score_assigned", "loss score on assigned pages (nats per token)", "measured"),
        Column("loss_score_unassigned", "loss score (nats per token)", "measured"),
        Column("rating_mu", "rating mu (OpenSkill)", "standing", spread="rating_sigma"),
        Column("rating_sigma", "rating sigma", "standing"),
        Column("proof_of_computation", "proof of computation", "standing"),
        Column("peer_score", "peer score", "score"),
    )

    def __post_init__(self):
        self.peers = {}
        self.past = {}

    def newcomer(self):
        return {
            "mu": self.openskill["mu"], "sigma": self.openskill["sigma"], "proof": 0.0, "sync": 0.0, "score": 0.0,
            "checked": None, "evaluated": None, "gain": None, "waited": 0, "inactive": 0, "earned": 0.0,
        }  # fmt: skip

    def arrive(self, uid):
        self.leave(uid)
        self.peers[uid] = self.newcomer()

    def leave(self, uid):
        self.peers.pop(uid, None)
        self.past.pop(uid, None)

    # The cheap checks of all peers.

    def observe(self, facts):
        for peer in facts.peers:
            record = self.peers.get(peer.uid)
            if record is not None and self.status(peer.uid, facts.round) is None:
                self.peers[peer.uid] = self.checked(record, facts.round, peer)
        self.past = {peer.uid: peer.paid for peer in facts.peers if peer.uid in self.peers}

    def checked(self, record, round, peer):
        steps = math.inf if peer.steps_behind is None else peer.steps_behind
        status = "out_of_sync" if peer.arrival == "passed" and not steps <= self.max_steps_behind else peer.arrival
        if status == "passed":
            record["waited"] += 1
            record["sync"] = gauntlet.power(1.0 - min(max(steps, 0.0), 5.0) / 5.0, self.sync_exponent)
        elif status == "absent":
            record["earned"] = cut(record["earned"], self.inactivity_penalty)
        else:
            record["earned"] = cut(record["earned"], self.failure_penalty)
            record["proof"] = cut(record["proof"], self.failure_penalty)
            if status == "malformed":
                record["earned"] = cut(record["earned"], 0.0)
        record["inactive"] = record["inactive"] + 1 if status == "absent" else 0
        if record["inactive"] >= self.inactivity_reset_rounds:
            record = self.newcomer()
        record["checked"] = (round, status)
        record["score"] = record["earned"] * record["sync"]
        return record

    def status(self, uid, round):
        checked = self.peers[uid]["checked"] if uid in self.peers else None
        return checked[1] if checked and checked[0] == round else None

    # Who is aggregated, who is evaluated.

    def candidates(self, round, without=()):
        passed = (uid for uid in sorted(self.peers) if self.status(uid, round) in MAY_BE_AGGREGATED)
        return [uid for uid in passed if uid not in without]

    def by_score(self, uids):
        return sorted(uids, key=lambda uid: (-self.peers[uid]["score"], uid))

    def include(self, round, without):
        uids = self.candidates(round, without)
        earned = [uid for uid in self.by_score(uids) if self.peers[uid]["score"] > 0.0]
        rest = sorted(set(uids) - set(earned))
        rng = Rng(self.secret, "included", 0, round)
        for last in range(len(rest) - 1, 0, -1):
            other = rng.next_u64() % (last + 1)
            rest[last], rest[other] = rest[other], rest[last]
        rest.sort(key=lambda uid: -max(self.past.get(uid, 0.0), 0.0))
        return Ranking(earned, rest)

    def chosen(self, round):
        rng = Rng(self.secret, "evaluation", 0, round)
        uids, drawn = self.candidates(round), []
        newcomers = [uid for uid in uids if self.peers[uid]["evaluated"] is None]
        self.draw(newcomers, self.evaluated_per_round // 2, rng, drawn)
        uids = self.by_score(uid for uid in uids if uid not in drawn)
        bins = min(max(self.bins, 1), max(len(uids), 1))
        turn = round % bins
        start, end = turn * len(uids) // bins, (turn + 1) * len(uids) // bins
        in_turn, others = uids[start:end], uids[:start] + uids[end:]
        self.draw(in_turn, self.evaluated_per_round, rng, drawn)
        self.draw(others, self.evaluated_per_round, rng, drawn)
        return sorted(drawn)

    def draw(self, pool, wanted, rng, drawn):
        """Draws without replacement, with odds that grow as the square of the wait."""
        while len(drawn) < wanted and pool:
            odds = [max(self.peers[uid]["waited"], 1) ** 2 for uid in pool]
            left = ((rng.next_u64() << 64) | rng.next_u64()) % sum(odds)
            for at, odd in enumerate(odds):
                if left < odd:
                    drawn.append(pool.pop(at))
                    break
                left -= odd

    # What their uploads do to the loss.

    def measure(self, round, aggregated):
        chosen = self.chosen(round)
        after = [Measurement.after_one(uid, self.beta_fraction, sample=self.evaluated_fraction) for uid in chosen]
        return [Measurement.before(sample=self.evaluated_fraction), *after] if chosen else []

    def learn(self, round, aggregated, losses):
        before = losses.get(Measurement.before(sample=self.evaluated_fraction))
        if before is None:
            return
        known = {}
        for what, after in losses.items():
            if len(what.payloads) == 1 and after is not None and what.payloads[0][0] in self.peers:
                known[what.payloads[0][0]] = after
        players = [(self.peers[uid]["mu"], self.peers[uid]["sigma"], gain(before, known[uid])) for uid in sorted(known)]
        for uid, (mu, sigma) in zip(sorted(known), gauntlet.openskill(players, **self.openskill)):
            record = self.peers[uid]
            record.update(mu=mu, sigma=sigma, proof=1.0, evaluated=round, gain=before - known[uid], waited=0)
            record["earned"] = gauntlet.ordinal(mu, sigma)
            record["score"] = record["earned"] * record["sync"]

    def pay(self):
        return gauntlet.shares({uid: record["score"] for uid, record in self.peers.items()}, self.incentive_power)

    def numbers(self, uid, round):
        if uid not in self.peers:
            return [None] * 6
        record = self.peers[uid]
        measured = record["gain"] if record["evaluated"] == round else None
        return [None, measured, record["mu"], record["sigma"], record["proof"], record["score"]]

    def forward_passes(self, pages, aggregated):
        return max(math.floor(self.evaluated_fraction * pages + 0.5), 1.0) * (1.0 + self.evaluated_per_round)


def cut(value, factor):
    return value * factor if value > 0.0 else value


def gain(before, after):
    relative = (before - after) / before if before else math.nan
    return relative if before > 0.0 and math.isfinite(relative) else -math.inf
