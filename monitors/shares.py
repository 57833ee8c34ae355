"""Shares of rows by bin, in the baseline and in a window, with the bins' names: what a histogram is drawn of.

For people only: many bins are put together by their place, rare categories as "all others". Nothing is computed of it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitors.bins import bin_count
from monitors.summary import Counts, Summary
from schemas.package import Bins, NumericBins

MOST_BINS = 24


def shares_of(
    bins: Bins, summary: Summary, name: str
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]] | None:
    """Names of bins, their shares in the baseline and in the vector `name`; None where neither has a row.

    Bins that are empty in both are left out.

    >>> found = shares_of(NumericBins((0.0, 1.0, 2.0), (0, 30, 10, 0, 0)), Summary({"x": np.array([0, 1, 2, 1])}), "x")
    >>> found
    (('0 to 1', '1 to 2', 'over 2'), (0.75, 0.25, 0.0), (0.25, 0.5, 0.25))
    """
    size = bin_count(bins)
    before = np.array(bins.counts, np.int64)
    now = np.maximum(summary.vector(name, size)[:size], 0)
    labels = _numeric(bins) if isinstance(bins, NumericBins) else [*bins.categories, "other", "unseen", "missing"]
    if isinstance(bins, NumericBins) and np.count_nonzero(before + now) > MOST_BINS:
        labels, before, now = _wider(bins, before, now)
    filled = np.flatnonzero(before + now)
    if not filled.size:
        return None
    labels, before, now = [labels[place] for place in filled], before[filled], now[filled]
    if len(labels) > MOST_BINS:
        labels, before, now = _fewer(labels, before, now)
    return tuple(labels), _shares(before), _shares(now)


def _shares(counts: Counts) -> tuple[float, ...]:
    return tuple((counts / max(int(counts.sum()), 1)).tolist())


def _numeric(bins: NumericBins) -> list[str]:
    if not bins.edges:
        return ["any", "missing"]
    nothing = max(map(abs, bins.edges)) * 1e-12  # an edge just below 0 is 0 to people
    edges = [f"{0.0 if abs(edge) <= nothing else edge:.4g}" for edge in bins.edges]
    between = [high if low == high else f"{low} to {high}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]}", *between, f"over {edges[-1]}", "missing"]


def _wider(bins: NumericBins, before: Counts, now: Counts) -> tuple[list[str], Counts, Counts]:
    """Twenty bins of equal width between the outermost edges; each fine bin joins the one that its upper edge is in."""
    low, high = bins.edges[0], bins.edges[-1]
    wide = np.linspace(low, high, 21)
    place = np.clip(np.searchsorted(wide, np.array([*bins.edges, high]), side="left") - 1, 0, 19)
    place = np.append(place, 20)
    labels = [f"{left:.3g} to {right:.3g}" for left, right in pairwise(wide)]
    return [*labels, "missing"], _pooled(before, place, 21), _pooled(now, place, 21)


def _pooled(counts: Counts, place: NDArray[np.integer], size: int) -> Counts:
    total = np.zeros(size, np.int64)
    np.add.at(total, place, counts)
    return total


def _fewer(labels: list[str], before: Counts, now: Counts) -> tuple[list[str], Counts, Counts]:
    """The most frequent ones in their order, and all others together."""
    weight = before / max(int(before.sum()), 1) + now / max(int(now.sum()), 1)
    kept = np.sort(np.argsort(-weight, kind="stable")[: MOST_BINS - 1])
    rest = np.setdiff1d(np.arange(weight.size), kept)
    return (
        [*(labels[place] for place in kept), "all others"],
        np.append(before[kept], before[rest].sum()),
        np.append(now[kept], now[rest].sum()),
    )
