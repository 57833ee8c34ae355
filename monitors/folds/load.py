"""Requests by minute, so that load is known however long a window is; and by consumer.

Rules:
- Counts per minute are kept by the hour they are in ("minutes:<hour since 1970>", 60 places), so that adding buckets of
  any length keeps the minutes apart: what a day's peak was does not depend on whether its buckets were hours.
- Consumers are counted in 4,096 places by a hash of the name ("consumers"). Linear like all counts; how many different
  ones there were is read from the places that are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.folds.answers import present
from monitors.folds.groups import Groups
from monitors.summary import Counts
from schemas.deployment import MINUTE_MS

MINUTES = "minutes:"
MINUTES_PER_HOUR = 60
CONSUMER_PLACES = 4096


def minute_counts(groups: Groups, timestamps_ms: NDArray[np.int64]) -> Iterator[tuple[int, str, Counts]]:
    """Group, name of the hour and rows in each of its minutes, for every hour in which a group has rows."""
    minutes = groups.of(timestamps_ms // MINUTE_MS)
    if not minutes.size:
        return
    first = int(minutes.min()) // MINUTES_PER_HOUR * MINUTES_PER_HOUR
    width = int(minutes.max()) - first + 1
    places, rows = _tallied(groups.codes * width + (minutes - first), len(groups.keys) * width)
    hours = places // width * width + places % width // MINUTES_PER_HOUR  # one number for each group and hour
    starts = np.flatnonzero(np.diff(hours, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), hours.size], strict=True):
        vector = np.zeros(MINUTES_PER_HOUR, np.int64)
        minute = places[start:end] % width
        vector[minute % MINUTES_PER_HOUR] = rows[start:end]
        hour = (first + int(minute[0])) // MINUTES_PER_HOUR
        yield int(places[start]) // width, f"{MINUTES}{hour}", vector


def consumer_counts(groups: Groups, consumers: pl.Series) -> dict[str, Counts]:
    """Rows by the place of their consumer; nothing where no row names one.

    >>> from monitors.folds.groups import group_rows
    >>> from schemas.deployment import Span
    >>> groups = group_rows(np.array([0, 1, 2]), None, Span.HOUR)
    >>> int(np.count_nonzero(consumer_counts(groups, pl.Series(["web", "app", "web"]))["consumers"]))
    2
    """
    named = present(consumers)
    if not named.any():
        return {}
    names = consumers.cast(pl.String)
    known = {name: _place(name) for name in names.drop_nulls().unique()}
    places = names.replace_strict(known, default=0, return_dtype=pl.Int64).to_numpy().astype(np.intp)
    return {"consumers": groups.histogram(places, CONSUMER_PLACES, named)}


def _place(name: str) -> int:
    """Where a name is counted; as by chance, also for names that are numbered, which a cyclic check is not."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little") % CONSUMER_PLACES


def _tallied(codes: NDArray[np.int64], width: int) -> tuple[NDArray[np.int64], Counts]:
    """The codes that occur, ascending, and how often; by a table where that is small, as in a live batch."""
    if width > 4 * codes.size + (1 << 16):
        return np.unique(codes, return_counts=True)
    table = np.bincount(codes, minlength=width)
    taken = np.flatnonzero(table)
    return taken, table[taken]
