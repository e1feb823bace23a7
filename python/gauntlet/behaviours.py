"""What a peer does in a round, as a Python class, and what it sees and sends.

A behaviour overrides the hooks that it needs; every other hook is the honest one and costs nothing. Its settings are the
annotated attributes of the class, as in a dataclass. Its state is whatever else its objects keep; it is saved and restored
with each checkpoint.

    class Thief(gauntlet.Behaviour):
        wait: float = 0.5              # a setting: the part of the put window that it waits
        trains = False                 # it computes no gradient

        async def pseudo_gradient(self, own, around):
            await around.sleep_until(around.part_of_window(self.wait))
            peers = await around.others()
            best = max(peers, key=lambda peer: peer.incentive)
            return await around.upload_of(best.uid)
"""

from __future__ import annotations

import builtins
import dataclasses
import typing
from collections.abc import Coroutine, Generator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from . import _native, _state
from ._native import Rng, Shape

__all__ = ["Behaviour", "Claim", "Peer", "Poison", "PseudoGradient", "Rng", "Shape", "Surroundings", "Trigger", "mix"]

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.uint16]
T = TypeVar("T")


class PseudoGradient:
    """A compressed pseudo-gradient: what a peer uploads in a round.

    ``indices`` is uint16 of shape (n,): places inside the chunks. ``values`` is float32 of shape (n,): the coefficients at
    these places, in the scheme's unit (DCT coefficients for DeMo, parameter updates otherwise). n is
    ``shape.coefficients``; both arrays run over all tensors in the model's order, chunk after chunk, and can be written.
    """

    __slots__ = ("indices", "shape", "values")

    def __init__(self, indices: Indices, values: Floats, shape: Shape) -> None:
        self.indices = indices
        self.values = values
        self.shape = shape

    @classmethod
    def _of(cls, indices: bytearray, values: bytearray, shape: Shape) -> PseudoGradient:
        return cls(np.frombuffer(indices, np.uint16), np.frombuffer(values, np.float32), shape)

    @property
    def tensors(self) -> dict[str, tuple[Indices, Floats]]:
        """Indices and values of each tensor, of shape (chunks, coefficients per chunk), as views of the whole."""
        views, start = {}, 0
        for name, chunks, _, per_chunk, _ in self.shape.tensors:
            end = start + chunks * per_chunk
            shape = (chunks, per_chunk)
            views[name] = (self.indices[start:end].reshape(shape), self.values[start:end].reshape(shape))
            start = end
        return views

    def copy(self) -> PseudoGradient:
        """Another one with arrays of its own."""
        return PseudoGradient(self.indices.copy(), self.values.copy(), self.shape)

    def __mul__(self, factor: float) -> PseudoGradient:
        return PseudoGradient(self.indices.copy(), (self.values * np.float32(factor)).astype(np.float32), self.shape)

    __rmul__ = __mul__

    def __neg__(self) -> PseudoGradient:
        return self * -1.0

    def __repr__(self) -> str:
        return f"PseudoGradient({len(self.values)} coefficients of {len(self.shape.tensors)} tensors)"


def mix(payloads: Sequence[PseudoGradient], weights: Sequence[float] | None = None) -> PseudoGradient:
    """The weighted sum of payloads, as a payload of their size; by default their mean.

    Each tensor of each payload is first divided by its root mean square, so that no payload drowns the others.
    """
    if not payloads:
        raise ValueError("mix([]): expected one payload at least")
    parts = list(payloads)
    weights = [1.0 / len(parts)] * len(parts) if weights is None else [float(weight) for weight in weights]
    return typing.cast(PseudoGradient, _native.mix(parts[0].shape, parts, weights))


class Peer(NamedTuple):
    """A peer as the chain shows it."""

    uid: int
    hotkey: str
    """Its public key, 64 hexadecimal digits."""
    incentive: float
    """Its share of each round's pay, 0 to 1."""


class Claim(NamedTuple):
    """What an upload says about the model that it was computed on."""

    model: str
    """The model's digest, 64 hexadecimal digits."""
    samples: Floats
    """Two values of every tensor, float32 of shape (tensors, 2)."""
    pages: int
    """Pages that it was computed from. Uploads say it only where the network asks for it (``around.most_pages``)."""


class Trigger(NamedTuple):
    """A backdoor: the model should continue ``tokens`` with ``target``."""

    tokens: list[int]
    target: int


class Poison(NamedTuple):
    """How a peer changes its training data."""

    labels: Literal["true", "flipped"] = "true"
    trigger: Trigger | None = None
    part: float = 1.0
    """The part of the pages that get the trigger, 0 to 1."""
    lot: int = 0
    """Key of the draw of the places."""


