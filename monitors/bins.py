"""Bins frozen in a model package: how they are cut from training data, and which bin each live value falls into.

Rules for numbers (STATISTICS section 1): a value with at least 1/B of the rows has a bin of its own, the others are cut
at inverted-CDF quantiles; values below and above everything in training, and missing ones, have bins of their own.
Without the first rule ties hide drift: a price that is constant in its first third and then moves gives one decile bin
and a PSI of 0.0001; with it 18.5. Quantile bins ignore scale, so outliers and heavy tails need nothing more.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from monitors.columns import codes_in
from schemas.package import Bins, CategoricalBins, NumericBins, Package, Target, TargetType

Positions = NDArray[np.intp]

TOP_CATEGORIES = 50
MOST_CATEGORIES = 1_000
"""Bins of their own that a categorical feature has unless told otherwise, and at most."""

_LOGIT_REACH = 9.0
_SCORE_BINS = 256
_LATENCY_PER_DOUBLING = 8
MOST_COMPARED = 64
"""Up to so many edges, comparing a column with each is quicker than searching each value: by seven at 12 edges."""
_ERRORS_PER_DOUBLING = 16


def bin_count(bins: Bins) -> int:
    """How many bins there are, `missing` (always the last one) included."""
    return len(bins.edges) + 2 if isinstance(bins, NumericBins) else len(bins.categories) + 3


def numeric_bins(values: ArrayLike, count: int = 10) -> NumericBins:
    """Right-closed bins of a training column (NaN: missing; infinities count as below and above, but cut nothing).

    >>> numeric_bins([0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0]).counts  # below, the zeros, the rest, above, missing
    (0, 95, 5, 0, 0)
    >>> numeric_bins([7.0] * 30).counts
    (0, 30, 0, 0)
    """
    column = np.asarray(values, np.float64)
    edges = _edges(column[np.isfinite(column)], count)
    return _counted_numeric(edges, column)


def _edges(present: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    if not present.size:
        return np.empty(0)
    distinct, rows = np.unique(present, return_counts=True)
    is_atom = rows * count >= present.size
    atoms = distinct[is_atom]
    others = np.repeat(distinct[~is_atom], rows[~is_atom])
    edges = [np.nextafter(distinct[:1], -np.inf), distinct[-1:], atoms, np.nextafter(atoms, -np.inf)]
    if others.size:
        pieces = max(1, (2 * count * others.size + present.size) // (2 * present.size))
        ranks = (np.arange(1, pieces) * others.size + pieces - 1) // pieces
        edges.append(others[ranks - 1])
    cuts: NDArray[np.float64] = np.unique(np.concatenate(edges))
    filled = np.bincount(np.searchsorted(cuts, present), minlength=cuts.size) > 0
    filled[0] = True  # the first edge closes the bin below everything, which is empty
    return cuts[filled]


def _counted_numeric(edges: NDArray[np.float64], values: NDArray[np.float64]) -> NumericBins:
    counts = np.bincount(_numeric_rows(edges, values), minlength=edges.size + 2)
    return NumericBins(tuple(edges.tolist()), tuple(counts.tolist()))


def categorical_bins(values: pl.Series, top: int = TOP_CATEGORIES) -> CategoricalBins:
    """Bins of the `top` most frequent categories (ties by name); the rest of training is `other`.

    >>> categorical_bins(pl.Series(["a", "b", "a", None, "c"]), top=2)
    CategoricalBins(categories=('a', 'b'), counts=(2, 1, 1, 0, 1), others=('c',))
    """
    column = values.cast(pl.String)
    present = column.drop_nulls()
    tally = present.value_counts(name="rows").sort("rows", present.name, descending=[True, False])
    names, rows = tally[present.name].to_list(), tally["rows"].to_list()
    counts = (*rows[:top], sum(rows[top:]), 0, column.null_count())
    return CategoricalBins(tuple(names[:top]), counts, tuple(names[top:]))


def boolean_bins(values: pl.Series) -> CategoricalBins:
    """Bins of a column of booleans: false, true, and those of every category.

    >>> boolean_bins(pl.Series([True, True, False, None])).counts
    (1, 2, 0, 0, 1)
    """
    empty = CategoricalBins(("false", "true"), (0,) * 5)
    counts = np.bincount(bin_rows(empty, values), minlength=5)
    return CategoricalBins(empty.categories, tuple(counts.tolist()))


def score_edges(threshold: float = 0.5) -> tuple[float, ...]:
    """Edges for a probability: 256 bins equal in logit from -9 to 9, and one that keeps `p >= threshold` apart.

    Fixed, not learned: quantile bins of the baseline lose 9e-3 of AUC when scores move, these 3e-5 (STATISTICS
    section 6). Bins are right-closed, so the edge of the threshold is the number just below it. Rounded to 12 places,
    so that every machine's `exp` gives the same edges.
    """
    logits = np.linspace(-_LOGIT_REACH, _LOGIT_REACH, _SCORE_BINS + 1)
    grid = np.round(1 / (1 + np.exp(-logits)), 12)
    edges = np.append(grid[grid != threshold], np.nextafter(threshold, -np.inf))
    return tuple(np.unique(edges).tolist())


SCORE_EDGES = score_edges()

# Of each class's probability, for its area against the rest: every fourth of those, as there are two sets per class.
CLASS_BINS = NumericBins(tuple(np.round(1 / (1 + np.exp(-np.linspace(-9, 9, 65))), 12).tolist()), (0,) * 67)

# From 0.01 ms to 1e6 ms: a bin's geometric middle is within a factor of 2 ** (1/16), 4.4 %, of everything in the bin.
LATENCY_EDGES_MS: tuple[float, ...] = tuple(
    float(f"{0.01 * 2 ** (step / _LATENCY_PER_DOUBLING):.9g}") for step in range(27 * _LATENCY_PER_DOUBLING)
)
LATENCY_BINS = NumericBins(LATENCY_EDGES_MS, (0,) * (len(LATENCY_EDGES_MS) + 2))

# Of an absolute error in its unit, from 2**-20 to 2**12: a bin's geometric middle is within 2 ** (1/32), 2.2 %, of
# everything in the bin. What is below the first edge counts as no error.
ERROR_EDGES: tuple[float, ...] = tuple(
    float(f"{2 ** (step / _ERRORS_PER_DOUBLING):.9g}")
    for step in range(-20 * _ERRORS_PER_DOUBLING, 12 * _ERRORS_PER_DOUBLING + 1)
)
ERROR_BINS = NumericBins(ERROR_EDGES, (0,) * (len(ERROR_EDGES) + 2))


def prediction_bins(target: Target, predictions: pl.Series) -> Bins:
    """Bins of a model's output with the counts of `predictions`: numbers, P(positive) or class labels."""
    if target.type is TargetType.REGRESSION:
        return numeric_bins(predictions.to_numpy())
    if target.type is TargetType.BINARY:
        return _counted_numeric(np.array(score_edges(target.threshold)), predictions.cast(pl.Float64).to_numpy())
    empty = CategoricalBins(target.classes, (0,) * (len(target.classes) + 3))
    counts = np.bincount(bin_rows(empty, predictions), minlength=bin_count(empty))
    return CategoricalBins(target.classes, tuple(counts.tolist()))


