"""The native half of the package. Use `gauntlet`, which wraps it."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

__version__: str

class Rng:
    """ChaCha8, keyed by (seed, purpose, who, round): the same draws on every machine."""

    def __init__(self, seed: int, purpose: str, who: int = 0, round: int = 0) -> None: ...
    def next_u64(self) -> int:
        """A whole number of 64 bits."""
    def random(self) -> float:
        """A number from 0 up to, but not including, 1."""
    def normal(self) -> float:
        """A normal number, of mean 0 and deviation 1."""

class Shape:
    """The shape of every payload of a run."""

    def __init__(self, tensors: list[tuple[str, int, int, int, int]]) -> None: ...
    @property
    def coefficients(self) -> int:
        """Coefficients of a payload."""
    @property
    def tensors(self) -> list[tuple[str, int, int, int, int]]:
        """Of each tensor: name, chunks, values in a chunk, coefficients sent of a chunk, bits of a value."""

class Handle:
    round: int
    uid: int
    slot: int
    opens: float
    closes: float
    @property
    def rounds(self) -> int: ...
    @property
    def uids(self) -> list[int | None]: ...
    @property
    def now(self) -> float: ...
    @property
    def most_pages(self) -> int | None: ...
    @property
    def train_pages(self) -> int: ...
    def assigned(self) -> bytearray: ...
    def extra(self, count: int) -> bytearray: ...
    def rng(self, purpose: str) -> Rng: ...
    def shape(self) -> Shape: ...
    def own(self, shape: Shape) -> list[Any]: ...

class Uploads:
    def cosine(self, a: int, b: int) -> float | None: ...
    def overlaps(self, least: float, salt: int) -> list[tuple[int, int, float]]: ...

class Kind:
    def __init__(
        self, object: type, kind: str, is_mechanism: bool, fields: list[tuple[str, str, bool, Any]], own: set[str]
    ) -> None: ...

class Scenario:
    def __init__(self, source: str, text: str | None, overrides: list[str], kinds: list[Kind]) -> None: ...
    def toml(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def rounds(self) -> int: ...
    @property
    def mechanism(self) -> str: ...

class Folder:
    @property
    def name(self) -> str: ...
    def manifest(self) -> str: ...
    def toml(self) -> str: ...
    def table(self, name: str) -> list[tuple[str, str, str, bytearray, bytearray | None, list[str]]]: ...
    def explain(self, uid: int, round: int | None) -> str: ...
    def summary(self) -> str: ...
    def diverged(self) -> list[str]: ...

def shipped() -> list[tuple[str, str]]: ...
def load(path: str | PathLike[str]) -> Folder: ...
def run(
    scenario: Scenario,
    out: str | PathLike[str],
    threads: int | None,
    baseline: bool,
    tick: Callable[[int, float | None, int], None],
) -> None: ...
def resume(
    folder: str | PathLike[str],
    kinds: list[Kind],
    rounds: int | None,
    threads: int | None,
    tick: Callable[[int, float | None, int], None],
) -> None: ...
def sweep(
    scenario: Scenario,
    grids: list[str],
    seeds: int,
    control: bool,
    threads: int | None,
    out: str,
    tick: Callable[[int, int, str], None],
) -> str: ...
def attack(
    scenario: Scenario, budget: int, seed: int, threads: int | None, out: str, tick: Callable[[int, int, str], None]
) -> str: ...
def compare(places: list[str]) -> tuple[str, str]: ...
def plan(scenario: Scenario, device: str, mfu: float) -> str: ...
def in_python_words(message: str) -> str: ...
def mix(shape: Shape, payloads: list[Any], weights: list[float]) -> Any: ...
def openskill(
    players: list[tuple[float, float, float]],
    mu: float = 25.0,
    sigma: float = ...,
    beta: float = 7.0,
    tau: float = 0.1,
    kappa: float = 1e-4,
) -> list[tuple[float, float]]:
    """New (mu, sigma) of players that were compared once, by OpenSkill's Plackett-Luce. `players`: mu, sigma, and the score
    by which they are ranked, higher is better."""

def ordinal(mu: float, sigma: float) -> float:
    """mu - 3 sigma."""

def shares(scores: Mapping[int, float], power: float = 2.0) -> list[tuple[int, float]]:
    """Shares of the pay, (uid, share): score^power over the sum of these, for positive scores."""

def power(x: float, y: float) -> float:
    """x to the power of y, the same bits on every machine; Python's own power depends on the system's library."""