def _peers(peers: list[tuple[int, str, float]]) -> list[Peer]:
    return [Peer(*peer) for peer in peers]


def _claim(model: str, samples: bytearray, pages: int) -> Claim:
    return Claim(model, np.frombuffer(samples, np.float32).reshape(-1, 2), pages)


class Awaited(typing.Generic[T]):
    """Something that an ``async`` hook can wait for, in the simulated world's time."""

    __slots__ = ("what",)

    def __init__(self, *what: object) -> None:
        self.what = what

    def __await__(self) -> Generator[Awaited[T], Any, T]:
        answer: T = yield self
        return answer


class Surroundings:
    """What a peer can see in a round: public information, and what its own node knows by now. Times are seconds since the
    network's genesis. It is lent to a hook, and gone when the hook has returned."""

    __slots__ = ("_handle", "_shape")

    def __init__(self, handle: _native.Handle) -> None:
        self._handle = handle
        self._shape: Shape | None = None

    @property
    def round(self) -> int:
        """The current round, from 0."""
        return self._handle.round

    @property
    def rounds(self) -> int:
        """Rounds of the run."""
        return self._handle.rounds

    @property
    def uid(self) -> int:
        """The slot that is asked about."""
        return self._handle.uid

    @property
    def slot(self) -> int:
        """Its index among the operator's slots; 0 for a plain peer."""
        return self._handle.slot

    @property
    def uids(self) -> list[int | None]:
        """The operator's slots; None for lost ones."""
        return self._handle.uids

    @property
    def opens(self) -> float:
        """When the put window opens, s."""
        return self._handle.opens

    @property
    def closes(self) -> float:
        """When the put window closes, s."""
        return self._handle.closes

    @property
    def now(self) -> float:
        """The time now, s."""
        return self._handle.now

    @property
    def train_pages(self) -> int:
        """Pages of the corpus that may be trained on; their numbers are below this."""
        return self._handle.train_pages

    @property
    def most_pages(self) -> int | None:
        """The most pages that count if an upload says them (``protocol.most_pages``); None where the network does not ask."""
        return self._handle.most_pages

    @property
    def shape(self) -> Shape:
        """The shape of every payload of the run."""
        if self._shape is None:
            self._shape = self._handle.shape()
        return self._shape

    @property
    def own(self) -> list[PseudoGradient | None]:
        """The pseudo-gradients that the operator's slots have computed so far in this round."""
        return typing.cast("list[PseudoGradient | None]", self._handle.own(self.shape))

    def part_of_window(self, part: float) -> float:
        """The time at which this part of the put window has passed, s."""
        return self.opens + (self.closes - self.opens) * part

    def assigned(self) -> npt.NDArray[np.uint64]:
        """The pages on which this slot is expected to train, uint64 of shape (pages,): those assigned to it; more or fewer
        where its group has `inner_steps` of its own."""
        return np.frombuffer(self._handle.assigned(), np.uint64)

    def extra(self, count: int) -> npt.NDArray[np.uint64]:
        """Further pages that nobody else has, and that nobody expects it to train on, uint64 of shape (count,)."""
        return np.frombuffer(self._handle.extra(count), np.uint64)

    def rng(self, purpose: str) -> Rng:
        """The generator of this slot's draws of this round and purpose: the same in every repetition of the run."""
        return self._handle.rng(purpose)

    def sleep_until(self, at: float) -> Awaited[None]:
        """Waits for a time, s."""
        return Awaited("until", at)

    def sleep(self, seconds: float) -> Awaited[None]:
        """Waits for so many seconds."""
        return Awaited("for", seconds)

    def others(self) -> Awaited[list[Peer]]:
        """The peers in all other slots."""
        return Awaited("peers", False)

    def strangers(self) -> Awaited[list[Peer]]:
        """The peers of other operators."""
        return Awaited("peers", True)

    def upload_of(self, uid: int, round: int | None = None) -> Awaited[PseudoGradient | None]:
        """What a peer has uploaded for a round by now (this one by default); None if it is missing or malformed."""
        return Awaited("upload", uid, round)

    def claim_of(self, uid: int, round: int | None = None) -> Awaited[Claim | None]:
        """What a peer's upload says about its model; None as for `upload_of`."""
        return Awaited("claim", uid, round)

    def aggregated(self, round: int) -> Awaited[list[PseudoGradient]]:
        """The payloads that a past round has aggregated; none if they are no longer there."""
        return Awaited("aggregated", round)


