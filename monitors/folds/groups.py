"""Which summaries each row goes to: those of its time bucket, of all rows ("") and of each of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.columns import even
from monitors.fixed_point import FixedTerms, whole
from monitors.spans import bucket_start
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind

SummaryKey = tuple[Kind, str, str, int]  # kind, model digest, segment, start of the bucket in ms
Scalar = TypeVar("Scalar", bound=np.generic)
Positions = NDArray[np.intp]
Signs = NDArray[np.int64]
Reals = NDArray[np.float64]
Weights = Signs | Reals
Segments = Sequence[pl.Series] | pl.Series | None
Column = tuple[Positions, Positions | None]  # positions of labels, and the rows that have them; None: all

_SPARSE = 8
"""Codes are numbered by a table up to so many places for each, and by sorting above."""


@dataclass(frozen=True, slots=True)
class Part:
    """One group for each of some rows: their codes less `first`, all below `count`. `rows` is None for all in order."""

    codes: Positions
    first: int
    count: int
    rows: Positions | None = None

    def of(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values of the batch's rows, those of this part only."""
        return values if self.rows is None else values[self.rows]


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by (segment, bucket). A group's code is its position in `keys`.

    Each row has one group in the first of the `parts`, that of all rows, and one in each of some others: the segments
    of one dimension. So rows need not be repeated for each group that they are in.
    """

    parts: tuple[Part, ...]
    keys: tuple[tuple[str, int], ...]

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
        if width == 1 and signs is None:
            return self._rows(where)
        wide = width
        if where is not None and not where.all():  # a bin more, for those that are left out
            bins, wide = np.where(where, bins, width), width + 1
        table = np.zeros((len(self.keys), wide), np.int64)
        weights = None if signs is None else signs.astype(np.float64, copy=False)
        for part in self.parts:
            index = part.of(bins) if part.count == 1 else part.codes * wide + part.of(bins)
            found = np.bincount(index, None if weights is None else part.of(weights), part.count * wide)
            table[part.first : part.first + part.count] += found.astype(np.int64, copy=False).reshape(part.count, wide)
        return table[:, :width]

    def histograms(self, bins: Positions, width: int, numbers: Reals) -> tuple[Counts, Counts]:
        """Of columns at once, the rows of both matrices: rows and sums of whole numbers, (columns, groups, bins).

        Sums are exact below 2**53.
        """
        columns = len(bins)
        rows, sums = (np.zeros((columns, len(self.keys), width), np.int64) for _ in range(2))
        for part in self.parts:
            chosen = slice(None) if part.rows is None else part.rows
            shape, size = (columns, part.count, width), part.count * width
            index = (bins[:, chosen] + (part.codes * width + np.arange(columns)[:, np.newaxis] * size)).ravel()
            here = slice(part.first, part.first + part.count)
            rows[:, here] += np.bincount(index, minlength=columns * size).reshape(shape)
            found = np.bincount(index, numbers[:, chosen].ravel(), columns * size)
            sums[:, here] += found.astype(np.int64).reshape(shape)
        return rows, sums

    def tally(self, where: NDArray[np.bool_] | None = None, signs: Signs | None = None) -> Counts:
        """Rows per group, as vectors of length 1."""
        return self.histogram(np.zeros(self.everyone.size, np.intp), 1, where, signs)

    def _rows(self, where: NDArray[np.bool_] | None) -> Counts:
        table = np.zeros((len(self.keys), 1), np.int64)
        for part in self.parts:
            chosen = None if where is None else part.of(where)
            if part.count == 1:
                table[part.first] += part.codes.size if chosen is None else np.count_nonzero(chosen)
            else:
                codes = part.codes if chosen is None else part.codes[chosen]
                table[part.first : part.first + part.count, 0] += np.bincount(codes, minlength=part.count)
        return table

    def totals(self, terms: FixedTerms, signs: Signs | None = None) -> list[int]:
        """The exact sum of the terms of each group."""
        limbs = np.zeros((len(self.keys), 2), np.int64)
        for part in self.parts:
            taken = FixedTerms(part.of(terms.high), part.of(terms.low), part.of(terms.overflow))
            found = taken.limbs(part.codes, part.count, 1 if signs is None else part.of(signs))
            limbs[part.first : part.first + part.count] += found
        return whole(limbs)

    @property
    def everyone(self) -> Positions:
        """Of each row the code of its bucket's group of all rows."""
        return self.parts[0].codes

    @property
    def codes(self) -> Positions:
        """The code of each group of each row, part by part: what `of` gives values for."""
        return np.concatenate([part.codes + part.first for part in self.parts])

    def of(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Values of rows, once for each group that the row is in."""
        return np.concatenate([part.of(values) for part in self.parts])


def group_rows(timestamps_ms: NDArray[np.int64], segments: Segments, bucket: Span) -> Groups:
    """Groups of rows by event time and by `segments`; None: no row has any.

    Segments are strings such as "plan=free": an enum column for each dimension, no two of which give a row the same,
    or one column of lists of distinct strings.

    >>> rows = group_rows(np.array([0, 60_000]), pl.Series([["plan=free"], []]), Span.MINUTE)
    >>> rows.keys, rows.codes.tolist()
    ((('', 0), ('', 60000), ('plan=free', 0)), [0, 1, 2])
    """
    starts, bucket_codes = _buckets(timestamps_ms, bucket)
    labels, columns = _listed(segments) if isinstance(segments, pl.Series) else _dimensions(segments or ())
    if not columns and len(starts) == 1:
        return Groups((Part(bucket_codes, 0, 1),), (("", starts[0]),))
    mixed = [bucket_codes]
    for codes, rows in columns:  # label 0 is that of all rows
        at = bucket_codes if rows is None else bucket_codes[rows]
        mixed.append(codes + 1 if len(starts) == 1 else (codes + 1) * len(starts) + at)
    used, numbered = _numbered(mixed, (len(labels) + 1) * len(starts))
    names = ["", *labels]
    keys = tuple((names[code // len(starts)], starts[code % len(starts)]) for code in used.tolist())
    return Groups(tuple(map(_part, numbered, (None, *(rows for _, rows in columns)))), keys)


def _part(codes: Positions, rows: Positions | None) -> Part:
    if not codes.size:
        return Part(codes, 0, 0, rows)
    first = int(codes.min())
    return Part(codes - first if first else codes, first, int(codes.max()) - first + 1, rows)


def _numbered(mixed: list[Positions], most: int) -> tuple[Positions, list[Positions]]:
    """The numbers below `most` that occur, ascending, and the position of each among them."""
    if most > _SPARSE * sum(codes.size for codes in mixed):
        used = np.unique(np.concatenate(mixed))
        return used, [np.searchsorted(used, codes) for codes in mixed]
    taken = np.zeros(most, np.bool_)
    for codes in mixed:
        taken[codes] = True
    places = np.cumsum(taken) - 1
    return np.flatnonzero(taken), [codes if taken.all() else places[codes] for codes in mixed]


def _dimensions(columns: Sequence[pl.Series]) -> tuple[list[str], list[Column]]:
    """All labels in order, and the positions of the rows' labels, dimension by dimension."""
    known = [cast("pl.Enum", column.dtype).categories.to_list() for column in columns]
    labels = sorted({label for names in known for label in names})
    places = {label: place for place, label in enumerate(labels)}
    found: list[Column] = []
    for column, names in zip(columns, known, strict=True):
        table = np.array([places[name] for name in names], np.intp)
        found.append((table[column.to_physical().to_numpy()], None))
    return labels, found


def _listed(segments: pl.Series) -> tuple[list[str], list[Column]]:
    """The same of lists, by their first entries, their second ones and so on."""
    lengths = _lengths(segments)
    if not lengths.any():
        return [], []
    listed = segments.filter(pl.Series(lengths > 0)).explode().cast(pl.String)
    names = listed.unique().sort()
    codes = listed.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.intp)
    most = int(lengths.max())
    if lengths.min() == most:
        return names.to_list(), [(column, None) for column in np.ascontiguousarray(codes.reshape(-1, most).T)]
    begin = np.cumsum(lengths) - lengths
    having = [np.flatnonzero(lengths > place) for place in range(most)]
    return names.to_list(), [(codes[begin[rows] + place], rows) for place, rows in enumerate(having)]


def _lengths(segments: pl.Series) -> Positions:
    """How many segments each row has."""
    if even(segments, 0) is not None:
        return np.zeros(len(segments), np.intp)
    first = segments[0]
    if first is not None and even(segments, len(first)) is not None:
        return np.full(len(segments), len(first), np.intp)
    lengths = segments.list.len()
    return (lengths.fill_null(0) if lengths.null_count() else lengths).to_numpy().astype(np.intp)


def _buckets(timestamps_ms: NDArray[np.int64], bucket: Span) -> tuple[list[int], Positions]:
    """The starts of the buckets, ascending, and of each row its bucket's place."""
    if timestamps_ms.size:
        first, last = bucket_start(np.array([timestamps_ms.min(), timestamps_ms.max()]), bucket).tolist()
        if first == last:  # as nearly always in a live batch
            return [first], np.zeros(timestamps_ms.size, np.intp)
    distinct, codes = np.unique(bucket_start(timestamps_ms, bucket), return_inverse=True)
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
