"""Columns of a frame as arrays, by calls that run no query.

An expression, and most methods of a series are one, costs tens of microseconds however few the rows are. A live batch
has a few hundred rows and dozens of columns, so that this would be most of its fold. Casts and conversions are calls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Codes = NDArray[np.intp]

_LOOKED_AT = 16
_FEW = 8
"""Up to so many texts, comparing a column with each is quicker than looking each row up."""


def codes_in(known: pl.Enum, texts: pl.Series, unknown: int) -> Codes:
    """The place of each text among those of an enum; `unknown` for every other, and for null.

    >>> codes_in(pl.Enum(["red", "blue"]), pl.Series(["blue", "pink", None, "red"]), -1).tolist()
    [1, -1, -1, 0]
    """
    codes = texts.cast(known, strict=False).to_physical()
    places = codes.to_numpy()
    if not codes.null_count():
        return places.astype(np.intp)
    return np.where(np.isnan(places), unknown, places).astype(np.intp)  # as floats, exact below 2**24


def few_in(names: Sequence[str], texts: pl.Series, unknown: int) -> Codes:
    """The same among a few names, those that most rows have first; no text is null.

    >>> few_in(("red", "blue"), pl.Series(["blue", "pink", "red"]), -1).tolist()
    [1, -1, 0]
    """
    codes = np.full(len(texts), unknown, np.intp)
    left = codes.size
    for place, name in enumerate(names):
        found = (texts == name).to_numpy()
        codes[found] = place
        left -= int(np.count_nonzero(found))
        if not left:
            break
    return codes


def even(lists: pl.Series, width: int) -> pl.Series | None:
    """A column of lists as one of arrays; None where some list has not so many items, or is null.

    >>> even(pl.Series([[1.0, 2.0], [3.0, 4.0]]), 2).to_numpy().tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> even(pl.Series([[1.0, 2.0], []]), 2)
    """
    try:
        arrays = lists.cast(pl.Array(lists.dtype.inner, width))  # type: ignore[attr-defined]  # of lists
    except pl.exceptions.ComputeError:
        return None
    return None if arrays.null_count() else arrays


def distinct(texts: pl.Series) -> tuple[list[str], Codes]:
    """The texts that occur, in order, and of each row the place of its text; no text is null.

    >>> names, codes = distinct(pl.Series(["b", "a", "b"]))
    >>> names, codes.tolist()
    (['a', 'b'], [1, 0, 1])
    """
    if texts.is_empty():
        return [], np.zeros(0, np.intp)
    least, most = str(texts.min()), str(texts.max())
    if least == most:
        return [least], np.zeros(len(texts), np.intp)
    names = sorted({least, most, *texts.head(_LOOKED_AT)})  # nearly always all
    if len(names) <= _FEW and (codes := few_in(names, texts, -1)).min() >= 0:
        return names, codes
    names = texts.unique().sort().to_list()
    return names, codes_in(pl.Enum(names), texts, -1)
