"""The state of behaviours and mechanisms as bytes, for checkpoints: plain JSON, so that opening a run folder runs no code."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np


def dumps(state: dict[str, Any], owner: str) -> bytes:
    """The bytes of a state of None, bool, int, float, str, bytes, list, tuple, set, dict and NumPy arrays."""
    return json.dumps({name: _packed(value, f"{owner}.{name}") for name, value in state.items()}).encode()


def loads(saved: bytes) -> dict[str, Any]:
    """The state of these bytes."""
    return {name: _unpacked(value) for name, value in json.loads(saved).items()}


def _packed(value: Any, place: str) -> Any:
    from .behaviours import PseudoGradient, Shape

    if value is None or isinstance(value, (bool, int, float, str)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        array = np.ascontiguousarray(value)
        return {"array": [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]}
    if isinstance(value, list):
        return [_packed(item, f"{place}[{at}]") for at, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, f"{place}[{at}]") for at, item in enumerate(value)]}
    if isinstance(value, (set, frozenset)):
        return {"set": [_packed(item, place) for item in sorted(value)]}
    if isinstance(value, dict):
        return {"dict": [[_packed(key, place), _packed(item, f"{place}[{key!r}]")] for key, item in value.items()]}
    if isinstance(value, PseudoGradient):
        tensors = [list(tensor) for tensor in value.shape.tensors]
        parts = [_packed(value.indices, place), _packed(value.values, place)]
        return {"payload": [*parts, tensors]}
    if isinstance(value, Shape):
        return {"shape": [list(tensor) for tensor in value.tensors]}
    kind = type(value).__name__
    raise TypeError(
        f"{place} is a {kind}, which cannot be saved by itself; keep None, bool, int, float, str, bytes, list, tuple, set, "
        "dict, NumPy arrays and PseudoGradients, or define save(self) -> bytes and restore(self, saved)"
    )


def _unpacked(value: Any) -> Any:
    from .behaviours import PseudoGradient, Shape

    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, held)] = value.items()
    if kind == "bytes":
        return base64.b64decode(held)
    if kind == "array":
        dtype, shape, data = held
        return np.frombuffer(bytearray(base64.b64decode(data)), dtype=np.dtype(dtype)).reshape(shape)
    if kind == "tuple":
        return tuple(_unpacked(item) for item in held)
    if kind == "set":
        return {_unpacked(item) for item in held}
    if kind == "dict":
        return {_unpacked(key): _unpacked(item) for key, item in held}
    if kind == "payload":
        indices, values, tensors = held
        return PseudoGradient(_unpacked(indices), _unpacked(values), Shape([tuple(tensor) for tensor in tensors]))
    if kind == "shape":
        return Shape([tuple(tensor) for tensor in held])
    raise ValueError(f"the saved state has a value of the unknown kind {kind!r}")
