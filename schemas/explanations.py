"""Explanations: how far the value of each feature moved a prediction, as the last field of its record.

On the wire an array of (feature, attribution), so that any reader understands it by itself. In columns a struct with a
number for each feature, null for rows that have no explanation, NaN nowhere.

A model says the same features in the same order for each row: then the last bytes of all values are alike but for the
numbers, which are read from where they are. Reading so leaves nothing to choose: a value whose last bytes are these
names, each with eight bytes behind it, and whose other bytes are just the fields before them, is that value and no
other. What is not alike is decoded like any array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from schemas import encoding
from schemas.contract import zigzag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

COLUMN = "explanations"
MOST_FEATURES = 2_000
"""A package has no more; whoever writes more names into a batch has only as many read."""

_DOUBLE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Explanations:
    """Attributions, rows x features. A row with one that is not finite is written without any."""

    features: tuple[str, ...]
    attributions: NDArray[np.float64]


def explanation_arrays(said: Explanations | None) -> encoding.Piece:
    """Arrays of (feature, attribution), one per row."""
    if said is None or not said.features:
        return encoding.END
    texts, places = _template(said.features)
    out = np.tile(np.frombuffer(texts, np.uint8), (len(said.attributions), 1))
    for place, column in zip(places, said.attributions.T, strict=True):
        out[:, place : place + _DOUBLE_BYTES] = encoding.doubles(column)
    finite = np.isfinite(said.attributions).all(axis=1)
    if finite.all():
        return out
    rows = encoding.as_list(out, len(out))
    for row in np.flatnonzero(~finite).tolist():
        rows[row] = encoding.END
    return rows


def read_alike(values: Sequence[bytes], features: Sequence[str]) -> tuple[int, pl.Series] | None:
    """The column, and how many bytes of each value are its own, where all end with those of these features in order.

    None where one does not.
    """
    texts, places = _template(features)
    width = len(texts)
    ends = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))
    if min(map(len, values)) < width or len(set(features)) != len(features):
        return None
    whole = b"".join(values)
    rows: NDArray[np.void] = np.ndarray((len(whole) - width + 1,), f"V{width}", whole, strides=(1,))
    joined = rows[ends - width].tobytes()
    begin = 0
    for end in (*places, width):
        for at, size in _words(begin, end):
            if (_at(joined, at, f"<u{size}", width) != int.from_bytes(texts[at : at + size], "little")).any():
                return None
        begin = end + _DOUBLE_BYTES
    numbers = [_at(joined, place, "<f8", width).copy() for place in places]
    return width, _struct(dict(zip(features, numbers, strict=True)))


def columns_of(listed: pl.Series) -> pl.Series | None:
    """Lists of (feature, attribution) by feature; None where no row has one. Of a name said twice the last counts."""
    rows = np.repeat(np.arange(len(listed)), listed.list.len().to_numpy())
    each = listed.explode().drop_nulls().struct.unnest()
    names, said = each["feature"], each["attribution"].to_numpy()
    numbers: dict[str, NDArray[np.float64]] = {}
    for name in names.unique(maintain_order=True).head(MOST_FEATURES).to_list():
        where = (names == name).to_numpy()
        numbers[name] = np.full(len(listed), np.nan)
        numbers[name][rows[where]] = said[where]
    return _struct(numbers) if numbers else None


def _at(joined: bytes, place: int, kind: str, width: int) -> NDArray[Any]:
    """The number at one place of each row."""
    return np.ndarray((len(joined) // width,), kind, joined, place, (width,))


def _words(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Bytes as few numbers, each by its place and size.

    >>> list(_words(2, 13))
    [(2, 8), (10, 2), (12, 1)]
    """
    for size in (8, 4, 2, 1):
        while end - begin >= size:
            yield begin, size
            begin += size


def _struct(numbers: dict[str, NDArray[np.float64]]) -> pl.Series:
    columns = {name: pl.Series(values=column, nan_to_null=True) for name, column in numbers.items()}
    return pl.DataFrame(columns).to_struct(COLUMN)


def _template(features: Sequence[str]) -> tuple[bytes, list[int]]:
    """An array with these names, and where its numbers are."""
    out, places = bytearray(zigzag(len(features))), []
    for name in features:
        out += encoding.string(name)
        places.append(len(out))
        out += bytes(_DOUBLE_BYTES)
    return bytes(out + encoding.END), places