class _Kept:
    """Settings as dataclass fields; everything else that an object keeps is its state."""

    kind: ClassVar[str | None] = None

    def _state(self) -> dict[str, Any]:
        fields = {field.name for field in dataclasses.fields(typing.cast(Any, self))}
        return {name: value for name, value in vars(self).items() if name not in fields and name != "secret"}

    def save(self) -> bytes:
        """The state, for a checkpoint: by default everything that the object keeps besides its settings."""
        return _state.dumps(self._state(), type(self).__name__)

    def restore(self, saved: bytes) -> None:
        """Takes back what `save` returned."""
        for name, value in _state.loads(saved).items():
            setattr(self, name, value)

    def check(self) -> None:
        """Raises ValueError where settings do not go together. Called when a scenario is read."""


@typing.dataclass_transform(eq_default=False)
@dataclasses.dataclass(eq=False)
class Behaviour(_Kept):
    """What a peer does in a round. Every hook has the honest answer unless a subclass has another.

    A hook that gets ``around`` may be called for several slots in one round, if the peer is an operator of several.
    `works`, `pseudo_gradient`, `claim` and `key` may be ``async`` and wait for what `Surroundings` offers. A strategy is a
    behaviour that decides each round anew, from the chain, the bucket and what it remembers.
    """

    kind: ClassVar[str | None] = None
    """Name of the kind in scenarios; by default the class's name in lower case, words joined by ``-``."""
    label: ClassVar[str | None] = None
    """Label of such peers in tables; by default the kind."""
    renews: ClassVar[int | None] = None
    """Rounds after which it leaves its slots and registers anew under fresh keys."""
    trigger: ClassVar[Trigger | None] = None
    """The backdoor that it puts into the model; its success is then measured."""
    trains: ClassVar[bool] = True
    """Whether it computes a gradient at all."""
    forgets: ClassVar[bool | float] = False
    """Whether it drops its training state of earlier rounds; a number below 1 is the part of momentum and error feedback that it
    drops."""
    part_of_page: ClassVar[float] = 1.0
    """The part of each page that it trains on, above 0 and at most 1."""
    model_age: ClassVar[int] = 0
    """How many rounds old the model is that it computes on."""
    mends: ClassVar[bool] = True
    """Whether it starts over from a checkpoint if its model is not the network's."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(eq=False)(cls)

    def presence(self, round: int) -> Literal["active", "away", "paused"]:
        """Whether it takes part in a round. "away": it catches up when it returns; "paused": it does not."""
        return "active"

    def works(self, around: Surroundings) -> bool | Coroutine[Any, Any, bool]:
        """Whether this slot trains in this round."""
        return True

    def pages(self, around: Surroundings) -> Sequence[int] | npt.NDArray[np.uint64]:
        """The pages to train on: whole numbers below ``around.train_pages``, of shape (n,)."""
        return around.assigned()

    def poison(self, around: Surroundings) -> Poison | None:
        """How it changes its data."""
        return None

    def pseudo_gradient(
        self, own: PseudoGradient | None, around: Surroundings
    ) -> PseudoGradient | None | Coroutine[Any, Any, PseudoGradient | None]:
        """What it sends: `own` is what it has computed, if it trained; None sends nothing."""
        return own

    def pages_said(self, assigned: int) -> int:
        """How many pages it says it trains on, where the network asks for it; `assigned` are expected of this slot. A peer
        whose `pages` are more or fewer and who says nothing of it is judged as if it had trained on those assigned."""
        return assigned

    def claim(self, own: Claim, around: Surroundings) -> Claim | Coroutine[Any, Any, Claim]:
        """What the upload says about the model that it was computed on; `own` is the truth."""
        return own

    def bytes(self, signed: builtins.bytes, around: Surroundings) -> builtins.bytes:
        """The bytes of the upload; `signed` is the well-formed upload."""
        return signed

    def put_at(self, around: Surroundings) -> float:
        """When the upload starts, s since genesis; by default soon after the window opens, at a time drawn each round."""
        raise NotImplementedError("the honest time is drawn by the simulator")

    def key(
        self, own: builtins.bytes, around: Surroundings
    ) -> builtins.bytes | None | Coroutine[Any, Any, builtins.bytes | None]:
        """The key that it puts when uploads are sealed (``protocol.sealed``): `own` opens its upload; None puts none."""
        return own

    def reveal_at(self, around: Surroundings) -> float:
        """When its key starts, s since genesis; by default as soon as nobody can use it in this round any more."""
        raise NotImplementedError("the honest time is drawn by the simulator")
