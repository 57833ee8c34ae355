"""Do decoded columns account for every byte they came from? The guard of the columnar Avro path.

Each column says how long its canonical encoding is, so the walk knows, for all rows at once, where each field of each
row must begin, and looks at the bytes that polars takes on trust: union indices and booleans. Items of arrays are only
measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

_DOUBLE_BYTES = 8
_PRESENT = 2


class Misaligned(Exception):  # an answer on the way up, not a fault
    """The columns are not what the bytes say."""


class Walk:
    """The walk over one record schema; what it measures of each column is set up once."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._fields = [(field["name"], field["type"]) for field in record["fields"]]
        self._measures = [m for name, kind in self._fields for m in _measures(pl.col(name), kind, name)]
        self._items = {
            name: Walk(kind["items"]) if isinstance(kind["items"], dict) else None
            for name, kind in self._fields
            if isinstance(kind, dict) and kind["type"] == "array"
        }

    def fits(self, frame: pl.DataFrame, joined: NDArray[np.uint8], ends: Longs) -> bool:
        """Whether row i of `frame` is just the bytes of `joined` from `ends[i - 1]` (0 for the first) to `ends[i]`."""
        at = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        try:
            return bool(np.array_equal(self._ends(frame, at, joined), ends))
        except Misaligned:
            return False

    def _ends(self, frame: pl.DataFrame, at: Longs, joined: NDArray[np.uint8] | None) -> Longs:
        measured = {column.name: column.to_numpy() for column in frame.select(self._measures)}
        for name, kind in self._fields:
            if name in self._items:
                at = at + self._array_bytes(frame[name], kind["items"], self._items[name])
            else:
                at = _end(measured, name, kind, at, joined)
        return at

    @staticmethod
    def _array_bytes(column: pl.Series, items: Any, walk: Walk | None) -> Longs:  # noqa: ANN401
        """One block with its count and the closing zero; only the zero where empty."""
        counts = column.list.len().to_numpy().astype(np.int64)
        heads = np.where(counts > 0, varint_lengths((counts << 1).view(np.uint64)), 0)
        if items == "double":
            whole: Longs = heads + counts * _DOUBLE_BYTES + 1
            return whole
        flat = column.filter(counts > 0).explode()
        if flat.is_empty():
            return np.ones(counts.size, np.int64)
        if walk:
            sizes = walk._ends(flat.struct.unnest(), np.zeros(len(flat), np.int64), None)  # noqa: SLF001  # its own kind
        else:
            sizes = _text_bytes(flat.str.len_bytes().to_numpy().astype(np.int64))
        until = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        last = np.cumsum(counts)
        total: Longs = until[last] - until[last - counts] + heads + 1
        return total


def varint_lengths(zigzagged: NDArray[np.uint64]) -> Longs:
    """How many bytes each of these (already zigzag-encoded) numbers takes.

    >>> varint_lengths(np.array([0, 127, 128, 1 << 63], np.uint64)).tolist()
    [1, 1, 2, 10]
    """
    lengths = np.ones(zigzagged.size, np.int64)
    most = int(zigzagged.max(initial=0))
    bits = 7
    while most >> bits:
        lengths += zigzagged >= np.uint64(1 << bits)
        bits += 7
    return lengths


def zigzags(numbers: Longs) -> NDArray[np.uint64]:
    """Signed to unsigned, small staying small.

    >>> zigzags(np.array([0, -1, 1])).tolist()
    [0, 1, 2]
    """
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def _measures(column: pl.Expr, kind: Any, path: str) -> Iterator[pl.Expr]:  # noqa: ANN401  # an Avro schema is any JSON
    """What the walk must know of a column: text lengths, longs, booleans, and where a union is not null."""
    match kind:
        case list():
            yield column.is_not_null().alias(f"{path}?")
            yield from _measures(column, _inner(kind), path)
        case {"type": "record"}:
            for field in kind["fields"]:
                name = field["name"]
                yield from _measures(column.struct.field(name), field["type"], f"{path}.{name}")
        case "boolean":
            yield column.fill_null(value=False).alias(path)
        case "string":
            yield column.str.len_bytes().fill_null(0).cast(pl.Int64).alias(path)
        case "long":
            yield column.fill_null(0).alias(path)


def _end(measured: dict[str, NDArray[Any]], path: str, kind: Any, at: Longs, joined: NDArray[np.uint8] | None) -> Longs:  # noqa: ANN401
    """Where each row's field ends that begins at `at`."""
    match kind:
        case list():
            present = measured[f"{path}?"]
            _look(joined, at, present * np.uint8(_PRESENT))
            inner = _inner(kind)
            if inner == "boolean":
                _look(joined, at[present] + 1, measured[path][present])
            if inner == "double":
                return at + (present * np.int64(_DOUBLE_BYTES) + 1)
            return np.where(present, _end(measured, path, inner, at, None), at) + 1
        case {"type": "record"}:
            for field in kind["fields"]:
                at = _end(measured, f"{path}.{field['name']}", field["type"], at, joined)
            return at
        case "double":
            return at + _DOUBLE_BYTES
        case "boolean":
            _look(joined, at, measured[path])
            return at + 1
        case "string":
            return at + _text_bytes(measured[path])
    return at + varint_lengths(zigzags(measured[path]))


def _inner(union: list[Any]) -> Any:  # noqa: ANN401  # the same
    return next(branch for branch in union if branch != "null")


def _text_bytes(lengths: Longs) -> Longs:
    return lengths + varint_lengths((lengths << 1).view(np.uint64))


def _look(joined: NDArray[np.uint8] | None, at: Longs, expected: NDArray[Any]) -> None:
    if joined is not None and not np.array_equal(joined.take(at, mode="clip"), expected):
        raise Misaligned
