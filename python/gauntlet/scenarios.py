"""Scenarios: networks to run, by name, path, text or dictionary."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import _kinds, _native
from ._kinds import Class

__all__ = ["Scenario", "scenario", "scenarios"]


class Scenario:
    """A network to run, read and checked: `gauntlet.scenario` makes one."""

    def __init__(self, native: _native.Scenario) -> None:
        self._native = native

    @property
    def name(self) -> str:
        """Its short name."""
        return self._native.name

    @property
    def summary(self) -> str:
        """What it shows, in a line."""
        return self._native.summary

    @property
    def seed(self) -> int:
        """Seed of every random draw."""
        return self._native.seed

    @property
    def rounds(self) -> int:
        """Communication rounds."""
        return self._native.rounds

    @property
    def mechanism(self) -> str:
        """Name of the mechanism."""
        return self._native.mechanism

    def toml(self) -> str:
        """All settings, defaults included, as a scenario file."""
        return self._native.toml()

    def __repr__(self) -> str:
        return f"Scenario({self.name!r}, seed={self.seed}, rounds={self.rounds}, mechanism={self.mechanism!r})"


def scenarios() -> dict[str, str]:
    """The shipped scenarios: name and summary."""
    return dict(_native.shipped())


def scenario(
    source: str | os.PathLike[str] | Mapping[str, Any] | Scenario,
    *,
    seed: int | None = None,
    rounds: int | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    kinds: Sequence[Class] = (),
) -> Scenario:
    """Reads and checks a scenario.

    `source` is a shipped name (`gauntlet.scenarios()`), a path, the text of a scenario file (of several lines), or the same
    as a dictionary. `set` changes settings, by their paths: ``{"rounds": 50, "peers.1.count": 3}``, or as on the command
    line, ``["rounds=50"]``. A behaviour or mechanism may be a class or an object of one, in `set` and in a dictionary:
    ``{"peers.1.behaviour": Thief(wait=0.3)}``. `kinds` are classes that the scenario names itself.

    Raises `ScenarioError` with file, line and key where something is wrong.
    """
    if isinstance(source, Scenario):
        if seed is None and rounds is None and not set and not kinds:
            return source
        raise TypeError("a Scenario is complete; give seed, rounds, set and kinds where it is made")
    classes = list(kinds)
    if isinstance(set, Mapping):
        changes = [f"{key}={_text(value, classes)}" for key, value in set.items()]
    else:
        changes = [str(change) for change in set]
    changes += [f"{key}={value}" for key, value in (("seed", seed), ("rounds", rounds)) if value is not None]
    text, name = None, ""
    if isinstance(source, Mapping):
        text, name = _toml({key: _plain(value, classes) for key, value in source.items()}), "the dictionary"
    elif isinstance(source, str) and "\n" in source:
        text, name = source, "the text"
    else:
        name = os.fspath(source)
    return Scenario(_native.Scenario(name, text, changes, _kinds.natives(classes)))


def _plain(value: Any, classes: list[Class]) -> Any:
    """A value with classes and objects of classes as the kinds that they are."""
    if _kinds.is_class(value):
        classes.append(value)
        return _kinds.name_of(value)
    if _kinds.is_class(type(value)):
        classes.append(type(value))
        return {"kind": _kinds.name_of(type(value)), **_plain(_kinds.settings_of(value), classes)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, classes) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item, classes) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _text(value: Any, classes: list[Class]) -> str:
    """A value as on the command line: a string is taken as it is written."""
    plain = _plain(value, classes)
    return plain if isinstance(plain, str) else _inline(plain)


def _value(value: Any) -> str:
    """A plain value as one of an axis: a string is quoted only if it has more than a word."""
    is_word = isinstance(value, str) and value and all(c.isalnum() or c in "-_./" for c in value)
    return str(value) if is_word else _inline(value)


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in table.items() if value is not None)


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else _quoted(key)


def _quoted(text: str) -> str:
    escaped = (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else {'"': '\\"', "\\": "\\\\"}.get(c, c) for c in text)
    return f'"{"".join(escaped)}"'


def _inline(value: Any) -> str:
    """A plain value as inline TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if value == value and abs(value) != float("inf") else ("nan" if value != value else f"{value}")
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} is no setting; expected a bool, int, float, str, list, dict or a class")
