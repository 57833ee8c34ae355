"""Which summaries each row goes to: those of its time bucket, of all rows ("") and of each of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.fixed_point import FixedTerms, whole
from monitors.spans import bucket_start
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind

SummaryKey = tuple[Kind, str, str, int]  # kind, model digest, segment, start of the bucket in ms
Scalar = TypeVar("Scalar", bound=np.generic)
Positions = NDArray[np.intp]
Signs = NDArray[np.int64]
Weights = Signs | NDArray[np.float64]

_MOST_CODES = 1 << 62
_ROWS_PER_CELL = 8


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows that are in the same groups: counted once for all of them, then added up by group.

    `of_rows`: the cell of each row. `members`: the cells of each group, one group after the other from `starts` on.
    """

    of_rows: Positions
    count: int
    members: Positions
    starts: Positions

    def by_group(self, table: Counts) -> Counts:
        """Sums of cells (first axis) as sums of groups."""
        return np.add.reduceat(table[self.members], self.starts, axis=0)


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by (segment, bucket): `codes` are positions in `keys`; `rows` says whose codes, None: of each row once.

    `cells` are there where rows share their groups so much that it is quicker to count by them: with three segments a
    fold of 30 features takes a third of the time.
    """

    codes: Positions
    keys: tuple[tuple[str, int], ...]
    rows: Positions | None = None
    cells: Cells | None = None

    def histogram(
        self,
        bins: Positions,
        width: int,
        where: NDArray[np.bool_] | None = None,
        signs: Weights | None = None,
    ) -> Counts:
        """Rows per group (first axis) and bin, each row with its sign, rows outside `where` left out.

        The signs may be any whole numbers; sums are exact below 2**53.
        """
        if self.cells is not None:
            table = _table(self.cells.of_rows, self.cells.count, bins, width, where, signs)
            return self.cells.by_group(table)
        weights = None if signs is None else self.of(signs.astype(np.float64, copy=False))
        kept = None if where is None else self.of(where)
        return _table(self.codes, len(self.keys), self.of(bins), width, kept, weights)

    def tally(self, where: NDArray[np.bool_] | None = None, signs: Signs | None = None) -> Counts:
        """Rows per group, as vectors of length 1."""
        return self.histogram(np.zeros(self._row_count(), np.intp), 1, where, signs)

    def totals(self, terms: FixedTerms, signs: Signs | None = None) -> list[int]:
        """The exact sum of the terms of each group."""
        if self.cells is not None:
            limbs = terms.limbs(self.cells.of_rows, self.cells.count, 1 if signs is None else signs)
            return whole(self.cells.by_group(limbs))
        taken = FixedTerms(self.of(terms.high), self.of(terms.low), self.of(terms.overflow))
        return taken.totals(self.codes, len(self.keys), 1 if signs is None else self.of(signs))

    def of(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values of rows, once for each group that the row is in."""
        return values if self.rows is None else values[self.rows]

    def _row_count(self) -> int:
        return self.codes.size if self.rows is None else int(self.rows.max(initial=-1)) + 1


def _table(
    codes: Positions,
    count: int,
    bins: Positions,
    width: int,
    where: NDArray[np.bool_] | None,
    weights: Weights | None,
) -> Counts:
    index = bins if count == 1 else codes * width + bins
    if where is not None:
        index, weights = index[where], None if weights is None else weights[where]
    counts = np.bincount(index, weights, minlength=count * width)
    return counts.astype(np.int64, copy=False).reshape(count, width)


def group_rows(timestamps_ms: NDArray[np.int64], segments: pl.Series | None, bucket: Span) -> Groups:
    """Groups of rows by event time and by `segments`: lists of distinct strings such as "plan=free"; None: all empty.

    >>> rows = group_rows(np.array([0, 60_000]), pl.Series([["plan=free"], []]), Span.MINUTE)
    >>> rows.keys, rows.codes.tolist()
    ((('', 0), ('', 60000), ('plan=free', 0)), [0, 1, 2])
    """
    starts, bucket_codes = _distinct(bucket_start(timestamps_ms, bucket))
    lengths = _lengths(segments)
    if segments is None or not lengths.any():
        return Groups(bucket_codes, tuple(("", start) for start in starts))
    listed = segments.filter(pl.Series(lengths > 0)).explode().cast(pl.String)
    names = listed.unique().sort()
    segment_codes = listed.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.intp)
    everyone = np.arange(timestamps_ms.size)
    rows = np.concatenate([everyone, np.repeat(everyone, lengths)])
    codes = np.concatenate([np.zeros(everyone.size, np.intp), segment_codes + 1]) * len(starts) + bucket_codes[rows]
    used, codes = np.unique(codes, return_inverse=True)
    labels = ["", *names.to_list()]
    keys = tuple((labels[code // len(starts)], starts[code % len(starts)]) for code in used.tolist())
    return Groups(codes, keys, rows, _cells(codes, len(keys), everyone.size, lengths))


def _cells(codes: Positions, groups: int, rows: int, lengths: Positions) -> Cells | None:
    """None where rows have unequal numbers of segments, or share their groups with too few others."""
    each = int(lengths[0])
    if not each or (lengths != each).any() or groups**each >= _MOST_CODES:
        return None
    by_row = codes[rows:].reshape(rows, each)
    mixed = by_row @ (groups ** np.arange(each))
    _, first, of_rows = np.unique(mixed, return_index=True, return_inverse=True)
    if first.size * _ROWS_PER_CELL > rows:
        return None
    belongs = np.column_stack([codes[first], by_row[first]]).ravel()
    order = np.argsort(belongs, kind="stable")
    starts = np.searchsorted(belongs[order], np.arange(groups))
    return Cells(of_rows, first.size, order // (each + 1), starts)


def _lengths(segments: pl.Series | None) -> Positions:
    """How many segments each row has; nothing for no column."""
    if segments is None:
        return np.zeros(0, np.intp)
    lengths = segments.list.len()
    return (lengths.fill_null(0) if lengths.null_count() else lengths).to_numpy().astype(np.intp)


def _distinct(starts: NDArray[np.int64]) -> tuple[list[int], Positions]:
    if starts.size and starts.min() == starts.max():  # a live batch: all in one bucket
        return [int(starts[0])], np.zeros(starts.size, np.intp)
    distinct, codes = np.unique(starts, return_inverse=True)
    return distinct.tolist(), codes


def summaries(
    kind: Kind,
    model: str,
    groups: Groups,
    counts: Mapping[str, Counts],
    sums: Mapping[str, list[int]] | None = None,
) -> dict[SummaryKey, Summary]:
    """One summary for each group that anything was counted in."""
    found = [Summary() for _ in groups.keys]
    for name, table in counts.items():
        for group in np.flatnonzero(table.any(axis=1)).tolist():
            found[group].counts[name] = table[group]
    for name, totals in (sums or {}).items():
        for group, total in enumerate(totals):
            if total:
                found[group].sums[name] = total
    keyed = zip(groups.keys, found, strict=True)
    return {(kind, model, segment, start): summary for (segment, start), summary in keyed if not summary.is_empty()}


def merge_into(total: dict[SummaryKey, Summary], deltas: Iterable[tuple[SummaryKey, Summary]]) -> None:
    """Add deltas to what is there already."""
    for key, delta in deltas:
        if key in total:
            total[key].add(delta)
        else:
            total[key] = delta
