"""Some counts of many buckets as columns: a year of minutes is half a million of them, too many to take one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitors.packing import Packed, pack, unpack_together
from monitors.summary import Summary

Longs = NDArray[np.int64]

_NOTHING: Longs = np.zeros(0, np.int64)


class CountColumns(NamedTuple):
    """Vectors of `size` buckets by name: number of the bucket, place in its vector, count; where it is not zero."""

    size: int
    columns: dict[str, tuple[Longs, Longs, Longs]]

    def totals(self, name: str) -> Longs:
        """The sum over each bucket's vector, (size,).

        >>> rows = [Summary({"rows": np.array([2, 3])}), Summary(), Summary({"rows": np.array([-1])})]
        >>> columns_of([packed(one, ("rows",)) for one in rows], ("rows",)).totals("rows").tolist()
        [5, 0, -1]
        """
        number, _, count = self.columns[name]
        total = np.zeros(self.size, np.int64)
        np.add.at(total, number, count)
        return total


def columns_of(buckets: Sequence[Sequence[Packed | None]], names: Sequence[str]) -> CountColumns:
    """The columns of buckets, each given by its packed vectors in the order of the names."""
    by_name = zip(*buckets, strict=True) if buckets else ((),) * len(names)
    return CountColumns(
        len(buckets), {name: unpack_together(vectors) for name, vectors in zip(names, by_name, strict=True)}
    )


def packed(summary: Summary, names: Sequence[str]) -> list[Packed | None]:
    """Some vectors of a summary in memory as `monitors.summary.packed_counts` has those of a stored one."""
    return pack([summary.counts.get(name, _NOTHING) for name in names])
