"""Looks at classes of behaviours and mechanisms: their names, settings and hooks, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
import typing
from collections.abc import Iterable
from typing import Any

from . import _native
from .behaviours import Behaviour
from .errors import ScenarioError
from .mechanisms import REQUIRED, Mechanism

Class = type[Behaviour] | type[Mechanism]

TYPES: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "str", list: "list", tuple: "list", dict: "dict"}


def is_class(value: object) -> bool:
    """Whether it is a class that a scenario may name."""
    return isinstance(value, type) and issubclass(value, (Behaviour, Mechanism))


def name_of(cls: Class) -> str:
    """The name of the kind."""
    if cls.__dict__.get("kind"):
        return str(cls.kind)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()


def settings_of(instance: Behaviour | Mechanism) -> dict[str, Any]:
    """The settings of an object."""
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance) if field.init}


def natives(classes: Iterable[Class]) -> list[_native.Kind]:
    """The classes as kinds, each once."""
    by_name: dict[str, Class] = {}
    for cls in classes:
        if not is_class(cls):
            shown = cls if isinstance(cls, type) else type(cls)
            raise TypeError(f"{shown.__name__} is no subclass of gauntlet.Behaviour or gauntlet.Mechanism")
        name = name_of(cls)
        if by_name.setdefault(name, cls) is not cls:
            raise ScenarioError(f"two classes are of the kind `{name}`; give one of them another name by `kind = \"...\"`")
    return [_native_of(name, cls) for name, cls in by_name.items()]


def _native_of(name: str, cls: Class) -> _native.Kind:
    base: Class = Mechanism if issubclass(cls, Mechanism) else Behaviour
    own = {hook for hook in _names(base) if getattr(cls, hook) is not getattr(base, hook)}
    _check_hooks(cls, base, own)
    fields = [_field(cls, field) for field in dataclasses.fields(cls) if field.init]
    return _native.Kind(cls, name, base is Mechanism, fields, own)


def _names(base: Class) -> list[str]:
    return [name for name in dir(base) if not name.startswith("_") and name not in ("kind", "secret")]


def _check_hooks(cls: Class, base: Class, own: set[str]) -> None:
    what = "mechanism" if base is Mechanism else "behaviour"
    missing = [f"{hook}{form}" for hook, form in REQUIRED if hook not in own] if base is Mechanism else []
    if missing:
        raise TypeError(f"the mechanism {cls.__name__} lacks {', '.join(missing)}; define what a validator asks in each round")
    for hook in own:
        expected, found = getattr(base, hook), getattr(cls, hook)
        if not callable(expected):
            if callable(found) and not isinstance(found, property):
                raise TypeError(f"{cls.__name__}.{hook} is a method; expected an attribute, as in `{hook} = {expected!r}`")
            continue
        if not callable(found):
            raise TypeError(f"{cls.__name__}.{hook} is {found!r}; expected a method {hook}{inspect.signature(expected)}")
        _check_call(cls, hook, found, expected)
    for name in vars(cls):
        if name.startswith("_") or name in _names(base) or not callable(getattr(cls, name)):
            continue
        near = difflib.get_close_matches(name, _names(base), 1, 0.85)
        if near and not own & {near[0]}:
            raise TypeError(f"{cls.__name__}.{name} is no hook of a {what}; did you mean `{near[0]}`?")


def _check_call(cls: Class, hook: str, found: Any, expected: Any) -> None:
    wanted = list(inspect.signature(expected).parameters)
    try:
        inspect.signature(found).bind(*wanted)
    except TypeError:
        signature = inspect.signature(found)
        raise TypeError(f"{cls.__name__}.{hook}{signature} takes other arguments; expected ({', '.join(wanted)})") from None
    may_wait = hook in ("works", "pseudo_gradient", "claim", "key")
    if inspect.iscoroutinefunction(found) and not may_wait:
        raise TypeError(f"{cls.__name__}.{hook} is async; only works, pseudo_gradient, claim and key may wait")


def _field(cls: Class, field: dataclasses.Field[Any]) -> tuple[str, str, bool, Any]:
    hint = typing.get_type_hints(cls).get(field.name, field.type)
    kind = TYPES.get(typing.get_origin(hint) or hint)
    if kind is None:
        raise TypeError(
            f"the setting {cls.__name__}.{field.name} is annotated as {hint}; expected bool, int, float, str, list or dict, "
            "as a scenario can say it (state goes into __post_init__, without an annotation)"
        )
    if field.default is not dataclasses.MISSING:
        return field.name, kind, True, float(field.default) if kind == "float" else field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.name, kind, True, field.default_factory()
    return field.name, kind, False, None
