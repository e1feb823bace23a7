"""How a validator judges and pays peers, as a Python class.

Each round a validator calls `observe`, `include`, `measure`, `learn`, `pay`, and then `status` and `numbers` of each peer
for the report. A mechanism does no input or output. All memory between rounds is in the object, which is saved and restored
with each checkpoint; all draws are from ``gauntlet.Rng(self.secret, purpose, who, round)``.

    class ByTurns(gauntlet.Mechanism):
        def __post_init__(self):
            self.seen = {}

        def leave(self, uid):
            self.seen.pop(uid, None)

        def observe(self, facts):
            self.seen = dict(zip(facts.uids.tolist(), facts.arrivals))

        def include(self, round, without):
            return [uid for uid, status in self.seen.items() if status == "passed" and uid not in without]

        def pay(self):
            return dict(gauntlet.shares({uid: float(status == "passed") for uid, status in self.seen.items()}))

        def status(self, uid, round):
            return self.seen.get(uid)
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _native
from ._native import openskill, ordinal, power, shares
from .behaviours import _Kept

__all__ = [
    "Audit",
    "Column",
    "Contrast",
    "Facts",
    "Margin",
    "Measurement",
    "Mechanism",
    "Overlap",
    "Pages",
    "PeerFacts",
    "Ranking",
    "Status",
    "openskill",
    "ordinal",
    "power",
    "shares",
]

Status = Literal[
    "passed", "absent", "too_early", "too_late", "malformed", "out_of_sync", "started_over", "copy", "excluded",
    "unregistered",
]  # fmt: skip


class Overlap(NamedTuple):
    """Two uploads that share some of their chosen coefficients."""

    earlier: int
    """uid of the one stamped first."""
    later: int
    shared: float
    """The shared part of the coefficients, 0 to 1."""


class PeerFacts(NamedTuple):
    """The facts about one peer."""

    uid: int
    arrival: Status
    steps_behind: float | None
    stamp: float | None
    paid: float
    work: float
    same_model: bool
    states: tuple[str, str] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """What a validator knows of a round before it measures anything. Arrays have shape (registered peers,), by uid."""

    round: int
    weights_every: int
    """Rounds from one setting of weights to the next. What a mechanism says of pay in between pays nobody."""
    uids: npt.NDArray[np.uint16]
    arrivals: list[Status]
    """"passed": a well-formed upload in time; otherwise "absent", "too_early", "too_late" or "malformed"."""
    steps_behind: npt.NDArray[np.float64]
    """Distance of the peer's model from the validator's, steps; NaN without an upload, infinite if it cannot be told."""
    stamps: npt.NDArray[np.float64]
    """When uploads that passed were stamped, s since genesis; NaN for others."""
    paid: npt.NDArray[np.float64]
    """Shares of the pay on the chain in this round."""
    work: npt.NDArray[np.float64]
    """Pages that peers say they trained on, as multiples of those assigned to everybody; 1 where the network does not ask."""
    same_model: list[bool]
    """Whether the upload says that it was computed on the validator's model."""
    states: list[tuple[str, str] | None]
    """Digests of the training states before and after the work, where the mechanism has `audit`; None without an upload that
    passed."""
    _uploads: _native.Uploads

    @classmethod
    def _of(
        cls,
        rounds: tuple[int, int],
        uids: bytearray,
        arrivals: list[Status],
        numbers: tuple[bytearray, bytearray, bytearray, bytearray],
        work_of: tuple[list[bool], list[tuple[str, str] | None]],
        uploads: _native.Uploads,
    ) -> Facts:
        """`numbers`: steps behind, stamps, shares of the pay, work."""
        steps, stamps, paid, work = (np.frombuffer(part, np.float64) for part in numbers)
        return cls(*rounds, np.frombuffer(uids, np.uint16), arrivals, steps, stamps, paid, work, *work_of, uploads)

    @property
    def peers(self) -> list[PeerFacts]:
        """The same peer by peer."""
        known = [[None if value != value else value for value in part.tolist()] for part in (self.steps_behind, self.stamps)]
        rest = (self.paid.tolist(), self.work.tolist(), self.same_model, self.states)
        return [PeerFacts(*peer) for peer in zip(self.uids.tolist(), self.arrivals, *known, *rest)]

    def cosine(self, a: int, b: int) -> float | None:
        """Cosine between the uploads of two peers; None if either is missing or 0. While `observe` runs."""
        return self._uploads.cosine(a, b)

    def overlaps(self, least: float, salt: int) -> list[Overlap]:
        """The pairs that share at least `least` of their coefficients, by (earlier, later). Large uploads are compared on a
        sample drawn by `salt`, a whole number that should be new each round. While `observe` runs."""
        return [Overlap(*pair) for pair in self._uploads.overlaps(least, salt)]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """The loss, in nats a token, of the model before the round after a fraction of the step that some payloads make."""

    payloads: tuple[tuple[int, int], ...] = ()
    """(uid, weight in the aggregation); without any, the model is not moved."""
    fraction: float = 0.0
    """The part of their full step."""
    assigned_to: int | None = None
    """The peer whose pages are measured; None for pages assigned to nobody."""
    sample: float = 1.0
    """The part of these pages, at least one page, drawn by the validator's secret."""
    stretch: float = 1.0
    """The part of the tokens of each page, in one stretch that the validator's secret draws."""
    hidden: bool = False
    """Of pages assigned to nobody: drawn by the validator's secret among all of them. Otherwise they are as many as a peer has,
    the same for all validators, and everybody knows them beforehand."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "payloads", tuple((uid, weight) for uid, weight in self.payloads))
        _check_hidden(self)

    @classmethod
    def before(
        cls, assigned_to: int | None = None, sample: float = 1.0, *, stretch: float = 1.0, hidden: bool = False
    ) -> Measurement:
        """Of the model before the round."""
        return cls((), 0.0, assigned_to, sample, stretch, hidden)

    @classmethod
    def after_one(
        cls,
        uid: int,
        fraction: float,
        assigned_to: int | None = None,
        sample: float = 1.0,
        *,
        stretch: float = 1.0,
        hidden: bool = False,
    ) -> Measurement:
        """After a fraction of the step that one payload makes alone."""
        return cls(((uid, 1),), fraction, assigned_to, sample, stretch, hidden)

    @classmethod
    def after_all(
        cls,
        uids: Iterable[int],
        assigned_to: int | None = None,
        sample: float = 1.0,
        *,
        stretch: float = 1.0,
        hidden: bool = False,
    ) -> Measurement:
        """After the full step of several payloads of equal weight."""
        payloads = tuple((uid, 1) for uid in uids)
        return cls(payloads, 1.0 if payloads else 0.0, assigned_to, sample, stretch, hidden)


@dataclasses.dataclass(frozen=True)
class Pages:
    """A set of pages, as in a `Measurement`."""

    assigned_to: int | None = None
    sample: float = 1.0
    stretch: float = 1.0
    hidden: bool = False
    round: int | None = None
    """The earlier round in which they were assigned to the peer; None for this one."""
    work: float = 1.0
    """How much the peer said it did in that round, as in `PeerFacts`."""

    def __post_init__(self) -> None:
        _check_hidden(self)
        if self.round is not None and self.assigned_to is None:
            raise ValueError(f"Pages of round {self.round} assigned to nobody; expected the uid of a peer in assigned_to")
        if self.round is None and self.work != 1.0:
            raise ValueError(f"Pages with work={self.work} of this round; expected the earlier round of that work in round")


@dataclasses.dataclass(frozen=True)
class Audit:
    """Whether a peer's upload is what honest work makes of its pages: the validator does the work again, from the training state
    that the upload commits to, bit for bit. What is found is "same", "differs", or "not_shown" if the peer did not show the state in
    time. It costs three forward passes of the pages that the peer says it trained on. `Mechanism.audit` asks for it."""

    uid: int


@dataclasses.dataclass(frozen=True)
class Contrast:
    """How much more of some pages than of others there is in what is a peer's own in its upload: without what the uploads of
    others explain of it. The gradients of the loss on the two sets are compared parameter by parameter, in each row and each
    column of each matrix of the model for itself, without embedding and norms. What is found is a list of `Margin`, one of each
    matrix: the mean over its rows, that over its columns, or that of the whole matrix, whichever is nearest to 0. The mean over
    uploads that do not depend on either set is 0, if both have one size and form. It costs three forward passes of all of these
    pages; those of nobody count once for all peers."""

    uid: int
    pages: Pages
    """The pages of which the upload may have more."""
    than: Pages
    """The pages that these are compared with."""
    beside: tuple[int, ...] = ()
    """The peers whose uploads the peer's is compared with, each once. Itself does not count, nor do those whose uploads are
    missing."""
    each: Literal["model", "matrix", "line"] = "line"
    """Of what: "matrix" does without rows and columns, and "model" finds one margin, of the whole model."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "beside", tuple(self.beside))
        for name in ("pages", "than"):
            if not isinstance(getattr(self, name), Pages):
                raise TypeError(f"{name}={getattr(self, name)!r}; expected Pages(...)")
        if self.each not in ("model", "matrix", "line"):
            raise ValueError(f"each={self.each!r}; expected \"model\", \"matrix\" or \"line\"")


