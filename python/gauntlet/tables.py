"""The rows of a run as Arrow tables. Each field's metadata has its unit, where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Column = tuple[str, str, str, bytearray, bytearray | None, list[str]]


def table(columns: list[Column]) -> pa.Table:
    """The Arrow table of some columns."""
    arrays, fields = [], []
    for name, unit, kind, data, mask, words in columns:
        array = _array(kind, data, mask, words)
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={"unit": unit} if unit else None))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _array(kind: str, data: bytearray, mask: bytearray | None, words: list[str]) -> Any:
    missing = None if mask is None else np.frombuffer(mask, np.bool_)
    if kind == "f64":
        return pa.array(np.frombuffer(data, np.float64), mask=missing)
    numbers = np.frombuffer(data, np.int64)
    if kind == "bool":
        return pa.array(numbers.astype(np.bool_))
    if kind == "text":
        places = pa.array(numbers.astype(np.int32))
        return pa.DictionaryArray.from_arrays(places, pa.array(words, pa.string()))
    return pa.array(numbers, mask=missing)