def package_prediction_bins(package: Package) -> Bins:
    """The frozen bins of a package's predictions; those that its target alone defines where it has no baseline."""
    return package.baseline.prediction or prediction_bins(package.target, pl.Series([], dtype=pl.Float64))


def bin_rows(bins: Bins, column: pl.Series) -> Positions:
    """The bin of each row: null, NaN (and a number that cannot be read) are missing; infinities are below and above.

    >>> bins = NumericBins((0.0, 1.0), (0, 2, 0, 0))
    >>> bin_rows(bins, pl.Series([0.0, 0.5, 1.0, 1.5, float("-inf"), float("nan"), None])).tolist()
    [0, 1, 1, 2, 0, 3, 3]
    >>> bins = CategoricalBins(("red", "blue"), (5, 4, 1, 0, 0), others=("pink",))
    >>> bin_rows(bins, pl.Series(["blue", "pink", "Red", None, "red"])).tolist()
    [1, 2, 3, 4, 0]
    """
    if isinstance(bins, NumericBins):
        return _numeric_rows(np.array(bins.edges, np.float64), numbers(column))
    return _categorical_rows(bins, column)


def numbers(column: pl.Series) -> NDArray[np.float64]:
    """A column as numbers: NaN for null and for what cannot be read as one."""
    return (column if column.dtype == pl.Float64 else column.cast(pl.Float64, strict=False)).to_numpy()


def _numeric_rows(edges: NDArray[np.float64], values: NDArray[np.float64]) -> Positions:
    if edges.size <= MOST_COMPARED:
        above = np.zeros(values.size, np.uint8)
        for edge in edges:
            above += values > edge
        rows = above.astype(np.intp)
    else:
        rows = np.searchsorted(edges, values, side="left")
    missing = np.isnan(values)
    if missing.any():
        rows[missing] = edges.size + 1
    return rows


def _categorical_rows(bins: CategoricalBins, column: pl.Series) -> Positions:
    names = column if column.dtype == pl.String else column.cast(pl.String)
    kept = len(bins.categories)
    codes = codes_in(_enum(bins), names, -1)
    rows: Positions = np.minimum(codes, kept)
    if rows.min(initial=0) < 0:
        rows[codes < 0] = kept + 1  # unseen, if not missing
        if names.null_count():
            rows[names.is_null().to_numpy()] = kept + 2
    return rows


@lru_cache(maxsize=4096)
def _enum(bins: CategoricalBins) -> pl.Enum:
    return pl.Enum(bins.categories + bins.others)


def pooled_bins(bins: NumericBins, count: int = 10) -> Positions:
    """Which of about `count` wider bins each fine bin of a score joins.

    The bands of PSI belong to about ten bins. Cut by baseline mass, as features are; what is below or above all of the
    baseline, and missing, stay apart.

    >>> pooled_bins(NumericBins((0.1, 0.2, 0.3, 0.4), (0, 6, 6, 0, 0, 0)), count=2).tolist()
    [0, 1, 2, 3, 3, 4]
    """
    counts = np.array(bins.counts[:-1], np.int64)
    filled = np.flatnonzero(counts)
    if not filled.size:
        return np.array([0] * counts.size + [1], np.intp)
    middles = 2 * np.cumsum(counts) - counts
    wide = (middles * count) // (2 * counts.sum())
    wide = np.unique(wide[filled[0] : filled[-1] + 1], return_inverse=True)[1] + 1
    above = wide[-1] + 1
    tail = counts.size - 1 - filled[-1]
    return np.concatenate([np.zeros(filled[0], np.intp), wide, np.full(tail, above), [above + 1]]).astype(np.intp)