class Margin(NamedTuple):
    """How much more of some pages than of others there is in what is a peer's own in a part of its upload."""

    weights: float
    """Number of weights of this part of the model."""
    value: float
    """-1 to 1; 0 where nothing is the peer's own."""


def _check_hidden(what: Measurement | Pages) -> None:
    if what.hidden and what.assigned_to is not None:
        name = type(what).__name__
        raise ValueError(f"{name} of hidden pages assigned to uid {what.assigned_to}; hidden pages are assigned to nobody")


class Ranking(NamedTuple):
    """Peers that may be aggregated, best first."""

    earned: Sequence[int]
    """Those that have earned a place."""
    others: Sequence[int] = ()
    """Those that fill up when too few have."""


class Column(NamedTuple):
    """A number that each peer has, in reports, tables and pictures."""

    name: str
    """In files: lower case, words joined by ``_``."""
    label: str
    """Of an axis, with the unit."""
    kind: Literal["score", "standing", "measured"] = "score"
    """"score" ranks peers, "standing" holds until the next value, "measured" is of its round only."""
    spread: str | None = None
    """Name of the column that says how uncertain this one is."""


@typing.dataclass_transform(eq_default=False)
@dataclasses.dataclass(eq=False)
class Mechanism(_Kept):
    """How one validator judges peers. `leave`, `observe`, `include`, `pay` and `status` are needed."""

    kind: ClassVar[str | None] = None
    """Name of the kind in scenarios; by default the class's name in lower case, words joined by ``-``."""
    columns: ClassVar[Sequence[Column]] = ()
    """The numbers that it has for each peer."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(eq=False)(cls)

    @property
    def secret(self) -> int:
        """Private to the validator, 64 bits: the key of its draws, which peers must not foresee."""
        return int(self.__dict__["secret"])

    @secret.setter
    def secret(self, secret: int) -> None:
        self.__dict__["secret"] = secret

    def arrive(self, uid: int) -> None:
        """A slot has a new owner, which inherits nothing."""
        self.leave(uid)

    def leave(self, uid: int) -> None:
        """A slot has lost its owner. It may not have had one."""
        raise NotImplementedError

    def observe(self, facts: Facts) -> None:
        """The facts about the peers in a round: first, once a round."""
        raise NotImplementedError

    def include(self, round: int, without: list[int]) -> Ranking | Sequence[int]:
        """The peers that may be aggregated now, best first, except those in `without`."""
        raise NotImplementedError

    def audit(self, round: int) -> Sequence[int]:
        """The peers whose work of a round is to be done again. Where a class has this method, uploads commit to the training states of their
        peers, who have to show them. Asked before the round is decided; `learn` gets what came of it, by `Audit`."""
        return ()

    def measure(self, round: int, aggregated: list[int]) -> Sequence[Measurement | Contrast]:
        """What else to measure in a round that aggregated these uids."""
        return ()

    def learn(
        self,
        round: int,
        aggregated: list[int],
        results: Mapping[Measurement | Contrast | Audit, float | list[Margin] | str | None],
    ) -> None:
        """What was asked for, in the order asked: losses in nats a token, lists of margins, and what came of audits. None: it could
        not be measured. A
        hostile payload may make a loss infinite or NaN."""

    def pay(self) -> Mapping[int, float] | Sequence[tuple[int, float]]:
        """The share of the pay of each uid; shares sum to 1, or are all 0."""
        raise NotImplementedError

    def status(self, uid: int, round: int) -> Status | None:
        """How a peer fared in a round; None if it was not observed. "passed" and "copy" may be aggregated."""
        raise NotImplementedError

    def numbers(self, uid: int, round: int) -> Sequence[float | None]:
        """A peer's numbers after a round, one for each of `columns`."""
        return [None] * len(self.columns)

    def forward_passes(self, pages: int, aggregated: int) -> float:
        """Pages that a validator runs forward in a round, with so many pages a peer and so many aggregated peers. It sets
        the speed of the validator's simulated hardware."""
        return 0.0


REQUIRED: tuple[tuple[str, str], ...] = (
    ("leave", "(self, uid)"),
    ("observe", "(self, facts)"),
    ("include", "(self, round, without)"),
    ("pay", "(self)"),
    ("status", "(self, uid, round)"),
)


