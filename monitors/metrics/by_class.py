"""Precision, recall and F1 of more than two classes, as the mean over classes and weighted by their actual rows; exact.

A class without actuals in the window is left out, and `one_class` said; one that was never predicted has no precision,
is left out of that mean, and `zero_denominator` is said. Intervals by the delta method on the confusion counts.
Weighted recall is the accuracy, mean recall the balanced accuracy.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Counts, Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_PARTS = {"precision": (0, 1, 1), "recall": (1, 0, 1), "f1": (1, 1, 2)}
"""How often actual rows and predicted rows of a class are in the denominator, and its hits in the numerator."""


def averaged(table: Counts, rows: int, columns: int, factor: int, *, weighted: bool) -> tuple[float, float]:
    """The mean over classes of `factor` hits / (`rows` actual + `columns` predicted), and its standard error.

    Classes without actual rows, or with a denominator of 0, have no part in it; one must have.

    >>> value, error = averaged(np.array([[206, 37], [22, 78]]), 1, 1, 2, weighted=False)
    >>> f"{value:.6f} {error:.4f}"
    '0.800158 0.0234'
    """
    actual, predicted = table.sum(axis=1), table.sum(axis=0)
    below = rows * actual + columns * predicted
    there = np.flatnonzero((actual > 0) & (below > 0))
    ratios = factor * table.diagonal()[there] / below[there]
    weights = actual[there] / actual[there].sum() if weighted else np.full(there.size, 1 / there.size)
    value = float((weights * ratios).sum())
    # how the mean changes with one row more in each cell of the table
    slopes: NDArray[np.float64] = np.zeros(table.shape)
    for code, ratio, weight, whole in zip(there.tolist(), ratios, weights, below[there].tolist(), strict=True):
        slopes[code, code] += weight * factor / whole
        slopes[code, :] -= weight * rows * ratio / whole
        slopes[:, code] -= weight * columns * ratio / whole
        if weighted:
            slopes[code, :] += (ratio - value) / actual[there].sum()
    return value, sqrt(float((table * slopes**2).sum()))


def _metric(measure: str, *, weighted: bool) -> Metric:
    name = f"{measure}_{'weighted' if weighted else 'macro'}"
    rows, columns, factor = _PARTS[measure]

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        baseline = targets.holdout(package, name)
        table = targets.confusion(summary, package)
        actual, n = table.sum(axis=1), int(table.sum())
        below = rows * actual + columns * table.sum(axis=0)
        if not n:
            return Value(None, baseline=baseline, reason=Reason.EMPTY)
        if not ((actual > 0) & (below > 0)).any():
            return Value(None, n=n, baseline=baseline, reason=Reason.ZERO_DENOMINATOR)
        warning = None if (actual > 0).all() else Reason.ONE_CLASS
        if (below[actual > 0] == 0).any():
            warning = Reason.ZERO_DENOMINATOR
        value, error = averaged(table, rows, columns, factor, weighted=weighted)
        return around(value, error, n, baseline, (0.0, 1.0), warning)

    return Metric(name, Kind.ACCURACY, targets.multiclass, compute)


METRICS = tuple(_metric(measure, weighted=weighted) for measure in _PARTS for weighted in (False, True))
